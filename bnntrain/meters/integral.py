"""Energy from samples of power, phase by phase, without keeping the samples.

Between two samples power is taken as a straight line (trapezoids). A mean counts for the time that
it is the mean of. An interval in which the phase changes is cut there, at the interpolated power.
What was not measured counts neither as energy nor as time: a stretch without samples that is longer
than a line should bridge, and the surroundings of a sample beyond the meter's range.
"""

from __future__ import annotations

import math

from bnntrain.meters.phases import OTHER, Phase
from bnntrain.meters.power import Power
from bnntrain.native import Trace


class Integral:
    """Adds up samples.

    Parameters
    ----------
    gap_s : float
        Longest time between two samples that a line bridges.
    trace : Trace or None
        Where phases begin; None for a trace of its own.

    Attributes
    ----------
    start : float
        Time from which it counts; a meter that averages also tells of earlier times.
    missing_s, over_range_s : float
        Time that is not in the sums: without samples, and beyond the meter's range.
    """

    def __init__(self, gap_s: float, trace: Trace | None = None) -> None:
        self.gap_s = gap_s
        self.trace = trace or Trace(OTHER)
        self.start = -math.inf
        self.missing_s = 0.0
        self.over_range_s = 0.0
        self._samples: dict[str, int] = {}
        self._time: float | None = None
        self._watts = 0.0
        self._is_over = False

    @property
    def phase(self) -> str:
        """That of the last sample."""
        return self.trace.phase

    @property
    def phases(self) -> dict[str, Phase]:
        """The sums so far, in the order in which the phases were met."""
        found = {name: self.sums(name) for name in self.trace.names}
        return {name: each for name, each in found.items() if each != Phase()}

    def sums(self, phase: str) -> Phase:
        """Return the sums of a phase up to the last sample."""
        seconds, joules, stays = self.trace.sums(phase)
        return Phase(seconds, joules, self._samples.get(phase, 0), stays)

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
        if power.since is not None:
            self._add_mean(power, end)
        elif self._may_bridge(at):
            slope = (power.watts - self._watts) / (at - self._time)
            self.trace.go_on(max(self._time, self.start), end, self._watts, slope, self._time)
        else:
            self._leave_out(end)
        if self.start <= at <= until:
            phase = self.trace.phase
            self._samples[phase] = self._samples.get(phase, 0) + 1
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

    def _add_mean(self, power: Power, end: float) -> None:
        begin = max(power.since, self.start if self._time is None else self._time)
        self._leave_out(min(begin, end))
        begin = max(begin, self.start)
        self.trace.go_on(begin, max(begin, end), power.watts, 0.0, begin)

    def _may_bridge(self, at: float) -> bool:
        if self._time is None or self._is_over:
            return False
        return at - self._time <= self.gap_s

    def _leave_out(self, end: float) -> None:
        begin = self.start if self._time is None else max(self._time, self.start)
        left_out = self.trace.leave_out(begin, end)
        if self._is_over:
            self.over_range_s += left_out
        else:
            self.missing_s += left_out
