"""The meters of a run together: one place to begin phases, one answer at the end.

Whatever a meter does, the run goes on: one that cannot be opened, or whose file cannot be written,
is reported in one line, and ``run.json`` says why there is no figure.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from bnntrain.config import Meters
from bnntrain.meters.energy import EnergyMeter
from bnntrain.meters.energy_record import FEWEST_SAMPLES, EnergyRecord
from bnntrain.meters.memory import MemoryMeter, MemoryRecord
from bnntrain.meters.memory_readers import load_library, open_reader
from bnntrain.meters.phases import IDLE_AFTER, IDLE_BEFORE, OTHER, STEP_PHASES, Phase
from bnntrain.meters.power import MeterError
from bnntrain.native import Trace

MEMORY_FILE, POWER_FILE = "memory.dat", "power.csv"
_NOT_ENDED = "the run has not ended"
_GOES_ON = "Training goes on"

SECTIONS = ("memory", "energy")
"""Of ``run.json``."""


def earlier_sections(recorded: Mapping[str, object]) -> dict[str, list[object]]:
    """Return what processes before this one have measured of the run, from its ``run.json``.

    A process that was killed has left no figures.
    """
    found: dict[str, list[object]] = {}
    for name in SECTIONS:
        former = recorded.get(name)
        former = dict(former) if isinstance(former, Mapping) else {}
        before = former.pop("earlier", None)
        found[name] = list(before) if isinstance(before, list) else []
        if former.get("available"):
            found[name].append(former)
    return found


def ignore(_phase: str) -> None:
    """Do nothing: what phases are told to where nothing is recorded."""


class Recording:
    """Records memory and energy of a run.

    Parameters
    ----------
    meters : Meters
        What to record, and how.
    folder : Path
        Folder of the run; it exists when `start` is called.
    warn : callable
        Told, in one line, what is not recorded.

    Attributes
    ----------
    begin_phase : callable
        Begins a phase, by name; `ignore` where nothing is recorded.
    """

    def __init__(self, meters: Meters, folder: Path, warn: Callable[[str], None]) -> None:
        self.meters, self.folder, self.warn = meters, folder, warn
        self.begin_phase: Callable[[str], None] = ignore
        self._trace = Trace(OTHER)
        self._memory: MemoryMeter | None = None
        self._energy: EnergyMeter | None = None
        off = "switched off: meters.memory is false"
        self._memory_record = MemoryRecord(False, _NOT_ENDED if meters.memory else off)
        self._energy_record = EnergyRecord.unavailable("no meter was chosen: meters.energy is none")
        self._warned: set[str] = set()
        self._at_epoch, self._is_whole = Phase(), True
        if meters.energy != "none":
            # Now, before the arena is made: what it takes is not the training's. Most runs need no
            # driver and do without.
            import bnntrain.meters.sources  # noqa: F401
        if meters.memory:
            load_library(meters)

    @property
    def trace(self) -> Trace | None:
        """Where `begin_phase` leads; None where nothing is recorded."""
        return None if self.begin_phase is ignore else self._trace

    def start(self) -> None:
        """Open the meters and begin; does not raise."""
        if self.meters.memory:
            self._start_memory()
        if self.meters.energy != "none":
            self._start_energy()
        if self._energy is None:
            self._trace.forget()
        if self._memory is not None or self._energy is not None:
            self.begin_phase = self._trace.begin
        self._pass_on_troubles()

    def _start_memory(self) -> None:
        path = self.folder / MEMORY_FILE
        opened = functools.partial(open_reader, self.meters)
        meter = MemoryMeter(self.meters.memory_interval, path, self._trace, opened)
        try:
            meter.start()
            self._memory = meter
        except (MeterError, OSError, RuntimeError) as error:
            reason = f"the system does not tell of its memory ({error})"
            reason = str(error) if isinstance(error, MeterError) else reason
            self._memory_record = MemoryRecord(False, reason)
            self._say(f"no memory is recorded: {reason}. {_GOES_ON}")

    def _start_energy(self) -> None:
        from bnntrain.meters.sources import open_source

        meters = self.meters
        try:
            path = self.folder / POWER_FILE
            meter = EnergyMeter(open_source(meters), meters.interval, path, trace=self._trace)
            meter.start()
        except Exception as error:  # whatever a meter does, the run goes on
            reason = str(error) if isinstance(error, MeterError) else repr(error)
            self._energy_record = EnergyRecord.unavailable(reason, meters.energy, meters.interval)
            self._say(f"no energy is recorded: {reason}. {_GOES_ON}")
            return
        kind = meter.source.kind
        self._energy_record = EnergyRecord.unavailable(_NOT_ENDED, kind, meters.interval)
        self._energy = meter

    @property
    def has_idle(self) -> bool:
        """Whether there is a baseline to take."""
        return self._energy is not None and self.meters.idle > 0 and not self._energy.failure

    # What the engine says -----------------------------------------------------------------------

    def idle_before(self, stop: threading.Event) -> None:
        """Take the baseline before the run, until `stop` is set."""
        self._idle(IDLE_BEFORE, stop)

    def idle_after(self, stop: threading.Event) -> None:
        """Take the baseline after the run, until `stop` is set."""
        self._idle(IDLE_AFTER, stop)

    def _idle(self, phase: str, stop: threading.Event) -> None:
        if self.has_idle:
            self.begin_phase(phase)
            stop.wait(self.meters.idle)
            self.begin_phase(OTHER)

    def begin_epoch(self, is_whole: bool = True) -> None:
        """An epoch begins; it is not whole where a former process trained on its first batches."""
        self._is_whole = is_whole
        if self._memory is not None:
            self._memory.begin_epoch()
        self._at_epoch = self._training()

    def training_joules(self) -> float | None:
        """Return the energy of the epoch's training; None where it was not measured as a whole.

        The last samples may still be missing right after the training: ask when the epoch has been
        evaluated.
        """
        before, now = self._at_epoch, self._training()
        is_lost = self._energy is None or self._energy.failure
        if is_lost or not self._is_whole or now.samples - before.samples < FEWEST_SAMPLES:
            return None
        joules = now.joules - before.joules
        return joules if 0 < joules < math.inf else None  # see EnergyRecord.doubt

    def end_epoch(self) -> None:
        """An epoch has ended, its checkpoint is written."""
        if self._memory is not None:
            self._memory.end_epoch()
        self._pass_on_troubles()

    def _training(self) -> Phase:
        """Return the sums of the phases of a batch so far."""
        return Phase() if self._energy is None else self._energy.so_far(STEP_PHASES)

    def stop(self, batches: int, batch_size: int) -> dict[str, dict[str, object]]:
        """End the recording.

        Parameters
        ----------
        batches : int
            How many were trained on while it ran.
        batch_size : int
            Images of each.

        Returns
        -------
        dict
            Sections ``memory`` and ``energy`` of ``run.json``.
        """
        self.close()
        self._pass_on_troubles()
        return self.sections(batches, batch_size)

    def sections(self, batches: int = 0, batch_size: int = 1) -> dict[str, dict[str, object]]:
        """Return what `stop` returns; before the end, that there is nothing yet."""
        return {
            "memory": self._memory_record.to_json(),
            "energy": self._energy_record.to_json() | self._per(batches, batch_size),
        }

    def close(self) -> None:
        """Stop the meters and close their files; warns of nothing."""
        self.begin_phase = ignore
        if self._memory is not None:
            self._memory_record = self._memory.stop()
        if self._energy is not None:
            self._energy_record = self._energy.stop()

    def _per(self, batches: int, batch_size: int) -> dict[str, float | None]:
        """Return the energy of the training by batch and by image, gross and above the baseline."""
        record = self._energy_record
        spent = [each for name, each in record.phases.items() if name in STEP_PHASES]
        found: dict[str, float | None] = dict.fromkeys(
            ("j_per_batch", "j_per_image", "net_j_per_batch", "net_j_per_image")
        )
        if not record.available or not batches or not any(each.samples for each in spent):
            return found
        joules = sum(each.joules for each in spent)
        found["j_per_batch"] = joules / batches
        if record.net_joules is not None and record.seconds:
            idle_watts = (record.joules - record.net_joules) / record.seconds
            net = joules - idle_watts * sum(each.seconds for each in spent)
            found["net_j_per_batch"] = net / batches
        for name in ("j_per", "net_j_per"):
            if found[f"{name}_batch"] is not None:
                found[f"{name}_image"] = found[f"{name}_batch"] / batch_size
        return found

    def _pass_on_troubles(self) -> None:
        for meter, what in ((self._memory, "memory"), (self._energy, "energy")):
            if meter is not None and meter.trouble:
                self._say(f"{what}: {meter.trouble}. {_GOES_ON}")

    def _say(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            self.warn(line)
