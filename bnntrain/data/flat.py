"""The flat form: one file per data set and split, read by position, never mapped or loaded whole.

::

    offset  type       field
    0       8 bytes    magic "BNNTFLAT"
    8       u32        version: 2, or 3 where labels take two bytes
    12      u32        header_bytes: offset of record 0, a multiple of 4096
    16      u64        count: number of records
    24      u32        height
    28      u32        width
    32      u32        channels
    36      u32        classes
    40      u32        record_bytes = height * width * channels + 1 (version 3: + 2)
    44      u32        json_bytes
    48      u32        CRC-32 of all records
    52      u32        CRC-32 of bytes 0..63 and the JSON, with this field as 0
    56      8 bytes    0
    64      JSON       {"name", "split", "classes": [names],
                        "source": [[path, bytes, mtime_ns], ...]}
            zeros      up to header_bytes
    header_bytes + index * record_bytes
            uint8      image, HWC order
            uint8      label (version 3: u16), 0..classes-1

All numbers are little-endian. ``source`` tells a stale conversion; the header's CRC-32 also tells
one conversion from another, so that a split that was opened cannot silently turn into another.

Labels take two bytes in sets of more than 256 classes. What caches hold of others stays good: runs
know their data by the checksum of the records, and arrays of Python could not be converted again.
"""

from __future__ import annotations

import functools
import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bnntrain.data.conversion import Progress, cache_path, made_once, open_converted
from bnntrain.data.files import write_all
from bnntrain.data.source import Shape, Source, SplitReader, stored_label_type
from bnntrain.data.stream import CHUNK_BYTES

if TYPE_CHECKING:
    from bnntrain.data.encoded import EncodedSplit

MAGIC = b"BNNTFLAT"
VERSIONS = {1: 2, 2: 3}
"""By bytes of a label. Others come when a reader makes other records of the same files: what is in
caches is made again."""

_FIXED = struct.Struct("<8sIIQIIIIIIII8x")
_BLOCK = 4096
_CRC_FIELD = slice(52, 56)
_LARGEST_HEADER = 1 << 24


@dataclass(frozen=True)
class Split:
    """One split of a converted data set, read by position.

    Attributes
    ----------
    path : Path
        Flat file.
    offset : int
        Byte offset of record 0.
    count : int
        Number of records.
    shape : tuple of int
        Height, width, channels.
    label_bytes : int
        Bytes of a label, 1 or 2.
    header_crc : int
        CRC-32 that identifies this conversion.
    records_crc : int
        CRC-32 of all records.
    """

    path: Path
    offset: int
    count: int
    shape: Shape
    label_bytes: int
    header_crc: int
    records_crc: int

    @property
    def image_bytes(self) -> int:
        """Bytes of one image (uint8, HWC order)."""
        height, width, channels = self.shape
        return height * width * channels

    @property
    def record_bytes(self) -> int:
        """Bytes from one record to the next: the image and its label."""
        return self.image_bytes + self.label_bytes

    def open(self) -> int:
        """Open the file for ``pread`` at ``offset + index * record_bytes``.

        Returns
        -------
        int
            File descriptor, read only; the caller closes it. Records stay as they are while it is
            open, even if the file is converted again.

        Raises
        ------
        DataError
            If the file is gone, damaged or has been converted from other data since.
        """
        return open_converted(self.path, self.header_crc, self._header_crc_of)

    def _header_crc_of(self, fd: int) -> int | None:
        header = _read_header(fd, self.path)
        return None if header is None else header.split.header_crc

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Read one record; for tools, the training step reads batches by itself.

        Parameters
        ----------
        index : int
            Number of the record, 0 <= index < count.

        Returns
        -------
        image : ndarray, uint8, (height, width, channels)
        label : int

        Raises
        ------
        IndexError
            If there is no such record.
        DataError
            As `open`.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"record {index} of {self.count}")
        fd = self.open()
        try:
            record = os.pread(fd, self.record_bytes, self.offset + index * self.record_bytes)
        finally:
            os.close(fd)
        image = np.frombuffer(record, np.uint8, self.image_bytes)
        return image.reshape(self.shape), int.from_bytes(record[self.image_bytes :], "little")


@dataclass(frozen=True)
class Dataset:
    """A converted data set.

    Attributes
    ----------
    name : str
        As it was asked for.
    shape : tuple of int
        Height, width, channels.
    classes : list of str
        Names of the classes, by label.
    train, test : Split or EncodedSplit
        Records of pixels, or encoded ones.
    records : str
        ``pixels`` or ``encoded``.
    """

    name: str
    shape: Shape
    classes: list[str]
    train: Split | EncodedSplit
    test: Split | EncodedSplit
    records: str = "pixels"


@dataclass(frozen=True)
class _Header:
    """Decoded header of a valid flat file."""

    split: Split
    classes: list[str]
    source: list[list]


def flat_path(source: Source, split: str) -> Path:
    """Return where the converted form of a split belongs in the cache."""
    return cache_path(source, split, "flat")


