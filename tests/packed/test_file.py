"""``.bnn`` files: what is written is read, and nothing else is."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from harness import conv_layers, scramble_norms
from hypothesis import given, settings
from hypothesis import strategies as st
from packing import Memory, trained
from residual_kit import STEMS, half, layers_of, same, scramble

from bnntrain import kernels
from bnntrain.errors import BnntrainError, MemoryLimitError, RunError
from bnntrain.packed import Network, PackedFile, new_tensors, packed_bytes, write_packed

MARK = 8 + len('{"__metadata__":{"crc32":"')


def tensors_of(source: object) -> dict[str, np.ndarray]:
    """Read all tensors of a source."""
    found = new_tensors(source.head.packed_layers())
    source.read(found)
    return found


def write(path: Path, source: Memory) -> Path:
    """Write a source into a file."""
    write_packed(path, source.head, tensors_of(source))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small network with everything that files have, and its file."""
    layers = conv_layers({"channels": 5, "pool": "after_sign"}, dense=(3, 2))
    _, source = trained(layers, (4, 4, 1), "standard", steps=1)
    return source, write(tmp_path_factory.mktemp("small") / "small.bnn", source)


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """A small residual network with everything that files have, and its file."""
    layers = layers_of({"channels": 1}, half(2, 2), classes=2, behind=STEMS[-1])
    _, source = trained(layers, (8, 8, 1), steps=1, prepare=scramble)
    return source, write(tmp_path_factory.mktemp("residual") / "residual.bnn", source)


@pytest.fixture(params=["small", "residual"])
def either(request):
    """One of the two."""
    return request.getfixturevalue(request.param)


def networks() -> dict[str, tuple[list[object], Callable]]:
    """List layers for samples of 16x8, and how their norms are drawn."""
    found = {}
    for pool in ("none", "before_norm", "after_sign"):
        layers = conv_layers({"channels": 70, "pool": pool}, {"channels": 33}, dense=(65, 7))
        found[pool] = layers, scramble_norms
    residual = layers_of({"channels": 20}, same(20), half(33), relu=True, classes=7)
    return found | {"residual": (residual, scramble)}


@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
@pytest.mark.parametrize("name", networks())
def test_what_is_written_is_read(tmp_path, method, name):
    layers, prepare = networks()[name]
    _, source = trained(layers, (16, 8, 3), method, smoothing=0.1, prepare=prepare)
    path = write(tmp_path / "a.bnn", source)
    found = PackedFile(path)
    assert replace(found.head, model=source.head.model) == source.head
    assert found.head.layers == source.head.layers
    wanted, got = tensors_of(source), tensors_of(found)
    assert wanted.keys() == got.keys()
    for name, array in wanted.items():
        assert (got[name].dtype, got[name].tobytes()) == (array.dtype, array.tobytes())
    assert found.bytes == path.stat().st_size
    assert packed_bytes(replace(source.head, weights_sha256="0" * 64)) == found.bytes + 64


def test_scores_are_those_from_before(either):
    source, path = either
    isa = kernels.selected_isa()
    one, other = (Network(each, 1, isa, 4) for each in (source, PackedFile(path)))
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(-128, 128, one.x.shape)
        one.x[...] = other.x[...] = pixels
        assert one.scores(4).tobytes() == other.scores(4).tobytes()


def test_the_same_model_gives_the_same_bytes(tmp_path, either):
    source, path = either
    assert write(tmp_path / "again.bnn", source).read_bytes() == path.read_bytes()


def test_the_library_of_the_format_reads_it(either):
    library = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    source, path = either
    found = library.load_file(path)
    wanted = tensors_of(source)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        assert array.tobytes() == wanted[name].tobytes()


def test_signs_are_read_as_the_documentation_says(small):
    """By nothing but JSON and NumPy: bit 1 is -1, lowest bit first."""
    source, path = small
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    entry = header["conv1.weights"]
    first, end = entry["data_offsets"]
    rows = np.frombuffer(content[8 + length :][first:end], np.uint8).reshape(entry["shape"])
    bits = np.unpackbits(rows, axis=1, bitorder="little")[:, :9]
    assert np.array_equal(bits, source.program.arena.views["conv1.latent"] < 0)


# Faults ------------------------------------------------------------------------------------------


