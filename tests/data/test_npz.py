"""NumPy archives: whatever is valid comes out as it went in; every fault has its own error."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.data.catalog import describe, open_dataset
from bnntrain.data.npz import KEYS
from bnntrain.errors import DataError

LABEL_TYPES = ["u1", "i1", "<i2", ">i2", "<u4", "<i8", ">i8", "<u8"]


def write(place, contents):
    path = place.data / "set.npz"
    path.write_bytes(contents)
    return path


def error_line(path):
    """Open a faulty data set; return its error, which must be one line."""
    with pytest.raises(DataError) as caught:
        open_dataset(str(path))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line


def has_channels_last(pixels):
    return len(pixels) < 3 or pixels[0] > 4 or pixels[2] <= 4


@settings(max_examples=60, deadline=None)
@given(
    train_count=st.integers(2, 40), test_count=st.integers(1, 5), compressed=st.booleans(),
    pixels=st.lists(st.integers(1, 6), min_size=1, max_size=3).filter(has_channels_last),
    classes=st.integers(2, 256), label_type=st.sampled_from(LABEL_TYPES), column=st.booleans(),
)  # fmt: skip
def test_round_trip(
    kit, train_count, test_count, compressed, pixels, classes, label_type, column
):
    classes = min(classes, np.iinfo(label_type).max + 1, train_count)
    train = kit.samples(train_count, pixels, classes, 1)
    test = kit.samples(test_count, pixels, classes, 2)
    arrays = kit.npz_arrays(train, test)
    for key in ("y_train", "y_test"):
        arrays[key] = arrays[key].astype(label_type).reshape((-1, 1) if column else (-1,))
    shape = {1: (1, *pixels, 1), 2: (*pixels, 1), 3: tuple(pixels)}[len(pixels)]
    with kit.workplace() as place:
        path = write(place, kit.npz_bytes(compressed, **arrays))
        dataset = open_dataset(str(path))
        assert dataset.shape == shape
        assert dataset.classes == [str(number) for number in range(classes)]
        kit.assert_same(dataset.train, train)
        kit.assert_same(dataset.test, test)
        known = describe(str(path))
        assert (known.shape, known.classes) == (shape, dataset.classes)
        assert (known.train_count, known.test_count) == (train_count, test_count)


@pytest.mark.parametrize("version", [(2, 0), (3, 0)])
def test_later_headers(kit, place, version):
    train, test = kit.samples(3), kit.samples(3)
    path = place.data / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in kit.npz_arrays(train, test).items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=version)
            archive.writestr(f"{key}.npy", member.getvalue())
    kit.assert_same(open_dataset(str(path)).train, train)


IMAGES = np.zeros((6, 3, 4), np.uint8)
LABELS = np.arange(6)

FAULTS = [
    ({"x_train": IMAGES / 2.0}, "x_train: images of type float64, expected uint8: save pixels as"),
    ({"x_test": np.float32(IMAGES)}, "x_test: images of type float32, expected uint8"),
    ({"x_train": np.int64(IMAGES)}, "x_train: images of type int64, expected uint8: convert"),
    ({"x_train": IMAGES > 1}, "x_train: images of type bool, expected uint8"),
    ({"x_train": np.array([{}] * 6)}, "x_train: array of type object is refused"),
    ({"y_train": np.array([1, None] * 3)}, "y_train: array of type object is refused"),
    ({"y_train": np.zeros(6, "u1,u1")}, "y_train: array of type"),
    ({"y_train": LABELS / 1.0}, "y_train: labels of type float64, expected integers"),
    ({"y_train": LABELS > 2}, "y_train: labels of type bool, expected integers"),
    ({"y_train": LABELS.astype("U1")}, "y_train: labels of type <U1, expected integers"),
    ({"y_train": np.eye(6, 10, dtype=int)}, "labels of shape (6, 10), expected (N,): turn one-hot"),
    ({"y_train": LABELS.reshape(6, 1, 1)}, "y_train: labels of shape (6, 1, 1), expected (N,)"),
    ({"y_test": np.int64(3)}, "y_test: labels of shape (), expected (N,)"),
    ({"y_train": LABELS[:5]}, "y_train: holds 5 labels, expected 6, one per image of x_train"),
    ({"y_test": np.arange(7)}, "y_test: holds 7 labels, expected 6, one per image of x_test"),
    ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, "x_train: holds 0 images, expected at least"),
    ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, "x_test: holds 0 images, expected at least 1"),
    ({"x_train": IMAGES[0, 0]}, "x_train: images of shape (4,), expected (N, height, width)"),
    ({"x_train": IMAGES[..., None, None]}, "x_train: images of shape (6, 3, 4, 1, 1), expected"),
    ({"x_train": IMAGES[:, :0]}, "x_train: images of 0x4x1 = 0 bytes, expected 1 to"),
    ({"x_train": np.zeros((6, 2 * 1024 * 1024), np.uint8)}, "= 2097152 bytes, expected 1 to"),
    ({"x_train": np.asfortranarray(IMAGES)}, "x_train: array in Fortran order, expected C order"),
    ({"y_train": LABELS - 1}, "y_train: label -1 of image 0 (byte 128) is out of range"),
    ({"y_train": LABELS * 13108}, "label 65540 of image 5 (byte 168) is out of range, expected 0"),
    ({"y_train": np.uint64(LABELS) + np.uint64(2**63)}, "label 9223372036854775808 of image 0"),
    ({"y_test": LABELS + 2}, "y_test: label 6 of image 4 (byte 160) is out of range, expected 0"),
    ({"x_test": IMAGES[:, :2]}, "test images of 2x4x1, expected 3x4x1"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_faults(kit, place, change, message):
    arrays = kit.npz_arrays((IMAGES, LABELS), (IMAGES, LABELS)) | change
    path = write(place, kit.npz_bytes(**arrays))
    assert message in error_line(path)
    assert kit.leftovers(place.cache) == []


PIXELS = np.arange(72).reshape(6, 3, 4) * 3
PLANES = np.arange(6 * 3 * 8 * 8, dtype=np.uint8).reshape(6, 3, 8, 8)


@pytest.mark.parametrize(
    ("x", "expression", "expected"),
    [
        (PIXELS > 100, "x.astype('uint8') * 255", np.where(PIXELS > 100, 255, 0)),
        (PIXELS.astype("<u2") * 256, "(x // 256).astype('uint8')", PIXELS),
        (PIXELS.astype(">u2"), "x.astype('uint8') if all are 0 to 255", PIXELS),
        (PIXELS.astype("i8"), "x.astype('uint8') if all are 0 to 255", PIXELS),
        (PIXELS.astype("u4"), "x.astype('uint8') if all are 0 to 255", PIXELS),
        ((PIXELS - 128).astype("i1"), "(x.astype('int16') + 128).astype('uint8')", PIXELS),
        ((PIXELS // 2).astype("i1"), "x.astype('uint8') if none is negative", PIXELS // 2),
        (PIXELS / 255, "(x * 255).round().astype('uint8')", PIXELS),
        (PIXELS.astype("f4") / 255, "(x * 255).round().astype('uint8')", PIXELS),
        (PIXELS.astype("f8") - 0.001, "x.round().astype('uint8')", PIXELS),
        (PLANES, "numpy.moveaxis(x, 1, -1)", PLANES.transpose(0, 2, 3, 1)),
        (PLANES[:, :1], "numpy.moveaxis(x, 1, -1)", PLANES[:, 0]),
        (np.asfortranarray(PIXELS.astype("u1")), "numpy.ascontiguousarray(x)", PIXELS),
    ],
)
def test_the_advice_for_pixels_is_right(kit, place, x, expression, expected):
    """What a message says to do leads to the pixels that were meant."""
    arrays = kit.npz_arrays((x, LABELS), (x, LABELS))
    assert expression in error_line(write(place, kit.npz_bytes(**arrays)))
    x = eval(expression.partition(" if ")[0], {"x": x, "numpy": np})
    path = write(place, kit.npz_bytes(**kit.npz_arrays((x, LABELS), (x, LABELS))))
    kit.assert_same(open_dataset(str(path)).train, (expected.astype(np.uint8), LABELS))


RENUMBERED = "numpy.searchsorted(numpy.unique(y_train), y)"
ONE_HOT = np.eye(6, dtype=int)


@pytest.mark.parametrize(
    ("labels", "message", "expression"),
    [
        (LABELS + 1, "y_train: labels are 1 to 6, expected to count from 0: subtract 1", "y - 1"),
        (LABELS * 2, "no image has label 1, 3, 5, 7, 9, but labels go up to 10", RENUMBERED),
        (LABELS - 1, "label -1 of image 0 (byte 128) is out of range, expected 0 to", RENUMBERED),
        (LABELS + 65531, "label 65536 of image 5 (byte 168) is out of range, expected", RENUMBERED),
        (LABELS.astype("U1"), "y_train: labels of type <U1, expected integers", RENUMBERED),
        (LABELS.astype("S1"), "y_train: labels of type |S1, expected integers", RENUMBERED),
        (LABELS / 1.0, "y_train: labels of type float64, expected int", "y.astype('int64')"),
        (ONE_HOT, "y_train: labels of shape (6, 6), expected (N,)", "y.argmax(1)"),
    ],
)
def test_the_advice_for_labels_is_right(kit, place, labels, message, expression):
    arrays = kit.npz_arrays((IMAGES, labels), (IMAGES, labels))
    line = error_line(write(place, kit.npz_bytes(**arrays)))
    assert message in line
    assert expression in line or expression == "y - 1"
    y = eval(expression, {"y": labels, "y_train": labels, "numpy": np})
    path = write(place, kit.npz_bytes(**kit.npz_arrays((IMAGES, y), (IMAGES, y))))
    kit.assert_same(open_dataset(str(path)).train, (IMAGES, LABELS.astype(np.uint8)))


def test_test_labels_may_lack_classes_but_have_no_others(kit, place):
    def of(labels):
        return kit.npz_bytes(**kit.npz_arrays((IMAGES, LABELS), (IMAGES, labels)))

    kit.assert_same(open_dataset(str(write(place, of(LABELS // 5)))).test, (IMAGES, LABELS // 5))
    line = error_line(write(place, of(LABELS + 1)))
    assert "label 6 of image 5 (byte 168) is out of range, expected 0 to 5: the train" in line


@pytest.mark.parametrize(
    "names", [["ant", "bee", "cafe\u0301"], [b"ant", "bée".encode(), b"x"], [10, 20, 30]]
)
def test_names_of_classes(kit, place, names):
    arrays = kit.npz_arrays((IMAGES, LABELS % 3), (IMAGES, LABELS % 2))
    path = write(place, kit.npz_bytes(**arrays, classes=names))
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    assert open_dataset(str(path)).classes == describe(str(path)).classes == texts


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "c", "d"], "y_train: no image of class d: add some, or leave the name out"),
        (["a", "b"], "label 2 of image 2 (byte 144) is out of range, expected 0 to 1: 'classes' n"),
        (["a", "b", "a"], "classes: names that are empty or not different from each other"),
        (["a", "", "c"], "classes: names that are empty or not different"),
        ([["a"], ["b"], ["c"]], "classes: array of type <U1 and shape (3, 1), expected names of"),
        ([0.5, 1, 2], "classes: array of type float64 and shape (3,), expected names"),
        ([b"a", b"b", b"\xff"], "classes: names that are no text. Save them as Unicode"),
        (["a", "b", "\udc80"], "classes: names that are no text"),
        (np.array(["a", "b", "c"], object), "classes: array of type object is refused"),
        (["a"] * 65_537, "classes: 65537 names of 4 bytes, expected 1 to 65536 of at most 1024"),
        (["a", "b", "c" * 300], "classes: 3 names of 1200 bytes"),
        (np.array([], "U1"), "classes: 0 names"),
    ],
)
def test_faulty_names(kit, place, names, message):
    arrays = kit.npz_arrays((IMAGES, LABELS % 3), (IMAGES, LABELS % 3))
    assert message in error_line(write(place, kit.npz_bytes(**arrays, classes=names)))


SHAPES = st.lists(st.integers(0, 9), min_size=0, max_size=5).map(tuple)
TYPES = st.sampled_from(["u1", "i1", "<u2", ">i4", "f2", "f8", "?", "c8", "M8[s]", "U3", "V2"])


@settings(max_examples=100, deadline=None)
@given(
    types=st.lists(TYPES, min_size=4, max_size=4), shapes=st.lists(SHAPES, min_size=4, max_size=4),
    fortran=st.booleans(),
)  # fmt: skip
def test_arrays_of_any_type_and_shape_are_refused_or_read_as_they_are(kit, types, shapes, fortran):
    order = "F" if fortran else "C"
    arrays = {
        key: np.zeros(shape, dtype, order)
        for key, dtype, shape in zip(KEYS, types, shapes, strict=True)
    }
    with kit.workplace() as place:
        path = write(place, kit.npz_bytes(**arrays))
        with contextlib.suppress(DataError):
            count = open_dataset(str(path)).train.count
            assert (count, types[0]) == (len(arrays["x_train"]), "u1")


def test_an_archive_of_very_many_arrays(place):
    path = place.data / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}.npy", b"")
    assert "holds more than 1000 arrays" in error_line(path)


def test_missing_arrays(kit, place):
    path = write(place, kit.npz_bytes(x_train=IMAGES, labels=LABELS))
    line = error_line(path)
    assert "lacks the arrays y_train, x_test, y_test (found: labels, x_train)" in line
    assert "Save it with the keys x_train, y_train, x_test, y_test" in line


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is empty (0 bytes)"),
        (b"hello, world", "truncated or not an .npz (zip) file"),
        (b"\x93NUMPY\x01\x00", "truncated or not an .npz (zip) file"),
    ],
)
def test_other_files(place, contents, message):
    line = error_line(write(place, contents))
    assert message in line
    assert "Write the file again" in line


def archive_of(place, **members):
    """Write a zip archive with the given bytes as members."""
    path = place.data / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for key, contents in members.items():
            archive.writestr(f"{key}.npy", contents)
    return path


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "x_train: no valid .npy header"),
        (npy(IMAGES)[:9], "x_train: no valid .npy header"),
        (npy(IMAGES)[:40], "x_train: no valid .npy header"),
        (b"\x93NUMPY\x09\x00" + npy(IMAGES)[8:], "version 9.0, expected 1.0, 2.0"),
        (npy(IMAGES).replace(b"(6, 3, 4)", b"(6, 3, -4)"), "x_train: "),
        (npy(IMAGES).replace(b"|u1", b"|O8"), "x_train: "),
        (npy(IMAGES)[:-5], "x_train: truncated: ends after 195 bytes, expected 200 bytes"),
        (npy(IMAGES) + b"?", "x_train: wrong size: more bytes follow, expected 200 bytes"),
    ],
)
def test_damaged_member(place, contents, message):
    path = archive_of(
        place, x_train=contents, y_train=npy(LABELS), x_test=npy(IMAGES), y_test=npy(LABELS)
    )
    assert message in error_line(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression(kit, place, method):
    path = place.data / "set.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        for key, array in kit.npz_arrays((IMAGES, LABELS), (IMAGES, LABELS)).items():
            archive.writestr(f"{key}.npy", npy(array))
    assert "y_train: compressed by method" in error_line(path)


def test_wrong_checksum_in_the_archive(kit, place):
    arrays = kit.npz_arrays((IMAGES + 7, LABELS), (IMAGES + 9, LABELS))
    path = write(place, kit.npz_bytes(False, **arrays).replace(bytes([7] * 72), bytes([8] * 72)))
    assert "x_train: damaged after" in error_line(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_cut_anywhere(kit, place, compressed):
    whole = kit.npz_bytes(compressed, **kit.npz_arrays(kit.samples(30), kit.samples(6)))
    for end in range(1, len(whole), max(1, len(whole) // 60)):
        line = error_line(write(place, whole[:end]))
        assert "truncated or not an .npz (zip) file" in line
    assert kit.leftovers(place.cache) == []


@settings(max_examples=300, deadline=None)
@given(
    compressed=st.booleans(),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
    ),
)
def test_damage_anywhere_is_an_error_or_harmless(kit, compressed, changes):
    """Nothing but DataError ever comes out, whatever byte of the archive is changed."""
    train, test = kit.samples(12), kit.samples(4)
    whole = bytearray(kit.npz_bytes(compressed, **kit.npz_arrays(train, test)))
    for where, value in changes:
        whole[int(where * len(whole))] = value
    with kit.workplace() as place:
        path = write(place, whole)
        with contextlib.suppress(DataError):
            assert open_dataset(str(path)).train.count
        assert kit.leftovers(place.cache) == []
