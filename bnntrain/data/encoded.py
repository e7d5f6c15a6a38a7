"""Encoded records: the files of a picture data set as they are, one behind the other, by an index.

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

import io
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bnntrain.data.conversion import Progress, cache_path, made_once
from bnntrain.data.decode import PictureError, decode, look
from bnntrain.data.files import reason, write_all
from bnntrain.data.picture_files import Album
from bnntrain.data.pictures import PictureSource
from bnntrain.data.preprocessing import CHANNELS, PictureOptions, Preprocessing
from bnntrain.data.source import LARGEST_IMAGE_BYTES
from bnntrain.data.stream import CHUNK_BYTES
from bnntrain.errors import DataError

MAGIC, VERSION = b"BNNTPICS", 1

_FIXED = struct.Struct("<8sIIQQIIII")
_ENTRY = struct.Struct("<QIIHH")
_BLOCK = 4096
_CRC_FIELD = slice(44, 48)
_LARGEST_HEADER = 1 << 24
_PIECE = CHUNK_BYTES // _ENTRY.size * _ENTRY.size
_AGAIN = "Delete it; it is converted again from the source"
# Whether a picture can be decoded does not depend on the size it is brought to.
_ANY_SAMPLE = Preprocessing((32, 32, 3))


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
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(
                self.path, f"converted data cannot be read: {reason(error)}. Run the command again"
            ) from None
        try:
            header = _read_header(fd, self.path)
            if header is None or header.split.header_crc != self.header_crc:
                message = "the converted data were changed after they were opened"
                raise DataError(self.path, f"{message}. Run the command again")
            if self._index_crc(fd) != self.records_crc:
                message = "the index of the converted data is damaged (wrong CRC-32)"
                raise DataError(self.path, f"{message}. {_AGAIN}")
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _index_crc(self, fd: int) -> int:
        crc, at, end = 0, self.offset, self.offset + self.count * _ENTRY.size
        while at < end:
            piece = os.pread(fd, min(_PIECE, end - at), at)
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
        except (DamagedRecordError, OSError) as error:
            raise damaged(self.path, error) from None
        finally:
            os.close(fd)


@dataclass(frozen=True)
class _Header:
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
        It is not what was converted.
    OSError
        It cannot be read.
    """
    entry = os.pread(fd, _ENTRY.size, offset + record * _ENTRY.size)
    if len(entry) < _ENTRY.size:
        raise DamagedRecordError(f"ends before record {record}")
    at, nbytes, crc, label, _ = _ENTRY.unpack(entry)
    data = os.pread(fd, nbytes, at)
    if len(data) < nbytes:
        raise DamagedRecordError(f"ends before record {record}")
    if zlib.crc32(data) != crc:
        raise DamagedRecordError(f"record {record} is damaged (wrong CRC-32)")
    return data, label


def find_encoded(source: PictureSource, split: str) -> tuple[EncodedSplit, list[str]] | None:
    """Return the encoded records of a split and its class names, if they are up to date.

    Raises
    ------
    DataError
        If the source cannot be looked at.
    """
    path = cache_path(source, split, "encoded")
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


def encode(
    source: PictureSource, split: str, progress: Progress | None = None
) -> tuple[EncodedSplit, list[str]]:
    """Return the encoded records of a split, making them if needed (see `flat.convert`)."""
    return made_once(
        cache_path(source, split, "encoded"), source,
        find=lambda: find_encoded(source, split),
        write=lambda fd: _write(fd, source, split, progress),
    )  # fmt: skip


def as_samples(
    splits: list[EncodedSplit], source: PictureSource, options: PictureOptions
) -> Preprocessing:
    """Return how the pictures of a data set become samples.

    Raises
    ------
    DataError
        A picture is smaller than a sample, or a sample is too large.
    """
    height, width = options.image_size
    is_grey = all(split.is_grey for split in splits)
    channels = CHANNELS.get(options.channels) or (1 if is_grey else 3)
    if height * width * channels > LARGEST_IMAGE_BYTES:
        raise DataError(
            source.files[0], f"samples of {height}x{width}, expected at most "
            f"{LARGEST_IMAGE_BYTES // channels} pixels. Set data.image_size, e.g. to 224",
        )  # fmt: skip
    for split in splits:
        found_height, found_width, name = split.smallest
        if not options.enlarge and min(found_height, found_width) < min(height, width):
            raise DataError(
                source.files[0], f"{name}: {found_height}x{found_width} pixels, smaller than "
                f"data.image_size {height}x{width}. Take it out, set data.image_size to "
                f"{min(found_height, found_width)} or less, or set data.enlarge: true",
            )  # fmt: skip
    return Preprocessing((height, width, channels), options.resize)


