"""The run folder, and the only code that writes to one.

Everything is either appended and flushed (``metrics.csv``, ``log.txt``) or written to a temporary
file in the same folder, synced, and renamed over the former one. A run killed at any moment leaves
the last complete checkpoint and the rows that belong to it.

Layout: ``config.yaml`` (resolved), ``plan.json``, ``run.json``, ``metrics.csv``, ``log.txt``,
``checkpoint/last.npz`` and ``checkpoint/best.npz``.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bnntrain.errors import RunError, WriteError

METRICS = (
    "epoch", "lr", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "images_per_second",
    "rss_peak_mib", "energy_j",
)
"""Columns of ``metrics.csv``; losses are means per sample, accuracies percent."""

_STATE = "state"
# Checkpoints are copied in pieces, so that saving one never needs a second copy of the weights.
_PIECE = 1 << 16


@contextlib.contextmanager
def _reported(path: Path, remains: str = "") -> Iterator[None]:
    """Turn a failed write into one line that says what is still good."""
    try:
        yield
    except OSError as error:
        reason = {
            errno.ENOSPC: "no space left on the device. Free some and continue with --resume",
            errno.EDQUOT: "disk quota exceeded. Free some and continue with --resume",
            errno.EFBIG: "the file size limit is reached. Raise it and continue with --resume",
            errno.EACCES: "no permission. Give a folder that can be written to with --run-dir",
            errno.EROFS: "the file system is read-only. Give another folder with --run-dir",
        }.get(error.errno, f"cannot be written ({error.strerror or error})")
        raise WriteError(path, f"{reason}{'. ' + remains if remains else ''}") from None


def write_atomically(path: Path, write: Callable[[BinaryIO], None], remains: str = "") -> None:
    """Replace a file in one step.

    Parameters
    ----------
    path : Path
        The file; its folder exists.
    write : callable
        Writes the content to an open binary file.
    remains : str
        What is still valid when this fails, for the message.

    Raises
    ------
    WriteError
        Disk full, no permission, ...; `path` is as before and nothing else is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _reported(path, remains):
        try:
            with open(temporary, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; file systems that cannot sync folders do not need it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def save_checkpoint(path: Path, arrays: Mapping[str, np.ndarray], state: Mapping[str, object]) -> None:
    """Write arrays and a JSON state as an uncompressed ``.npz`` file.

    Parameters
    ----------
    path : Path
        Replaced in one step.
    arrays : mapping of str to ndarray
        C-contiguous; streamed in pieces, so that no second copy of them is made.
    state : mapping
        Numbers and text, kept as JSON in the member ``state``.

    Raises
    ------
    WriteError
        The former checkpoint, if there was one, is untouched.
    """
    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            text = np.frombuffer(json.dumps(state, allow_nan=False).encode(), dtype=np.uint8)
            for name, array in {_STATE: text, **arrays}.items():
                # A fixed date: equal runs write equal files.
                member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                with archive.open(member, "w", force_zip64=True) as stream:
                    np.lib.format.write_array_header_1_0(
                        stream, np.lib.format.header_data_from_array_1_0(array)
                    )
                    content = memoryview(array).cast("B") if array.size else memoryview(b"")
                    for start in range(0, len(content), _PIECE):
                        stream.write(content[start : start + _PIECE])

    remains = f"The former {path.name} is still valid" if path.exists() else "There is no checkpoint yet"
    write_atomically(path, write, remains)


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
        Missing, damaged (every member's checksum is verified) or of another model.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name, array in arrays.items():
                _read_member(archive, name, array)
            with archive.open(f"{_STATE}.npy") as stream:
                shape, _, dtype = _read_header(stream)
                return json.loads(stream.read(shape[0] * dtype.itemsize))
    except FileNotFoundError:
        raise RunError(path, "no such checkpoint. Is this the folder of a run?") from None
    except KeyError as error:
        message = f"has no {error.args[0]!s}: it belongs to another model or method"
        raise RunError(path, f"{message}. Start a new run") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise RunError(path, f"damaged checkpoint ({error}). Resume from a copy, or start again") from None


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("unknown array format")
    return np.lib.format.read_array_header_1_0(stream)


def _read_member(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy") as stream:
        shape, _, dtype = _read_header(stream)
        if shape != array.shape or dtype != array.dtype:
            found, wanted = f"{dtype} {shape}", f"{array.dtype} {array.shape}"
            raise KeyError(f"{name} of type {wanted} (there: {found})")
        content = memoryview(array).cast("B") if array.size else memoryview(bytearray())
        for start in range(0, len(content), _PIECE):
            piece = stream.read(min(_PIECE, len(content) - start))
            content[start : start + len(piece)] = piece
        if stream.read(1):  # reading to the end also verifies the checksum
            raise ValueError(f"{name} is longer than its header says")


class RunFolder:
    """One run's folder.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def last(self) -> Path:
        """Checkpoint to resume from."""
        return self.path / "checkpoint" / "last.npz"

    @property
    def best(self) -> Path:
        """Weights of the best validation accuracy."""
        return self.path / "checkpoint" / "best.npz"

    @classmethod
    def create(cls, path: Path, config_text: str, plan: object) -> RunFolder:
        """Make a new run folder.

        Raises
        ------
        RunError
            The folder exists and is not empty.
        WriteError
            It cannot be made.
        """
        path = Path(path)
        if path.is_dir() and not any(path.iterdir()):
            pass
        elif path.exists():
            raise RunError(path, "exists already. Give --resume to continue it, or another --run-dir")
        folder = cls(path)
        with _reported(path):
            (path / "checkpoint").mkdir(parents=True)
        write_atomically(path / "config.yaml", lambda file: file.write(config_text.encode()))
        _write_json(path / "plan.json", plan)
        folder.truncate_metrics(0)
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder.

        Raises
        ------
        RunError
            Not a run folder.
        """
        path = Path(path)
        if not path.is_dir():
            raise RunError(path, "no such run folder. Give the folder that 'bnntrain fit' made")
        if not (path / "config.yaml").is_file():
            raise RunError(path, "has no config.yaml: not a run folder. Give one that 'bnntrain fit' made")
        return cls(path)

    def read_summary(self) -> dict[str, object]:
        """Return ``run.json``, or an empty dict where there is none yet.

        Raises
        ------
        RunError
            It is damaged.
        """
        path = self.path / "run.json"
        try:
            value = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RunError(path, f"cannot be read ({error}). Delete it and give --resume") from None
        if not isinstance(value, dict):
            raise RunError(path, "is not a run summary. Delete it and give --resume")
        return value

    def write_summary(self, summary: Mapping[str, object]) -> None:
        """Replace ``run.json``."""
        _write_json(self.path / "run.json", dict(summary))

    def append_metrics(self, row: Mapping[str, object]) -> None:
        """Add one epoch to ``metrics.csv`` and flush it."""
        path = self.path / "metrics.csv"
        with _reported(path, "All checkpoints so far are valid"), open(path, "a", newline="") as file:
            file.write(_csv_line(["" if row.get(name) is None else row[name] for name in METRICS]))

    def read_metrics(self) -> list[dict[str, float]]:
        """Return the rows of ``metrics.csv`` as numbers; empty cells are left out."""
        path = self.path / "metrics.csv"
        try:
            with open(path, newline="") as file:
                rows = list(csv.DictReader(file))
            return [{name: float(cell) for name, cell in row.items() if cell} for row in rows]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise RunError(path, f"cannot be read ({error}). Delete it; the weights are not affected") from None

    def truncate_metrics(self, epochs: int) -> None:
        """Keep the rows of the first `epochs` epochs: later ones will be run again."""
        rows = [row for row in self.read_metrics() if row["epoch"] <= epochs]
        text = _csv_line(METRICS) + "".join(
            _csv_line([_cell(name, row.get(name)) for name in METRICS]) for row in rows
        )
        write_atomically(self.path / "metrics.csv", lambda file: file.write(text.encode()))

    def log(self, line: str) -> None:
        """Add a line to ``log.txt``."""
        path = self.path / "log.txt"
        with _reported(path), open(path, "a") as file:
            file.write(line + "\n")


def _cell(name: str, value: float | None) -> object:
    if value is None:
        return ""
    return int(value) if name == "epoch" else value


def _csv_line(cells: object) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
