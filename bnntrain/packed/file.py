"""Packed models in files, ``.bnn``: the safetensors format, its first key a checksum of all of it.

Layout (docs/packed.md): 8 bytes, the length of the header; the header, JSON, padded with spaces to
a multiple of 8 bytes; the tensors without gaps, in the order of the header. The checksum stands at
a fixed place, so that nothing is parsed before every byte has been found good.

Written here and not by the ``safetensors`` package: that one orders metadata by chance, so that
the same model would give other bytes each time, reads the whole file into memory, and has no
checksum. It reads these files.

Source: https://github.com/huggingface/safetensors (format).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bnntrain.errors import DataError, RunError
from bnntrain.inference import PackedLayer, Tensor, tensors_of
from bnntrain.packed.head import Head, from_metadata, to_metadata
from bnntrain.packed.tensors import check_tensors

SUFFIX = ".bnn"
"""What the names of packed models end in."""

FORMAT = "bnntrain 1"
"""Name and version of what the tensors and the metadata mean."""

_TYPES = {"bit": "U8", "uint8": "U8", "int8": "I8", "int32": "I32", "float32": "F32"}
_SIZES = {"U8": 1, "I8": 1, "I32": 4, "F32": 4}
_LENGTH = 8
_PREFIX = b'{"__metadata__":{"crc32":"'
_DIGITS = 8
_MARK = _LENGTH + len(_PREFIX)  # where the checksum stands
_LARGEST_HEADER = 1 << 24
_PIECE = 1 << 16
_AGAIN = "Export it again, or put back a copy"


def write_packed(path: Path, head: Head, tensors: Mapping[str, np.ndarray]) -> int:
    """Write a packed model; the same model gives the same bytes.

    Parameters
    ----------
    path : Path
        Replaced in one step.
    head : Head
        All but the tensors.
    tensors : mapping of str to ndarray
        All of `layers.tensors_of`, as stored.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    WriteError
        Disk full, no permission, ...; a former file is untouched.
    """
    from bnntrain.records import write_atomically  # reading needs none of what runs write

    layers = head.packed_layers()
    header = _header(head, layers)
    content = [_bytes_of(tensors[tensor.name]) for tensor in _in_order(layers)]
    checksum = zlib.crc32(header)
    for each in content:
        checksum = zlib.crc32(each, checksum)
    header[_MARK : _MARK + _DIGITS] = _hexadecimal(checksum)

    def write(file: BinaryIO) -> None:
        file.write(header)
        for each in content:
            file.write(each)

    write_atomically(path, write, option="-o")
    return len(header) + sum(map(len, content))


def packed_bytes(head: Head) -> int:
    """Return how large the file of a packed model is."""
    layers = head.packed_layers()
    digest = head.weights_sha256 or "0" * 64  # of a run it is computed when it is exported
    header = _header(replace(head, weights_sha256=digest), layers)
    return len(header) + _end(_described(layers))


class PackedFile:
    """A ``.bnn`` file as a source of tensors; every byte of it is checked before it is used.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    path : Path
        The file.
    head : Head
        All but the tensors.
    bytes : int
        Size of the file.

    Raises
    ------
    RunError
        It cannot be read, is no packed model, is damaged or of another version.
    """

    threads = 0  # all available cores

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reported(path), path.open("rb") as file:
            self.bytes = os.fstat(file.fileno()).st_size
            header = _verified_header(file, self.bytes)
            entries = _entries(header)
            metadata = entries.pop("__metadata__")
            self.head = from_metadata(metadata)
            self._layers = self.head.packed_layers()
            self._start = _LENGTH + len(header)
            _check_entries(entries, self._layers, self.bytes - self._start)

    @contextlib.contextmanager
    def naming_the_data(self) -> Iterator[None]:
        """Say of a data set that is missing how another place is given."""
        try:
            yield
        except DataError as error:
            if not error.is_missing:
                raise
            what = error.message.rpartition(". ")[0]
            message = f"{what}. Give --data with the name or path that it has here"
            raise DataError(error.path, message, is_missing=True) from None

    def read(self, into: Mapping[str, np.ndarray]) -> None:
        """Read all tensors.

        Raises
        ------
        RunError
            The file cannot be read any more, or a tensor's values mean nothing.
        """
        with _reported(self.path), self.path.open("rb") as file:
            file.seek(self._start)
            for tensor in _in_order(self._layers):
                content = memoryview(into[tensor.name].reshape(-1).view(np.uint8))
                if file.readinto(content) != len(content):
                    raise ValueError("it has become shorter")
            check_tensors(self._layers, into)


# Writing -----------------------------------------------------------------------------------------


def _in_order(layers: list[PackedLayer]) -> list[Tensor]:
    """Return all tensors as they stand in a file: each begins on a multiple of its elements."""
    return sorted(tensors_of(layers), key=lambda tensor: _ORDER.index(tensor.dtype))


_ORDER = ("bit", "int32", "float32", "uint8", "int8")


def _described(layers: list[PackedLayer]) -> dict[str, dict[str, object]]:
    """Return what a header says of the tensors."""
    found, end = {}, 0
    for tensor in _in_order(layers):
        dtype, shape = tensor.storage
        if tensor.dtype == "bit":
            shape = (*shape[:-1], shape[-1] * np.dtype(dtype).itemsize)
        code = _TYPES[tensor.dtype]
        start, end = end, end + math.prod(shape) * _SIZES[code]
        found[tensor.name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, end]}
    return found


def _end(described: Mapping[str, Mapping[str, object]]) -> int:
    return max(entry["data_offsets"][1] for entry in described.values())


def _header(head: Head, layers: list[PackedLayer]) -> bytearray:
    """Return the length and the header, with a checksum of zeros."""
    metadata = {"crc32": "0" * _DIGITS, "format": FORMAT, **to_metadata(head)}
    values = {"__metadata__": metadata, **_described(layers)}
    text = json.dumps(values, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % _LENGTH)
    return bytearray(len(text).to_bytes(_LENGTH, "little") + text)


def _bytes_of(array: np.ndarray) -> memoryview:
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def _hexadecimal(checksum: int) -> bytes:
    return f"{checksum:08x}".encode()


# Reading -----------------------------------------------------------------------------------------


class _NoModelError(Exception):
    """A file that never was a packed model."""


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn whatever is amiss with a file into one line."""
    try:
        yield
    except FileNotFoundError:
        message = "no such file. Give what 'bnntrain export' wrote, or the folder of a run"
    except _NoModelError:
        message = (
            "is a file, but no packed model. Give what 'bnntrain export' wrote, or the folder "
            "that 'bnntrain fit' made"
        )
    except OSError as error:
        message = f"cannot be read ({error.strerror or error}). Check the path"
    except ValueError as error:
        message = f"damaged packed model ({error}). {_AGAIN}"
    else:
        return
    raise RunError(path, message, is_damage=True)


