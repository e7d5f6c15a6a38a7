"""SVHN's .mat files, written by hand and by SciPy; every fault has its own error."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from data_makers import mat_element, mat_file, svhn_arrays
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.data.catalog import describe, find_datasets, open_dataset
from bnntrain.data.check import check
from bnntrain.data.published import PUBLISHED
from bnntrain.errors import DataError

SHAPE = (32, 32, 3)


def samples(kit, seed=0, count=9, shape=SHAPE):
    """Return random images and labels, zero among them."""
    images, labels = kit.samples(count, shape, 10, seed)
    labels[0] = 0
    return images, labels


def write(folder, train, test, extra=None, **options):
    """Write the files of a data set."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("test", test), ("extra", extra)):
        if part is not None:
            contents = mat_file(svhn_arrays(*part), **options)
            (folder / f"{name}_32x32.mat").write_bytes(contents)
    return folder / "train_32x32.mat"


def error_line(name="svhn"):
    """Open a faulty data set; return its error, which must be one line."""
    with pytest.raises(DataError) as caught:
        open_dataset(name)
    line = str(caught.value)
    assert "\n" not in line
    return line


@settings(max_examples=60)
@given(
    count=st.integers(1, 40), compressed=st.booleans(), order=st.sampled_from("<>"),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 3])),
    kind=st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", ("u1", "f8")]),
    column=st.booleans(), swapped=st.booleans(), rows=st.integers(1, 9),
)  # fmt: skip
def test_round_trip(kit, count, compressed, order, shape, kind, column, swapped, rows):
    """Any image size, type of labels, byte order and order of variables."""
    train, test = samples(kit, 1, count, shape), samples(kit, 2, 2, shape)
    with kit.workplace() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr("bnntrain.data.source.CHUNK_BYTES", rows * int(np.prod(shape)))
        for name, part in (("train", train), ("test", test)):
            variables = svhn_arrays(*part)
            stored, seen = kind if isinstance(kind, tuple) else (kind, kind)
            labels = variables["y"].astype(stored)
            variables["y"] = (labels if column else labels.T, seen)
            if swapped:
                variables = dict(reversed(variables.items()))
            contents = mat_file(variables, compressed, order)
            (place.data / f"{name}_32x32.mat").write_bytes(contents)
        dataset = open_dataset("svhn")
        assert dataset.shape == shape
        assert dataset.classes == [str(number) for number in range(10)]
        kit.assert_same(dataset.train, train)
        kit.assert_same(dataset.test, test)


@pytest.mark.parametrize("compressed", [True, False])
def test_files_of_scipy(kit, place, compressed):
    scipy_io = pytest.importorskip("scipy.io", reason="SciPy is not installed")
    train, test = samples(kit, 1, 300), samples(kit, 2, 20)
    for name, part in (("train", train), ("test", test)):
        variables = {"note": "not asked for", "other": np.eye(3)} | svhn_arrays(*part)
        buffer = io.BytesIO()
        scipy_io.savemat(buffer, variables, do_compression=compressed)
        (place.data / f"{name}_32x32.mat").write_bytes(buffer.getvalue())
    dataset = open_dataset("svhn")
    kit.assert_same(dataset.train, train)
    kit.assert_same(dataset.test, test)


def test_one_image(kit, place):
    """MATLAB drops the fourth dimension, and short elements stand in their tags."""
    image, label = samples(kit, 1, 1)
    variables = {"X": image[0], "y": np.array([[10]], "u1")}
    for name in ("train", "test"):
        (place.data / f"{name}_32x32.mat").write_bytes(mat_file(variables))
    assert label == [0]
    kit.assert_same(open_dataset("svhn").train, (image, label))


def of_object(name, order, compressed):
    """Return a string as MATLAB has stored it since 2016: an object, which has no dimensions."""
    def element(code, data):
        return struct.pack(order + "2I", code, len(data)) + data + bytes(-len(data) % 8)

    flags = struct.pack(order + "2I", 17, 0)
    words = b"".join(element(1, word) for word in (name.encode(), b"MCOS", b"string"))
    body = element(6, flags) + words + mat_element("", np.arange(6, dtype="u4"), False, order)
    whole = struct.pack(order + "2I", 14, len(body)) + body
    if not compressed:
        return whole
    packed = zlib.compress(whole)
    return struct.pack(order + "2I", 15, len(packed)) + packed


def of_text(name, order):
    """Return a string as an array of characters."""
    letters = np.array([[ord(letter) for letter in "été"]], "u2")
    whole = mat_element(name, letters, False, order)
    return whole[:16] + struct.pack(order + "I", 4) + whole[20:]


