"""What every reader gives: a byte stream that explains its faults, and records in bounded chunks.

A *source* is the set of files that a data set is made from. A reader (``idx.py``, ``npz.py``) opens
one split of it as a `SplitReader`, which hands out images and labels a quarter of a MiB at a time,
into buffers that are used again. A new format is a new file with a class that satisfies `Source`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from bnntrain.data.files import reason
from bnntrain.errors import DataError

SPLITS = ("train", "test")

CHUNK_BYTES = 256 * 1024
"""Image bytes that are read at a time."""

LARGEST_IMAGE_BYTES = 1024 * 1024
"""Limit of one image, so that conversion stays within bounded memory whatever a header says."""

LARGEST_CLASSES = 256
"""A label is one byte."""

Shape = tuple[int, int, int]
"""Height, width, channels of one image."""


class Source(Protocol):
    """Files that hold a data set.

    Attributes
    ----------
    name : str
        Name of the data set.
    files : tuple of Path
        Every file whose change makes a conversion stale.
    """

    name: str
    files: tuple[Path, ...]

    def open_split(self, split: str) -> AbstractContextManager[SplitReader]:
        """Open ``train`` or ``test`` for one pass from the first record to the last."""
        ...


class Stream:
    """A byte stream read front to back, whose errors name file, part and offset.

    Parameters
    ----------
    path : Path
        File that is read.
    file : binary file
        Decompressed contents; needs ``read1``.
    part : str
        Member of an archive, empty for a file of its own.
    remedy : str
        What the user can do about a damaged file, one sentence.
    damage : tuple of exception types
        What the decompressor raises for damaged input.

    Attributes
    ----------
    offset : int
        Decompressed bytes read so far.
    expected : int or None
        Decompressed bytes that the header promises, once it is read.
    """

    def __init__(
        self,
        path: Path,
        file: IO[bytes],
        part: str = "",
        remedy: str = "",
        damage: tuple[type[Exception], ...] = (zlib.error,),
    ) -> None:
        self.path = path
        self.part = part
        self.remedy = remedy
        self.offset = 0
        self.expected: int | None = None
        self._file = file
        self._damage = damage

    def error(self, message: str) -> DataError:
        """Return (not raise) a DataError about this stream, with its remedy."""
        where = f"{self.part}: " if self.part else ""
        return DataError(self.path, f"{where}{message}. {self.remedy}")

    def read(self, nbytes: int) -> bytes:
        """Return up to `nbytes` bytes, fewer only at the end.

        Raises
        ------
        DataError
            If the file cannot be read or its compressed data are damaged.
        """
        pieces = []
        while nbytes:
            piece = self._read1(nbytes)
            if not piece:
                break
            pieces.append(piece)
            nbytes -= len(piece)
        return b"".join(pieces)

    def read_into(self, buffer: memoryview) -> None:
        """Fill `buffer` (bytes).

        Raises
        ------
        DataError
            If the stream ends before, cannot be read or is damaged.
        """
        while buffer:
            piece = self._read1(len(buffer))
            if not piece:
                raise self.truncated()
            buffer[: len(piece)] = piece
            buffer = buffer[len(piece) :]

    def finish(self) -> None:
        """Check that nothing follows (and, for compressed data, that the checksum is right).

        Raises
        ------
        DataError
            If there are further bytes or the checksum is wrong.
        """
        if self._read1(1):
            raise self.error(
                f"wrong size: more bytes follow, expected {self.expected} bytes by its header"
            )

    def truncated(self) -> DataError:
        """Return the error of a stream that ends too early."""
        if self.offset == self.expected:
            return self.error("truncated: the checksum at its end is cut off")
        expected = "" if self.expected is None else f", expected {self.expected} bytes"
        return self.error(f"truncated: ends after {self.offset} bytes{expected}")

    def _read1(self, nbytes: int) -> bytes:
        # read1 returns what was decompressed before the damage, so that the offset is exact.
        try:
            piece = self._file.read1(nbytes)
        except EOFError:
            raise self.truncated() from None
        except self._damage as error:
            raise self.error(f"damaged after {self.offset} bytes ({error})") from None
        except OSError as error:
            raise self.error(f"cannot be read: {reason(error)}") from None
        self.offset += len(piece)
        return piece


@contextmanager
def open_stream(path: Path, remedy: str) -> Iterator[Stream]:
    """Open a plain or gzip-compressed file as a stream of its contents.

    The first two bytes decide, not the name: browsers store ``.gz`` files decompressed.

    Parameters
    ----------
    path : Path
        File to read.
    remedy : str
        What the user can do about a damaged file, one sentence.

    Raises
    ------
    DataError
        If the file is missing, unreadable or empty.
    """
    import gzip

    # Only opening is guarded: an OSError of the code that uses the stream is no fault of `path`.
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(path, f"cannot be read: {reason(error)}. {remedy}") from None
    with file:
        stream = Stream(path, file, "", remedy)
        start = stream.read(2)
        if not start:
            raise stream.error("is empty (0 bytes)")
        file.seek(0)
        if start == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file) as contents:
                yield Stream(path, contents, "", remedy, (zlib.error, gzip.BadGzipFile))
        else:
            yield Stream(path, file, "", remedy)


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


@dataclass
class SplitReader:
    """One split of a source, opened behind its headers.

    Attributes
    ----------
    shape : tuple of int
        Height, width, channels.
    count : int
        Records.
    classes : list of str
        Names of the classes; labels are 0..len(classes)-1.
    images : Stream
        ``count`` images of uint8, HWC order.
    labels : Stream
        ``count`` integers of `label_type`.
    label_type : numpy dtype
        Integer type of one label.
    """

    shape: Shape
    count: int
    classes: list[str]
    images: Stream
    labels: Stream
    label_type: np.dtype

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read all records, in order, a chunk at a time.

        Yields
        ------
        images : ndarray, uint8, (rows, height * width * channels)
            Valid until the next chunk.
        labels : ndarray, uint8, (rows,)
            In range.

        Raises
        ------
        DataError
            At the first fault, e.g. a label out of range, and at the end if bytes are left over.
        """
        height, width, channels = self.shape
        image_bytes = height * width * channels
        rows = min(self.count, max(1, CHUNK_BYTES // image_bytes))
        buffer = np.empty((rows, image_bytes), np.uint8)
        label_buffer = np.empty(rows, self.label_type)
        for start in range(0, self.count, rows):
            taken = min(rows, self.count - start)
            self.images.read_into(memoryview(buffer[:taken]).cast("B"))
            labels = read_labels(self.labels, label_buffer[:taken], start, len(self.classes))
            yield buffer[:taken], labels
        self.images.finish()
        self.labels.finish()


def read_labels(stream: Stream, buffer: np.ndarray, first: int, classes: int) -> np.ndarray:
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

    Returns
    -------
    ndarray of uint8, (rows,)

    Raises
    ------
    DataError
        If a label is out of range (value, number and byte offset are named) or the stream ends.
    """
    offset = stream.offset
    stream.read_into(memoryview(buffer.view(np.uint8)))
    wrong = np.flatnonzero((buffer < 0) | (buffer >= classes))
    if wrong.size:
        item = int(wrong[0])
        raise stream.error(
            f"label {int(buffer[item])} of image {first + item} "
            f"(byte {offset + item * buffer.itemsize}) is out of range, expected 0 to {classes - 1}"
        )
    return buffer.astype(np.uint8)


def content_sha256(path: Path, limit: int) -> tuple[str, int]:
    """Return the SHA-256 of a file's contents, decompressed if it is gzip.

    Contents rather than the file are what is pinned: mirrors and distributions compress the same
    bytes differently.

    Parameters
    ----------
    path : Path
        Plain or gzip-compressed file.
    limit : int
        Contents longer than this many bytes are not read further.

    Returns
    -------
    sha256 : str
        Lower-case hexadecimal.
    nbytes : int
        Bytes hashed; `limit` + 1 where there were more.

    Raises
    ------
    DataError
        If the file is missing, unreadable or damaged.
    """
    import hashlib

    digest = hashlib.sha256()
    with open_stream(path, "") as stream:
        while stream.offset <= limit:
            piece = stream.read(min(CHUNK_BYTES, limit + 1 - stream.offset))
            if not piece:
                break
            digest.update(piece)
    return digest.hexdigest(), stream.offset
