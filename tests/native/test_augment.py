"""Shifted and mirrored training images: the C against NumPy and Python's own integers."""

import itertools
import os
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain import native
from bnntrain.data.batches import BatchReaders, largest_shifts
from bnntrain.data.flat import Dataset, Split

MASK32, MASK64 = 2**32 - 1, 2**64 - 1


def splitmix64(x):
    """Return the output of state x, after its step."""
    z = (x + 0x9E3779B97F4A7C15) & MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return z ^ (z >> 31)


def draw(seed, epoch, number, record):
    """Return 32 bits: draw `number` of a record in an epoch."""
    key = splitmix64(splitmix64(splitmix64(seed) ^ (6 << 32 | number)) ^ epoch)
    x = (record + key) & MASK32
    x ^= x >> 16
    x = x * 0x21F0AAAD & MASK32
    x ^= x >> 15
    x = (x + (key >> 32)) & MASK32
    x = x * 0xD35A2D97 & MASK32
    return x ^ x >> 15


def changes(seed, epoch, record, rows, columns, mirror):
    """Return the shift down, the shift to the right, and whether the image is mirrored."""
    dy = (draw(seed, epoch, 0, record) * (2 * rows + 1) >> 32) - rows
    dx = (draw(seed, epoch, 1, record) * (2 * columns + 1) >> 32) - columns
    return dy, dx, mirror and draw(seed, epoch, 2, record) >= 2**31


def reference(image, dy, dx, mirror, edge):
    """Return int8 images [..., height, width, channels], shifted and mirrored."""
    if mirror:
        image = image[..., ::-1, :]
    height, width, _ = image.shape[-3:]
    i, j = np.arange(height)[:, None] - dy, np.arange(width)[None] - dx
    out = image[..., np.clip(i, 0, height - 1), np.clip(j, 0, width - 1), :]
    if not edge:
        inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        out = np.where(inside[..., None], out, 0)
    return out


def write(folder, shape, count, seed=0):
    """Write a flat file without a header; return its path and images as int8."""
    random = np.random.default_rng(seed)
    records = random.integers(0, 256, (count, int(np.prod(shape)) + 1), np.uint8)
    records[:, -1] = np.arange(count) % 5
    path = folder / f"records{seed}"
    path.write_bytes(records.tobytes())
    return path, (records[:, :-1] ^ 0x80).view(np.int8).reshape(count, *shape)


def reader_of(file, shape, count):
    return native.BatchReader(
        file, offset=0, image_bytes=int(np.prod(shape)), label_bytes=1, classes=5, total=count,
        first=0, count=count, split_key=None,
    )  # fmt: skip


@pytest.fixture
def opened(tmp_path):
    """A function that makes a reader of random images; returns it and the images."""
    files = []

    def open_(shape, count):
        path, images = write(tmp_path, shape, count, len(files))
        files.append(os.open(path, os.O_RDONLY))
        return reader_of(files[-1], shape, count), images

    yield open_
    for file in files:
        os.close(file)


def read(reader, first, rows, shape):
    """Return images [rows, *shape] and labels."""
    x, labels = np.empty((rows, int(np.prod(shape))), np.int8), np.empty(rows, np.uint16)
    reader.read(first, x, labels)
    return x.reshape(rows, *shape), labels


@settings(max_examples=150)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4)),
    rows=st.integers(0, 12), columns=st.integers(0, 12), edge=st.booleans(), mirror=st.booleans(),
    seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 2**40), count=st.integers(1, 20),
)  # fmt: skip
def test_against_the_reference(
    tmp_path_factory, shape, rows, columns, edge, mirror, seed, epoch, count
):
    path, images = write(tmp_path_factory.mktemp("augment"), shape, count)
    file = os.open(path, os.O_RDONLY)
    reader = reader_of(file, shape, count)
    reader.augment(
        shape, rows=rows, columns=columns, edge=edge, mirror=mirror, seed=seed, epoch=epoch
    )
    found, labels = read(reader, 0, count, shape)
    os.close(file)
    for record in range(count):
        change = changes(seed, epoch, record, rows, columns, mirror)
        np.testing.assert_array_equal(found[record], reference(images[record], *change, edge))
    np.testing.assert_array_equal(labels, np.arange(count) % 5)


def test_nothing_is_written_past_the_batch(opened):
    shape = (5, 4, 3)
    reader, _ = opened(shape, 50)
    reader.augment(shape, rows=9, columns=9, edge=True, mirror=True, seed=1, epoch=0)
    for rows in range(1, 50):
        room, labels = np.full((rows + 1, 60), 99, np.int8), np.full(rows + 1, 99, np.uint16)
        reader.read(0, room[:rows], labels[:rows])
        assert (room[rows] == 99).all()
        assert labels[rows] == 99


