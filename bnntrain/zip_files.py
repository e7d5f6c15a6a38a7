"""The entries of a .zip file with little memory: a stream of what its directory says.

Python's own ``zipfile`` keeps an object of 600 bytes for every entry, which is more than many a
network takes to train when an archive holds an image each in 60,000 entries.

::

    directory entry         "PK\\1\\2", 42 bytes, name, extra fields, comment
    in front of the data    "PK\\3\\4", 26 bytes, name, extra fields
    end of the directory    "PK\\5\\6", 18 bytes, comment
                            for large archives also "PK\\6\\6" and "PK\\6\\7"

What bytes a name is made of, an entry says by a flag (UTF-8) or an extra field (another name, in
UTF-8); many say nothing. Then what is UTF-8 counts as UTF-8: ``zip -r`` on Linux and macOS's own
archiver store names so. Of the rest, those from Unix are bytes as a folder there would hold them,
and all others are of MS-DOS's code page 437.

Source: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", 6.3; extra field 0x7075 is 4.6.9.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_LARGE_END = struct.Struct("<4sQ2H2I4Q")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_PACKED = struct.Struct("<QIIIHH")
_ENCRYPTED = 1
# Extra fields, and what programs run on, by the upper byte of "version made by".
_WIDE, _UNICODE_PATH = 1, 0x7075
_DOS, _UNIX, _NTFS, _VFAT, _MACOS = 0, 3, 10, 14, 19
STORED = 0
"""Method of an entry that is not compressed."""

_DEFLATED = 8
_UNKNOWN_32 = 0xFFFFFFFF
_LONGEST_COMMENT = 65535


class ZipError(Exception):
    """An archive that is damaged, cut off or made in a way that is not supported."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    Attributes
    ----------
    name : str
        With slashes; one at the end marks a folder. Bytes that are no text are kept as
        ``os.fsdecode`` keeps them.
    offset : int
        Where its local header is.
    packed_bytes, nbytes : int
        Size in the archive and decompressed.
    crc : int
        CRC-32 of the contents.
    method, flags : int
        How it is compressed; bit 0 of `flags`: encrypted.
    """

    name: str
    offset: int
    packed_bytes: int
    nbytes: int
    crc: int
    method: int
    flags: int

    def pack(self) -> bytes:
        """Return the entry as bytes that sort as the names of files do."""
        numbers = (self.offset, self.packed_bytes, self.nbytes, self.crc, self.method, self.flags)
        return self.name.encode("utf-8", "surrogateescape") + b"\0" + _PACKED.pack(*numbers)

    @classmethod
    def unpack(cls, packed: bytes) -> Entry:
        """Return the entry that `pack` has packed."""
        cut = len(packed) - _PACKED.size
        name = packed[: cut - 1].decode("utf-8", "surrogateescape")
        return cls(name, *_PACKED.unpack(packed[cut:]))


def read_directory(file: IO[bytes]) -> Iterator[Entry]:
    """Yield all entries, in the order of the directory.

    Parameters
    ----------
    file : binary file
        The archive; nothing else may read from it meanwhile.

    Raises
    ------
    ZipError
        If there is no directory, or it is cut off or damaged.
    """
    start, nbytes, shift = _find_directory(file)
    file.seek(start)
    while nbytes > 0:
        fixed = file.read(_ENTRY.size)
        if len(fixed) < _ENTRY.size or not fixed.startswith(b"PK\1\2"):
            raise ZipError("bad directory")
        (
            _, made_by, _, flags, method, _, _, crc, packed_bytes, size, name_bytes, extra_bytes,
            comment_bytes, _, _, _, offset,
        ) = _ENTRY.unpack(fixed)  # fmt: skip
        rest = file.read(name_bytes + extra_bytes + comment_bytes)
        if len(rest) < name_bytes + extra_bytes + comment_bytes:
            raise ZipError("bad directory")
        nbytes -= _ENTRY.size + len(rest)
        extra = rest[name_bytes : name_bytes + extra_bytes]
        name = _decode_name(rest[:name_bytes], extra, made_by >> 8)
        if _UNKNOWN_32 in (size, packed_bytes, offset):
            size, packed_bytes, offset = _widen(extra, size, packed_bytes, offset)
        if max(size, packed_bytes) >= _UNKNOWN_32 or offset + shift < 0:
            raise ZipError(f"{name}: too large")
        yield Entry(name, offset + shift, packed_bytes, size, crc, method, flags)


def find_data(file: IO[bytes], entry: Entry, name: bytes = b"") -> int:
    """Return where the contents of an entry begin.

    Parameters
    ----------
    file : binary file
        The archive.
    entry : Entry
        From its directory.
    name : bytes, optional
        What must stand as its name in front of the contents, too.

    Raises
    ------
    ZipError
        If they are encrypted, or the entry is not where the directory says.
    """
    if entry.flags & _ENCRYPTED:
        raise ZipError("encrypted")
    file.seek(entry.offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\3\4"):
        raise ZipError("no entry where the directory says")
    *_, name_bytes, extra_bytes = _LOCAL.unpack(header)
    if name and file.read(name_bytes) != name:
        raise ZipError("another name than in the directory")
    return entry.offset + _LOCAL.size + name_bytes + extra_bytes


def read_entry(file: IO[bytes], entry: Entry, limit: int) -> bytes:
    """Return the contents of an entry, or their first `limit` + 1 bytes.

    Raises
    ------
    ZipError
        If they are damaged, encrypted, or compressed in another way than the usual one.
    """
    file.seek(find_data(file, entry))
    data = file.read(min(entry.packed_bytes, limit + 1))
    if len(data) < min(entry.packed_bytes, limit + 1):
        raise ZipError("cut off")
    if entry.method == _DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit + 1)
        except zlib.error as error:
            raise ZipError(str(error)) from None
    elif entry.method != STORED:
        raise ZipError(f"compressed by method {entry.method}, expected 0 or 8")
    if len(data) <= limit and (len(data) != entry.nbytes or zlib.crc32(data) != entry.crc):
        raise ZipError("wrong CRC-32")
    return data


def _find_directory(file: IO[bytes]) -> tuple[int, int, int]:
    """Return start and bytes of the directory, and what to add to the offsets in it."""
    size = file.seek(0, os.SEEK_END)
    first = max(0, size - _END.size - _LONGEST_COMMENT)
    file.seek(first)
    tail = file.read()
    at = len(tail)
    while (at := tail.rfind(b"PK\5\6", 0, at)) >= 0:
        if len(tail) - at < _END.size:
            continue
        *_, nbytes, offset, comment = _END.unpack_from(tail, at)
        if at + _END.size + comment <= len(tail):
            break
    else:
        raise ZipError("no directory at its end")
    end, nbytes, offset = _large_end(file, first + at, nbytes, offset)
    # Something may have been put in front of an archive, as in a program that unpacks itself.
    start = end - nbytes
    if start < 0 or start < offset:
        raise ZipError("bad directory")
    return start, nbytes, start - offset


def _large_end(file: IO[bytes], end: int, nbytes: int, offset: int) -> tuple[int, int, int]:
    """Return end, bytes and offset of the directory, of a large archive by its own record."""
    locator = end - _LOCATOR.size
    if locator < _LARGE_END.size:
        return end, nbytes, offset
    file.seek(locator)
    if not file.read(_LOCATOR.size).startswith(b"PK\6\7"):
        return end, nbytes, offset
    place = locator - _LARGE_END.size
    file.seek(place)
    record = file.read(_LARGE_END.size)
    if not record.startswith(b"PK\6\6"):
        raise ZipError("bad end of the directory")
    *_, nbytes, offset = _LARGE_END.unpack(record)
    return place, nbytes, offset


def _extra_field(extra: bytes, wanted: int) -> bytes:
    """Return the contents of an extra field, empty if there is none."""
    while len(extra) >= 4:
        kind, nbytes = struct.unpack_from("<2H", extra)
        if kind == wanted:
            return extra[4 : 4 + nbytes]
        extra = extra[4 + nbytes :]
    return b""


def _decode_name(name: bytes, extra: bytes, made_on: int) -> str:
    """Return a name as text, with slashes between folders."""
    path = _extra_field(extra, _UNICODE_PATH)
    # It belongs to the name whose checksum it has; a program that renames entries may leave it.
    if len(path) > 5 and path[0] == 1 and path[1:5] == struct.pack("<I", zlib.crc32(name)):
        name = path[5:]
    try:
        text = name.decode()
    except UnicodeDecodeError:
        on_unix = made_on in (_UNIX, _MACOS)
        text = name.decode("utf-8", "surrogateescape") if on_unix else name.decode("cp437")
    # Against the format's rules, some archivers for Windows write their own separators.
    if made_on in (_DOS, _NTFS, _VFAT) and "/" not in text:
        text = text.replace("\\", "/")
    return text


def _widen(extra: bytes, size: int, packed_bytes: int, offset: int) -> tuple[int, int, int]:
    """Take the numbers that do not fit 32 bits from their extra field."""
    numbers = [size, packed_bytes, offset]
    field = _extra_field(extra, _WIDE)
    wide = list(struct.unpack_from(f"<{len(field) // 8}Q", field))
    for place, number in enumerate(numbers):
        if number == _UNKNOWN_32 and wide:
            numbers[place] = wide.pop(0)
    size, packed_bytes, offset = numbers
    return size, packed_bytes, offset
