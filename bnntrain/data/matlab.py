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
passed over without being decompressed. Flags are said to be u32, dimensions i32 and names i8; other
programs than MATLAB write dimensions as other integers and names as u8 or UTF-8. Objects, MATLAB's
strings among them, have no dimensions.

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
_HDF5 = b"\x89HDF\r\n\x1a\n"
# HDF5 begins behind a block of the user's, here the text of MATLAB.
_HDF5_PLACES = (0, 512)
_ARRAY, _COMPRESSED = 14, 15
_FLAGS, _NAMES = (5, 6), (1, 2, 16)
_INTEGERS = (1, 2, 3, 4, 5, 6, 12, 13)
# Data types of elements.
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
# Classes of arrays: what their elements are to MATLAB; in the file they may be narrower.
_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single",
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64",
    15: "uint64", 16: "function", 17: "object",
}  # fmt: skip
_NUMERIC = range(6, 16)
_OBJECT = 17
_COMPLEX = 0x0800
_LARGEST_NAME = 256
_LARGEST_DIMS = 32 * 8


@dataclass
class Variable:
    """One array, opened behind its header.

    Attributes
    ----------
    name, kind : str
        Its name, and what its elements are to MATLAB (``uint8``, ``double``, ...).
    dims : tuple of int
        Two dimensions or more, none of an object; the first index is the fastest.
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
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    version = struct.unpack(order + "H", header[124:126])[0] if order else None
    start = header + stream.read(max(_HDF5_PLACES) + len(_HDF5) - _HEADER_BYTES)
    is_hdf5 = any(start[place:].startswith(_HDF5) for place in _HDF5_PLACES)
    if is_hdf5 or version == 0x0200 or header.startswith(b"MATLAB 7.3"):
        raise stream.error(
            "MATLAB file of version 7.3 (HDF5), expected version 5: save it with '-v7' in MATLAB, "
            "with scipy.io.savemat in Python"
        )
    if version != 0x0100:
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


def _read_small(
    stream: Stream, order: str, kinds: tuple[int, ...], limit: int
) -> tuple[int, bytes]:
    """Return type and data of an element in the header of an array."""
    found, nbytes, data = _read_tag(stream, order)
    if found not in kinds or nbytes > limit:
        raise stream.error(f"damaged: element of type {found} and {nbytes} bytes in the header")
    if data or not nbytes:
        return found, data
    data = stream.read(nbytes + -nbytes % 8)
    if len(data) < nbytes:
        raise stream.truncated()
    return found, data[:nbytes]


def _read_dims(stream: Stream, order: str) -> tuple[int, ...]:
    """Return the dimensions of an array."""
    kind, data = _read_small(stream, order, _INTEGERS, _LARGEST_DIMS)
    dtype = np.dtype(order + _TYPES[kind])
    if len(data) % dtype.itemsize or len(data) < 2 * dtype.itemsize:
        raise stream.error(f"damaged: {len(data)} bytes of dimensions")
    dims = tuple(np.frombuffer(data, dtype).tolist())
    if min(dims) < 0:
        raise stream.error(f"damaged: dimensions {dims}")
    return dims


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
    _, flags = _read_small(stream, order, _FLAGS, 8)
    if len(flags) != 8:
        raise stream.error(f"damaged: {len(flags)} bytes of flags")
    (bits,) = struct.unpack(order + "I", flags[:4])
    code = bits & 0xFF
    dims = () if code == _OBJECT else _read_dims(stream, order)
    _, name = _read_small(stream, order, _NAMES, _LARGEST_NAME)
    kind = _CLASSES.get(code, f"class {code}")
    variable = Variable(name.decode("utf-8", "replace"), kind, dims, None, 0, stream)
    if code in _NUMERIC and not bits & _COMPLEX:
        found, variable.nbytes, data = _read_tag(stream, order)
        if found in _TYPES:
            variable.dtype = np.dtype(order + _TYPES[found])
        if data:
            variable.stream = Stream(stream.path, io.BytesIO(data), stream.part, stream.remedy)
            variable.stream.expected = len(data)
    return variable
