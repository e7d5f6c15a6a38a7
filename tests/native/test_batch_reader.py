"""Batches read by position: the C of the training step against the reference of the order."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain import native
from bnntrain.data import order

HEADER, PIXELS, CLASSES = 128, 7, 5


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A flat file of 1000 records: pixels of a known pattern, labels record % CLASSES."""
    count = 1000
    content = np.zeros((count, PIXELS + 1), "uint8")
    content[:, :PIXELS] = (np.arange(count)[:, None] * 7 + np.arange(PIXELS)) % 256
    content[:, PIXELS] = np.arange(count) % CLASSES
    path = tmp_path_factory.mktemp("batch_reader") / "records"
    path.write_bytes(bytes(HEADER) + content.tobytes())
    file = os.open(path, os.O_RDONLY)
    yield file, content, path
    os.close(file)


def reader_of(file, *, first=0, count=1000, total=1000, split_key=None):
    return native.BatchReader(
        file,
        offset=HEADER,
        image_bytes=PIXELS,
        label_bytes=1,
        classes=CLASSES,
        total=total,
        first=first,
        count=count,
        split_key=split_key,
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 64, 999, 1000])
def test_rows_are_pixels_minus_128_and_labels(records, rows):
    file, content, _ = records
    x, labels = np.full((rows, PIXELS), 99, "int8"), np.full(rows, 99, "uint16")
    reader_of(file).read(1000 - rows, x, labels)
    np.testing.assert_array_equal(x.astype(int) + 128, content[1000 - rows :, :PIXELS])
    np.testing.assert_array_equal(labels, content[1000 - rows :, PIXELS])


def test_nothing_is_written_past_the_batch(records):
    file, _, _ = records
    room, labels = np.full((4, PIXELS), 99, "int8"), np.full(4, 99, "uint16")
    reader_of(file).read(0, room[:3], labels[:3])
    assert (room[3] == 99).all()
    assert labels[3] == 99


@settings(max_examples=50, deadline=None)
@given(
    total=st.integers(2, 3000),
    share=st.floats(0, 0.5),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 1000),
)
def test_the_order_is_that_of_the_reference(total, share, seed, epoch):
    n_train, n_val = order.split_counts(total, share)
    split = order.order_key(seed, order.SPLIT_STREAM)
    train = reader_of(-1, first=n_val, count=n_train, total=total, split_key=split)
    train.shuffle(order.order_key(seed, order.EPOCH_STREAM, epoch))
    positions = np.arange(n_train)
    found = [train.record(int(p)) for p in positions]
    np.testing.assert_array_equal(
        found, order.training_indices(positions, total, n_val, seed, epoch)
    )
    held_out = []
    if n_val:
        validation = reader_of(-1, first=0, count=n_val, total=total, split_key=split)
        held_out = [validation.record(p) for p in range(n_val)]
        np.testing.assert_array_equal(
            held_out, order.validation_indices(np.arange(n_val), total, seed)
        )
    assert sorted(found + held_out) == list(range(total))


def test_shuffling_can_be_taken_back(records):
    file, content, _ = records
    reader = reader_of(file)
    reader.shuffle(12345)
    reader.shuffle(None)
    x, labels = np.empty((5, PIXELS), "int8"), np.empty(5, "uint16")
    reader.read(0, x, labels)
    np.testing.assert_array_equal(labels, content[:5, PIXELS])


def test_a_file_too_short_is_named(records, tmp_path):
    _, content, _ = records
    path = tmp_path / "short"
    path.write_bytes(bytes(HEADER) + content.tobytes()[: 10 * (PIXELS + 1) + 3])
    file = os.open(path, os.O_RDONLY)
    x, labels = np.empty((5, PIXELS), "int8"), np.empty(5, "uint16")
    with pytest.raises(EOFError, match="record 10"):
        reader_of(file).read(8, x, labels)
    os.close(file)


def test_a_label_of_no_class_is_refused(records, tmp_path):
    _, content, _ = records
    damaged = content.copy()
    damaged[3, PIXELS] = CLASSES
    path = tmp_path / "label"
    path.write_bytes(bytes(HEADER) + damaged.tobytes())
    file = os.open(path, os.O_RDONLY)
    x, labels = np.empty((5, PIXELS), "int8"), np.empty(5, "uint16")
    with pytest.raises(IndexError, match="record 3"):
        reader_of(file).read(0, x, labels)
    os.close(file)


def test_an_unreadable_file_keeps_its_reason():
    x, labels = np.empty((1, PIXELS), "int8"), np.empty(1, "uint16")
    with pytest.raises(OSError, match="record 0") as caught:
        reader_of(-1).read(0, x, labels)
    assert caught.value.errno


@pytest.mark.parametrize(("first", "rows"), [(1000, 1), (0, 1001), (999, 2)])
def test_positions_outside_are_refused(records, first, rows):
    x, labels = np.empty((rows, PIXELS), "int8"), np.empty(rows, "uint16")
    with pytest.raises(ValueError, match="first"):
        reader_of(records[0]).read(first, x, labels)


def test_a_part_outside_the_file_is_refused(records):
    with pytest.raises(ValueError, match="count"):
        reader_of(records[0], first=1, count=1000)
    with pytest.raises(ValueError, match="position"):
        reader_of(records[0], count=10).record(10)
