"""Which power meter: opens the one that the configuration names, and tells what there is."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from bnntrain.config import Meters
from bnntrain.meters.hwmon import Hwmon
from bnntrain.meters.ina219 import open_ina219
from bnntrain.meters.pmic import Pmic
from bnntrain.meters.power import MeterError, MeterLost, Power, PowerSource, SampleLost
from bnntrain.meters.rapl import Rapl
from bnntrain.meters.replay import Replay

AUTOMATIC = ("hwmon", "ina219", "pmic", "rapl")
"""The order in which ``auto`` tries: what sees the whole board comes first."""

_FIRST_LOOK_S = 0.1


def open_source(meters: Meters, root: Path = Path("/")) -> PowerSource:
    """Open the configured meter.

    Parameters
    ----------
    meters : Meters
        The section ``meters`` of a configuration.
    root : Path
        Folder that stands for ``/`` in the kernel's files.

    Returns
    -------
    PowerSource
        Open; close it, or give it to an `EnergyMeter`.

    Raises
    ------
    MeterError
        One line with the remedy; for ``auto``, why none of them works.
    """
    if meters.energy == "none":
        raise MeterError("meters.energy", "is none. Choose a meter ('bnntrain energy list')")
    if meters.energy != "auto":
        return _open(meters.energy, meters, root)
    reasons = []
    for kind in AUTOMATIC:
        try:
            return _open(kind, meters, root)
        except MeterError as error:
            reasons.append(f"{kind}: {error}")
    raise MeterError("no power meter works here", "; ".join(reasons))


def _open(kind: str, meters: Meters, root: Path) -> PowerSource:
    match kind:
        case "ina219":
            return open_ina219(
                meters.bus, meters.address, meters.shunt_ohm, meters.bus_range, meters.gain,
                meters.averaging,
            )  # fmt: skip
        case "hwmon":
            return Hwmon(meters.shunt_ohm, meters.bus, meters.address, root)
        case "pmic":
            return Pmic()
        case "rapl":
            return Rapl(root)
        case "replay":
            if meters.file is None:
                raise MeterError("meters.file", "missing. replay plays a file: give a power.csv")
            return Replay(Path(meters.file))
    raise MeterError("meters.energy", f"no meter '{kind}'")


@dataclass(frozen=True)
class Found:
    """What was found of one kind of meter.

    Attributes
    ----------
    kind : str
        As in ``meters.energy``.
    usable : bool
        It gave a reading.
    what : str
        The meter, or why it is not usable.
    watts : float or None
        The reading.
    """

    kind: str
    usable: bool
    what: str
    watts: float | None = None


def survey(meters: Meters, kind: str | None = None, root: Path = Path("/")) -> list[Found]:
    """Try every kind of meter that a board may have, or one kind, and take a reading of each."""
    kinds = AUTOMATIC if kind in (None, "auto") else (kind,)
    return [_look(each, meters, root) for each in kinds]


def _look(kind: str, meters: Meters, root: Path) -> Found:
    try:
        source = _open(kind, meters, root)
    except MeterError as error:
        return Found(kind, False, str(error))
    with contextlib.closing(source):
        time.sleep(_FIRST_LOOK_S)  # a counter tells power over a time
        try:
            power: Power = source.read()
        except (SampleLost, MeterLost) as lost:
            return Found(kind, False, f"{source.label}: {lost.reason}")
    if power.watts <= 0:
        reason = "0 W" if not power.watts else "negative: VIN+ and VIN- are swapped"
        return Found(kind, False, f"{source.label}: the power is {reason}", power.watts)
    return Found(kind, True, source.label, power.watts)
