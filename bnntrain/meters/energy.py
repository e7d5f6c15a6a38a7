"""The energy meter of a run: a thread that samples a power source and adds up joules by phase.

The training thread only says when a phase begins. Samples are not kept: memory does not grow with
the run. A meter that fails never ends a run; its record says `available: false` and why.

Every interval has one sample, at a random point: a load that repeats in step with an even grid, as
batches may, would always be met at the same point of it.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from bnntrain.meters.alarm import Alarm
from bnntrain.meters.energy_record import EnergyRecord, warnings_of
from bnntrain.meters.integral import Integral
from bnntrain.meters.phases import Phase
from bnntrain.meters.power import MeterLost, OverRange, Power, PowerSource, SampleLost
from bnntrain.meters.power_csv import PowerWriter
from bnntrain.native import Trace

LOST_AFTER_S = 5.0
"""A meter that gives no sample for so long (or for 20 intervals) is taken as gone for good."""

_LOST_AFTER_INTERVALS = 20
_GAP_S, _GAP_INTERVALS = 1.0, 10
# After `stop`, samples are taken until one is of a time behind it: what averages comes late.
_LAST_WAIT_S = 0.002
_LAST_LIMIT_S = 1.0
_JOIN_S = 5.0


class EnergyMeter:
    """Measures the energy of a run.

    Parameters
    ----------
    source : PowerSource
        Open; `stop` closes it.
    interval_s : float
        Seconds between two samples.
    path : Path or None
        ``power.csv``; one that is there is continued.
    trace : Trace or None
        Where phases begin; None for a trace of its own.
    clock : callable
        Seconds on CLOCK_MONOTONIC; tests give their own.

    Examples
    --------
    >>> meter = EnergyMeter(source, 0.05, run_dir / "power.csv")
    >>> meter.start()
    >>> meter.begin_phase("forward")
    >>> record = meter.stop()
    >>> record.to_json()["joules"]
    """

    def __init__(
        self,
        source: PowerSource,
        interval_s: float,
        path: Path | None,
        *,
        trace: Trace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self.interval_s, self.path = source, interval_s, path
        self._clock = clock
        self._integral = Integral(max(_GAP_S, _GAP_INTERVALS * interval_s), trace)
        self._writer: PowerWriter | None = None
        self._thread: threading.Thread | None = None
        self._alarm: Alarm | None = None
        self._end = math.inf
        self._start = self._last_sign = 0.0
        self._samples = self._lost = self._over_range = self._number = 0
        self._random = random.Random(0).random
        self._age_s = 0.0
        self._failure: str | None = None
        self._lost_reason: str | None = None
        self._record: EnergyRecord | None = None

    @property
    def failure(self) -> str | None:
        """Why the meter has stopped before its time, if it has."""
        return self._failure

    @property
    def trouble(self) -> str | None:
        """Why nothing is measured, or nothing written, any more; None while all is well."""
        return self._failure or (self._writer.failure if self._writer is not None else None)

    def so_far(self, phases: Collection[str]) -> Phase:
        """Return the sums of some phases up to the last sample."""
        spent = [self._integral.sums(name) for name in phases]
        return Phase(
            math.fsum(each.seconds for each in spent),
            math.fsum(each.joules for each in spent),
            sum(each.samples for each in spent),
        )

    def start(self) -> None:
        """Begin to sample in a thread of its own; does not raise."""
        self._alarm = Alarm()
        self.begin()
        self._thread = threading.Thread(target=self._loop, name="energy meter", daemon=True)
        self._thread.start()

    def begin_phase(self, phase: str, at: float | None = None) -> None:
        """Begin a phase, now or at a time of CLOCK_MONOTONIC; cheap, and does not raise."""
        self._integral.trace.add(phase, self._clock() if at is None else at)

    def stop(self) -> EnergyRecord:
        """End the measurement, close file and source, and return the record; does not raise."""
        if self._record is None:
            self.ask_to_stop()
            if self._thread is not None:
                self._thread.join(_JOIN_S)
                if self._thread.is_alive():
                    self._failure = f"the meter has not answered for {_JOIN_S:g} s"
                else:
                    self._alarm.close()
            self._record = self._finish()
        return self._record

    # What the thread does, step by step ---------------------------------------------------------

    def begin(self) -> None:
        """Set the start to now; without `start`, the caller makes the steps."""
        self._start = self._last_sign = self._clock()
        self._integral.start = self._start
        if self.path is not None:
            self._writer = PowerWriter(self.path, self.source.label)

    def ask_to_stop(self) -> None:
        """Set the end to now; steps go on until one knows the power at that time."""
        if self._end == math.inf:
            self._end = self._clock()
        if self._alarm is not None:
            self._alarm.ring()

    def step(self) -> bool:
        """Take one sample; return whether there is more to do."""
        before = self._clock()
        try:
            power = self.source.read()
        except OverRange:
            self._over_range += 1
            self._last_sign = before
            self._integral.add_over_range(before, self._end)
            return before < self._end
        except SampleLost as lost:
            return self._take_loss(before, lost.reason)
        except MeterLost as lost:
            return self._give_up(lost.reason)
        except Exception as error:  # whatever a meter does, the run goes on
            return self._give_up(f"{type(error).__name__}: {error}")
        if not math.isfinite(power.watts):
            return self._take_loss(before, "the power is no number")
        at = (before + self._clock()) / 2 if power.at is None else power.at
        self._age_s = min(max(0.0, before - at), _LAST_LIMIT_S)
        self._take(at, power)
        return at < self._end and before < self._end + _LAST_LIMIT_S

    def _take(self, at: float, power: Power) -> None:
        self._last_sign = max(self._last_sign, self._clock())
        self._integral.add(at, power, self._end)
        if self._start <= at <= self._end:
            self._samples += 1
            if self._writer is not None:
                self._writer.write(at - self._start, power, self._integral.phase)

    def _take_loss(self, now: float, reason: str) -> bool:
        self._lost += 1
        self._lost_reason = reason
        limit = max(LOST_AFTER_S, _LOST_AFTER_INTERVALS * self.interval_s)
        if now - self._last_sign >= limit:
            return self._give_up(f"no sample for {now - self._last_sign:.1f} s ({reason})")
        return now < self._end

    def _give_up(self, reason: str) -> bool:
        after = max(0.0, self._clock() - self._start)
        self._failure = f"stopped after {after:.1f} s: {reason}"
        self._integral.trace.forget()
        return False

    def wait_s(self) -> float:
        """Return the time until the next step is due."""
        if self._end < math.inf:
            return max(_LAST_WAIT_S, self._age_s)
        passed = (self._clock() - self._start) / self.interval_s
        self._number = max(self._number + 1, math.floor(passed))
        return max(0.0, self._number + self._random() - passed) * self.interval_s

    def _loop(self) -> None:
        while self.step():
            wait_s = self.wait_s()
            if self._alarm.wait(wait_s):
                time.sleep(max(_LAST_WAIT_S, self._age_s))

    def _finish(self) -> EnergyRecord:
        if self._writer is not None:
            self._writer.close()
        try:
            self.source.close()
        except Exception as error:  # it has given all that it had to give
            self._lost_reason = f"{type(error).__name__}: {error}"
        if not self._samples and self._failure is None:
            self._failure = f"no sample could be taken ({self._lost_reason or 'too short a run'})"
        if self._end < math.inf and self._failure is None:
            self._integral.finish(self._end)
        return self._make_record()

    def _make_record(self) -> EnergyRecord:
        record = EnergyRecord(
            available=self._failure is None,
            reason=self._failure,
            meter=self.source.label,
            kind=self.source.kind,
            interval_s=self.interval_s,
            samples=self._samples,
            lost_samples=self._lost,
            over_range=self._over_range,
            resets=getattr(self.source, "resets", 0),
            phases=self._integral.phases,
        )
        if self._failure is None and record.doubt:
            self._failure = record.reason = record.doubt
            record.available = False
        record.warnings += getattr(self.source, "warnings", [])
        record.warnings += warnings_of(
            record,
            missing_s=self._integral.missing_s,
            over_range_s=self._integral.over_range_s,
            period_s=getattr(self.source, "period_s", None),
        )
        if self._writer is not None and self._writer.failure:
            record.warnings.append(self._writer.failure)
        return record