def test_an_image_changes_by_record_and_epoch_alone(opened):
    """Not by its place in a batch, nor by the order of the epoch."""
    shape, count = (6, 5, 3), 97
    reader, _ = opened(shape, count)
    options = {"rows": 2, "columns": 1, "edge": False, "mirror": True}
    reader.augment(shape, **options, seed=3, epoch=7)
    whole, _ = read(reader, 0, count, shape)
    for first, rows in ((0, 1), (13, 50), (96, 1)):
        part, _ = read(reader, first, rows, shape)
        np.testing.assert_array_equal(part, whole[first : first + rows])
    reader.shuffle(12345)
    shuffled, _ = read(reader, 0, count, shape)
    order = [reader.record(position) for position in range(count)]
    np.testing.assert_array_equal(shuffled, whole[order])
    for other in ({"seed": 4, "epoch": 7}, {"seed": 3, "epoch": 8}):
        reader.shuffle(None)
        reader.augment(shape, **options, **other)
        assert (read(reader, 0, count, shape)[0] != whole).any((1, 2, 3)).mean() > 0.5
    reader.augment(shape, **options, seed=3, epoch=7)
    np.testing.assert_array_equal(read(reader, 0, count, shape)[0], whole)


def test_it_can_be_stopped(opened):
    shape = (3, 4, 1)
    reader, images = opened(shape, 10)
    reader.augment(shape, rows=1, mirror=True, seed=0, epoch=0)
    reader.augment(None)
    np.testing.assert_array_equal(read(reader, 0, 10, shape)[0], images)


def test_every_shift_and_half_of_the_mirrors(opened):
    """Each of 5 x 3 shifts, mirrored or not, as often as chance has it (20,000 images)."""
    shape, count = (5, 4, 1), 20_000
    reader, images = opened(shape, count)
    reader.augment(shape, rows=2, columns=1, edge=True, mirror=True, seed=0, epoch=0)
    found, _ = read(reader, 0, count, shape)
    seen = dict.fromkeys(itertools.product(range(-2, 3), (-1, 0, 1), (False, True)), 0)
    for change in seen:
        expected = reference(images, *change, True)
        seen[change] = int((found == expected).all((1, 2, 3)).sum())
    mean = count / 30
    assert sum(seen.values()) == count
    # Five standard deviations of a count.
    assert max(abs(n - mean) for n in seen.values()) < 5 * mean**0.5


def test_what_is_refused(opened):
    reader, _ = opened((3, 4, 1), 2)
    with pytest.raises(ValueError, match="shape"):
        reader.augment((3, 4, 3), seed=0, epoch=0)
    with pytest.raises(ValueError, match="columns: at most"):
        reader.augment((3, 4, 1), columns=2**31, seed=0, epoch=0)
    with pytest.raises(OverflowError):
        reader.augment((3, 4, 1), rows=-1, seed=0, epoch=0)


@pytest.mark.parametrize(
    ("shift", "padding", "shape", "largest"),
    [
        (0.15, 0, (32, 32, 3), (4, 4)),
        (0.15, 0, (28, 28, 1), (4, 4)),
        (0.29, 0, (100, 10, 1), (29, 2)),
        (0.5, 0, (7, 8, 1), (3, 4)),
        (0.99, 0, (8, 1, 1), (7, 0)),
        (0.0, 4, (32, 28, 3), (4, 4)),
        (0.0, 0, (32, 28, 3), (0, 0)),
    ],
)
def test_largest_shifts(shift, padding, shape, largest):
    assert largest_shifts(SimpleNamespace(shift=shift, crop_padding=padding), shape) == largest


def readers_of(folder, augment, monkeypatch):
    """Return readers over 40 + 20 random images, a quarter held out, with their images by split."""
    shape = (6, 5, 3)
    monkeypatch.setattr(Split, "open", lambda split: os.open(split.path, os.O_RDONLY))
    splits, images = [], []
    for seed, count in ((0, 40), (1, 20)):
        path, content = write(folder, shape, count, seed)
        splits.append(Split(path, 0, count, shape, 1, 0, 0))
        images.append(content)
    dataset = Dataset("set", shape, ["a", "b", "c", "d", "e"], *splits)
    return BatchReaders(dataset, 0.25, 5, augment), images, shape


def test_only_training_images_are_changed(tmp_path, monkeypatch):
    augment = SimpleNamespace(shift=0.0, crop_padding=2, fill="zero", flip=True)
    readers, (train, test), shape = readers_of(tmp_path, augment, monkeypatch)
    epochs = []
    for epoch in (0, 1):
        readers.shuffle(epoch)
        for reader, content in ((readers.validation, train), (readers.test, test)):
            records = [reader.record(position) for position in range(reader.count)]
            found, _ = read(reader, 0, reader.count, shape)
            np.testing.assert_array_equal(found, content[records])
        records = [readers.train.record(position) for position in range(30)]
        found, _ = read(readers.train, 0, 30, shape)
        for image, record in zip(found, records, strict=True):
            change = changes(5, epoch, record, 2, 2, True)
            np.testing.assert_array_equal(image, reference(train[record], *change, False))
        epochs.append(found[np.argsort(records)])
    assert (epochs[0] != epochs[1]).any()
    readers.close()


@pytest.mark.parametrize(
    "augment", [None, SimpleNamespace(shift=0.1, crop_padding=0, fill="edge", flip=False)]
)
def test_nothing_changes_by_default_or_by_less_than_a_pixel(tmp_path, monkeypatch, augment):
    readers, (train, _), shape = readers_of(tmp_path, augment, monkeypatch)
    readers.shuffle(3)
    records = [readers.train.record(position) for position in range(30)]
    np.testing.assert_array_equal(read(readers.train, 0, 30, shape)[0], train[records])
    readers.close()
