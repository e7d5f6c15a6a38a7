"""What every reader gives: records in bounded chunks, and errors that name the place.

A *source* is the set of files that a data set is made from. A reader (``idx.py``, ``npz.py``,
``cifar.py``, ``svhn.py``, ``pictures.py``) opens one split of it as a `SplitReader`, which hands
out images and labels a quarter of a MiB at a time, in buffers that are used again. A new format is
a new file with a class that satisfies `Source`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from bnntrain.data.files import reason
from bnntrain.data.stream import CHUNK_BYTES, Stream
from bnntrain.errors import DataError

SPLITS = ("train", "test")

ARRAYS = "arrays:"
"""Begins the name of a data set that was given as arrays of Python."""

LARGEST_IMAGE_BYTES = 1024 * 1024
"""Limit of one image, so that conversion stays within bounded memory whatever a header says."""

LARGEST_CLASSES = 65_536
"""A label is a uint16."""

LEAST_CLASSES = 2
"""Of one class nothing can be learnt, and yet all would be right."""

Shape = tuple[int, int, int]
"""Height, width, channels of one image."""

Chunk = tuple[np.ndarray, np.ndarray]
"""Images [rows, height * width * channels] in HWC order uint8, and labels [rows], uint16."""


class Source(Protocol):
    """Files that hold a data set.

    Attributes
    ----------
    name : str
        Name of the data set.
    files : tuple of Path
        The files, or the folder that they are in.
    variant : str
        How the files are read where that can be chosen; empty where it cannot.
    """

    name: str
    files: tuple[Path, ...]
    variant: str

    def identity(self) -> list[list]:
        """Return what changes when the data change: lists of [path, bytes, time or digest].

        As JSON gives it back; a conversion with another identity is stale (see `identify`).
        """
        ...

    def open_split(self, split: str) -> AbstractContextManager[SplitReader]:
        """Open ``train`` or ``test`` for one pass from the first record to the last."""
        ...


class SplitReader(Protocol):
    """One split of a source, opened behind its headers.

    Attributes
    ----------
    shape : tuple of int
        Height, width, channels.
    count : int
        Records.
    classes : list of str
        Names of the classes; labels are 0..len(classes)-1.
    """

    shape: Shape
    count: int
    classes: list[str]

    def error(self, message: str) -> DataError:
        """Return (not raise) a DataError about the images, with file and remedy."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Read all records, in order, a chunk at a time.

        Yields
        ------
        images : ndarray, uint8, (rows, height * width * channels)
            HWC order; valid until the next chunk.
        labels : ndarray, uint16, (rows,)
            In range.

        Raises
        ------
        DataError
            At the first fault, e.g. a label out of range, and at the end if bytes are left over.
        """
        ...


@dataclass
class StreamReader:
    """A `SplitReader` of two streams: images as they are needed, and labels beside them.

    Attributes
    ----------
    images : Stream
        ``count`` images of uint8, HWC order.
    labels : Stream
        ``count`` integers of `label_type`.
    label_type : numpy dtype
        Integer type of one label.
    hint : str
        What to say besides of a label that is out of range.
    """

    shape: Shape
    count: int
    classes: list[str]
    images: Stream
    labels: Stream
    label_type: np.dtype
    hint: str = ""

    def error(self, message: str) -> DataError:
        """See `SplitReader`."""
        return self.images.error(message)

    def chunks(self) -> Iterator[Chunk]:
        """See `SplitReader`."""
        image_bytes = image_bytes_of(self.shape)
        rows = rows_per_chunk(image_bytes, self.count)
        buffer = np.empty((rows, image_bytes), np.uint8)
        label_buffer = np.empty(rows, self.label_type)
        for start in range(0, self.count, rows):
            taken = min(rows, self.count - start)
            self.images.read_into(memoryview(buffer[:taken]).cast("B"))
            labels = read_labels(
                self.labels, label_buffer[:taken], start, len(self.classes), self.hint
            )
            yield buffer[:taken], labels
        self.images.finish()
        self.labels.finish()


def stored_label_type(classes: int) -> np.dtype:
    """Return the type of labels in files and digests: one byte where that is enough, else two.

    In memory labels are uint16 throughout. Stored ones of up to 256 classes stay what they have
    always been, so that records in caches keep their checksums, by which a run that is resumed
    knows its data, and arrays their names.
    """
    return np.dtype(np.uint8 if classes <= 256 else "<u2")


def image_bytes_of(shape: Shape) -> int:
    """Return the bytes of one image."""
    height, width, channels = shape
    return height * width * channels


def rows_per_chunk(record_bytes: int, count: int) -> int:
    """Return how many records are read at a time: about `CHUNK_BYTES`, at least one."""
    return min(count, max(1, CHUNK_BYTES // record_bytes))


def identify(path: Path) -> list:
    """Return path, size and modification time (ns) of a file, as JSON gives them back.

    Raises
    ------
    DataError
        If the file cannot be looked at.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(path, f"cannot be read: {reason(error)}") from None
    return [readable_path(path), status.st_size, status.st_mtime_ns]


def readable_path(path: Path) -> str:
    """Return an absolute path as text.

    A name that is no valid text is kept apart from others by its escaped bytes.
    """
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")


def check_counts(images: Stream, labels: Stream, image_count: int, label_count: int) -> None:
    """Check that a split is not empty and has one label for every image.

    Raises
    ------
    DataError
        If it is not so.
    """
    if image_count == 0:
        raise images.error("holds 0 images, expected at least 1")
    if image_count != label_count:
        other = images.part or images.path.name
        raise labels.error(
            f"holds {label_count} labels, expected {image_count}, one per image of {other}"
        )


def check_shape(images: Stream, shape: Shape) -> None:
    """Check that images have pixels and fit the limit of one image.

    Raises
    ------
    DataError
        If they do not.
    """
    height, width, channels = shape
    if not 0 < height * width * channels <= LARGEST_IMAGE_BYTES:
        raise images.error(
            f"images of {height}x{width}x{channels} = {height * width * channels} bytes, "
            f"expected 1 to {LARGEST_IMAGE_BYTES}"
        )


def read_labels(
    stream: Stream, buffer: np.ndarray, first: int, classes: int, hint: str = ""
) -> np.ndarray:
    """Fill a buffer with labels and check their range.

    Parameters
    ----------
    stream : Stream
        Labels, one integer each.
    buffer : ndarray, any integer type, (rows,)
        Is overwritten.
    first : int
        Number of the first label, for the message.
    classes : int
        Labels must be in 0..classes-1.
    hint : str
        What to say besides of one that is not.

    Returns
    -------
    ndarray of uint16, (rows,)

    Raises
    ------
    DataError
        If a label is out of range (value, number and byte offset are named) or the stream ends.
    """
    offset = stream.offset
    stream.read_into(memoryview(buffer.view(np.uint8)))
    wrong = first_outside(buffer, classes)
    if wrong is not None:
        raise stream.error(
            f"label {int(buffer[wrong])} of image {first + wrong} "
            f"(byte {offset + wrong * buffer.itemsize}) is out of range, "
            f"expected 0 to {classes - 1}{hint}"
        )
    return buffer.astype(np.uint16)


def first_outside(labels: np.ndarray, classes: int) -> int | None:
    """Return the place of the first label that is not in 0..classes-1, None if all are."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    return int(wrong[0]) if wrong.size else None
