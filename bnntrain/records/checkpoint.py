"""Checkpoints: arrays and a JSON state in an uncompressed ``.npz`` file, as NumPy reads it."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bnntrain.errors import RunError
from bnntrain.records.atomic import write_atomically
from bnntrain.zip_files import STORED, Entry, ZipError, find_data, read_directory

_STATE = "state"
# Checkpoints are copied in pieces, so that saving one never needs a second copy of the weights.
_PIECE = 1 << 16


class _OtherModelError(Exception):
    """A member that is missing or of another type or shape."""


def save_checkpoint(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    state: Mapping[str, object],
    former: Path | None = None,
) -> None:
    """Write arrays and a JSON state.

    Parameters
    ----------
    path : Path
        Replaced in one step.
    arrays : mapping of str to ndarray
        C-contiguous; streamed in pieces, so that no second copy of them is made.
    state : mapping
        Numbers and text, kept as JSON in the member ``state``.
    former : Path, optional
        Name under which the checkpoint that is replaced remains.

    Raises
    ------
    WriteError
        The former checkpoint, if there was one, is untouched.
    """
    import zipfile  # of size, and checkpoints are read without

    text = np.frombuffer(json.dumps(state, allow_nan=False).encode(), dtype=np.uint8)

    def write(file: BinaryIO) -> None:
        archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        try:
            for name, array in {_STATE: text, **arrays}.items():
                # A fixed date: equal runs write equal files.
                member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                with archive.open(member, "w", force_zip64=True) as stream:
                    _write_member(stream, array)
            archive.close()
        except BaseException:
            # Whatever it would still write, and complain of, is of no use now.
            archive.fp = None
            raise

    valid = f"The former {path.name} is still valid"
    remains = valid if path.exists() else "There is no checkpoint yet"
    write_atomically(path, write, remains, former)


def _write_member(stream: BinaryIO, array: np.ndarray) -> None:
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(stream, header)
    content = _bytes_of(array)
    for start in range(0, len(content), _PIECE):
        stream.write(content[start : start + _PIECE])


def _bytes_of(array: np.ndarray) -> memoryview:
    """View a C-contiguous array as bytes."""
    return memoryview(array.reshape(-1).view(np.uint8))


def load_checkpoint(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, object]:
    """Read a checkpoint into `arrays` and return its state.

    Parameters
    ----------
    path : Path
        From `save_checkpoint`.
    arrays : mapping of str to ndarray
        Where the members go; each must be in the file with this dtype and shape. Members that are
        not asked for are skipped.

    Raises
    ------
    RunError
        Missing, damaged (checksums are verified before an array is touched) or of another model.
    """
    with open_checkpoint(path) as checkpoint:
        # All of it before a header is parsed: damaged bytes reach neither a parser nor an array.
        checkpoint.verify(arrays)
        for name, array in arrays.items():
            checkpoint.read(name, array)
        return checkpoint.state


@contextlib.contextmanager
def open_checkpoint(path: Path) -> Iterator[Checkpoint]:
    """Open a checkpoint to read its members one at a time.

    Raises
    ------
    RunError
        Here and while it is open: missing, damaged, of another model.
    """
    is_damage = True
    try:
        with path.open("rb") as file:
            yield Checkpoint(file)
        return
    except FileNotFoundError:
        message = "no such checkpoint. Is this the folder of a run?"
    except _OtherModelError as error:
        is_damage = False
        message = f"{error}: it belongs to another model or method. Start a new run"
    except IsADirectoryError:
        is_damage = False  # nothing could be saved in its place
        message = "is a folder. Remove it: --resume then goes on from the checkpoint before it"
    except OSError as error:
        reason = error.strerror or error
        message = f"cannot be read ({reason}). Put back a copy, or check its permissions"
    except (ValueError, EOFError, ZipError) as error:
        message = f"damaged checkpoint ({error}). Put back a copy, or start a new run"
    raise RunError(path, message, is_damage)


class Checkpoint:
    """An open checkpoint; members are to be verified before they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._entries = {entry.name: entry for entry in read_directory(file)}

    @property
    def state(self) -> dict[str, object]:
        """The JSON state."""
        stream = self._open(_STATE)
        _read_header(stream)
        state = json.loads(stream.read())
        if not isinstance(state, dict):
            raise ValueError("its state is no mapping")
        return state

    def verify(self, names: Iterable[str]) -> None:
        """Compare the checksums of members, and of the state."""
        for name in (_STATE, *names):
            stream, checksum = self._open(name), 0
            while piece := stream.read(_PIECE):
                checksum = zlib.crc32(piece, checksum)
            if checksum != stream.entry.crc:
                raise ValueError(f"{name} has a wrong CRC-32")

    def read(self, name: str, array: np.ndarray) -> None:
        """Read a member into an array of its type and shape."""
        stream = self._open(name)
        _check_header(stream, name, array.dtype, array.shape)
        content = _bytes_of(array)
        for start in range(0, len(content), _PIECE):
            _read_into(stream, name, content[start : start + _PIECE])
        _check_end(stream, name)

    def rows(
        self, name: str, dtype: str, shape: tuple[int, ...], most: int
    ) -> Iterator[np.ndarray]:
        """Yield a member of this type and shape, at most so many rows at a time.

        All pieces share one array.
        """
        stream = self._open(name)
        _check_header(stream, name, np.dtype(dtype), shape)
        piece = np.empty((min(most, shape[0]), *shape[1:]), dtype)
        for start in range(0, shape[0], most):
            part = piece[: shape[0] - start]
            _read_into(stream, name, _bytes_of(part))
            yield part
        _check_end(stream, name)

    def _open(self, name: str) -> _Member:
        entry = self._entries.get(f"{name}.npy")
        if entry is None:
            raise _OtherModelError(f"has no {name}")
        # Anything else would hand damaged bytes to a decompressor.
        if entry.method != STORED or entry.packed_bytes != entry.nbytes:
            raise ValueError(f"{name} is compressed")
        return _Member(self._file, entry)


class _Member:
    """The bytes of a member, in order; others may be read from the same file meanwhile."""

    def __init__(self, file: BinaryIO, entry: Entry) -> None:
        self.entry = entry
        self._file, self._left = file, entry.nbytes
        self._at = find_data(file, entry, entry.name.encode())

    def read(self, count: int = -1) -> bytes:
        content = bytearray(self._left if count < 0 else min(count, self._left))
        return bytes(content[: self.readinto(memoryview(content))])

    def readinto(self, target: memoryview) -> int:
        self._file.seek(self._at)
        count = self._file.readinto(target[: self._left])
        self._at, self._left = self._at + count, self._left - count
        return count


def _read_header(stream: _Member) -> tuple[tuple[int, ...], np.dtype]:
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("unknown array format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return shape, dtype


def _check_header(
    stream: _Member, name: str, wanted_dtype: np.dtype, wanted_shape: tuple[int, ...]
) -> None:
    shape, dtype = _read_header(stream)
    if shape != wanted_shape or dtype != wanted_dtype:
        wanted = f"{wanted_dtype} {wanted_shape}"
        raise _OtherModelError(f"{name} is {dtype} {shape}, not {wanted}")


def _read_into(stream: _Member, name: str, target: memoryview) -> None:
    while len(target):
        count = stream.readinto(target)
        if not count:
            raise ValueError(f"{name} is shorter than its header says")
        target = target[count:]


def _check_end(stream: _Member, name: str) -> None:
    if stream.read(1):
        raise ValueError(f"{name} is longer than its header says")
