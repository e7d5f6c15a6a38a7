"""The bytes of a pickle: taken one after the other, or left where they are and read later.

Protocols without bytes store them as text, in one of three forms.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from bnntrain.data.stream import CHUNK_BYTES, Section, Stream

UTF_8, LINE, QUOTED = "utf-8", "raw_unicode_escape", "string escape"
"""Forms: text of counted bytes; a line of text; a line with the escapes of Python 2, no quotes."""

LONGEST_NAME = 1024
"""Bytes and text that are longer are left where they are."""

_PIECE = CHUNK_BYTES // 4
_ESCAPE = ord("\\")


@dataclass(frozen=True)
class Blob:
    """Bytes that were left where they are: `nbytes` from byte `offset` of the stream.

    Attributes
    ----------
    form : str
        One of the forms; empty where they stand as they are.
    """

    offset: int
    nbytes: int
    form: str = ""


Content = bytes | Blob
"""Bytes, as they are where they are few."""


class Input:
    """What is taken of a stream, with a piece of it at hand."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._data, self._at = b"", 0

    @property
    def offset(self) -> int:
        """Bytes taken so far."""
        return self._stream.offset - len(self._data) + self._at

    def take(self, nbytes: int) -> bytes:
        """Return the next bytes."""
        while len(self._data) - self._at < nbytes:
            self._data, self._at = self._data[self._at :] + self._more(), 0
        self._at += nbytes
        return self._data[self._at - nbytes : self._at]

    def skip(self, nbytes: int) -> None:
        """Pass over bytes."""
        there = min(nbytes, len(self._data) - self._at)
        self._at += there
        self._stream.skip(nbytes - there)

    def line(self) -> bytes | Blob:
        """Return a line without its end; a long one as a `Blob` of no form."""
        start, begin = self.offset, b""
        while (end := self._data.find(b"\n", self._at)) < 0:
            if len(begin) <= LONGEST_NAME:
                begin += self._data[self._at :]
            self._data, self._at = self._more(), 0
        if len(begin) <= LONGEST_NAME:
            begin += self._data[self._at : end]
        self._at = end + 1
        nbytes = self.offset - 1 - start
        return begin if nbytes <= LONGEST_NAME else Blob(start, nbytes)

    def _more(self) -> bytes:
        data = self._stream.read(_PIECE)
        if not data:
            raise self._stream.truncated()
        return data


class Decoded:
    """The bytes that text stands for; holds no more than a piece of it.

    Parameters
    ----------
    file : Section
        The text.
    form : str
        One of the forms.
    """

    def __init__(self, file: Section, form: str) -> None:
        self._file = file
        self._decode = _Unquoted() if form == QUOTED else _Narrowed(form)
        self._ready = b""

    def read1(self, nbytes: int) -> bytes:
        """Return up to `nbytes` bytes, none at the end.

        Raises
        ------
        ValueError
            If the text is damaged, or has a character that stands for no byte.
        """
        while not self._ready:
            piece = self._file.read1(_PIECE)
            self._ready = self._decode(piece, not piece)
            if not piece:
                break
        taken, self._ready = self._ready[:nbytes], self._ready[nbytes:]
        return taken


def decode_quoted(line: bytes) -> bytes:
    """Return what a short line with quotes stands for.

    Raises
    ------
    ValueError
        If it has no quotes or wrong escapes.
    """
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[:1] != line[-1:]:
        raise ValueError("text without quotes")
    return codecs.escape_decode(line[1:-1])[0]


class _Narrowed:
    """Characters 0 to 255 as bytes, piece by piece."""

    def __init__(self, form: str) -> None:
        self._decoder = codecs.getincrementaldecoder(form)()

    def __call__(self, piece: bytes, final: bool) -> bytes:
        return self._decoder.decode(piece, final).encode("latin-1")


class _Unquoted:
    """What escapes of Python 2 stand for, piece by piece."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, piece: bytes, final: bool) -> bytes:
        text = self._rest + piece
        cut = len(text) if final else _end_of_escapes(text)
        self._rest = text[cut:]
        return codecs.escape_decode(text[:cut])[0]


def _end_of_escapes(text: bytes) -> int:
    r"""Return where to cut so that no escape is cut through: ``\n``, ``\\``, ``\x1f``, ``\017``."""
    for start in range(max(0, len(text) - 3), len(text)):
        if text[start] == _ESCAPE:
            before = len(text[:start]) - len(text[:start].rstrip(b"\\"))
            if before % 2 == 0:
                return start
    return len(text)
