"""Pickles of every protocol: plain data come out as they went in, everything else is refused."""

import io
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from data_makers import python2_pickle
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.data import pickle_bytes, pickle_machine
from bnntrain.data.pickle_arrays import Array
from bnntrain.data.pickle_bytes import Blob
from bnntrain.data.pickled import open_content, read_pickle
from bnntrain.data.stream import Stream, open_stream
from bnntrain.errors import DataError

WRITERS = [("python 3", protocol) for protocol in range(6)]
WRITERS += [("python 2", protocol) for protocol in range(3)]


def dumped(value, writer):
    program, protocol = writer
    if program == "python 2":
        return python2_pickle(value, protocol)
    return pickle.dumps(value, protocol)


def stream_of(contents):
    return Stream(Path("batch"), io.BytesIO(contents), "", "Make it again")


def read(contents):
    return read_pickle(stream_of(contents))


def elements_of(contents, found):
    """Return an array's elements, read from where they are."""
    source = open_content(stream_of(contents), found.content)
    data = source.read(1 << 30)
    source.finish()
    dtype = np.dtype(found.order + found.dtype)
    return np.frombuffer(data, dtype).reshape(found.shape, order="CF"[found.fortran_order])


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=40),
    lambda each: st.lists(each, max_size=4) | st.lists(each, max_size=4).map(tuple)
    | st.dictionaries(st.text(max_size=5) | st.integers(), each, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=100)