def find_converted(source: Source, split: str) -> tuple[Split, list[str]] | None:
    """Return the converted form of a split and its class names, if it is there and up to date.

    Raises
    ------
    DataError
        If a source file cannot be looked at.
    """
    path = flat_path(source, split)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        header = _read_header(fd, path)
    finally:
        os.close(fd)
    if header is None or header.source != source.identity():
        return None
    return header.split, header.classes


def convert(
    source: Source, split: str, progress: Progress | None = None
) -> tuple[Split, list[str]]:
    """Return the converted form of a split, converting it if needed.

    Streams through bounded memory (about a MiB). The file appears whole or not at all; of two
    processes that convert at once, one waits and uses the other's work.

    Parameters
    ----------
    source : Source
        Files to read.
    split : str
        ``train`` or ``test``.
    progress : callable, optional
        Is told name and split of what is converted, the records that are done, and all of them.

    Returns
    -------
    split : Split
    classes : list of str

    Raises
    ------
    DataError
        If the source is faulty or changes while it is read.
    WriteError
        If the cache folder cannot be written; nothing half-written is left.
    """
    return made_once(
        flat_path(source, split), source,
        find=lambda: find_converted(source, split),
        write=lambda fd: _write(fd, source, split, progress),
    )  # fmt: skip


def _write(fd: int, source: Source, split: str, progress: Progress | None) -> None:
    """Write a whole flat file; the header goes last, so that nothing unfinished has one."""
    identity = source.identity()
    with source.open_split(split) as reader:
        about = {
            "name": source.name, "split": split, "classes": reader.classes, "source": identity,
        }  # fmt: skip
        text = json.dumps(about, separators=(",", ":")).encode()
        if len(text) > _LARGEST_HEADER:
            raise reader.error(
                f"the names of its {len(reader.classes)} classes take {len(text)} bytes, expected "
                f"at most {_LARGEST_HEADER}. Give them shorter names"
            )
        label_type = stored_label_type(len(reader.classes))
        header_bytes = -(-(_FIXED.size + len(text)) // _BLOCK) * _BLOCK
        os.lseek(fd, header_bytes, os.SEEK_SET)
        report = functools.partial(progress, source.name, split) if progress else None
        records_crc = _write_records(fd, reader, label_type, report)
        fixed = bytearray(
            _FIXED.pack(
                MAGIC, VERSIONS[label_type.itemsize], header_bytes, reader.count, *reader.shape,
                len(reader.classes), int(np.prod(reader.shape)) + label_type.itemsize, len(text),
                records_crc, 0,
            )
        )  # fmt: skip
    fixed[_CRC_FIELD] = struct.pack("<I", zlib.crc32(text, zlib.crc32(fixed)))
    os.lseek(fd, 0, os.SEEK_SET)
    write_all(fd, memoryview(bytes(fixed) + text))


def _write_records(
    fd: int,
    reader: SplitReader,
    label_type: np.dtype,
    report: Callable[[int, int], None] | None,
) -> int:
    """Append all records and return their CRC-32."""
    crc = done = 0
    buffer = None
    for images, labels in reader.chunks():
        if buffer is None or len(buffer) < len(images):
            buffer = np.empty((len(images), images.shape[1] + label_type.itemsize), np.uint8)
        records = buffer[: len(images)]
        records[:, : images.shape[1]] = images
        stored = labels.astype(label_type)[:, np.newaxis]
        records[:, images.shape[1] :] = stored.view(np.uint8)
        crc = zlib.crc32(records, crc)
        write_all(fd, memoryview(records))
        done += len(images)
        if report is not None:
            report(done, reader.count)
    return crc


def _read_header(fd: int, path: Path) -> _Header | None:
    """Return the header of an open file, or None if it is not a whole and valid flat file."""
    fixed = os.pread(fd, _FIXED.size, 0)
    if len(fixed) < _FIXED.size:
        return None
    (
        magic, version, header_bytes, count, height, width, channels, _classes,
        record_bytes, json_bytes, records_crc, header_crc,
    ) = _FIXED.unpack(fixed)  # fmt: skip
    label_bytes = record_bytes - height * width * channels
    if magic != MAGIC or version != VERSIONS.get(label_bytes) or json_bytes > _LARGEST_HEADER:
        return None
    text = os.pread(fd, json_bytes, _FIXED.size)
    blank = bytearray(fixed)
    blank[_CRC_FIELD] = bytes(4)
    if zlib.crc32(text, zlib.crc32(blank)) != header_crc:
        return None
    if os.fstat(fd).st_size != header_bytes + count * record_bytes:
        return None
    shape, about = (height, width, channels), json.loads(text)
    split = Split(path, header_bytes, count, shape, label_bytes, header_crc, records_crc)
    return _Header(split, about["classes"], about["source"])


def records_crc(split: Split) -> int:
    """Return the CRC-32 of all records as they are on the disk now (one pass over the file).

    Raises
    ------
    DataError
        If the file cannot be opened (see `Split.open`).
    """
    fd = split.open()
    try:
        crc, offset = 0, split.offset
        while piece := os.pread(fd, CHUNK_BYTES, offset):
            crc = zlib.crc32(piece, crc)
            offset += len(piece)
    finally:
        os.close(fd)
    return crc
