"""A byte stream that is read front to back and explains its faults, and the checksum of one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bnntrain.data.files import reason
from bnntrain.errors import DataError

CHUNK_BYTES = 256 * 1024
"""Bytes that are read at a time."""


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

    def skip(self, nbytes: int) -> None:
        """Read past `nbytes` bytes.

        Raises
        ------
        DataError
            As `read_into`.
        """
        while nbytes:
            piece = self._read1(min(nbytes, CHUNK_BYTES))
            if not piece:
                raise self.truncated()
            nbytes -= len(piece)

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


class Section:
    """The next bytes of a file or a `Stream`, as a file of their own."""

    def __init__(self, file: IO[bytes] | Stream, nbytes: int) -> None:
        self._file = file
        self._left = nbytes

    def read1(self, nbytes: int) -> bytes:
        """Return up to `nbytes` bytes, none at the end."""
        piece = self._file.read(min(nbytes, self._left)) if self._left else b""
        self._left -= len(piece)
        return piece


@contextmanager
def open_stream(path: Path, remedy: str, packed: bool = False) -> Iterator[Stream]:
    """Open a plain or gzip-compressed file as a stream of its contents.

    The first two bytes decide, not the name: browsers store ``.gz`` files decompressed.

    Parameters
    ----------
    path : Path
        File to read.
    remedy : str
        What the user can do about a damaged file, one sentence.
    packed : bool
        Leave a compressed file as it is.

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
        if start == b"\x1f\x8b" and not packed:
            with gzip.GzipFile(fileobj=file) as contents:
                yield Stream(path, contents, "", remedy, (zlib.error, gzip.BadGzipFile))
        else:
            yield Stream(path, file, "", remedy)


def content_sha256(path: Path, limit: int, packed: bool = False) -> tuple[str, int]:
    """Return the SHA-256 of a file's contents, decompressed if it is gzip.

    Contents rather than the file are what is pinned where mirrors and distributions compress the
    same bytes differently.

    Parameters
    ----------
    path : Path
        Plain or gzip-compressed file.
    limit : int
        Contents longer than this many bytes are not read further.
    packed : bool
        Hash the file itself, compressed or not.

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
    with open_stream(path, "", packed) as stream:
        while stream.offset <= limit:
            piece = stream.read(min(CHUNK_BYTES, limit + 1 - stream.offset))
            if not piece:
                break
            digest.update(piece)
    return digest.hexdigest(), stream.offset
