"""Intel's RAPL counters of energy (AMD's too): ``/sys/class/powercap/intel-rapl:*``.

Zones overlap: ``core`` and ``uncore`` are parts of ``package``, ``psys`` holds all of them, and the
tree ``intel-rapl-mmio`` counts the package again. Packages are added up, and ``dram``, which no
package holds. A counter wraps at its ``max_energy_range_uj``; where the kernel does not tell that,
what passed while it wrapped is not known and not counted.

A package always takes power. Where its counter stands still, as in some virtual machines, there is
no value until it moves again. Memory may have a counter that never moves; that is told.

Source: the kernel's documentation of the powercap class.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bnntrain.meters.files import number_of, sample_of, text_of
from bnntrain.meters.power import MeterError, MeterLost, Power, SampleLost, often

_FOLDER = "sys/class/powercap"
_MEMORY = "dram"
_WANTED = re.compile(rf"package-.*|{_MEMORY}")
_MICRO = 1e-6
_SHORTEST_S = 1e-3  # a counter is renewed about every millisecond
# What no package takes: a counter that seems to say so has begun anew (after a sleep of the
# machine), not wrapped.
_ABSURD_W = 5000.0


@dataclass
class _Zone:
    """One counter: its range, where that is told, and its last value."""

    name: str
    path: Path
    range_uj: int | None
    last_uj: int = 0
    has_moved: bool = False

    def read(self) -> int:
        """Return the counter."""
        value = sample_of(self.path)
        if value < 0:
            raise SampleLost(f"{self.name}: {self.path.name} is below 0")
        return value

    def since_last(self, value: int) -> int | None:
        """Return the microjoules up to a new value; None where a wrap may have hidden some."""
        passed = value - self.last_uj
        if passed < 0 and self.range_uj is not None:
            passed += self.range_uj
        return passed if passed >= 0 else None


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
        How often a counter began anew without having wrapped, or so that it cannot be told.

    Raises
    ------
    MeterError
        There is none, no permission to read it, or no number in it.
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
            try:
                zone.last_uj = zone.read()
            except (SampleLost, MeterLost) as lost:
                message = f"{lost.reason}. Choose another meters.energy"
                raise MeterError(zone.path, message) from None
        self.label = f"Intel RAPL: {', '.join(zone.name for zone in self._zones)}"

    def read(self) -> Power:
        """Return the mean power since the former reading."""
        now, begin = self._clock(), self._time
        elapsed = now - begin
        if elapsed < _SHORTEST_S:
            raise SampleLost("asked again within a millisecond")
        values = [zone.read() for zone in self._zones]
        passed = [zone.since_last(value) for zone, value in zip(self._zones, values, strict=True)]
        for zone, microjoules in zip(self._zones, passed, strict=True):
            # Nothing is taken over: what it counts later is the mean since its last move.
            if microjoules == 0 and zone.name != _MEMORY:
                raise SampleLost(f"the counter of {zone.name} stands still")
        self._time = now
        for zone, value in zip(self._zones, values, strict=True):
            zone.has_moved = zone.has_moved or value != zone.last_uj
            zone.last_uj = value
        if None in passed or sum(passed) * _MICRO > _ABSURD_W * elapsed:
            self.resets += 1
            raise SampleLost("a counter began anew")
        return Power(sum(passed) * _MICRO / elapsed, at=now, since=begin)

    @property
    def warnings(self) -> list[str]:
        """In what the figures are weaker than they look."""
        found = []
        if self.resets:
            found.append(f"a counter began anew {often(self.resets)}{self._why_anew()}")
        still = [zone.name for zone in self._zones if not zone.has_moved and zone.name == _MEMORY]
        if still and any(zone.has_moved for zone in self._zones):
            found.append(f"the counter of {still[0]} stands still: memory is not in the figures")
        return found

    def _why_anew(self) -> str:
        untold = [zone.name for zone in self._zones if zone.range_uj is None]
        return f" (max_energy_range_uj of {untold[0]} cannot be read)" if untold else ""

    def close(self) -> None:
        """Nothing is open."""


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
        range_uj = number_of(folder / "max_energy_range_uj")
        found.append(_Zone(name, path, range_uj if range_uj and range_uj > 0 else None))
    if not any(zone.name != _MEMORY for zone in found):
        message = "no RAPL here (an ARM board, a virtual machine?). Choose another meters.energy"
        raise MeterError(f"/{_FOLDER}", message)
    return found
