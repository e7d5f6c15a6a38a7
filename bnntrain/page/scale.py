"""Axes: round steps, the numbers on them, and where a value lies."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0)
# Values beyond these cannot be drawn, whatever they mean.
_LARGEST = 1e300


@dataclass(frozen=True)
class Axis:
    """A range of values with round ticks.

    Attributes
    ----------
    low, high : float
        Ends of the axis; ``low < high``.
    ticks : tuple of float
        Between the ends, rising, one step apart.
    step : float
        1, 2 or 5 times a power of ten.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    step: float

    def fraction(self, value: float) -> float:
        """Return where a value lies: 0 at `low`, 1 at `high`; kept within the axis."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def text(self, tick: float) -> str:
        """Write a tick with the decimals that its step needs."""
        return step_text(tick, self.step)


def finite(values: Iterable[float | None]) -> list[float]:
    """Return those values that are numbers and can be drawn."""
    return [v for v in values if v is not None and -_LARGEST < v < _LARGEST]


def round_step(span: float, count: int, whole: bool = False) -> float:
    """Return the smallest round step that gives at most `count` intervals over `span`."""
    raw = max(span / count, 1e-300)
    power = 10.0 ** math.floor(math.log10(raw))
    # The factor forgives the last bit of the division.
    step = next(s * power for s in _STEPS if s * power >= raw * (1 - 1e-9))
    return max(step, 1.0) if whole else step


def make_axis(
    values: Iterable[float | None],
    count: int = 5,
    whole: bool = False,
    tight: bool = False,
    floor: float | None = None,
    ceiling: float | None = None,
) -> Axis:
    """Make an axis for values.

    Parameters
    ----------
    values : iterable of float or None
        What must fit on it; what is no number is left out.
    count : int
        Most intervals between ticks.
    whole : bool
        Ticks on whole numbers only.
    tight : bool
        End where the values end, not at the next tick.
    floor, ceiling : float, optional
        The axis ends there at the latest (0 and 100 for percents), unless a value lies beyond.

    Returns
    -------
    Axis
    """
    known = finite(values) or [0.0, 1.0]
    least, most = min(known), max(known)
    low, high = least, most
    smallest = max(abs(low), abs(high), 1e-9) * (1e-9 if tight else 1e-3)
    if high - low < smallest:  # one value, or all alike
        margin = max(0.5, abs(high) * 1e-6) if whole else max(abs(high) * 0.05, 1e-9)
        low, high = low - margin, high + margin
    step = round_step(high - low, count, whole)
    if not tight:
        # A value that is nothing beside a step would round to 0, and lie beyond it.
        low = min(math.floor(low / step) * step, low)
        high = max(math.ceil(high / step) * step, high)
    if floor is not None:
        low = max(low, min(floor, least))
    if ceiling is not None:
        high = min(high, max(ceiling, most))
    if not low < high:
        high = low + step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(n * step for n in range(first, last + 1)), step)


def step_text(value: float, step: float) -> str:
    """Write a multiple of `step`."""
    value = 0.0 if abs(value) < 1e-6 * step else value
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{min(decimals, 9)}f}"


def number(value: float | None, digits: int = 4) -> str:
    """Write a figure with some significant digits, without an exponent where that is readable."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits}g}"
    # Digits before the point; below 0 for zeros after it.
    whole = math.floor(math.log10(abs(value))) + 1 if value else 1
    return f"{value:,.{max(0, digits - whole)}f}"


_TIME_UNITS = (("h", 3600.0, 3 * 3600.0), ("min", 60.0, 180.0))


def time_unit(span_s: float) -> tuple[str, float]:
    """Return the unit in which a time axis is read, and its seconds."""
    return next(((unit, size) for unit, size, least in _TIME_UNITS if span_s >= least), ("s", 1.0))


def duration(seconds: float | None) -> str:
    """Write a length of time."""
    if seconds is None:
        return "-"
    unit, size = time_unit(seconds)
    return f"{number(seconds / size, 3)} {unit}"
