"""``power.csv``: power over time, as rows of text.

::

    # INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm
    # started 2024-05-01T12:00:00+02:00
    t,watts,volts,amps,phase
    0.050123,4.812000,5.060000,0.950988,forward

``t`` is in seconds since the start, on CLOCK_MONOTONIC; an empty cell is not known. Lines that
begin with ``#`` are remarks.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

from bnntrain.meters.power import MeterError, Power

COLUMNS = ("t", "watts", "volts", "amps", "phase")
_FLUSH_S = 5.0
_TAIL_BYTES = 4096


@dataclass(frozen=True)
class Row:
    """One line: seconds since the start, the reading, the phase."""

    t: float
    power: Power
    phase: str


class PowerWriter:
    """Appends rows; a failure of the file ends the recording and nothing else.

    Parameters
    ----------
    path : Path
        A file that is there is continued: its last time is where the new rows begin.
    label : str
        The meter, for the head of a new file.

    Attributes
    ----------
    failure : str or None
        Why the recording ended early.
    """

    def __init__(self, path: Path, label: str) -> None:
        self.path = path
        self.failure: str | None = None
        self._file: TextIO | None = None
        # Text is made of many at once: one by one it would push the training out of the caches.
        self._rows: list[tuple[float, Power, str]] = []
        self._flushed = 0.0
        self._offset = 0.0
        try:
            self._open(label)
        except (OSError, ValueError) as error:
            self._fail(error)

    def _open(self, label: str) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        if size:
            size = _end_of_rows(self.path, size)
            self._offset = _last_time(self.path, size)
        self._file = self.path.open("a", encoding="utf-8")
        self._file.truncate(size)
        if not size:
            started = datetime.now().astimezone().isoformat(timespec="seconds")
            heads = (f"# {' '.join(label.split())}", f"# started {started}", ",".join(COLUMNS))
            self._file.write("\n".join(heads) + "\n")
            self._file.flush()

    def write(self, t: float, power: Power, phase: str) -> None:
        """Add a row; `t` in seconds since the start."""
        if self._file is not None:
            self._rows.append((t + self._offset, power, phase))
            if t - self._flushed >= _FLUSH_S:
                self._flushed = t
                self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if self._file is not None:
            try:
                self._file.write("".join(_text(*row) for row in rows))
                self._file.flush()
            except (OSError, ValueError) as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or error
        self.failure = f"{self.path.name} could not be written ({reason}); it ends early"
        if self._file is not None:
            with contextlib.suppress(OSError):  # what is buffered cannot be written either
                self._file.close()
            self._file = None


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a recording.

    Raises
    ------
    MeterError
        It cannot be read, is no such file, or its times do not rise.
    """
    try:
        with path.open(encoding="utf-8") as file:
            yield from _rows(path, file)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        message = f"cannot be read ({reason}). Give a power.csv that 'bnntrain energy record' made"
        raise MeterError(path, message) from None


def _rows(path: Path, file: TextIO) -> Iterator[Row]:
    names: list[str] | None = None
    last = -math.inf
    for number, line in enumerate(file, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if names is None:
            names = text.split(",")
            if "t" not in names or "watts" not in names:
                message = f"line {number}: no columns t and watts. The head is {','.join(COLUMNS)}"
                raise MeterError(path, message)
            continue
        if not line.endswith("\n"):
            return  # cut off by a crash or a full disk
        row = _row(names, text)
        if row is None or row.t < last:
            message = "is no row of numbers" if row is None else "goes back in time"
            raise MeterError(path, f"line {number}: {message}. Cut the file off before it")
        last = row.t
        yield row


def _row(names: list[str], text: str) -> Row | None:
    cells = dict(zip(names, text.split(","), strict=False))
    try:
        numbers = {
            name: float(cells[name]) if cells.get(name) else None
            for name in ("t", "watts", "volts", "amps")
        }
    except ValueError:
        return None
    if None in (numbers["t"], numbers["watts"]):
        return None
    if not all(value is None or math.isfinite(value) for value in numbers.values()):
        return None
    return Row(numbers.pop("t"), Power(**numbers), cells.get("phase") or "")


def _text(t: float, power: Power, phase: str) -> str:
    cells = ",".join(_number(value) for value in (power.watts, power.volts, power.amps))
    return f"{t:.6f},{cells},{phase}\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _end_of_rows(path: Path, size: int) -> int:
    """Return the size without a last line that was cut off."""
    start, tail = _tail(path, size)
    return start + tail.rfind(b"\n") + 1


def _last_time(path: Path, size: int) -> float:
    _, tail = _tail(path, size)
    for line in reversed(tail.splitlines()):
        with contextlib.suppress(ValueError):
            return float(line.split(b",")[0])
    return 0.0


def _tail(path: Path, size: int) -> tuple[int, bytes]:
    start = max(0, size - _TAIL_BYTES)
    with path.open("rb") as file:
        file.seek(start)
        return start, file.read(size - start)
