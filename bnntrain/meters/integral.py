"""Energy from samples of power, phase by phase, without keeping the samples.

Between two samples power is taken as a straight line (trapezoids), or as constant where a meter
gives means. An interval in which the phase changes is cut there, at the interpolated power. What
was not measured counts neither as energy nor as time: a stretch without samples that is longer than
a line should bridge, and the surroundings of a sample beyond the meter's range.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from bnntrain.meters.power import Power

OTHER = "other"
IDLE_BEFORE, IDLE_AFTER = "idle_before", "idle_after"
IDLE = (IDLE_BEFORE, IDLE_AFTER)
"""Phases of the baseline: they count neither as the run's energy nor as its time."""


@dataclass
class Phase:
    """Sums of one phase.

    Attributes
    ----------
    seconds, joules : float
        Measured time and energy.
    samples : int
        Readings taken in it.
    stays : int
        How often it was entered.
    """

    seconds: float = 0.0
    joules: float = 0.0
    samples: int = 0
    stays: int = 0

    @property
    def watts(self) -> float | None:
        """Mean power."""
        return self.joules / self.seconds if self.seconds else None


class Integral:
    """Adds up samples.

    Parameters
    ----------
    gap_s : float
        Longest time between two samples that a line bridges.

    Attributes
    ----------
    start : float
        Time from which it counts; a meter that averages also tells of earlier times.
    phase : str
        That of the last sample.
    phases : dict of str to Phase
        In the order in which they were met.
    missing_s, over_range_s : float
        Time that is not in the sums: without samples, and beyond the meter's range.
    """

    def __init__(self, gap_s: float) -> None:
        self.gap_s = gap_s
        self.start = -math.inf
        self.phase = OTHER
        self.phases: dict[str, Phase] = {}
        self.missing_s = 0.0
        self.over_range_s = 0.0
        self._marks: deque[tuple[float, str]] = deque()
        self._time: float | None = None
        self._watts = 0.0
        self._is_over = False

    @property
    def joules(self) -> float:
        """Energy so far, the baseline left out."""
        return math.fsum(each.joules for each in self._run())

    @property
    def seconds(self) -> float:
        """Measured time so far, the baseline left out."""
        return math.fsum(each.seconds for each in self._run())

    def _run(self) -> list[Phase]:
        return [each for name, each in list(self.phases.items()) if name not in IDLE]

    def mark(self, phase: str, at: float) -> None:
        """Begin a phase at a time; any thread may, in the order of the times."""
        self._marks.append((at, phase))

    def add(self, at: float, power: Power, until: float = math.inf) -> None:
        """Add the time since the former sample.

        Parameters
        ----------
        at : float
            Time of the sample; one that is not later than the last is left out.
        power : Power
            The sample.
        until : float
            End of the measurement: what is behind it is cut off.
        """
        if self._time is not None and at <= self._time:
            return
        end = min(at, until)
        if self._may_bridge(at, power):
            self._bridge(at, end, power)
        else:
            self._leave_out(end)
        if self.start <= at <= until:
            self._entry().samples += 1
        self._time, self._watts, self._is_over = end, power.watts, False

    def add_over_range(self, at: float, until: float = math.inf) -> None:
        """Leave out the surroundings of a sample beyond the meter's range."""
        if self._time is not None and at <= self._time:
            return
        self._is_over = True
        self._leave_out(min(at, until))
        self._time = min(at, until)

    def finish(self, until: float) -> None:
        """Leave out what is between the last sample and the end."""
        self._leave_out(until)
        self._time = until

    def _may_bridge(self, at: float, power: Power) -> bool:
        if self._time is None or self._is_over:
            return False
        return power.is_mean or at - self._time <= self.gap_s

    def _bridge(self, at: float, end: float, power: Power) -> None:
        former = power.watts if power.is_mean else self._watts
        slope = (power.watts - former) / (at - self._time)
        self._go_on(end, (former - slope * self._time, slope))

    def _leave_out(self, end: float) -> None:
        left_out = self._go_on(end, None)
        if self._is_over:
            self.over_range_s += left_out
        else:
            self.missing_s += left_out

    def _go_on(self, end: float, power: tuple[float, float] | None) -> float:
        """Go from the last sample to `end`, from phase to phase; return the seconds.

        `power` is watts at time 0 and their slope; with None, no phase gets anything. One loop
        without calls: a small model leaves a hundred marks between two samples.
        """
        begin = left = self.start if self._time is None else max(self._time, self.start)
        at_zero, half_slope = (0.0, 0.0) if power is None else (power[0], power[1] / 2)
        marks, phase, entry = self._marks, self.phase, self.phases.get(self.phase)
        while marks and marks[0][0] <= end:
            when, name = marks.popleft()
            if when > left:
                if power:
                    entry = entry or self._entry()
                    entry.seconds += when - left
                    entry.joules += (at_zero + half_slope * (left + when)) * (when - left)
                left = when
            if name != phase:
                self.phase = phase = name
                entry = self._entry()
                entry.stays += 1
        if end > left:
            if power:
                entry = entry or self._entry()
                entry.seconds += end - left
                entry.joules += (at_zero + half_slope * (left + end)) * (end - left)
            left = end
        return left - begin

    def _entry(self) -> Phase:
        return self.phases.setdefault(self.phase, Phase())
