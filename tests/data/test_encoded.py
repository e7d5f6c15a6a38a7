"""Encoded records: files as they are, made once, checked; every fault is one line or mended."""

import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from encoded_kit import CLASSES, OPTIONS, batches, jpeg, readers, write_pictures

from bnntrain.data.catalog import describe, find_source, open_dataset
from bnntrain.data.check import check
from bnntrain.data.decode import decode
from bnntrain.data.encode import find_encoded
from bnntrain.data.encoded import read_record
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.errors import DataError

pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture
def photos(place):
    return write_pictures(place.data / "photos")


def refused(name, options=OPTIONS):
    """Open a faulty data set; return its error, which must be one line."""
    with pytest.raises(DataError) as caught:
        open_dataset(str(name), options)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.exit_code == 2
    return line


def records(split):
    fd = split.open()
    return [read_record(fd, split.offset, number) for number in range(split.count)]


def test_records_are_the_files_as_they_are(photos):
    dataset = open_dataset(str(photos), OPTIONS)
    assert (dataset.shape, dataset.classes) == ((16, 16, 3), list(CLASSES))
    found = dict(records(dataset.train) + records(dataset.test))
    files = {path.read_bytes(): CLASSES.index(path.parent.name) for path in photos.rglob("*.jpg")}
    assert found == files
    assert (dataset.train.count, dataset.test.count) == (30, 6)


def test_every_size_of_samples_comes_of_the_same_records(photos, place):
    first = open_dataset(str(photos), OPTIONS)
    other = open_dataset(str(photos), replace(OPTIONS, image_size=(8, 12), channels="grey"))
    assert (first.shape, other.shape) == ((16, 16, 3), (8, 12, 1))
    assert first.train.path == other.train.path
    assert len(list(place.cache.rglob("*.encoded"))) == 2


def test_what_is_known_before_and_after_is_the_same(photos):
    before = describe(str(photos), OPTIONS)
    open_dataset(str(photos), OPTIONS)
    assert describe(str(photos), OPTIONS) == before
    assert (before.shape, before.train_count, before.test_count) == ((16, 16, 3), 30, 6)


def test_evaluation_takes_what_predict_takes(photos):
    """The middle of every picture, by the function that `predict` decodes with."""
    dataset, reader = open_dataset(str(photos), OPTIONS), readers(photos, 0)
    wanted = Preprocessing((16, 16, 3), "centre")
    expected = np.stack([decode(data, wanted) for data, _ in records(dataset.test)])
    images, labels = batches(reader.test, 6)
    np.testing.assert_array_equal(images.view(np.uint8) ^ 0x80, expected.reshape(6, -1))
    assert labels.tolist() == [label for _, label in records(dataset.test)]


def test_without_changes_training_is_as_records_of_pixels(photos):
    """Order and labels too."""
    from bnntrain.data.batches import BatchReaders

    flat = BatchReaders(open_dataset(str(photos), replace(OPTIONS, records="pixels")), 0.2, 3)
    encoded = readers(photos, 0, augment=None)
    for epoch in (0, 1, 5):
        for each in (flat, encoded):
            each.shuffle(epoch)
        for part in ("train", "validation", "test"):
            for mine, theirs in zip(
                batches(getattr(encoded, part), 3), batches(getattr(flat, part), 3), strict=True
            ):
                np.testing.assert_array_equal(mine, theirs)


def test_mirror_and_shift_are_those_of_records_of_pixels(photos):
    from bnntrain.config.schema import Augment
    from bnntrain.data.batches import BatchReaders

    augment = Augment(shift=0.2, flip=True, fill="zero")
    dataset = open_dataset(str(photos), replace(OPTIONS, records="pixels"))
    flat, encoded = BatchReaders(dataset, 0.2, 3, augment), readers(photos, 0, augment=augment)
    for each in (flat, encoded):
        each.shuffle(2)
    np.testing.assert_array_equal(batches(encoded.train, 4)[0], batches(flat.train, 4)[0])


def test_progress_is_told(photos):
    told = []
    open_dataset(str(photos), OPTIONS, lambda *each: told.append(each))
    assert told[0] == (str(photos), "train", 1, 30)
    assert told[-1] == (str(photos), "test", 6, 6)


def test_changed_pictures_are_converted_again(photos):
    before = open_dataset(str(photos), OPTIONS)
    (photos / "ant" / "000.jpg").write_bytes(jpeg(999))
    (photos / "ant" / "001.jpg").write_bytes(jpeg(998))
    after = open_dataset(str(photos), OPTIONS)
    assert (before.train.records_crc, before.test.records_crc) != (
        after.train.records_crc, after.test.records_crc,
    )  # fmt: skip
    with pytest.raises(DataError, match="Run the command again"):
        before.train.open()


# Faults of the pictures ---------------------------------------------------------------------------