@given(value=PLAIN, protocol=st.integers(0, 5))
def test_plain_data(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value


@settings(max_examples=100)
@given(
    value=st.dictionaries(st.binary(max_size=9), st.binary(max_size=300)),
    writer=st.sampled_from(WRITERS),
)
def test_bytes(value, writer):
    assert read(dumped(value, writer)) == value


ESCAPES = st.text("\\\\ux'\"\\n01", min_size=1).map(str.encode)


@settings(max_examples=100)
@given(
    count=st.integers(0, 3000), columns=st.integers(1, 3), fortran=st.booleans(),
    kind=st.sampled_from(["u1", "<i2", ">i8"]), writer=st.sampled_from(WRITERS),
    piece=st.integers(1, 4000), pattern=st.binary(min_size=1, max_size=40) | ESCAPES,
)  # fmt: skip
def test_arrays(count, kind, columns, fortran, writer, piece, pattern):
    """Of any bytes, above all those that text has to escape, read in pieces of any size."""
    nbytes = count * columns * np.dtype(kind).itemsize
    values = np.frombuffer((pattern * (nbytes // len(pattern) + 1))[:nbytes], kind)
    values = np.asarray(values.reshape(count, columns), order="F" if fortran else "C")
    contents = dumped({"before": 1, "data": values, "after": ["x"] * 3}, writer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickle_bytes, "_PIECE", piece)
        (_, before), (_, array), (_, after) = read(contents).items()
        assert (before, after) in ((1, ["x"] * 3), (1, [b"x"] * 3))
        assert isinstance(array, Array)
        assert isinstance(array.content, Blob if nbytes > 1024 else bytes | Blob)
        np.testing.assert_array_equal(elements_of(contents, array), values)


@pytest.mark.parametrize("writer", WRITERS)
def test_pixels_are_never_whole_in_memory(writer, tmp_path):
    """What the restricted unpickler of Python would need is all of them, once to three times."""
    pixels = np.random.default_rng(1).integers(0, 256, (4096, 1024), np.uint8)
    path = tmp_path / "batch"
    path.write_bytes(dumped({"data": pixels}, writer))
    row = np.empty(1024, np.uint8)
    tracemalloc.start()
    try:
        with open_stream(path, "") as stream:
            ((_, array),) = read_pickle(stream).items()
        with open_stream(path, "") as stream:
            source = open_content(stream, array.content)
            for expected in pixels:
                source.read_into(memoryview(row))
                assert (row == expected).all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < pixels.nbytes / 4


@pytest.mark.parametrize("writer", WRITERS)
def test_numbers_of_numpy(writer):
    values = [np.int8(-3), np.uint8(200), np.int64(-(2**40)), np.dtype(">u4").type(7)]
    assert read(dumped(values, writer)) == [int(value) for value in values]


class Evil:
    """What a pickle may do to whoever loads it."""

    def __reduce__(self):
        import os

        return os.system, ("echo harmed > harmed",)


@pytest.mark.parametrize("writer", WRITERS)
def test_nothing_is_run(writer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"asks for 'posix\.system', expected plain data and NumPy"):
        read(dumped({"data": Evil()}, writer))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"cbuiltins\neval\n(V1\ntR.", "asks for 'builtins.eval'"),
        (b"cos\nsystem\n.", "asks for 'os.system'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "asks for 'os.system'"),
        (b"(ios\nsystem\n.", "needs the pickle operation 0x69"),
        (b"Pid\n.", "needs the pickle operation 0x50"),
        (b"\x80\x05\x97.", "needs the pickle operation 0x97"),
        (b"(" * 100, "truncated: ends after 100 bytes"),
        (b"N0" * 10_001, "takes more than 20000 steps"),
        (b"]" * 15_000 + b".", "takes more than 900000 bytes of memory"),
        (b")" + b"\x85" * 10_000 + b"}\x8c\x01ks.", "no valid pickle"),
        (b"}" + b")" + b"\x85" * 10_000 + b"Ns.", "a key that is neither text nor a number"),
        (b"I" + b"1" * 300 + b"\n.", "line too long"),
        (b"I1e5\n.", "no valid pickle (byte 5: "),
        (b"S'open\n.", "text without quotes"),
        (b"S'\\xg'\n.", "no valid pickle"),
        (b"V\\u12\n.", "no valid pickle"),
        (b"T\xff\xff\xff\xff.", "negative length"),
        (b"B\xff\xff\xff\xff.", "truncated: ends after 6 bytes"),
        (b"\x8e" + b"\xff" * 8 + b".", "truncated: ends after 10 bytes"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "text in 'rot13'"),
        (b"c_codecs\nencode\n(V\\u1234\nVlatin1\ntR.", "no valid pickle"),
        (b"c_codecs\nencode\n(]tR.", "bytes made of something else"),
        (b"cbuiltins\nbytes\n(I1073741824\ntR.", "bytes made of something else"),
        (b"cnumpy\ndtype\n(V\x1b[1m\ntR.", "a word that is no text"),
        (b"cnumpy\ndtype\n(]tR.", "a word that is no text"),
        (b"cnumpy\nndarray\n)R.", "call of what is no function"),
        (b"g5\n.", "no valid pickle"),
        (b"0.", "no valid pickle"),
    ],
)
def test_what_is_refused(monkeypatch, contents, message):
    monkeypatch.setattr(pickle_machine, "_LARGEST_STEPS", 20_000)
    monkeypatch.setattr(pickle_machine, "_LARGEST_COST", 900_000)
    with pytest.raises(DataError) as caught:
        read(contents)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 250


BATCH = {"labels": [3, 1], "data": np.arange(6144).reshape(2, 3072).astype("u1"), "x": ["a.png"]}


@settings(max_examples=200)
@given(data=st.data(), writer=st.sampled_from(WRITERS))
def test_damage_is_an_error_or_harmless(data, writer):
    contents = bytearray(dumped(BATCH, writer))
    places = st.integers(0, 300) | st.integers(len(contents) - 150, len(contents) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        contents[place] = byte
    cut = data.draw(st.integers(0, len(contents)) | st.just(len(contents)))
    try:
        found = read(bytes(contents[:cut]))
        for value in found.values() if isinstance(found, dict) else []:
            if isinstance(value, Array):
                open_content(stream_of(bytes(contents)), value.content).read(10_000)
    except DataError as error:
        assert len(str(error)) < 1000  # noqa: PT017
