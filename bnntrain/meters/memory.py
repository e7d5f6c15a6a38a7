"""The memory meter of a run: a thread that samples resident memory, phase by phase.

A sample is what memory_profiler takes for one, by default the resident set size. That is read from
the same table that memory_profiler reads by way of psutil: importing the two would add to the
memory that is to be measured (see `bnntrain.meters.memory_readers`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bnntrain.meters.alarm import Alarm
from bnntrain.meters.memory_readers import BuiltIn, MemoryReader
from bnntrain.meters.mprof_file import Bracket, MprofWriter
from bnntrain.meters.phases import OTHER, STEP_PHASES
from bnntrain.native import Trace

BRACKETED_BATCHES = 2
"""So many batches of an epoch have their phases in ``memory.dat``; all would make it grow with the
number of batches."""

_EPOCH = "epoch"
_FLUSH_S = 2.0
_JOIN_S = 5.0

Edge = tuple[int, float]
"""Bytes, and seconds on CLOCK_MONOTONIC."""


@dataclass
class PhasePeak:
    """The samples that fell into a phase, and the highest of them or of the phase's edges."""

    samples: int = 0
    peak_bytes: int = 0


@dataclass
class MemoryRecord:
    """What sampling found.

    Attributes
    ----------
    available : bool
        Whether it was sampled to the end.
    reason : str or None
        Why not.
    backend, kind, children : str, str, bool
        What was read, and how: see `bnntrain.meters.memory_readers.MemoryReader`.
    interval_s, seconds, cpu_seconds : float
        Time between samples, of the whole recording, and what the sampling thread took of a core.
    samples : int
        How many.
    start_bytes, peak_bytes, end_bytes : int or None
        First, highest and last sample.
    phases : dict of str to PhasePeak
        By phase, in the order in which they were met.
    warnings : list of str
        One line each.
    """

    available: bool
    reason: str | None = None
    backend: str = BuiltIn.backend
    kind: str = BuiltIn.kind
    children: bool = BuiltIn.children
    interval_s: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    samples: int = 0
    start_bytes: int | None = None
    peak_bytes: int | None = None
    end_bytes: int | None = None
    phases: dict[str, PhasePeak] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return what ``run.json`` holds: seconds, bytes."""
        return {
            "available": self.available,
            "reason": self.reason,
            "backend": self.backend,
            "kind": self.kind,
            "children": self.children,
            "interval_s": self.interval_s,
            "seconds": self.seconds,
            "sampling_cpu_seconds": self.cpu_seconds,
            "samples": self.samples,
            "start_bytes": self.start_bytes,
            "sampled_peak_bytes": self.peak_bytes,
            "end_bytes": self.end_bytes,
            "phases": {
                name: {"samples": each.samples, "peak_bytes": each.peak_bytes}
                for name, each in self.phases.items()
            },
            "warnings": list(self.warnings),
        }


class MemoryMeter:
    """Samples resident memory in a thread of its own.

    Epochs, evaluations, checkpoints and baselines become brackets of ``memory.dat``, and so do the
    phases of an epoch's first `BRACKETED_BATCHES` batches.

    Parameters
    ----------
    interval_s : float
        Seconds between samples.
    path : Path
        ``memory.dat``; one that is there is continued.
    trace : Trace or None
        Where phases begin; None for a trace of its own.
    make_reader : callable
        Opens what samples are read by, when the recording starts.

    Attributes
    ----------
    trouble : str or None
        Why nothing is sampled any more, or why the file ends early.

    Examples
    --------
    >>> meter = MemoryMeter(0.1, run_dir / "memory.dat")
    >>> meter.start()
    >>> meter.begin_phase("forward")
    >>> record = meter.stop()
    >>> record.to_json()["sampled_peak_bytes"]
    """

    def __init__(
        self,
        interval_s: float,
        path: Path,
        trace: Trace | None = None,
        make_reader: Callable[[], MemoryReader] = BuiltIn,
    ) -> None:
        self.interval_s, self.path = interval_s, path
        self._trace = trace or Trace(OTHER)
        if trace is None:
            self._trace.forget()
        self.record = MemoryRecord(False, "the recording has not ended", interval_s=interval_s)
        self._make_reader = make_reader
        self._reader: MemoryReader | None = None
        self._failure: str | None = None
        self._writer: MprofWriter | None = None
        self._thread: threading.Thread | None = None
        self._alarm: Alarm | None = None
        self._start = 0.0
        # The thread turns these into lines; who begins a phase does no more than put one there. The
        # edges of brackets are samples too: else mprof finds none in the short ones.
        self._brackets: deque[Bracket] = deque()
        self._taken: deque[tuple[float, int]] = deque()
        self._open: tuple[str, Edge] | None = None
        self._epoch: Edge | None = None
        self._batches = 0

    @property
    def trouble(self) -> str | None:
        """Why nothing is sampled any more, or why the file ends early; None while all is well."""
        return self._failure or (self._writer.failure if self._writer is not None else None)

    def start(self) -> None:
        """Begin to sample.

        Raises
        ------
        OSError, MeterError
            The system does not tell how much memory a process has, or there is no library for it.
        """
        reader = self._reader = self._make_reader()
        try:
            reader.read()  # what cannot be read at all is better known now
        except BaseException:
            reader.close()
            raise
        self.record.backend, self.record.kind = reader.backend, reader.kind
        self.record.children = reader.children
        self._start = time.monotonic()
        self._writer = MprofWriter(self.path, self._start)
        self._sample()
        self._alarm = Alarm()
        self._trace.listen(self._hear, (*STEP_PHASES, OTHER))
        self._thread = threading.Thread(target=self._loop, name="memory meter", daemon=True)
        self._thread.start()

    def begin_phase(self, phase: str) -> None:
        """Begin a phase."""
        self._trace.begin(phase)

    def _hear(self, phase: str, at: float) -> bool:
        """Open and close brackets; return whether there is more to do in this batch or the next."""
        if phase in STEP_PHASES:
            if phase == "load":
                self._batches += 1
            is_bracketed = self._batches <= BRACKETED_BATCHES
        else:
            is_bracketed = phase != OTHER
        if is_bracketed or self._open is not None:
            self._turn(phase if is_bracketed else None, at)
        return self._open is not None or self._batches <= BRACKETED_BATCHES

    def begin_epoch(self) -> None:
        """Open the bracket of an epoch."""
        self._batches = 0
        self._trace.attend()
        self._epoch = self._edge()

    def end_epoch(self) -> None:
        """Close what is open, the epoch too."""
        self.begin_phase(OTHER)
        if self._epoch is not None:
            self._close_bracket(_EPOCH, self._epoch, self._edge(), 0)
            self._epoch = None

    def stop(self) -> MemoryRecord:
        """End the recording, close the file and return what was found."""
        if self._thread is not None:
            self._alarm.ring()
            self._thread.join(_JOIN_S)
            if self._thread.is_alive():
                self.record.reason = f"its file has not answered for {_JOIN_S:g} s"
            else:
                self._finish()
            self._thread = None
        return self.record

    def _finish(self) -> None:
        self.end_epoch()
        self._trace.listen(None, ())
        self._sample()
        self._flush()
        self._writer.close()
        self._reader.close()
        self._alarm.close()
        record = self.record
        record.available, record.reason = self._failure is None, self._failure
        record.seconds = time.monotonic() - self._start
        if self._writer.failure:
            record.warnings.append(self._writer.failure)

    def _turn(self, phase: str | None, at: float) -> None:
        """Close the open bracket and open that of a phase."""
        edge = self._edge(at)
        if self._open is not None:
            name, begin = self._open
            self._close_bracket(name, begin, edge, 0 if self._epoch is None else 1)
        self._open = None if phase is None or edge is None else (phase, edge)

    def _close_bracket(self, name: str, begin: Edge, end: Edge | None, level: int) -> None:
        if end is not None:
            self._brackets.append(Bracket(name, *begin, *end, level))

    def _edge(self, at: float | None = None) -> Edge | None:
        """Take a sample; return bytes and time, or None where nothing can be read any more."""
        resident, now = self._resident(), time.monotonic() if at is None else at
        if resident is None:
            return None
        self._taken.append((now, resident))
        return resident, now

    def _resident(self) -> int | None:
        """Return bytes, or None from the first failure on: the run goes on without the meter."""
        if self._failure is None:
            try:
                return self._reader.read()
            except Exception as error:
                after = time.monotonic() - self._start
                self._failure = f"stopped after {after:.1f} s: {error}"
        return None

    # The thread ---------------------------------------------------------------------------------

    def _loop(self) -> None:
        due, flushed = self._start + self.interval_s, self._start
        while not self._alarm.wait(max(0.0, due - time.monotonic())):
            self._sample()
            now = time.monotonic()
            due = max(due + self.interval_s, now)
            if now - flushed >= _FLUSH_S:
                flushed = now
                self._flush()
        self.record.cpu_seconds = time.thread_time()

    def _sample(self) -> None:
        record, phase, edge = self.record, self._trace.latest, self._edge()
        if edge is None:
            return
        resident, _ = edge
        record.samples += 1
        if record.start_bytes is None:
            record.start_bytes = resident
        record.end_bytes = resident
        self._peak(phase, resident).samples += 1

    def _flush(self) -> None:
        taken = [self._taken.popleft() for _ in range(len(self._taken))]
        for at, resident in sorted(taken):
            self._writer.add_sample(resident, at)
            self.record.peak_bytes = max(self.record.peak_bytes or 0, resident)
        with contextlib.suppress(IndexError):
            while True:
                bracket = self._brackets.popleft()
                self._writer.add_bracket(bracket)
                if bracket.name != _EPOCH:
                    self._peak(bracket.name, max(bracket.start_bytes, bracket.end_bytes))
        self._writer.flush()

    def _peak(self, phase: str, resident: int) -> PhasePeak:
        peak = self.record.phases.setdefault(phase, PhasePeak())
        peak.peak_bytes = max(peak.peak_bytes, resident)
        return peak
