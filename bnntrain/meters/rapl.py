"""Intel's RAPL counters of energy (AMD's too): ``/sys/class/powercap/intel-rapl:*``.

Zones overlap: ``core`` and ``uncore`` are parts of ``package``, ``psys`` holds all of them, and the
tree ``intel-rapl-mmio`` counts the package again. Packages are added up, and ``dram``, which no
package holds. A counter wraps at its ``max_energy_range_uj``.

Source: the kernel's documentation of the powercap class.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bnntrain.meters.files import sample_of, text_of
from bnntrain.meters.power import MeterError, Power, SampleLost

_FOLDER = "sys/class/powercap"
_WANTED = re.compile(r"package-.*|dram")
_MICRO = 1e-6
_SHORTEST_S = 1e-3  # a counter is renewed about every millisecond
# What no package takes: a counter that seems to say so has begun anew (after a sleep of the
# machine), not wrapped.
_ABSURD_W = 5000.0


@dataclass
class _Zone:
    name: str
    path: Path
    range_uj: int
    last_uj: int = 0


class Rapl:
    """A power source whose values are means since the former one.

    Parameters
    ----------
    root : Path
        Folder that stands for ``/``.
    clock : callable
        That of `time`; tests give their own.

    Attributes
    ----------
    resets : int
        How often a counter began anew without having wrapped.

    Raises
    ------
    MeterError
        There is none, or no permission to read it.
    """

    kind = "rapl"
    period_s = _SHORTEST_S

    def __init__(
        self, root: Path = Path("/"), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.resets = 0
        self._zones = _zones(root)
        self._time = clock()
        for zone in self._zones:
            zone.last_uj = sample_of(zone.path)
        self.label = f"Intel RAPL: {', '.join(zone.name for zone in self._zones)}"

    def read(self) -> Power:
        """Return the mean power since the former reading."""
        now = self._clock()
        elapsed = now - self._time
        if elapsed < _SHORTEST_S:
            raise SampleLost("asked again within a millisecond")
        values = [sample_of(zone.path) for zone in self._zones]
        joules = 0.0
        for zone, value in zip(self._zones, values, strict=True):
            joules += _since(zone, value) * _MICRO
            zone.last_uj = value
        self._time = now
        if joules > _ABSURD_W * elapsed:
            self.resets += 1
            raise SampleLost("a counter began anew")
        return Power(joules / elapsed, at=now, is_mean=True)

    def close(self) -> None:
        """Nothing is open."""


def _since(zone: _Zone, value: int) -> int:
    passed = value - zone.last_uj
    return passed if passed >= 0 else passed + zone.range_uj


def _zones(root: Path) -> list[_Zone]:
    found = []
    for folder in sorted((root / _FOLDER).glob("intel-rapl:*")):
        name = text_of(folder / "name") or ""
        if not _WANTED.fullmatch(name):
            continue
        path = folder / "energy_uj"
        if not os.access(path, os.R_OK):
            message = (
                "no permission. Run 'sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj' "
                "(until the next start), or run as root"
            )
            raise MeterError(path, message)
        found.append(_Zone(name, path, int(text_of(folder / "max_energy_range_uj") or 0)))
    if not any(zone.name != "dram" for zone in found):
        message = "no RAPL here (an ARM board, a virtual machine?). Choose another meters.energy"
        raise MeterError(f"/{_FOLDER}", message)
    return found
