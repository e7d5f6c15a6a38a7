"""Labels of two bytes: sets of more than 256 classes, and what stays as it was of the others."""

import os

import numpy as np
import pytest
from data_makers import picture, write_files, zip_file

from bnntrain import native
from bnntrain.data.array_source import store_arrays
from bnntrain.data.batches import BatchReaders
from bnntrain.data.catalog import describe, find_source, open_dataset
from bnntrain.data.check import check
from bnntrain.data.flat import find_converted
from bnntrain.errors import DataError, UsageError


def write_npz(kit, place, train, test, **more):
    path = place.data / "set.npz"
    path.write_bytes(kit.npz_bytes(**kit.npz_arrays(train, test), **more))
    return str(path)


@pytest.mark.parametrize(("classes", "label_bytes"), [(255, 1), (256, 1), (257, 2), (1000, 2)])
def test_a_label_takes_as_many_bytes_as_it_needs(kit, place, classes, label_bytes):
    train, test = kit.samples(1003, (2, 3, 1), classes), kit.samples(50, (2, 3, 1), classes, 1)
    name = write_npz(kit, place, train, test)
    dataset = open_dataset(name)
    assert dataset.train.record_bytes == 6 + label_bytes
    assert dataset.classes == [str(number) for number in range(classes)]
    kit.assert_same(dataset.train, train)
    kit.assert_same(dataset.test, test)
    version = int.from_bytes(dataset.train.path.read_bytes()[8:12], "little")
    assert version == {1: 2, 2: 3}[label_bytes]
    for index in (0, 1002):
        image, label = dataset.train.read(index)
        np.testing.assert_array_equal(image, train[0][index])
        assert label == train[1][index]


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "i2", "u4", "i8"])
def test_labels_of_every_integer_type(kit, place, dtype):
    images, labels = kit.samples(400, (1, 1, 1), 300)
    name = write_npz(kit, place, (images, labels.astype(dtype)), (images, labels.astype(dtype)))
    kit.assert_same(open_dataset(name).train, (images, labels))


def test_all_65536_labels(kit, place):
    labels = np.arange(65536)
    images = (labels % 251).astype(np.uint8)[:, None]
    name = write_npz(kit, place, (images, labels), (images[::-1], labels[::-1]))
    dataset = open_dataset(name)
    kit.assert_same(dataset.train, (images, labels))
    assert check(name)["train"]["labels"] == [1] * 65536
    readers = BatchReaders(dataset, 0.0, 0)
    x, read = np.empty((65536, 1), np.int8), np.empty(65536, np.uint16)
    readers.test.read(0, x, read)
    readers.close()
    np.testing.assert_array_equal(read, labels[::-1])
    name = write_npz(kit, place, (images, labels + 1), (images, labels))
    with pytest.raises(DataError, match=r"label 65536 of image 65535 .* expected 0 to 65535"):
        open_dataset(name)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_pictures_of_300_classes(place, packed):
    pytest.importorskip("PIL.Image")
    names = [f"class {number:03}" for number in range(300)]
    files = {
        f"{split}/{name}/{split}.png": picture(np.full((3, 2), number % 256, np.uint8))
        for split in ("train", "test")
        for number, name in enumerate(names)
    }
    if packed:
        (place.data / "set.zip").write_bytes(zip_file(files))
    else:
        write_files(place.data / "set", files)
    name = str(place.data / ("set.zip" if packed else "set"))
    dataset = open_dataset(name)
    assert dataset.classes == names
    assert dataset.train.record_bytes == 8
    assert [dataset.test.read(index)[1] for index in (0, 255, 256, 299)] == [0, 255, 256, 299]
    report = check(name)
    assert report["bad"] == []
    assert report["test"] == {
        "count": 300, "labels": [1] * 300, "converted": True, "encoded": False,
    }  # fmt: skip


