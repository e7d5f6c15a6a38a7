"""The folder of one run.

Layout: ``config.yaml`` (resolved), ``plan.json``, ``run.json``, ``metrics.csv``, ``log.txt``,
``checkpoint/last.npz``, the one before it in ``previous.npz``, and ``best.npz``. ``config.yaml`` is
written last when a folder is made: one without it was never a run.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bnntrain.errors import BnntrainError, RunError
from bnntrain.records.atomic import TEMPORARY, reported, write_atomically
from bnntrain.records.nearby import is_run, near_runs

METRICS = (
    "epoch", "lr", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "images_per_second",
    "rss_peak_mib", "energy_j",
)
"""Columns of ``metrics.csv``; losses are means per sample, accuracies percent."""

# What `create` makes before config.yaml.
_BEGUN = {"checkpoint", "plan.json", "metrics.csv"}
_REMAINS = "All checkpoints so far are valid"
_BLANK = b"\0 \t\r\n"  # what a power cut may leave of a file
_GIVE_RUN = "Give the folder that 'bnntrain fit' made"


class RunFolder:
    """One run's folder.

    Parameters
    ----------
    path : Path
        The folder; it need not exist yet.
    others : iterable of Path
        What to call a new one where `path` is taken, in this order; see `create`.
    """

    def __init__(self, path: Path, others: Iterable[Path] = ()) -> None:
        self.path = Path(path)
        self._others = iter(others)
        self._lock: int | None = None
        self._made: list[Path] = []  # folders, while no run has begun in them
        self._remains = _REMAINS  # when writing fails

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def last(self) -> Path:
        """Checkpoint to resume from."""
        return self.path / "checkpoint" / "last.npz"

    @property
    def previous(self) -> Path:
        """The checkpoint before the last one."""
        return self.path / "checkpoint" / "previous.npz"

    @property
    def best(self) -> Path:
        """Weights of the best epoch."""
        return self.path / "checkpoint" / "best.npz"

    # Making, opening, locking -------------------------------------------------------------------

    def is_vacant(self) -> bool:
        """Whether a run may begin here.

        Returns
        -------
        bool
            True where there is nothing, an empty folder, or what a killed `create` left.

        Raises
        ------
        RunError, WriteError
            The folder cannot be looked into.
        """
        with reported(self.path):
            names = _names_in(self.path)
            begun = "checkpoint" in names and names <= _BEGUN
            return not names or (begun and not _names_in(self.path / "checkpoint"))

    def check_vacant(self) -> None:
        """Refuse a folder in which no run may begin.

        Raises
        ------
        RunError
            It holds something.
        """
        if not self.is_vacant():
            message = "exists already. Give --resume to continue it, or another --run-dir"
            raise RunError(self.path, message)

    def _claim(self) -> bool:
        """Make and lock the folder; return False where it is taken and there are other names."""
        following = next(self._others, None)
        if following is not None:
            self._others = itertools.chain([following], self._others)
        try:
            self._make()
        except RunError:
            if following is None or not self.path.is_dir():
                raise
            return False
        if self._made or self._lock is not None or following is None:
            return True
        # On file systems without locks only a new folder is surely nobody else's.
        self.close()
        return False

    def _make(self) -> None:
        with reported(self.path):
            made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            with reported(self.path):
                try:
                    self.path.mkdir(parents=True)
                    self._made = made
                except FileExistsError:
                    if not self.path.is_dir():
                        raise
            self.lock()
            self.check_vacant()
        except BaseException:
            self._made = self._made or made
            self.close()
            raise

    def create(self, config_text: str, plan: object) -> None:
        """Make the folder and what a run begins with, and lock it.

        Of several names the first one is taken that no other run has or is about to have.

        Parameters
        ----------
        config_text : str
            The resolved configuration.
        plan : object
            Content of ``plan.json``.

        Raises
        ------
        RunError
            The folder is not vacant, or another process makes it at this moment.
        WriteError
            It cannot be made; nothing of it is left.
        """
        while not self._claim():
            self.path = next(self._others)
        self._remains = ""
        try:
            with reported(self.path):
                (self.path / "checkpoint").mkdir(exist_ok=True)
            self._write_json("plan.json", plan)
            self.truncate_metrics(0)
            self.write_config(config_text)
        except BaseException:
            self._empty()
            self.close()
            raise
        self._made, self._remains = [], _REMAINS

    def _empty(self) -> None:
        """Remove what an unfinished `create` made."""
        with contextlib.suppress(OSError):
            for name in ("config.yaml", "plan.json", "metrics.csv"):
                (self.path / name).unlink(missing_ok=True)
            (self.path / "checkpoint").rmdir()

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder.

        Raises
        ------
        RunError
            Not a run folder.
        """
        path = Path(path)
        with reported(path):
            if path.is_file():
                raise RunError(path, f"is a file, not a run folder. {_GIVE_RUN}")
            if not path.is_dir():
                raise RunError(path, f"no such run folder. {near_runs(path) or _GIVE_RUN}")
            if not is_run(path):
                raise RunError(path, f"has no config.yaml: not a run folder. {_GIVE_RUN}")
        folder = cls(path)
        with contextlib.suppress(OSError):
            if not folder.config.read_bytes().strip(_BLANK):
                remedy = "Put back a copy, or start a new run in another folder"
                raise RunError(folder.config, f"is empty, as after a power cut. {remedy}")
        return folder

    def lock(self) -> None:
        """Keep the folder for this process until `close`; a killed one loses it by itself.

        Raises
        ------
        RunError
            Another process writes to it.
        """
        if self._lock is not None:
            return
        with reported(self.path):
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), self.path.stat()):
                raise FileNotFoundError
        except (BlockingIOError, FileNotFoundError):  # in use, or just made or removed by another
            os.close(descriptor)
            message = "is in use by another bnntrain. Wait for its end, or give another --run-dir"
            raise RunError(self.path, message) from None
        except OSError:
            # Some network file systems lock no folders; a run there goes without.
            os.close(descriptor)
            return
        self._lock = descriptor

    def close(self) -> None:
        """Release the lock; remove a folder in which no run has begun."""
        made, self._made = self._made, []
        # What another process has locked is not ours any more; what holds something stays.
        with contextlib.suppress(OSError, BnntrainError):
            if made:
                self.lock()
            for folder in made:
                folder.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def tidy(self) -> None:
        """Remove the temporary files of a killed process; the folder is locked."""
        for folder in (self.path, self.path / "checkpoint"):
            for file in folder.glob(TEMPORARY):
                with contextlib.suppress(OSError):
                    file.unlink()

    def write_config(self, text: str) -> None:
        """Replace ``config.yaml``."""
        self._write(self.config.name, text)

    # Summary, metrics, log ----------------------------------------------------------------------

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, lambda file: file.write(text.encode()), self._remains)

    def _write_json(self, name: str, value: object) -> None:
        self._write(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def _append(self, name: str, line: str) -> None:
        path = self.path / name
        with reported(path, _REMAINS), path.open("a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read_summary(self) -> dict[str, object]:
        """Return ``run.json``, or an empty dict where there is none yet, or a crash emptied it.

        Raises
        ------
        RunError
            It is damaged.
        """
        path = self.path / "run.json"
        try:
            content = path.read_bytes()
            value = json.loads(content) if content.strip(_BLANK) else {}
        except FileNotFoundError:
            return {}
        except OSError as error:
            message = f"cannot be read ({error.strerror}). Delete it and give --resume"
            raise RunError(path, message) from None
        except (ValueError, RecursionError):
            raise RunError(path, "is no JSON. Delete it and give --resume") from None
        if not isinstance(value, dict):
            raise RunError(path, "is not a run summary. Delete it and give --resume")
        return value

    def write_summary(self, summary: Mapping[str, object]) -> None:
        """Replace ``run.json``."""
        self._write_json("run.json", dict(summary))

    def append_metrics(self, row: Mapping[str, object]) -> None:
        """Add one epoch to ``metrics.csv`` and flush it to the disk."""
        cells = ("" if row.get(name) is None else str(row[name]) for name in METRICS)
        self._append("metrics.csv", ",".join(cells))

    def read_metrics(self) -> list[dict[str, float]]:
        """Return the rows of ``metrics.csv`` as numbers; empty cells are left out.

        Raises
        ------
        RunError
            It is damaged.
        """
        return [row for _, row in self._metrics()]

    def truncate_metrics(self, epochs: int) -> None:
        """Keep the rows of the first `epochs` epochs: later ones will be run again."""
        lines = [line for line, row in self._metrics() if row["epoch"] <= epochs]
        self._write("metrics.csv", "".join([",".join(METRICS) + "\n", *lines]))

    def _metrics(self) -> list[tuple[str, dict[str, float]]]:
        """Return the rows of ``metrics.csv`` as text and as numbers."""
        path = self.path / "metrics.csv"
        try:
            with path.open() as file:
                # What has no end was cut off by a crash or a full disk: its epoch is run again.
                lines = [line for line in file if line.endswith("\n")]
            names = lines[0].rstrip().split(",") if lines else []
            return [(line, _metrics_row(names, line)) for line in lines[1:]]
        except FileNotFoundError:
            return []
        except UnicodeDecodeError:
            reason = "no text"
        except OSError as error:
            reason = error.strerror
        except ValueError as error:
            reason = error
        message = f"cannot be read ({reason}). Delete it; the weights are not affected"
        raise RunError(path, message)

    def log(self, line: str) -> None:
        """Add a line to ``log.txt``."""
        self._append("log.txt", line)


def _metrics_row(names: list[str], line: str) -> dict[str, float]:
    cells = line.rstrip("\n").split(",")
    if len(cells) != len(names):
        raise ValueError(f"a row of {len(cells)} cells, expected {len(names)}")
    row = {name: float(cell) for name, cell in zip(names, cells, strict=True) if cell}
    epoch = row.get("epoch", 0.0)
    if epoch < 1 or not epoch.is_integer():
        raise ValueError("a row without the number of its epoch")
    return row


def _names_in(folder: Path) -> set[str]:
    """Return the names in a folder but temporary ones; none where there is no folder."""
    if not folder.exists():
        return set()
    found = {entry.name for entry in folder.iterdir()}
    return found - {entry.name for entry in folder.glob(TEMPORARY)}