def _verified_header(file: BinaryIO, size: int) -> bytes:
    """Return the header, without its length, if the checksum of the whole file is right."""
    start = file.read(_MARK + _DIGITS)
    length = int.from_bytes(start[:_LENGTH], "little")
    if not start[_LENGTH:].startswith(_PREFIX):
        raise _NoModelError
    if length % _LENGTH or length > min(size - _LENGTH, _LARGEST_HEADER):
        raise ValueError("its header is cut off")
    stated = start[_MARK:]
    rest = file.read(_LENGTH + length - len(start))
    checksum = zlib.crc32(start[:_MARK] + b"0" * _DIGITS + rest)
    while piece := file.read(_PIECE):
        checksum = zlib.crc32(piece, checksum)
    if stated != _hexadecimal(checksum):
        raise ValueError("its checksum is wrong")
    return start[_LENGTH:] + rest


def _entries(header: bytes) -> dict[str, object]:
    """Parse a header."""
    try:
        entries = json.loads(header)
    except RecursionError:
        raise ValueError("its header is no good") from None
    metadata = entries["__metadata__"]
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata are not text")
    if metadata.get("format") != FORMAT:
        raise ValueError(f"of format {metadata.get('format')}, this bnntrain reads {FORMAT}")
    return entries


def _check_entries(
    entries: dict[str, object], layers: list[PackedLayer], size: int
) -> None:
    """Refuse tensors that are not those of the layers."""
    wanted = _described(layers)
    for name, entry in wanted.items():
        if entries.get(name) != entry:
            raise ValueError(f"{name}: its tensors are not those of its layers")
    if len(entries) != len(wanted):
        raise ValueError("more tensors than its layers have")
    if size != _end(wanted):
        raise ValueError("of another length than its tensors")
