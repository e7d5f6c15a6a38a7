"""Folders and .zip files of pictures: what is read, in which order, and every fault."""

import io
import os
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
from data_makers import picture, picture_files, raw_zip, write_files, zip_file
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.data.catalog import describe, find_datasets, open_dataset
from bnntrain.data.check import check
from bnntrain.data.decode import decode, look
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.data.published import PUBLISHED
from bnntrain.errors import DataError, UsageError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
CLASSES = ["ant", "bee", "cow"]


def samples(kit, seed=0, shape=(5, 4, 3), count=12, classes=3):
    """Return images and labels, sorted by label, every class among them."""
    images, labels = kit.samples(count, shape, classes, seed)
    labels[:classes] = range(classes)
    return images, np.sort(labels)


def good(kit, shape=(5, 4, 3), **options):
    """Return the files of a data set, and its arrays."""
    train, test = samples(kit, 1, shape), samples(kit, 2, shape, 5)
    return picture_files(train, test, CLASSES, **options), train, test


def error_line(name):
    """Open a faulty data set; return its error, which must be one line."""
    with pytest.raises(DataError) as caught:
        open_dataset(str(name))
    line = str(caught.value)
    assert "\n" not in line
    return line


@settings(max_examples=40)
@given(
    channels=st.sampled_from([1, 3]), height=st.integers(1, 9), width=st.integers(1, 9),
    count=st.integers(3, 30), packed=st.booleans(), rows=st.integers(1, 7), seed=st.integers(0, 99),
)  # fmt: skip
def test_round_trip(kit, channels, height, width, count, packed, rows, seed):
    shape = (height, width, channels)
    # A side of 1 would be lost when the maker drops the dimension of grey.
    images = [samples(kit, seed + n, shape, size) for n, size in ((0, count), (1, 3))]
    files = {}
    for split, (values, labels) in zip(("train", "test"), images, strict=True):
        for number, (value, label) in enumerate(zip(values, labels, strict=True)):
            value = value[..., 0] if channels == 1 else value
            files[f"{split}/{CLASSES[label]}/{number:03}.png"] = picture(value)
    with kit.workplace() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr("bnntrain.data.source.CHUNK_BYTES", rows * height * width * channels)
        path = place.root / ("set.zip" if packed else "set")
        if packed:
            path.write_bytes(zip_file(files))
        else:
            write_files(path, files)
        known = describe(str(path))
        dataset = open_dataset(str(path))
        assert dataset.shape == known.shape == shape
        assert dataset.classes == known.classes == CLASSES
        assert (known.train_count, known.test_count) == (count, 3)
        kit.assert_same(dataset.train, images[0])
        kit.assert_same(dataset.test, images[1])


