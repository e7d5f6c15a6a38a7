"""Encoded records: the files of a picture data set as they are, one behind the other, by an index.

What is here reads them; ``encode.py`` makes them.

::

    offset  type       field
    0       8 bytes    magic "BNNTPICS"
    8       u32        version: 1
    12      u32        header_bytes: offset of the index, a multiple of 4096
    16      u64        count: number of records
    24      u64        bytes of the whole file
    32      u32        classes
    36      u32        json_bytes
    40      u32        CRC-32 of the index
    44      u32        CRC-32 of bytes 0..47 and the JSON, with this field as 0
    48      JSON       {"name", "split", "classes": [names],
                        "source": [[path, bytes, mtime_ns], ...],
                        "grey": bool, "smallest": [height, width, name]}
            zeros      up to header_bytes
    header_bytes + index * 20
            u64        offset of the picture's file
            u32        its bytes
            u32        its CRC-32
            u16        label, 0..classes-1
            u16        0
    header_bytes + count * 20
            files

All numbers are little-endian. Every picture is decoded once when the records are made, so that what
is no good is named before a run begins. The index is checked when the records are opened, a picture
when it is read. The CRC-32 of the index covers all there is: runs know their data by it.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from bnntrain.data.conversion import open_converted
from bnntrain.data.files import reason
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.errors import DataError

MAGIC, VERSION = b"BNNTPICS", 1

FIXED = struct.Struct("<8sIIQQIIII")
"""Bytes 0 to 47."""

ENTRY = struct.Struct("<QIIHH")
"""A picture in the index."""

CRC_FIELD = slice(44, 48)
LARGEST_HEADER = 1 << 24
PIECE_BYTES = (1 << 18) // ENTRY.size * ENTRY.size
"""The index is written and checked in such pieces."""

_AGAIN = "Delete it; it is converted again from the source"


class DamagedRecordError(Exception):
    """A record that is not what was converted; the message says in which way."""


@dataclass(frozen=True)
class EncodedSplit:
    """One split of encoded records.

    Attributes
    ----------
    path : Path
        Their file.
    offset : int
        Byte offset of the index.
    count : int
        Number of records.
    file_bytes : int
        Bytes of the whole file.
    header_crc : int
        CRC-32 that identifies this conversion.
    records_crc : int
        CRC-32 of the index, and by it of all records.
    is_grey : bool
        Whether all pictures are.
    smallest : tuple of int, int and str
        Height, width and name of the picture whose shorter side is the shortest.
    wanted : Preprocessing or None
        How its pictures become samples where they are not changed at random.
    """

    path: Path
    offset: int
    count: int
    file_bytes: int
    header_crc: int
    records_crc: int
    is_grey: bool
    smallest: tuple[int, int, str]
    wanted: Preprocessing | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a sample."""
        return self.wanted.shape

    def open(self) -> int:
        """Open the file for `read_record`, and check its index.

        Returns
        -------
        int
            File descriptor, read only; the caller closes it.

        Raises
        ------
        DataError
            If the file is gone, damaged or has been converted from other data since.
        """
        fd = open_converted(self.path, self.header_crc, self._header_crc_of)
        try:
            if self._index_crc(fd) != self.records_crc:
                message = "the index of the converted data is damaged (wrong CRC-32)"
                raise DataError(self.path, f"{message}. {_AGAIN}")
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _header_crc_of(self, fd: int) -> int | None:
        header = read_header(fd, self.path)
        return None if header is None else header.split.header_crc

    def _index_crc(self, fd: int) -> int:
        crc, at, end = 0, self.offset, self.offset + self.count * ENTRY.size
        while at < end:
            piece = os.pread(fd, min(PIECE_BYTES, end - at), at)
            crc = zlib.crc32(piece, crc)
            at += len(piece) or end
        return crc

    def check(self) -> None:
        """Read every record.

        Raises
        ------
        DataError
            At the first that is damaged, or as `open`.
        """
        fd = self.open()
        try:
            for record in range(self.count):
                read_record(fd, self.offset, record)
        except DamagedRecordError as error:
            raise damaged(self.path, error) from None
        finally:
            os.close(fd)


@dataclass(frozen=True)
class Header:
    """Decoded header of a valid file.

    Attributes
    ----------
    split : EncodedSplit
        What it tells of the records.
    classes : list of str
        Names of the classes, by label.
    source : list of list
        Identity of the source, see `Source.identity`.
    """

    split: EncodedSplit
    classes: list[str]
    source: list[list]


def damaged(path: Path, fault: object) -> DataError:
    """Return (not raise) the error about a file of records that are no good."""
    return DataError(path, f"{fault}. {_AGAIN}")


def read_record(fd: int, offset: int, record: int) -> tuple[bytes, int]:
    """Return the file of a picture and its label.

    Parameters
    ----------
    fd : int
        From `EncodedSplit.open`.
    offset : int
        Of the index.
    record : int
        Number of the record.

    Raises
    ------
    DamagedRecordError
        It cannot be read, or is not what was converted.
    """
    try:
        entry = os.pread(fd, ENTRY.size, offset + record * ENTRY.size)
        if len(entry) < ENTRY.size:
            raise DamagedRecordError(f"ends before record {record}")
        at, nbytes, crc, label, _ = ENTRY.unpack(entry)
        data = os.pread(fd, nbytes, at)
    except OSError as error:
        message = f"record {record} cannot be read: {reason(error)}"
        raise DamagedRecordError(message) from None
    if len(data) < nbytes:
        raise DamagedRecordError(f"ends before record {record}")
    if zlib.crc32(data) != crc:
        raise DamagedRecordError(f"record {record} is damaged (wrong CRC-32)")
    return data, label


def read_header(fd: int, path: Path) -> Header | None:
    """Return the header of an open file, or None if it is not a whole and valid one."""
    fixed = os.pread(fd, FIXED.size, 0)
    if len(fixed) < FIXED.size:
        return None
    magic, version, header_bytes, count, file_bytes, _, json_bytes, index_crc, header_crc = (
        FIXED.unpack(fixed)
    )
    if magic != MAGIC or version != VERSION or json_bytes > LARGEST_HEADER:
        return None
    text = os.pread(fd, json_bytes, FIXED.size)
    blank = bytearray(fixed)
    blank[CRC_FIELD] = bytes(4)
    if zlib.crc32(text, zlib.crc32(blank)) != header_crc or os.fstat(fd).st_size != file_bytes:
        return None
    about = json.loads(text)
    split = EncodedSplit(
        path, header_bytes, count, file_bytes, header_crc, index_crc, about["grey"],
        tuple(about["smallest"]),
    )  # fmt: skip
    return Header(split, about["classes"], about["source"])
