"""A recorded ``power.csv``, played at the speed at which it was recorded."""

from __future__ import annotations

import math
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from bnntrain.meters.power import MeterError, MeterLost, Power
from bnntrain.meters.power_csv import read_rows

_QUANTITIES = ("watts", "volts", "amps")


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
        # 32 bytes a row: memory that is measured at the same time is to be the training's.
        self._times = array("d")
        self._values = tuple(array("d") for _ in _QUANTITIES)
        for row in read_rows(path):
            self._times.append(row.t)
            for name, values in zip(_QUANTITIES, self._values, strict=True):
                value = getattr(row.power, name)
                values.append(math.nan if value is None else value)
        if len(self._times) < 2:
            raise MeterError(path, "has fewer than two rows. Give a longer recording")
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
        right = min(bisect_right(self._times, t), len(self._times) - 1)
        left = right - 1
        length = self._times[right] - self._times[left]
        share = (t - self._times[left]) / length if length > 0 else 1.0
        between = [each[left] + share * (each[right] - each[left]) for each in self._values]
        return Power(*(None if math.isnan(value) else value for value in between), now)

    def close(self) -> None:
        """Nothing is open."""
