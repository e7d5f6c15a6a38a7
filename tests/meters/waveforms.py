"""Currents and voltages over time whose integrals are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise


class Waveform:
    """A quantity over time; the unit is the user's."""

    def largest(self) -> float:
        """Return the largest magnitude that it takes."""
        return math.inf

    def integral(self, start: float, end: float) -> float:
        """Return the integral between two times."""
        return self._primitive(end) - self._primitive(start)

    def mean(self, start: float, end: float) -> float:
        """Return the mean between two times."""
        return self.integral(start, end) / (end - start)


@dataclass
class Constant(Waveform):
    value: float

    def largest(self) -> float:
        return abs(self.value)

    def _primitive(self, t: float) -> float:
        return self.value * t


@dataclass
class Ramp(Waveform):
    """`start` at time `origin`, then `slope` a second."""

    start: float
    slope: float
    origin: float = 0.0

    def _primitive(self, t: float) -> float:
        return self.start * t + self.slope * (t - self.origin) ** 2 / 2


@dataclass
class Square(Waveform):
    """`high` for the share `duty` of every period, then `low`."""

    low: float
    high: float
    hertz: float
    duty: float = 0.5

    def largest(self) -> float:
        return max(abs(self.low), abs(self.high))

    def _primitive(self, t: float) -> float:
        periods, rest = divmod(t * self.hertz, 1.0)
        high = periods * self.duty + min(rest, self.duty)
        return (self.low * t) + (self.high - self.low) * high / self.hertz


@dataclass
class Pulse(Waveform):
    """`base`, and `level` between two times."""

    base: float
    level: float
    start: float
    end: float

    def largest(self) -> float:
        return max(abs(self.base), abs(self.level))

    def _primitive(self, t: float) -> float:
        inside = min(max(t, self.start), self.end) - self.start
        return self.base * t + (self.level - self.base) * inside


def energy(amps: Waveform, volts: Waveform, start: float, end: float, pieces: int = 1) -> float:
    """Return the energy in joules; `pieces` above 1 where both change."""
    step = (end - start) / pieces
    edges = [start + step * number for number in range(pieces + 1)]
    return math.fsum(
        amps.integral(a, b) * volts.mean(a, b) for a, b in pairwise(edges)
    )
