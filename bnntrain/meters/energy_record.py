"""What an energy meter says at the end: sums by phase, baseline, and how far to trust them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bnntrain.meters.phases import IDLE, IDLE_AFTER, IDLE_BEFORE, Phase

FEWEST_SAMPLES = 10
"""A phase with fewer is named in the warnings."""

_FASTEST_STAY = 2.0  # intervals
_DRIFT = 0.05
_NOTABLE_S = 0.01  # of the measured time, below which a gap is not worth a word


@dataclass
class EnergyRecord:
    """The energy of a run.

    Attributes
    ----------
    available : bool
        False where there was no meter, it stopped before the end, or what it told cannot be (see
        `doubt`): then the sums are those of the part before, and no figure of the run.
    reason : str or None
        Why it is not available.
    meter, kind : str or None
        The meter in words, and its kind.
    interval_s : float
        Seconds between samples, as configured.
    samples, lost_samples, over_range, resets : int
        Samples that count, failed ones, ones beyond the range; how often the chip began anew.
    phases : dict of str to Phase
        Sums by phase, the baseline among them.
    warnings : list of str
        One line each.
    """

    available: bool
    reason: str | None = None
    meter: str | None = None
    kind: str | None = None
    interval_s: float = 0.0
    samples: int = 0
    lost_samples: int = 0
    over_range: int = 0
    resets: int = 0
    phases: dict[str, Phase] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def unavailable(
        cls, reason: str, kind: str | None = None, interval_s: float = 0.0
    ) -> EnergyRecord:
        """Return the record of a meter that could not be opened."""
        return cls(False, reason, kind=kind, interval_s=interval_s)

    @property
    def seconds(self) -> float:
        """Measured time without the idle phases."""
        return math.fsum(each.seconds for name, each in self.phases.items() if name not in IDLE)

    @property
    def joules(self) -> float | None:
        """Energy in that time; None where nothing was measured, or what cannot be."""
        total = self._total_joules()
        return total if self.seconds and 0 < total < math.inf else None

    def _total_joules(self) -> float:
        return math.fsum(each.joules for name, each in self.phases.items() if name not in IDLE)

    @property
    def watts(self) -> float | None:
        """Mean power in that time."""
        return None if self.joules is None else self.joules / self.seconds

    @property
    def doubt(self) -> str | None:
        """Why the figures cannot be those of a machine that runs; None where they can.

        Such a machine takes power at any time: less than nothing is a fault of the wiring, and
        nothing at all a meter that does not measure.
        """
        negative = [name for name, each in self.phases.items() if each.joules < 0]
        if negative:
            where = ", ".join(negative)
            return f"the power is negative ({where}): VIN+ and VIN- of the meter are swapped"
        total = self._total_joules()
        if not math.isfinite(total):
            return "the power is beyond all measure"
        if not self.seconds:
            return "too few samples for any time between them"
        if not total:
            return "the power is 0 W all the time: nothing flows through the meter, or it is dead"
        return None

    @property
    def drift_watts(self) -> float | None:
        """Idle power after the run, less that before."""
        before, after = self.idle_watts(IDLE_BEFORE), self.idle_watts(IDLE_AFTER)
        return None if before is None or after is None else after - before

    @property
    def net_joules(self) -> float | None:
        """Energy above the mean idle power; None without a baseline, or without a whole run."""
        found = [each for each in map(self.idle_watts, IDLE) if each is not None]
        if not found or not self.available or self.joules is None:
            return None
        return self.joules - math.fsum(found) / len(found) * self.seconds

    def idle_watts(self, phase: str) -> float | None:
        """Return the mean power of a baseline, ``idle_before`` or ``idle_after``."""
        watts = self.phases[phase].watts if phase in self.phases else None
        return None if watts is None or watts < 0 else watts

    def to_json(self) -> dict[str, object]:
        """Return what ``run.json`` holds: seconds, joules, watts."""
        return {
            "available": self.available,
            "reason": self.reason,
            "meter": self.meter,
            "kind": self.kind,
            "interval_s": self.interval_s,
            "samples": self.samples,
            "lost_samples": self.lost_samples,
            "over_range": self.over_range,
            "resets": self.resets,
            "warnings": list(self.warnings),
            "seconds": self.seconds,
            "joules": self.joules,
            "phases": {
                name: {
                    "seconds": each.seconds,
                    "joules": each.joules if 0 <= each.joules < math.inf else None,
                    "samples": each.samples,
                }
                for name, each in self.phases.items()
                if each.seconds or each.samples
            },
            "idle_watts_before": self.idle_watts(IDLE_BEFORE),
            "idle_watts_after": self.idle_watts(IDLE_AFTER),
            "drift_watts": self.drift_watts,
            "net_joules": self.net_joules,
        }


def warnings_of(
    record: EnergyRecord, missing_s: float, over_range_s: float, period_s: float | None
) -> list[str]:
    """Say in what the figures of a record are weaker than they look.

    Parameters
    ----------
    record : EnergyRecord
        Complete but for its warnings.
    missing_s, over_range_s : float
        Seconds that are in no sum, without samples or beyond the range.
    period_s : float or None
        Seconds between two new values of the meter.
    """
    found = []
    if record.over_range:
        found.append(
            f"{_samples(record.over_range)} beyond the meter's range; {over_range_s:.2f} s around "
            "them are not counted. Raise meters.gain, or take a smaller shunt"
        )
    if missing_s > _NOTABLE_S * (record.seconds + missing_s) or missing_s > 1:
        found.append(f"{missing_s:.2f} s without samples are not counted")
    if period_s is not None and period_s > record.interval_s:
        found.append(
            f"the meter has a new value every {period_s:.3g} s only, and is asked every "
            f"{record.interval_s:.3g} s. Raise meters.interval or lower meters.averaging"
        )
    return found + _phase_warnings(record) + _drift_warning(record)


def _phase_warnings(record: EnergyRecord) -> list[str]:
    # A baseline is one long stay; phases of a step are many short ones.
    spent = {name: each for name, each in record.phases.items() if each.seconds > 0}
    few = [name for name, each in spent.items() if each.samples < FEWEST_SAMPLES]
    fast = [
        name for name, each in spent.items()
        if each.stays and each.seconds / each.stays < _FASTEST_STAY * record.interval_s
    ]  # fmt: skip
    found = []
    if few:
        counts = ", ".join(f"{name} ({spent[name].samples})" for name in few)
        found.append(f"fewer than {FEWEST_SAMPLES} samples: {counts}. Their energy is rough")
    if fast:
        found.append(
            f"shorter than {_FASTEST_STAY:g} samples at a time: {', '.join(fast)}. "
            "Their shares follow time more than power"
        )
    return found


def _drift_warning(record: EnergyRecord) -> list[str]:
    drift, before = record.drift_watts, record.idle_watts(IDLE_BEFORE)
    if drift is None or abs(drift) <= _DRIFT * abs(before):
        return []
    return [f"idle power moved by {drift:+.2f} W from before to after: net energy is rough"]


def _samples(count: int) -> str:
    return "1 sample was" if count == 1 else f"{count} samples were"
