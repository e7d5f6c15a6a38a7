"""What a power meter is: one interface for all of them, and the ways in which it may fail.

A source is asked again and again by one thread (see `bnntrain.meters.energy`). It answers with a
`Power`, or says that this sample is lost (`SampleLost`, `OverRange`) or that there will be no more
(`MeterLost`). It never answers with a value that it did not measure.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from bnntrain.errors import BnntrainError


class Power(NamedTuple):
    """One reading.

    Attributes
    ----------
    watts : float
        Power in watt.
    volts, amps : float or None
        What it was computed from; None where the meter gives power only.
    at : float or None
        When it was so, in seconds on CLOCK_MONOTONIC; None stands for the moment of the call. A
        meter that averages gives the middle of what it averaged over.
    since : float or None
        `watts` is the mean since then, on the same clock (a counter of energy); None where it is
        the power at a moment.
    """

    watts: float
    volts: float | None = None
    amps: float | None = None
    at: float | None = None
    since: float | None = None


def often(count: int) -> str:
    """Write how often something happened."""
    return "once" if count == 1 else f"{count} times"


class MeterError(BnntrainError):
    """A meter that cannot be opened.

    Parameters
    ----------
    meter : object
        The meter, or the file that stands for it.
    message : str
        What is wrong and the remedy, in one line.
    """

    exit_code = 2

    def __init__(self, meter: object, message: str) -> None:
        super().__init__(meter, message)
        self.meter = meter
        self.message = message


class SampleLost(Exception):  # noqa: N818  (no error of the program's)
    """A sample that could not be taken; the next may be.

    Parameters
    ----------
    reason : str
        For the record, e.g. ``no acknowledgement``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OverRange(SampleLost):
    """A power above what the meter can measure: how far above is not known."""


class MeterLost(Exception):  # noqa: N818
    """A meter that is gone for good.

    Parameters
    ----------
    reason : str
        For the record, with the remedy.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@runtime_checkable
class PowerSource(Protocol):
    """A power meter.

    Attributes
    ----------
    label : str
        For people, e.g. ``INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm``.
    kind : str
        ``ina219``, ``hwmon``, ``pmic``, ``rapl`` or ``replay``.

    Notes
    -----
    A source may also have ``resets`` (int, how often the chip or its counter began anew),
    ``warnings`` (list of str, in what its figures are weaker than they look) and ``period_s``
    (float, time between two new values: asking more often gives no more).
    """

    label: str
    kind: str

    def read(self) -> Power:
        """Return the power now.

        Raises
        ------
        SampleLost
            Not this time.
        MeterLost
            Never again.
        """

    def close(self) -> None:
        """Give the device back; may be called again."""