@settings(max_examples=60)
@given(
    dims_type=st.sampled_from([1, 2, 3, 4, 5, 6, 12, 13]), name_type=st.sampled_from([1, 2, 16]),
    order=st.sampled_from("<>"), compressed=st.booleans(),
    first=st.lists(st.booleans(), max_size=3),
)  # fmt: skip
def test_files_of_other_writers(kit, dims_type, name_type, order, compressed, first):
    """Other types of dimensions and names, and strings in front."""
    train, test = samples(kit, 1, 9, (7, 6, 3)), samples(kit, 2, 3, (7, 6, 3))
    strings = b"".join(
        of_object("été", order, compressed) if is_object else of_text("été", order)
        for is_object in first
    )
    with kit.workplace() as place:
        for name, part in (("train", train), ("test", test)):
            contents = mat_file(svhn_arrays(*part), compressed, order, dims_type, name_type)
            contents = contents[:128] + strings + contents[128:]
            (place.data / f"{name}_32x32.mat").write_bytes(contents)
        dataset = open_dataset("svhn")
        kit.assert_same(dataset.train, train)
        kit.assert_same(dataset.test, test)


@pytest.mark.parametrize(
    ("order", "python", "matlab"),
    [
        ((0, 1, 2, 3), "numpy.moveaxis(X, 0, -1)", (2, 3, 4, 1)),
        ((0, 3, 1, 2), "X.transpose(2, 3, 1, 0)", (3, 4, 2, 1)),
        ((3, 1, 2, 0), "X.transpose(1, 2, 0, 3)", (2, 3, 1, 4)),
    ],
)
def test_the_advice_for_other_orders_of_dimensions_is_right(kit, place, order, python, matlab):
    """Images first, as arrays of Python have them, and channels first."""
    images, labels = samples(kit, 1, 9, (8, 6, 3))
    path = write(place.data, (images, labels), samples(kit, 2))
    x = images.transpose(order)
    path.write_bytes(mat_file(svhn_arrays(images, labels) | {"X": x}))
    line = error_line()
    assert f"X: uint8 of shape {x.shape}, expected (height, width, channels, n)" in line
    assert python in line
    assert f"permute(X, [{' '.join(map(str, matlab))}])" in line
    right = eval(python, {"X": x, "numpy": np})
    np.testing.assert_array_equal(right, x.transpose([number - 1 for number in matlab]))
    np.testing.assert_array_equal(right, images.transpose(1, 2, 3, 0))


def test_extra_images_come_after_those_of_the_training_part(kit, place):
    train, extra, test = samples(kit, 1, 200), samples(kit, 2, 333), samples(kit, 3)
    write(place.data / "svhn", train, test)
    assert "extra_32x32.mat missing" in error_line("svhn-extra")
    write(place.data / "svhn", train, test, extra)
    known = describe("svhn-extra")
    assert (known.train_count, known.test_count) == (533, 9)
    both = tuple(np.concatenate(parts) for parts in zip(train, extra, strict=True))
    kit.assert_same(open_dataset("svhn-extra").train, both)
    kit.assert_same(open_dataset("svhn").train, train)
    found = {each.name: each for each in find_datasets()}
    for name in ("svhn", "svhn-extra"):
        assert (found[name].kind, found[name].path) == ("svhn", str(place.data / "svhn"))
        assert found[name].converted
    write(place.data / "svhn", train, test, samples(kit, 4, 5, (32, 31, 3)))
    line = error_line("svhn-extra")
    assert "extra_32x32.mat: X: images of (32, 31, 3), expected (32, 32, 3)" in line
    assert line.endswith("Run 'bnntrain data fetch svhn-extra' to replace damaged files")


def test_published_facts(place):
    known = describe("svhn")
    assert (known.shape, known.train_count, known.test_count) == (SHAPE, 73257, 26032)
    assert describe("svhn-extra").train_count == 604388
    assert "svhn: data set 'svhn' not found, train_32x32.mat, test_32x32.mat miss" in error_line()


def test_check_compares_the_files(kit, place, monkeypatch):
    import hashlib

    write(place.data, samples(kit, 1), samples(kit, 2))
    own = check("svhn")
    assert own["notes"] == [
        "not the published svhn, but well formed: train_32x32.mat, test_32x32.mat"
    ]
    assert [file["sha256"] for file in own["files"]] == [None, None]
    for name, content in PUBLISHED["svhn"].contents.items():
        contents = (place.data / name).read_bytes()
        pin = type(content)(len(contents), hashlib.sha256(contents).hexdigest(), True)
        monkeypatch.setitem(PUBLISHED["svhn"].contents, name, pin)
    good = check("svhn")
    assert all(file["sha256"] for file in good["files"])
    assert "notes" not in good
    pin = PUBLISHED["svhn"].contents["test_32x32.mat"]
    monkeypatch.setitem(PUBLISHED["svhn"].contents, "test_32x32.mat", replace(pin, sha256="0"))
    with pytest.raises(DataError, match="not the published svhn: SHA-256"):
        check("svhn")


