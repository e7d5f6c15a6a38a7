"""The header of a .npy file: type, order and shape of an array.

::

    6 bytes    "\\x93NUMPY"
    2 bytes    version: 1.0, 2.0 or 3.0
    u16        bytes of the header; from version 2.0 on u32
    header     a Python literal: {'descr': '|u1', 'fortran_order': False, 'shape': (60000, 28, 28)}

NumPy's own reader takes as many bytes into memory as a file says, and lets out whatever its parsers
raise over made-up text; files come from anywhere, so this one does neither.

Source: NEP 1, "A simple file format for NumPy arrays".
"""

from __future__ import annotations

import ast
import re
import struct
import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
_LARGEST_HEADER = 10_000
_LARGEST_SIZE = 2**63 - 1
_MOST_SIZES = 32
_TYPE = re.compile(r"[<>|=]?[?biufcmMOSUV]\d{0,9}(\[\w{1,20}\])?")
# Whole numbers as Python 2 wrote long ones.
_LONG = re.compile(r"(\d)L\b")
# What the parser of literals raises; text of this length cannot exhaust more than its own stack.
_FAULTS = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


class Readable(Protocol):
    """Whatever gives bytes: a file or a `Stream`."""

    def read(self, nbytes: int, /) -> bytes:
        """Return up to `nbytes` bytes, fewer only at the end."""
        ...


@dataclass(frozen=True)
class Header:
    """What a .npy file says of its array.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy dtype
        Arrays of records have the type ``V``, without their fields.
    fortran_order : bool
        Whether the first index is the fastest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, which may be more than any memory has."""
        count = 1
        for size in self.shape:
            count *= size
        return count * self.dtype.itemsize


def read_header(file: Readable) -> Header:
    """Read a header; the file then stands at the first element.

    Raises
    ------
    ValueError
        If there is no valid header.
    """
    start = _take(file, 8)
    if not start.startswith(_MAGIC):
        raise ValueError("it does not begin with \\x93NUMPY")
    major, minor = start[6:]
    if major not in _LENGTHS or minor:
        raise ValueError(f"version {major}.{minor}, expected 1.0, 2.0 or 3.0")
    form = _LENGTHS[major]
    (nbytes,) = struct.unpack(form, _take(file, struct.calcsize(form)))
    if nbytes > _LARGEST_HEADER:
        raise ValueError(f"of {nbytes} bytes, expected at most {_LARGEST_HEADER}")
    text = _take(file, nbytes).decode("utf-8" if major == 3 else "latin-1")
    try:
        with warnings.catch_warnings(action="ignore"):
            values = ast.literal_eval(_LONG.sub(r"\1", text).strip())
    except _FAULTS:
        raise ValueError("it is no Python literal") from None
    if not isinstance(values, dict) or values.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("expected the keys descr, fortran_order and shape")
    shape, order = values["shape"], values["fortran_order"]
    if type(shape) is not tuple or not all(_is_size(size) for size in shape[:_MOST_SIZES]):
        raise ValueError(f"shape {ascii(shape)[:60]}")
    if len(shape) > _MOST_SIZES:
        raise ValueError(f"{len(shape)} dimensions, expected at most {_MOST_SIZES}")
    if type(order) is not bool:
        raise ValueError(f"fortran_order {ascii(order)[:60]}")
    return Header(shape, _dtype(values["descr"]), order)


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_SIZE


def _dtype(description: object) -> np.dtype:
    if isinstance(description, list):
        return np.dtype("V")
    try:
        if isinstance(description, str) and _TYPE.fullmatch(description):
            return np.dtype(description)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"type {ascii(description)[:60]}")


def _take(file: Readable, nbytes: int) -> bytes:
    data = file.read(nbytes)
    if len(data) < nbytes:
        raise ValueError("cut off")
    return data