def refused(path: Path, content: bytes) -> str:
    """Read bytes that are no good; return the one line that says so."""
    path.write_bytes(content)
    with pytest.raises(RunError) as caught:
        tensors_of(PackedFile(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert caught.value.exit_code == 2
    return text


def test_every_truncation(either, tmp_path):
    content = either[1].read_bytes()
    for length in range(len(content)):
        refused(tmp_path / "cut.bnn", content[:length])
    assert "checksum" in refused(tmp_path / "long.bnn", content + b"\0")


@pytest.mark.parametrize("mask", [0x20, 0xFF])
def test_every_flipped_byte(either, tmp_path, mask):
    content = bytearray(either[1].read_bytes())
    for place in range(len(content)):
        content[place] ^= mask
        refused(tmp_path / "flipped.bnn", content)
        content[place] ^= mask


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no packed model"), (b"\x93NUMPY", "no packed model"), (b"\0" * 100, "no packed"),
        (b"\xff" * 8 + b'{"__metadata__":{"crc32":"00000000"', "header is cut off"),
    ],
)  # fmt: skip
def test_other_files(tmp_path, content, says):
    assert says in refused(tmp_path / "other.bnn", content)


def test_no_file(tmp_path):
    with pytest.raises(RunError, match="no such file"):
        PackedFile(tmp_path / "none.bnn")


