"""IDX files: whatever is valid comes out as it went in; every fault has an error of its own."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.data.catalog import describe, open_dataset
from bnntrain.data.places import locate
from bnntrain.errors import DataError

REMEDY = "Run 'bnntrain data fetch mnist'"


def spoil(paths, key, change):
    """Change the contents of one (plain) file."""
    paths[key].write_bytes(change(paths[key].read_bytes()))
    return paths[key]


def error_line(name="mnist"):
    """Open a faulty data set; return its error, which must be one line with a remedy."""
    with pytest.raises(DataError) as caught:
        open_dataset(name)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.exit_code == 2
    return line


def fault_of(name):
    """Return the message of the error that opening gives, empty if it gives none."""
    try:
        open_dataset(name)
    except DataError as error:
        return str(error)
    return ""


@settings(max_examples=40, deadline=None)
@given(
    train_count=st.integers(1, 40), test_count=st.integers(1, 5), height=st.integers(1, 9),
    width=st.integers(1, 9), suffix=st.sampled_from(["", ".gz"]), dotted=st.booleans(),
    name=st.sampled_from(["mnist", "fashion-mnist"]), direct=st.booleans(),
)  # fmt: skip
def test_round_trip(
    kit, train_count, test_count, height, width, suffix, dotted, name, direct
):
    with kit.workplace() as place:
        train = kit.samples(train_count, (height, width, 1), seed=1)
        test = kit.samples(test_count, (height, width, 1), seed=2)
        kit.write_idx(place.data if direct else place.data / name, train, test, suffix, dotted)
        known = describe(name)
        dataset = open_dataset(name)
        assert dataset.shape == known.shape == (height, width, 1)
        assert (dataset.train.count, dataset.test.count) == (train_count, test_count)
        assert (known.train_count, known.test_count) == (train_count, test_count)
        assert len(dataset.classes) == 10
        kit.assert_same(dataset.train, train)
        kit.assert_same(dataset.test, test)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9])
def test_chunk_edges(kit, place, count, monkeypatch):
    """Counts around multiples of a chunk of 4 images."""
    monkeypatch.setattr("bnntrain.data.source.CHUNK_BYTES", 4 * 20)
    train, test = kit.samples(count), kit.samples(count, seed=5)
    kit.write_idx(place.data / "mnist", train, test)
    dataset = open_dataset("mnist")
    kit.assert_same(dataset.train, train)
    kit.assert_same(dataset.test, test)


def test_images_larger_than_a_chunk(kit, place):
    train, test = kit.samples(3, (700, 800, 1)), kit.samples(1, (700, 800, 1))
    kit.write_idx(place.data / "mnist", train, test)
    kit.assert_same(open_dataset("mnist").train, train)


def _set(at, value):
    return lambda data: data[:at] + value + data[at + len(value) :]


TRAIN_IMAGES, TRAIN_LABELS = ("train", "images"), ("train", "labels")
TEST_IMAGES, TEST_LABELS = ("test", "images"), ("test", "labels")

FAULTS = [
    # key, change of the file, what the message says
    (TRAIN_IMAGES, lambda d: b"", "is empty (0 bytes)"),
    (TEST_LABELS, lambda d: b"", "is empty (0 bytes)"),
    (TRAIN_IMAGES, _set(0, b"\x00\x00\x0d\x03"), "wrong magic number 0x00000d03, expected 0x0000"),
    (TRAIN_LABELS, _set(3, b"\x03"), "wrong magic number 0x00000803, expected 0x00000801"),
    (TEST_IMAGES, lambda d: b"PK\x03\x04" + d, "wrong magic number 0x504b0304"),
    (TRAIN_IMAGES, lambda d: d[:2], "truncated: ends after 2 bytes, expected a header of 16"),
    (TRAIN_IMAGES, lambda d: d[:15], "truncated: ends after 15 bytes, expected a header of 16"),
    (TRAIN_LABELS, lambda d: d[:7], "truncated: ends after 7 bytes, expected a header of 8"),
    (TRAIN_IMAGES, lambda d: d[:16], "truncated: ends after 16 bytes, expected 616 bytes"),
    (TRAIN_IMAGES, lambda d: d[:-1], "truncated: ends after 615 bytes, expected 616 bytes"),
    (TRAIN_LABELS, lambda d: d[:-1], "truncated: ends after 37 bytes, expected 38 bytes"),
    (TRAIN_IMAGES, lambda d: d + b"\0", "wrong size: more bytes follow, expected 616 bytes"),
    (TEST_LABELS, lambda d: d + b"\0", "wrong size: more bytes follow, expected 14 bytes"),
    (TRAIN_LABELS, _set(4, struct.pack(">I", 29)), "holds 29 labels, expected 30, one per"),
    (TEST_IMAGES, _set(4, bytes(4)), "holds 0 images, expected at least 1"),
    (TRAIN_IMAGES, _set(8, bytes(4)), "images of 0x4x1 = 0 bytes, expected 1 to"),
    (TRAIN_IMAGES, _set(8, b"\xff" * 8), "images of 4294967295x4294967295x1"),
    (TRAIN_LABELS, _set(8 + 17, b"\x0a"), "label 10 of image 17 (byte 25) is out of range"),
    (TEST_LABELS, _set(8, b"\xff"), "label 255 of image 0 (byte 8) is out of range, expected 0"),
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("key", "change", "message"), FAULTS)
def test_faults(kit, place, key, change, message, suffix):
    paths = kit.write_idx(place.data / "mnist", kit.samples(30), kit.samples(6), "")
    path = spoil(paths, key, change)
    if suffix and path.stat().st_size:
        compressed = path.with_name(path.name + suffix)
        compressed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        path = compressed
    line = error_line()
    assert line.startswith(f"{path}: ")
    # With .gz, the other file of a pair keeps its plain name.
    assert message in line
    assert REMEDY in line
    assert kit.leftovers(place.cache) == []


def test_more_images_than_labels(kit, place):
    paths = kit.write_idx(place.data / "mnist", kit.samples(30), kit.samples(6), "")
    spoil(paths, TRAIN_IMAGES, _set(4, struct.pack(">I", 31)))
    line = error_line()
    assert line.startswith(f"{paths[TRAIN_LABELS]}: holds 30 labels, expected 31, one per image of")
    assert "of train-images-idx3-ubyte" in line


def test_other_test_shape(kit, place):
    kit.write_idx(place.data / "mnist", kit.samples(3, (5, 4, 1)), kit.samples(3, (4, 5, 1)))
    assert "test images of 4x5x1, expected 5x4x1" in error_line()


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_gzip_cut_anywhere(kit, place, kind):
    paths = kit.write_idx(place.data / "mnist", kit.samples(30), kit.samples(6))
    path = paths["train", kind]
    whole = path.read_bytes()
    messages = set()
    for end in range(1, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:end])
        line = error_line()
        assert line.startswith(f"{path}: ")
        messages.add(line.removeprefix(f"{path}: ").split()[0])
    assert messages <= {"truncated:", "wrong", "damaged"}
    for missing in range(1, 9):
        # Everything is there but (a part of) the checksum.
        path.write_bytes(whole[:-missing])
        assert "truncated: the checksum at its end is cut off" in error_line()
    path.write_bytes(whole)
    assert open_dataset("mnist").train.count == 30


def test_gzip_flipped_anywhere(kit, place):
    """A flipped bit gives an error or, in header fields that carry no data, the right data."""
    train, test = kit.samples(30), kit.samples(6)
    path = kit.write_idx(place.data / "mnist", train, test)["train", "images"]
    whole = path.read_bytes()
    faults = 0
    for at in range(0, len(whole), max(1, len(whole) // 80)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        line = fault_of("mnist")
        if line:
            faults += 1
            # A wrong count shows where it does not fit, at the labels.
            assert path.name in line
        else:
            assert at < 10
            kit.assert_same(open_dataset("mnist").train, train)
    assert faults > 60
    assert kit.leftovers(place.cache) == []


def test_gzip_that_a_browser_decompressed(kit, place):
    train, test = kit.samples(5), kit.samples(2)
    for path in kit.write_idx(place.data / "mnist", train, test).values():
        path.write_bytes(gzip.decompress(path.read_bytes()))
    kit.assert_same(open_dataset("mnist").train, train)


def test_missing_files_are_named(kit, place):
    paths = kit.write_idx(place.data / "mnist", kit.samples(3), kit.samples(2))
    paths["test", "labels"].unlink()
    paths["train", "images"].unlink()
    line = error_line()
    assert line.startswith(f"{place.data / 'mnist'}: data set 'mnist' not found, ")
    assert "train-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz missing" in line
    assert "bnntrain data fetch mnist" in line
    assert "BNNTRAIN_DATA" in line


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_where_torchvision_puts_them(kit, place, suffix):
    """Below a folder of its own; the folder of the set's name comes first."""
    sets = {}
    for name, folder in (("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw")):
        sets[name] = kit.samples(12, seed=len(name))
        paths = kit.write_idx(place.data / folder, sets[name], sets[name], suffix)
        kit.assert_same(open_dataset(name).train, sets[name])
        assert locate(name).path == place.data / folder
        paths["test", "labels"].unlink()
        with pytest.raises(DataError, match=f"{folder}: data set '{name}' not found, t10k-labels"):
            open_dataset(name)
    kit.write_idx(place.data / "mnist", sets["fashion-mnist"], sets["mnist"], suffix)
    kit.assert_same(open_dataset("mnist").train, sets["fashion-mnist"])


def test_folder_in_place_of_a_file(kit, place):
    paths = kit.write_idx(place.data / "mnist", kit.samples(3), kit.samples(2))
    paths["train", "images"].unlink()
    paths["train", "images"].mkdir()
    assert "train-images-idx3-ubyte.gz missing" in error_line()


def test_labels_of_both_ends(kit, place):
    labels = np.arange(10, dtype=np.uint8)
    images, _ = kit.samples(10)
    kit.write_idx(place.data / "mnist", (images, labels), (images, labels[::-1].copy()))
    kit.assert_same(open_dataset("mnist").test, (images, labels[::-1]))