def test_an_unreadable_picture_is_named_before_anything_is_trained(photos, place, kit):
    bad = photos / "cow" / "007.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    assert "cow/007.jpg: truncated or damaged picture" in refused(photos)
    assert [each["file"] for each in check(str(photos))["bad"]] == ["cow/007.jpg"]
    assert kit.leftovers(place.cache) in ([], [str(p) for p in place.cache.rglob("*.encoded")])


def test_pictures_smaller_than_a_sample(photos):
    (photos / "bee" / "003.jpg").write_bytes(jpeg(1, (40, 15)))
    line = refused(photos)
    assert "bee/003.jpg: 15x40 pixels, smaller than data.image_size 16x16" in line
    assert "data.enlarge: true" in line
    assert open_dataset(str(photos), replace(OPTIONS, enlarge=True)).shape == (16, 16, 3)
    assert open_dataset(str(photos), replace(OPTIONS, image_size=(15, 15))).shape == (15, 15, 3)


def test_a_class_folder_without_pictures(photos):
    (photos / "dog").mkdir()
    assert "dog: empty class folder. Add images, or remove it" in refused(photos)


def test_too_many_classes(place):
    path = place.data / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(70_000):
            archive.writestr(f"c{number:05}/a.jpg", b"")
    assert "has 70000 class folders, expected 2 to 65536" in refused(path)


def test_what_is_no_picture_has_no_encoded_records(npz):
    assert "holds pixels, and only pictures have encoded records" in refused(npz()[0])
    assert "Leave out data.records" in refused("digits")


def test_samples_that_are_too_large(photos):
    line = refused(photos, replace(OPTIONS, image_size=(1024, 1024), enlarge=True))
    assert "samples of 1024x1024, expected at most" in line


# Faults of the records ----------------------------------------------------------------------------


def test_every_byte_of_header_and_index_is_guarded(photos):
    """A flip is converted again silently, or refused in one line when the records are opened."""
    split = open_dataset(str(photos), OPTIONS).test
    source, whole = find_source(str(photos), OPTIONS), split.path.read_bytes()
    json_bytes = struct.unpack_from("<I", whole, 36)[0]
    index = range(split.offset, split.offset + 20 * split.count)
    stale = 0
    for at in [*range(48 + json_bytes), *index]:
        split.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        if find_encoded(source, "test") is None:
            stale += 1
            continue
        with pytest.raises(DataError, match="index of the converted data is damaged") as caught:
            split.open()
        assert "Delete it; it is converted again" in str(caught.value)
    assert stale == 48 + json_bytes


def test_a_cut_file_is_converted_again(photos):
    split = open_dataset(str(photos), OPTIONS).test
    whole = split.path.read_bytes()
    index_end = split.offset + 20 * split.count
    for end in [*range(0, 60, 7), split.offset, *range(split.offset, index_end, 9), -1]:
        split.path.write_bytes(whole[:end])
        with pytest.raises(DataError, match="Run the command again"):
            split.open()
        open_dataset(str(photos), OPTIONS)
        assert split.path.read_bytes() == whole, end


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_record_is_one_line(photos, workers):
    split = open_dataset(str(photos), OPTIONS).test
    whole = split.path.read_bytes()
    split.path.write_bytes(whole[:-5] + b"?" + whole[-4:])
    reader = readers(photos, workers, batch=6)
    try:
        with pytest.raises(DataError, match=r"record 5 is damaged \(wrong CRC-32\)") as caught:
            batches(reader.test, 6)
        assert str(split.path) in str(caught.value)
        assert "\n" not in str(caught.value)
    finally:
        reader.close()
    with pytest.raises(DataError, match="record 5 is damaged"):
        check(str(photos))


def test_check_says_whether_records_are_there(photos):
    assert check(str(photos))["test"]["encoded"] is False
    open_dataset(str(photos), OPTIONS)
    report = check(str(photos))
    assert (report["train"]["encoded"], report["train"]["converted"]) == (True, False)


def test_a_full_disk_leaves_nothing(photos, place, kit):
    """At every write: one line, nothing half-written, and then it works."""
    script = r"""
import errno, os, sys
from bnntrain.data.catalog import open_dataset
from bnntrain.data.preprocessing import PictureOptions
from bnntrain.errors import WriteError
from bnntrain.data import files
options = PictureOptions((16, 16), "centre", records="encoded")
write, left = os.write, [0]
def full(fd, data):
    if left[0] == 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    left[0] -= 1
    return write(fd, data)
failures = 0
while True:
    left[0] = failures
    os.write = full
    try:
        open_dataset(sys.argv[1], options)
        break
    except WriteError as error:
        os.write = write
        failures += 1
        assert "No space left on device. Free some space" in str(error), error
        assert "\n" not in str(error)
        left_over = [name for name in os.listdir(sys.argv[2]) if name.endswith(".part")]
        assert not left_over, left_over
os.write = write
print(failures)
"""
    done = kit.run_script(script, photos, place.cache / "encoded")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
    assert len(records(open_dataset(str(photos), OPTIONS).train)) == 30