IMAGES = np.zeros((4, 4, 3, 2), np.uint8)
LABELS = np.array([[1.0], [10.0]])


def of(**changes):
    """Return a file with other variables."""
    variables = {"X": IMAGES, "y": LABELS} | changes
    return mat_file({name: value for name, value in variables.items() if value is not None})


def flipped(contents, place):
    changed = bytearray(contents)
    changed[place] ^= 0xFF
    return bytes(changed)


def packed(body):
    """Return a file with a compressed element of any content before its labels."""
    data = zlib.compress(body)
    head = mat_file({}) + struct.pack("<2I", 15, len(data))
    return head + data + mat_element("y", LABELS, True, "<")


def hdf5_behind(text):
    """Return the beginning of a file of version 7.3."""
    header = text.ljust(124) + b"\0\2IM"
    return header.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(600)


PLAIN_X = mat_element("X", np.arange(96, dtype="u1").reshape(4, 4, 3, 2), False, "<")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is empty (0 bytes)"),
        (b"MATLAB 5.0 MAT-file", "truncated: ends after 19 bytes"),
        (b"MATLAB 7.3 MAT-file, HDF5".ljust(600), "MATLAB file of version 7.3 (HDF5), expected"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "MATLAB file of version 7.3 (HDF5), expected"),
        (hdf5_behind(b"MATLAB 5.0 MAT-file, made elsewhere"), "of version 7.3 (HDF5)"),
        (hdf5_behind(b"MATLAB 7.3 MAT-file"), "save it with '-v7' in MATLAB, with scipy.io.savem"),
        (b"\x89PNG" + bytes(300), "no MATLAB file of version 5"),
        (mat_file({}), "lacks the variable X (found: none)"),
        (of(X=None), "lacks the variable X (found: y)"),
        (of(y=None), "lacks the variable y (found: X)"),
        (of()[:-30], "truncated: ends after"),
        (of()[:132], "truncated: ends after 132 bytes, in the middle of a tag"),
        (flipped(of(), 145), "X: damaged after"),
        (flipped(of(), len(of()) - 2), "y: damaged after"),
        (packed(PLAIN_X[:-8]), "X: truncated: ends after 152 bytes, expected 160"),
        (packed(PLAIN_X[:20]), "X: truncated: ends after 20 bytes, expected 160"),
        (packed(struct.pack("<2I", 9, 8)), "damaged: a compressed element of type 9, expected 14"),
        (packed(PLAIN_X[:24] + bytes(40)), "damaged: element of type 0 and 0 bytes in the header"),
        (of(X=IMAGES.astype("f8")), "X: double of shape (4, 4, 3, 2), expected uint8 (height, wi"),
        (of(X=IMAGES.astype("u2")), "X: uint16 of shape"),
        (of(X=(IMAGES.astype("i1"), "u1")), "X: uint8 stored as int8 of shape (4, 4, 3, 2), exp"),
        (of(X=np.zeros((4, 4, 3, 2, 1, 2), "u1")), "X: uint8 of shape (4, 4, 3, 2, 1, 2)"),
        (of(X=IMAGES[..., :0]), "X: holds 0 images, expected at least 1"),
        (of(X=IMAGES[:0]), "X: images of 0x4x3 = 0 bytes, expected 1 to"),
        (of(y=np.eye(2)), "y: double of shape (2, 2), expected numbers of shape (n, 1)"),
        (of(y=LABELS[:1]), "y: holds 1 labels, expected 2, one per image of X"),
        (of(y=np.array([[1], [11]])), "y: label 11 of image 1 is out of range, expected 1 to 10"),
        (of(y=np.array([[0.0], [1]])), "y: label 0.0 of image 0 is out of range"),
        (of(y=np.array([[1.5], [1]])), "y: label 1.5 of image 0 is out of range"),
        (of(y=np.array([[1.0], [np.nan]])), "y: label nan of image 1 is out of range"),
        (of(y=np.array([[-1], [1]], "i1")), "y: label -1 of image 0 is out of range"),
    ],
)
def test_faults(kit, place, contents, message):
    path = write(place.data, samples(kit, 1), samples(kit, 2))
    path.write_bytes(contents)
    line = error_line()
    assert line.startswith(f"{path}: ")
    assert message in line
    assert kit.leftovers(place.cache) == []


@settings(max_examples=150)
@given(data=st.data(), compressed=st.booleans())
def test_no_file_does_anything_but_raise(kit, data, compressed):
    contents = bytearray(mat_file({"X": IMAGES, "y": LABELS}, compressed))
    places = st.integers(110, len(contents) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        contents[place] = byte
    with kit.workplace() as place:
        write(place.data, samples(kit, 1), samples(kit, 2)).write_bytes(bytes(contents))
        message = ""
        try:
            open_dataset("svhn")
        except DataError as error:
            message = str(error)
        assert "\n" not in message
