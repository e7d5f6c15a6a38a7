"""MATLAB files of version 5 (``save -v6`` and ``-v7``), one numeric array at a time, as a stream.

::

    0      116 bytes  text
    116    8 bytes    place of subsystem data
    124    u16        version 0x0100
    126    2 bytes    "IM" (little-endian) or "MI" (big-endian)
    128    elements: u32 type, u32 bytes, data padded to 8 bytes;
           short: u16 type, u16 bytes (not 0), 4 bytes of data
           type 14   array: elements flags, dimensions, name, real part
           type 15   zlib stream of one element, not padded

Only what a data set needs is read: real arrays of numbers. Elements in front of the wanted one are
passed over without being decompressed.

Source: MathWorks, "MAT-File Format", MAT-file level 5.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnntrain.data.files import reason
from bnntrain.data.stream import CHUNK_BYTES, Section, Stream
from bnntrain.errors import DataError

_HEADER_BYTES = 128
_INT32, _UINT32, _INT8, _ARRAY, _COMPRESSED = 5, 6, 1, 14, 15
# Data types of elements.
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
# Classes of arrays: what their elements are to MATLAB; in the file they may be narrower.
_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single",
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64",
    15: "uint64",
}  # fmt: skip
_NUMERIC = range(6, 16)
_COMPLEX = 0x0800
_LARGEST_NAME = 64


@dataclass
class Variable:
    """One array, opened behind its header.

    Attributes
    ----------
    name, kind : str
        Its name, and what its elements are to MATLAB (``uint8``, ``double``, ...).
    dims : tuple of int
        Two dimensions or more; the first index is the fastest.
    dtype : numpy dtype or None
        What its elements are in the file; None where they are no real numbers.
    nbytes : int
        Bytes of the elements.
    stream : Stream
        At the first element.
    """

    name: str
    kind: str
    dims: tuple[int, ...]
    dtype: np.dtype | None
    nbytes: int
    stream: Stream

    def check_size(self, count: int) -> None:
        """Check that there are bytes for `count` elements.

        Raises
        ------
        DataError
            If there are more or fewer.
        """
        expected = count * self.dtype.itemsize
        if self.nbytes != expected:
            raise self.stream.error(
                f"holds {self.nbytes} bytes, expected {expected} by its dimensions {self.dims}"
            )

    def finish(self) -> None:
        """Read what pads the elements, and check that nothing follows.

        Raises
        ------
        DataError
            If there are further bytes or a checksum is wrong.
        """
        self.stream.skip(min(-self.nbytes % 8, self.stream.expected - self.stream.offset))
        self.stream.finish()


@contextmanager
def open_variable(path: Path, name: str, remedy: str) -> Iterator[Variable]:
    """Open the array of a name.

    Parameters
    ----------
    path : Path
        MATLAB file.
    name : str
        Name of the array.
    remedy : str
        What the user can do about a damaged file, one sentence.

    Raises
    ------
    DataError
        If the file cannot be read, is none of version 5, is damaged or lacks the array.
    """
    # Only opening is guarded: an OSError of the code that uses the stream is no fault of `path`.
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(path, f"cannot be read: {reason(error)}. {remedy}") from None
    with file:
        whole = Stream(path, file, "", remedy)
        order = _read_order(whole)
        size, offset, found = os.fstat(file.fileno()).st_size, _HEADER_BYTES, []
        while offset < size:
            if offset + 8 > size:
                raise whole.error(f"truncated: ends after {size} bytes, in the middle of a tag")
            file.seek(offset)
            kind, nbytes, _ = _read_tag(whole, order)
            offset += 8 + nbytes
            if offset > size:
                raise whole.error(f"truncated: ends after {size} bytes, expected {offset}")
            if kind in (_ARRAY, _COMPRESSED):
                section = Section(file, nbytes)
                stream = Stream(
                    path, _Inflated(section) if kind == _COMPRESSED else section, name, remedy
                )
                variable = _read_header(stream, order, kind, nbytes)
                if variable.name == name:
                    yield variable
                    return
                found.append(variable.name)
        others = ", ".join(found[:8]) or "none"
        raise whole.error(f"lacks the variable {name} (found: {others})")


class _Inflated:
    """The decompressed contents of a section; holds no more than it is asked for."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._inflate = zlib.decompressobj()

    def read1(self, nbytes: int) -> bytes:
        """Return up to `nbytes` bytes, none at the end.

        Raises
        ------
        zlib.error
            If the data are damaged or their checksum is wrong.
        EOFError
            If they end too early.
        """
        inflate = self._inflate
        while not inflate.eof:
            source = inflate.unconsumed_tail or self._section.read1(CHUNK_BYTES // 4)
            if not source:
                # What is still inside comes out when more is asked for.
                piece = inflate.decompress(b"", nbytes)
                if not piece and not inflate.eof:
                    raise EOFError
                return piece
            piece = inflate.decompress(source, nbytes)
            if piece:
                return piece
        return b""


def _read_order(stream: Stream) -> str:
    """Return the byte order, ``<`` or ``>``, from a file's header."""
    header = stream.read(_HEADER_BYTES)
    if not header:
        raise stream.error("is empty (0 bytes)")
    if header.startswith(b"MATLAB 7.3"):
        raise stream.error("MATLAB file of version 7.3, expected version 5 (save with '-v7')")
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None or struct.unpack(order + "H", header[124:126]) != (0x0100,):
        if len(header) < _HEADER_BYTES and header.startswith(b"MATLAB"):
            raise stream.truncated()
        raise stream.error("no MATLAB file of version 5 (its header is another)")
    return order


def _read_tag(stream: Stream, order: str) -> tuple[int, int, bytes]:
    """Return type and bytes of an element; the third value has the data of a short one."""
    tag = stream.read(8)
    if len(tag) < 8:
        raise stream.truncated()
    kind, nbytes = struct.unpack(order + "2I", tag)
    if kind >> 16:
        kind, nbytes = kind & 0xFFFF, kind >> 16
        if nbytes > 4:
            raise stream.error(f"damaged: a short element of {nbytes} bytes")
        return kind, nbytes, tag[4 : 4 + nbytes]
    return kind, nbytes, b""


def _read_small(stream: Stream, order: str, kind: int, limit: int) -> bytes:
    """Return the data of an element of known type."""
    found, nbytes, data = _read_tag(stream, order)
    if found != kind or nbytes > limit:
        raise stream.error(f"damaged: element of type {found} and {nbytes} bytes in the header")
    if data or not nbytes:
        return data
    data = stream.read(nbytes + -nbytes % 8)
    if len(data) < nbytes:
        raise stream.truncated()
    return data[:nbytes]


def _read_header(stream: Stream, order: str, kind: int, nbytes: int) -> Variable:
    """Read up to the elements of an array.

    Raises
    ------
    DataError
        If the header is damaged or cut off.
    """
    if kind == _COMPRESSED:
        kind, nbytes, _ = _read_tag(stream, order)
        if kind != _ARRAY:
            raise stream.error(f"damaged: a compressed element of type {kind}, expected {_ARRAY}")
    stream.expected = stream.offset + nbytes
    flags = _read_small(stream, order, _UINT32, 8)
    dims = _read_small(stream, order, _INT32, 4 * 32)
    name = _read_small(stream, order, _INT8, _LARGEST_NAME)
    if len(flags) != 8 or len(dims) < 8 or len(dims) % 4:
        raise stream.error("damaged: flags or dimensions of the wrong size")
    (bits,) = struct.unpack(order + "I", flags[:4])
    code = bits & 0xFF
    shape = struct.unpack(f"{order}{len(dims) // 4}i", dims)
    if min(shape) < 0:
        raise stream.error(f"damaged: dimensions {shape}")
    variable = Variable(
        name.decode("latin-1"), _CLASSES.get(code, f"class {code}"), shape, None, 0, stream
    )
    if code in _NUMERIC and not bits & _COMPLEX:
        found, variable.nbytes, data = _read_tag(stream, order)
        if found in _TYPES:
            variable.dtype = np.dtype(order + _TYPES[found])
        if data:
            variable.stream = Stream(stream.path, io.BytesIO(data), stream.part, stream.remedy)
            variable.stream.expected = len(data)
    return variable
