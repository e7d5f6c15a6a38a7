"""The true resistance of a shunt, from a current that is known otherwise.

    shunt = voltage over the shunt / true current

The true current is a multimeter's, or that through a known resistor: bus voltage / ohms. What the
chip errs in proportion goes into the result and so is corrected with it; what remains is the error
of the reference, the chip's offset, and the scatter of the samples.

Source: Texas Instruments, INA219 data sheet SBOS448: limits of offset and of the bus voltage.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bnntrain.errors import UsageError
from bnntrain.meters.power import Power

_OFFSET_V = 100e-6
_BUS_ERROR = 0.005
_SMALLEST_V = 1e-3
"""Voltage over the shunt below which there is no load to calibrate with."""
_SMALLEST_BUS_V = 0.1


@dataclass(frozen=True)
class Calibration:
    """A corrected shunt.

    Attributes
    ----------
    shunt_ohm, error_ohm : float
        The resistance and its uncertainty.
    volts, amps : float
        Means of what was measured, with the shunt as it was configured.
    samples : int
        How many.
    """

    shunt_ohm: float
    error_ohm: float
    volts: float
    amps: float
    samples: int


def calibrate(
    samples: Sequence[Power],
    shunt_ohm: float,
    error: float,
    load_ohm: float | None = None,
    amps: float | None = None,
) -> Calibration:
    """Compute the shunt.

    Parameters
    ----------
    samples : sequence of Power
        With volts and amps; two or more.
    shunt_ohm : float
        The shunt that they were computed with.
    error : float
        Relative uncertainty of the reference: 0.01 for 1 %.
    load_ohm, amps : float or None
        The reference: one of the two.

    Raises
    ------
    UsageError
        Too few samples, no current flows, or no voltage drives it.
    """
    if len(samples) < 2:
        raise UsageError("fewer than two samples. Give a longer --for")
    currents = [sample.amps for sample in samples]
    volts, measured = (statistics.fmean(each) for each in ([s.volts for s in samples], currents))
    over_shunt = measured * shunt_ohm
    if over_shunt < _SMALLEST_V:
        message = f"{1e3 * over_shunt:.2f} mV over the shunt: no load, or VIN+ and VIN- are swapped"
        raise UsageError(f"{message}. Connect the load behind VIN-")
    if load_ohm is not None and volts < _SMALLEST_BUS_V:
        message = f"{volts:.3f} V behind the shunt. Put it into the plus wire, the load behind VIN-"
        raise UsageError(message)
    true = amps if load_ohm is None else volts / load_ohm
    scatter = statistics.stdev(currents) / math.sqrt(len(currents)) / measured
    bus = 0.0 if load_ohm is None else _BUS_ERROR
    relative = math.hypot(error, scatter, _OFFSET_V / over_shunt, bus)
    found = over_shunt / true
    return Calibration(found, found * relative, volts, measured, len(samples))
