"""A recorded ``power.csv``, played at the speed at which it was recorded."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from bnntrain.meters.power import MeterError, MeterLost, Power
from bnntrain.meters.power_csv import read_rows


class Replay:
    """A power source that was recorded before; between rows power is a straight line.

    Parameters
    ----------
    path : Path
        A ``power.csv`` of two rows or more. Its first row is at the first `read`.
    clock : callable
        That of `time`; tests give their own.

    Raises
    ------
    MeterError
        It cannot be played.
    """

    kind = "replay"

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows = list(read_rows(path))
        if len(self._rows) < 2:
            raise MeterError(path, "has fewer than two rows. Give a longer recording")
        self._times = [row.t for row in self._rows]
        self._clock = clock
        self._start: float | None = None
        self.label = f"replay of {path}"

    def read(self) -> Power:
        """Return what the recording says of this moment."""
        now = self._clock()
        self._start = now if self._start is None else self._start
        t = now - self._start + self._times[0]
        if t > self._times[-1]:
            length = self._times[-1] - self._times[0]
            raise MeterLost(f"the recording ends after {length:.1f} s. Give a longer one")
        index = min(bisect_right(self._times, t), len(self._rows) - 1)
        left, right = self._rows[index - 1], self._rows[index]
        share = (t - left.t) / (right.t - left.t) if right.t > left.t else 1.0
        values = (
            None if a is None or b is None else a + share * (b - a)
            for a, b in (
                (getattr(left.power, name), getattr(right.power, name))
                for name in ("watts", "volts", "amps")
            )
        )
        return Power(*values, at=now)

    def close(self) -> None:
        """Nothing is open."""
