"""A chip on a bench: the real driver and the real meter on the simulator, on a clock of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from simulator import Bus, Chip, Clock, smbus2_of
from waveforms import Constant, Waveform

from bnntrain.meters.energy import EnergyMeter
from bnntrain.meters.i2c import Device
from bnntrain.meters.ina219 import Ina219


class Bench:
    """A chip with its driver.

    Parameters
    ----------
    monkeypatch : pytest's
        Puts the simulator in the place of smbus2.
    amps, volts : Waveform
        What the chip sees; time 0 is where the clock begins.
    """

    def __init__(
        self, monkeypatch, amps: Waveform, volts: Waveform | None = None, **options
    ) -> None:
        self.clock = Clock(0.0)
        self.chip = Chip(self.clock, amps, volts or Constant(5.0))
        self.bus = Bus({0x40: self.chip}, self.clock)
        monkeypatch.setitem(sys.modules, "smbus2", smbus2_of(self.bus))
        self.source = Ina219(Device(1, 0x40), clock=self.clock, sleep=self.clock.sleep, **options)

    def record(
        self,
        seconds: float,
        interval_s: float = 0.05,
        events: dict[float, Callable[[EnergyMeter], object]] | None = None,
        path: Path | None = None,
    ):
        """Measure for a time; return the record, and start and end on the clock.

        `events` are called at seconds after the start, between two samples.
        """
        meter = EnergyMeter(self.source, interval_s, path, clock=self.clock)
        meter.begin()
        start = self.clock()
        pending = sorted((events or {}).items(), key=lambda each: each[0])
        is_asked = False
        while meter.step():
            due = self.clock() + meter.wait_s()
            while pending and start + pending[0][0] <= due:
                when, event = pending.pop(0)
                self.clock.now = max(self.clock.now, start + when)
                event(meter)
            if start + seconds <= due and not is_asked:
                self.clock.now = max(self.clock.now, start + seconds)
                meter.ask_to_stop()
                is_asked = True
            self.clock.now = max(self.clock.now, due)
        return meter.stop(), start, start + seconds