def test_arrays_of_1000_classes(kit, place):
    """A test part is drawn from each class, and the same arrays are found again."""
    images, labels = kit.samples(1000, (2, 2, 1), 1000)
    images, labels = np.concatenate([images, images]), np.concatenate([labels, labels])
    name = store_arrays((images, labels), None, 0.2, 0)
    dataset = open_dataset(name)
    for split in (dataset.train, dataset.test):
        _, found = kit.flat_contents(split)
        np.testing.assert_array_equal(np.sort(found), np.arange(1000))
    assert store_arrays((images, labels.astype(np.int64)), None, 0.2, 0) == name
    labels[0] = 999 - labels[0]
    with pytest.raises(UsageError, match="has one image, and one has to"):
        store_arrays((images, labels), None, 0.2, 0)


def test_what_caches_hold_of_few_classes_stays_good(place):
    """Runs know their data by these: as they were when all labels had one byte."""
    x = (np.arange(24 * 6) * 7 % 256).astype(np.uint8).reshape(24, 3, 2)
    y = np.arange(24) % 3
    drawn = store_arrays((x, y), None, 0.25, 0)
    given = store_arrays((x, y, x[:6], y[:6]), ["a", "b", "c"], 0.25, 0)
    assert (drawn, given) == (
        "arrays:94a5603daefdc340033326ee", "arrays:375b9eae7a2d0abb4b0136da",
    )  # fmt: skip
    dataset = open_dataset(drawn)
    assert (dataset.train.records_crc, dataset.test.records_crc) == (4222120114, 2019149615)


def test_a_version_that_does_not_fit_its_labels_is_converted_again(kit, place):
    train = kit.samples(300, (2, 2, 1), 300)
    name = write_npz(kit, place, train, train)
    path = open_dataset(name).train.path
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + (2).to_bytes(4, "little") + whole[12:])
    assert find_converted(find_source(name), "train") is None
    kit.assert_same(open_dataset(name).train, train)
    assert path.read_bytes() == whole


def test_names_that_are_too_long_for_a_header(kit, place):
    names = [f"{number:05}{'x' * 250}" for number in range(65536)]
    images, labels = np.zeros((65536, 1), np.uint8), np.arange(65536, dtype=np.uint16)
    name = write_npz(kit, place, (images, labels), (images, labels), classes=np.array(names, "S"))
    assert len(describe(name).classes) == 65536
    with pytest.raises(DataError, match=r"names of its 65536 classes take \d+ bytes.* shorter"):
        open_dataset(name)
    assert kit.leftovers(place.cache) == []


@pytest.mark.parametrize("rows", [1, 2, 3, 40])
@pytest.mark.parametrize("pixels", [1, 2, 5])
@pytest.mark.parametrize("label_bytes", [1, 2])
def test_batches_of_tiny_images(tmp_path, label_bytes, pixels, rows):
    """A label may be longer than the image before it; nothing is written past the batch."""
    random = np.random.default_rng(rows)
    records = np.zeros(50, [("image", "u1", pixels), ("label", f"<u{label_bytes}")])
    records["image"] = random.integers(0, 256, (50, pixels))
    records["label"] = random.integers(0, 200 if label_bytes == 1 else 65536, 50)
    (tmp_path / "records").write_bytes(records.tobytes())
    file = os.open(tmp_path / "records", os.O_RDONLY)
    reader = native.BatchReader(
        file, offset=0, image_bytes=pixels, label_bytes=label_bytes, classes=65536, total=50,
        first=0, count=50, split_key=None,
    )  # fmt: skip
    x, labels = np.full((rows + 1, pixels), 9, np.int8), np.full(rows + 1, 9, np.uint16)
    reader.read(50 - rows, x[:rows], labels[:rows])
    os.close(file)
    np.testing.assert_array_equal(x[:rows].astype(int) + 128, records["image"][50 - rows :])
    np.testing.assert_array_equal(labels[:rows], records["label"][50 - rows :])
    assert (x[rows] == 9).all()
    assert labels[rows] == 9


def test_labels_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="label_bytes: expected 1 or 2, got 3"):
        native.BatchReader(
            -1, offset=0, image_bytes=1, label_bytes=3, classes=5, total=1, first=0, count=1,
            split_key=None,
        )  # fmt: skip