def _write(fd: int, source: PictureSource, split: str, progress: Progress | None) -> None:
    """Write a whole file; the header goes last, so that nothing unfinished has one."""
    identity = source.identity()
    with source.open_members() as (album, classes, members):
        count = sum(map(len, members[split]))
        room = {"name": source.name, "split": split, "classes": classes, "source": identity}
        # What is not known yet takes no more than a block.
        header_bytes = (len(_json(room)) // _BLOCK + 3) * _BLOCK
        if header_bytes > _LARGEST_HEADER:
            raise DataError(
                source.files[0], f"the names of its {len(classes)} classes take more than "
                f"{_LARGEST_HEADER} bytes. Give them shorter names",
            )  # fmt: skip
        end, at, crc = header_bytes + count * _ENTRY.size, header_bytes, 0
        smallest, is_grey, entries = None, True, bytearray()
        for done, (label, image) in enumerate(_images(members[split]), 1):
            data, (height, width), has_grey = _checked(album, image)
            is_grey = is_grey and has_grey
            if smallest is None or min(height, width) < min(smallest[:2]):
                smallest = height, width, album.name(image)
            os.lseek(fd, end, os.SEEK_SET)
            write_all(fd, memoryview(data))
            entries += _ENTRY.pack(end, len(data), zlib.crc32(data), label, 0)
            end += len(data)
            if len(entries) >= _PIECE or done == count:
                os.lseek(fd, at, os.SEEK_SET)
                write_all(fd, memoryview(bytes(entries)))
                crc, at = zlib.crc32(entries, crc), at + len(entries)
                entries.clear()
            if progress is not None:
                progress(source.name, split, done, count)
    height, width, name = smallest
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")[:512]
    text = _json(room | {"grey": is_grey, "smallest": [height, width, shown]})
    fields = (MAGIC, VERSION, header_bytes, count, end, len(classes), len(text), crc)
    fixed = bytearray(_FIXED.pack(*fields, 0))
    fixed[_CRC_FIELD] = struct.pack("<I", zlib.crc32(text, zlib.crc32(fixed)))
    os.lseek(fd, 0, os.SEEK_SET)
    write_all(fd, memoryview(bytes(fixed) + text))


def _json(about: dict[str, object]) -> bytes:
    return json.dumps(about, separators=(",", ":")).encode()


def _images(members: list[list[bytes]]) -> Iterator[tuple[int, bytes]]:
    return ((label, image) for label, images in enumerate(members) for image in images)


def _checked(album: Album, image: bytes) -> tuple[bytes, tuple[int, int], bool]:
    """Return the file of a picture, its height and width, and whether it is grey."""
    data = album.read(image)
    try:
        decode(data, _ANY_SAMPLE)
        return data, *look(io.BytesIO(data))
    except PictureError as error:
        raise DataError(album.path, f"{album.name(image)}: {error}") from None


def _read_header(fd: int, path: Path) -> _Header | None:
    """Return the header of an open file, or None if it is not a whole and valid one."""
    fixed = os.pread(fd, _FIXED.size, 0)
    if len(fixed) < _FIXED.size:
        return None
    magic, version, header_bytes, count, file_bytes, _, json_bytes, index_crc, header_crc = (
        _FIXED.unpack(fixed)
    )
    if magic != MAGIC or version != VERSION or json_bytes > _LARGEST_HEADER:
        return None
    text = os.pread(fd, json_bytes, _FIXED.size)
    blank = bytearray(fixed)
    blank[_CRC_FIELD] = bytes(4)
    if zlib.crc32(text, zlib.crc32(blank)) != header_crc or os.fstat(fd).st_size != file_bytes:
        return None
    about = json.loads(text)
    split = EncodedSplit(
        path, header_bytes, count, file_bytes, header_crc, index_crc, about["grey"],
        tuple(about["smallest"]),
    )  # fmt: skip
    return _Header(split, about["classes"], about["source"])