def rewritten(content: bytes, change: Callable[[dict], object], data: bytes | None = None) -> bytes:
    """Change the header of a file and make its checksum right again."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["crc32"] = "0" * 8
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = content[8 + length :] if data is None else data
    made = len(text).to_bytes(8, "little") + text + data
    checksum = f"{zlib.crc32(made):08x}".encode()
    return made[:MARK] + checksum + made[MARK + 8 :]


def metadata(**entries: str | None) -> Callable[[dict], object]:
    """Exchange entries of the metadata, or remove them."""
    def change(header: dict) -> None:
        for name, text in entries.items():
            if text is None:
                del header["__metadata__"][name]
            else:
                header["__metadata__"][name] = text

    return change


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"format": "bnntrain 2"}, "of format bnntrain 2, this bnntrain reads bnntrain 1"),
        ({"format": None}, "format"), ({"classes": None}, "classes: missing"),
        ({"classes": '["a"]'}, "1 names of 2 outputs"), ({"classes": "[1,2]"}, "classes"),
        ({"model": "[]"}, "model"), ({"model": '[{"dense":2}]'}, "batch_norm"),
        ({"model": '[{"dense":2},"batch_norm"]'}, "dense1.weights"),
        ({"model": '[{"dense":"classes"},"batch_norm"]'}, "model"),
        ({"model": "[" * 100_000}, "model"), ({"epoch": "-1"}, "epoch"), ({"seed": "1.5"}, "seed"),
        ({"preprocessing": '{"shape":[4,4],"resize":"crop"}'}, "preprocessing"),
        ({"preprocessing": '{"shape":[4,4,1],"resize":"any"}'}, "preprocessing"),
        ({"preprocessing": '{"shape":[4,0,1],"resize":"crop"}'}, "preprocessing"),
        ({"preprocessing": '{"shape":[1,1,1],"resize":"crop"}'}, "model: layers["),
        ({"preprocessing": '{"shape":[9999,9999,1],"resize":"crop"}'}, "positions"),
        ({"checkpoint": "first"}, "checkpoint"), ({"batch_size": "0"}, "batch_size"),
        ({"label_smoothing": "NaN"}, "label_smoothing"), ({"data_crc32": '{"a":1}'}, "data_crc32"),
        ({"data": "{}"}, "data"), ({"weights_sha256": "xyz"}, "weights_sha256"),
    ],
)  # fmt: skip
def test_metadata_that_mean_nothing(small, tmp_path, entries, says):
    content = rewritten(small[1].read_bytes(), metadata(**entries))
    assert says in refused(tmp_path / "bent.bnn", content)


def shifted(header: dict) -> None:
    header["conv1.flip"]["data_offsets"] = [0, 5]


def test_metadata_twice(small, tmp_path):
    content = small[1].read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    text = content[8:length].rstrip()[:-1] + b',"__metadata__":7}'
    text = text + b" " * (-len(text) % 8)
    made = len(text).to_bytes(8, "little") + text + content[length:]
    zero = made[:MARK] + b"0" * 8 + made[MARK + 8 :]
    checksum = f"{zlib.crc32(zero):08x}".encode()
    assert "metadata" in refused(tmp_path / "twice.bnn", made[:MARK] + checksum + made[MARK + 8 :])


def doubled(header: dict) -> None:
    header["more"] = header["conv1.flip"]


def typed(header: dict) -> None:
    header["conv1.threshold"]["dtype"] = "F32"


@pytest.mark.parametrize("change", [shifted, doubled, typed])
def test_tensors_that_are_not_those_of_the_layers(small, tmp_path, change):
    refused(tmp_path / "bent.bnn", rewritten(small[1].read_bytes(), change))


@pytest.mark.parametrize(
    ("name", "at", "value", "says"),
    [
        ("conv1.weights", 7, 128, "behind the last column"), ("conv1.flip", 0, 2, "out of range"),
        ("conv1.threshold", 3, 100, "out of range"), ("conv1.choice", 3, 128, "out of range"),
        ("dense3.scale", 3, 127, "not finite"),
    ],
)  # fmt: skip
def test_tensors_that_mean_nothing(small, tmp_path, name, at, value, says):
    content = small[1].read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    first, _ = json.loads(content[8:length])[name]["data_offsets"]
    data = bytearray(content[length:])
    data[first + at] = value
    if says == "not finite":
        data[first : first + 4] = np.array(np.inf, "<f4").tobytes()
    text = refused(tmp_path / "bent.bnn", rewritten(content, lambda header: None, bytes(data)))
    assert f"{name}: " in text
    assert says in text


@pytest.mark.parametrize(
    ("name", "at", "value", "says"),
    [
        ("conv1.weights", 5, [0x80], "out of range"),
        ("conv1.second_scale", 0, [0, 0, 0x80, 0x7F], "not finite"),
        ("conv2.amax", 0, [0, 0, 0x80, 0xBF], "no amax"),
        ("conv2.amax", 4, [0, 0, 0, 0], "no amax"),
        ("conv3.weights", 0, [0x80], "behind the last column"),
        ("conv3.shift", 4, [0, 0, 0xC0, 0x7F], "not finite"),
        ("dense4.bias", 0, [0, 0, 0x80, 0xFF], "not finite"),
    ],
)  # fmt: skip
def test_tensors_of_streams_that_mean_nothing(residual, tmp_path, name, at, value, says):
    content = residual[1].read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    first, _ = json.loads(content[8:length])[name]["data_offsets"]
    data = bytearray(content[length:])
    data[first + at : first + at + len(value)] = bytes(value)
    text = refused(tmp_path / "bent.bnn", rewritten(content, lambda header: None, bytes(data)))
    assert f"{name}: " in text
    assert says in text


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"gradient": "int4"}, "gradient"), ({"gradient": "float16"}, "conv1.weights"),
        ({"gradient": "float32"}, "conv1.weights"),
        ({"preprocessing": '{"shape":[6,8,1],"resize":"crop"}'}, "model: layers["),
    ],
)  # fmt: skip
def test_metadata_of_streams_that_mean_nothing(residual, tmp_path, entries, says):
    content = rewritten(residual[1].read_bytes(), metadata(**entries))
    assert says in refused(tmp_path / "bent.bnn", content)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300)
@given(st.data())
def test_whatever_a_header_says_is_read_or_refused_in_one_line(small, tmp_path_factory, data):
    """With a right checksum: nobody's crash, nothing but a line."""
    path = tmp_path_factory.getbasetemp() / "any.bnn"

    def change(header: dict) -> None:
        part = data.draw(st.sampled_from([header, header["__metadata__"], header["conv1.flip"]]))
        key = data.draw(st.sampled_from(sorted(part)))
        value = data.draw(VALUES)
        as_text = part is header["__metadata__"] and data.draw(st.booleans())
        part[key] = json.dumps(value) if as_text else value
        if isinstance(header["__metadata__"], dict):
            header["__metadata__"]["crc32"] = "0" * 8

    content = rewritten(small[1].read_bytes(), change)
    path.write_bytes(content)
    try:
        Network(PackedFile(path), 1, kernels.selected_isa())
    except BnntrainError as error:
        assert isinstance(error, RunError | MemoryLimitError)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