@pytest.mark.parametrize("form", ["png", "jpeg"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("prefix", ["", "a set/"])
def test_zip(kit, place, form, compression, prefix):
    """With a folder around it or not, with what file managers leave in it."""
    files, train, _ = good(kit, form=form)
    litter = {"train/": b"", "train/ant/": b"", "train/.DS_Store": b"x", "test/bee/.hidden": b"x"}
    wrapped = {prefix + name: text for name, text in (litter | files).items()}
    if prefix:
        wrapped["__MACOSX/._a set"] = b"x"
    path = place.data / "set.zip"
    path.write_bytes(zip_file(wrapped, compression))
    dataset = open_dataset("set.zip")
    assert dataset.classes == CLASSES
    if form == "png":
        kit.assert_same(dataset.train, train)
    else:
        decoded = [np.asarray(Image.open(io.BytesIO(text))) for text in files.values()]
        kit.assert_same(dataset.train, (np.array(decoded[: len(train[0])]), train[1]))


def test_names_decide_on_the_order(kit, place):
    """Not the order of the archive, nor of the folder."""
    files, train, _ = good(kit)
    path = place.data / "set.zip"
    path.write_bytes(zip_file(dict(reversed(files.items()))))
    kit.assert_same(open_dataset("set.zip").train, train)
    write_files(place.data / "set", dict(reversed(files.items())))
    kit.assert_same(open_dataset("set").train, train)


def test_an_archive_has_the_classes_of_its_folder(kit, place):
    """Whatever letters they have, from archivers that do not say how names are stored."""
    names = [name.encode() for name in ("Zoë", "auto", "café", "cafz", "日本")] + [b"caf\xe9"]
    entries, files = [], {}
    for number, name in enumerate(names):
        for part in (b"train", b"test"):
            file = part + b"/" + name + b"/" + "é.png".encode()
            files[os.fsdecode(file)] = picture(np.full((2, 3, 3), number, np.uint8))
            entries.append((file, files[os.fsdecode(file)], b""))
    write_files(place.data / "set", files)
    (place.data / "set.zip").write_bytes(raw_zip(entries))
    packed, folder = open_dataset("set.zip"), open_dataset("set")
    assert packed.classes == folder.classes
    assert packed.classes == ["Zoë", "auto", "cafz", "café", "caf\\xe9", "日本"]
    np.testing.assert_array_equal(*(kit.flat_contents(each.train)[0] for each in (packed, folder)))


def test_where_folders_are_looked_for(kit, place, monkeypatch):
    files, train, _ = good(kit)
    here = place.root / "here"
    write_files(here / "mine", files)
    monkeypatch.chdir(here)
    for name in ("mine", "./mine", "mine/", str(here / "mine")):
        kit.assert_same(open_dataset(name).train, train)
    monkeypatch.chdir(place.root)
    with pytest.raises(DataError, match="mine: unknown data set"):
        open_dataset("mine")
    # A folder of a known name has to be named by a path.
    write_files(place.root / "mnist", files)
    assert "not found" in error_line("mnist")
    kit.assert_same(open_dataset("./mnist").train, train)


@pytest.mark.parametrize("packed", [True, False])
def test_cifar10_as_pictures(kit, place, packed):
    classes = PUBLISHED["cifar10"].classes
    train, test = samples(kit, 1, (32, 32, 3), 30, 10), samples(kit, 2, (32, 32, 3), 10, 10)
    files = picture_files(train, test, classes)
    if packed:
        path = place.data / "cifar10-jpeg.zip"
        path.write_bytes(zip_file(files))
    else:
        path = place.data / "cifar10"
        write_files(path, files)
    dataset = open_dataset("cifar10")
    assert dataset.classes == classes == sorted(classes)
    kit.assert_same(dataset.train, train)
    found = {each.name: each for each in find_datasets()}
    assert (found["cifar10"].kind, found["cifar10"].path) == ("pictures", str(path))
    assert found["cifar10"].converted
    assert [name for name in found if "/" in name] == []
    report = check("cifar10")
    total = path.stat().st_size if packed else sum(map(len, files.values()))
    assert report["files"] == [{"path": str(path), "bytes": total, "sha256": None}]


def test_cifar10_with_other_classes(kit, place):
    files, _, _ = good(kit)
    (place.data / "cifar10-jpeg.zip").write_bytes(zip_file(files))
    line = error_line("cifar10")
    assert "not cifar10: class folders ant, bee, cow, expected airplane, automobile, bird" in line


def test_pictures_of_the_data_folder_are_listed(kit, place):
    files, _, _ = good(kit)
    write_files(place.data / "animals", files)
    (place.data / "more.zip").write_bytes(zip_file(files))
    (place.data / "notes.zip").write_bytes(zip_file({"notes.txt": b"x"}))
    (place.data / "broken.zip").write_bytes(b"no zip")
    (place.data / "empty").mkdir()
    found = [each for each in find_datasets() if each.kind == "pictures"]
    assert [(each.name, each.converted) for each in found] == [
        (str(place.data / "animals"), False), (str(place.data / "more.zip"), False),
    ]  # fmt: skip
    open_dataset(found[0].name)
    assert [each.converted for each in find_datasets() if each.kind == "pictures"] == [True, False]


def test_a_changed_folder_is_converted_again(kit, place):
    files, train, _ = good(kit)
    write_files(place.data / "set", files)
    first = open_dataset("set").train
    assert open_dataset("set").train == first
    new = train[0][0] ^ 0xFF
    name = next(iter(files))
    (place.data / "set" / name).write_bytes(picture(new))
    os.utime(place.data / "set" / name, ns=(0, 0))
    np.testing.assert_array_equal(open_dataset("set").train.read(0)[0], new)
    (place.data / "set" / name).unlink()
    assert open_dataset("set").train.count == first.count - 1
    # Hidden files count for nothing.
    second = open_dataset("set").train
    (place.data / "set" / "train" / "ant" / ".cache").write_bytes(b"x")
    assert open_dataset("set").train == second


def converted(image, form="png", **options):
    """Return the pixels that a data set of one picture has."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    (height, width), is_grey = look(buffer)
    wanted = Preprocessing((height, width, 1 if is_grey else 3), "exact")
    return decode(buffer.getvalue(), wanted)


def test_kinds_of_pictures(kit):
    colour = kit.samples(1, (6, 5, 3))[0][0]
    rgb = Image.fromarray(colour)
    np.testing.assert_array_equal(converted(rgb), colour)
    palette = rgb.quantize(16)
    np.testing.assert_array_equal(converted(palette), np.asarray(palette.convert("RGB")))
    grey = colour[..., 0]
    np.testing.assert_array_equal(converted(Image.fromarray(grey))[..., 0], grey)
    bits = Image.fromarray(grey).convert("1")
    np.testing.assert_array_equal(converted(bits)[..., 0], np.asarray(bits) * 255)
    deep = Image.fromarray(grey.astype("u2") << 8 | 77)
    np.testing.assert_array_equal(converted(deep)[..., 0], grey)
    cmyk = converted(rgb.convert("CMYK"), "jpeg", quality=100)
    assert cmyk.shape == (6, 5, 3)


def test_transparent_pictures_lie_on_white():
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = 10, 20, 30, 255
    expected = [[[10, 20, 30], [255] * 3], [[255] * 3, [255] * 3]]
    np.testing.assert_array_equal(converted(Image.fromarray(clear)), expected)
    palette = Image.new("P", (1, 1), 3)
    palette.putpalette([7] * 12)
    np.testing.assert_array_equal(converted(palette, transparency=3), [[[255] * 3]])
    np.testing.assert_array_equal(converted(palette), [[[7] * 3]])


def test_pictures_are_turned_upright():
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = converted(Image.fromarray(values), exif=exif)
    np.testing.assert_array_equal(turned, np.rot90(values, -1))


def huge(width, height):
    """Return a PNG that claims a size that it has no pixels for."""

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


IMAGE = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
JPEG = picture(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "jpeg")

FAULTS = [
    ({"train/bee/x.png": picture(IMAGE[:4])}, "train/bee/x.png: 4x4 pixels, expected 5x4 as tr"),
    ({"train/bee/x.png": b""}, "train/bee/x.png: is empty (0 bytes). Save it again"),
    ({"train/bee/x.png": b"not a picture"}, "train/bee/x.png: is not PNG, JPEG, WebP, BMP,"),
    ({"train/bee/x.ppm": picture(IMAGE, "ppm")}, "train/bee/x.ppm: is not PNG, JPEG, WebP"),
    ({"train/bee/x.txt": b"About this set"}, "train/bee/x.txt: is not PNG, JPEG, WebP"),
    ({"train/bee/x.png": picture(IMAGE)[:-30]}, "train/bee/x.png: truncated or damaged picture"),
    ({"train/ant/0": JPEG[:-100]}, "train/ant/0: truncated or damaged picture (image file is trun"),
    ({"train/ant/0": JPEG[:300]}, "train/ant/0: truncated or damaged picture"),
    ({"train/ant/0": huge(600, 600)}, "ant/0: 600x600 pixels, expected at most 349525. Set dat"),
    ({"train/bee/x.png": huge(9000, 9000)}, "x.png: 9000x9000 pixels in a file of "),
    ({"train/bee/x.png": huge(60000, 60000)}, "x.png: very many pixels in a file of "),
    ({"train/bee/x.png": huge(5, 4)}, "train/bee/x.png: truncated or damaged picture"),
    ({"train/dog/x.png": picture(IMAGE)}, "test lacks the classes dog of train. Give both the"),
    ({"test/dog/x.png": picture(IMAGE)}, "train lacks the classes dog of test. Give both the"),
    ({"train/readme.txt": b"x"}, "train/readme.txt: not a class folder. Put the images into"),
    ({"train/bee/more/x.png": picture(IMAGE)}, "train/bee/more: a folder inside a class folder"),
]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("changes", "message"), FAULTS)
def test_faults(kit, place, changes, message, packed):
    files = good(kit)[0] | changes
    path = place.data / ("set.zip" if packed else "set")
    if packed:
        path.write_bytes(zip_file(files))
    else:
        write_files(path, files)
    line = error_line(path)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert kit.leftovers(place.cache) == []


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_class_folder(kit, place, split, packed):
    files = good(kit)[0]
    files = {name: text for name, text in files.items() if not name.startswith(f"{split}/bee")}
    path = place.data / ("set.zip" if packed else "set")
    if packed:
        path.write_bytes(zip_file(files | {f"{split}/bee/": b""}))
    else:
        write_files(path, files)
        (path / split / "bee").mkdir()
    assert f"{path}: {split}/bee: empty class folder. Add images, or" in error_line(path)


def test_test_part_alone(kit, place):
    files = {name: text for name, text in good(kit)[0].items() if name.startswith("test")}
    write_files(place.data / "set", files)
    line = error_line("set")
    assert "a folder inside a class folder. Put the images into <class>, or train/<class>" in line


def test_no_classes_or_too_many(place):
    write_files(place.data / "none", {"train/.keep": b"", "test/.keep": b""})
    assert "none: holds no class folders. Put the images into <class>, or tr" in error_line("none")
    (place.data / "many").mkdir()
    for number in range(65537):
        (place.data / "many" / f"{number}").mkdir()
    assert "many: has 65537 class folders, expected 2 to 65536" in error_line("many")


def test_test_images_of_another_size(kit, place):
    files, _, _ = good(kit)
    others, _, _ = good(kit, (4, 5, 3))
    files = {name: text for name, text in files.items() if name.startswith("train/")}
    files |= {name: text for name, text in others.items() if name.startswith("test/")}
    write_files(place.data / "set", files)
    line = error_line("set")
    assert "test/ant/0000.png: 4x5 pixels, expected 5x4 as train/ant/0000.png. Set data.i" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b"", "is empty (0 bytes). Make the .zip file again"),
        (lambda b: b[: len(b) // 2], "truncated or not a .zip file"),
        (lambda b: b"<html>" * 99, "truncated or not a .zip file"),
        (lambda b: b[:70] + b"\0\0\0" + b[73:], "damaged archive member (wrong CRC-32"),
    ],
)
def test_faulty_archives(kit, place, change, message):
    path = place.data / "set.zip"
    path.write_bytes(change(zip_file(good(kit)[0])))
    line = error_line(path)
    assert line.startswith(f"{path}: ")
    assert message in line


def test_an_archive_that_is_not_there(place):
    assert "no such file, neither here nor in the data folder" in error_line("set.zip")


def test_a_file_that_may_not_be_read(kit, place, monkeypatch):
    files, _, _ = good(kit)
    write_files(place.data / "set", files)
    name = next(iter(files))
    (place.data / "set" / name).unlink()
    (place.data / "set" / name).symlink_to("nowhere")
    assert "cannot be read: No such file or directory" in error_line("set")


def test_pillow_is_asked_for(kit, place, monkeypatch):
    write_files(place.data / "set", good(kit)[0])
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(UsageError, match=r"needs? Pillow. Install it with pip install 'bnntrain\["):
        open_dataset("set")


def test_a_published_set_is_planned_with_without_pillow(kit, place, monkeypatch):
    """Shape, classes and counts are known; only a set of the user's own has to be looked into."""
    train = kit.samples(10, (32, 32, 3))
    files = picture_files(train, train, PUBLISHED["cifar10"].classes)
    for name in ("cifar10-jpeg.zip", "own.zip"):
        (place.data / name).write_bytes(zip_file(files))
    assert describe("cifar10").train_count == 10
    for module in [name for name in sys.modules if name.split(".")[0] == "PIL"] + ["PIL"]:
        monkeypatch.setitem(sys.modules, module, None)
    known = describe("cifar10")
    assert (known.shape, known.train_count, known.test_count) == ((32, 32, 3), 50000, 10000)
    assert known.classes == PUBLISHED["cifar10"].classes
    with pytest.raises(UsageError, match="pictures need Pillow"):
        describe("own.zip")
    with pytest.raises(UsageError, match="pictures need Pillow"):
        open_dataset("cifar10")
