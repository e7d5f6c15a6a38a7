"""Records over time: ``memory.dat`` as ``mprof`` writes it, and ``power.csv``.

Both are read line by line into packed arrays, so that the record of a night fits the memory of a
small board. A line without an end was cut off by a crash and is left out. Where a run was resumed,
time goes on without the pause.

Source: memory_profiler, ``mprof.py`` (lines ``MEM mib time`` and ``FUNC name mib time mib time``,
here ``SPAN`` too).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bnntrain.errors import RunError
from bnntrain.meters.phases import OTHER
from bnntrain.meters.power_csv import COLUMNS


@dataclass
class Trace:
    """A quantity over time.

    Attributes
    ----------
    seconds, values : array of float
        Samples; seconds count from the first one, pauses between resumed parts left out.
    breaks : list of int
        Index of the first sample of every resumed part.
    spans : dict of str to array of float
        Starts and ends by turns, in the same seconds, of the spans of each name.
    label : str
        What it was measured with; may be empty.
    """

    seconds: array = field(default_factory=lambda: array("d"))
    values: array = field(default_factory=lambda: array("d"))
    breaks: list[int] = field(default_factory=list)
    spans: dict[str, array] = field(default_factory=dict)
    label: str = ""

    @property
    def end(self) -> float:
        """Seconds of the last sample."""
        return self.seconds[-1] if self.seconds else 0.0

    def intervals(self, name: str) -> Iterator[tuple[float, float]]:
        """Yield starts and ends of the spans of a name."""
        stamps = self.spans[name]
        yield from zip(stamps[::2], stamps[1::2], strict=True)

    def add_span(self, name: str, start: float, end: float) -> None:
        """Add a span."""
        self.spans.setdefault(name, array("d")).extend((start, end))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of the complete lines of a file."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.endswith("\n"):
                    yield number, line.rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise _damaged(path, f"cannot be read ({reason})") from None


def _damaged(path: Path, message: str) -> RunError:
    return RunError(path, f"{message}. Repair it, or move it away to report without it")


def _numbers(path: Path, number: int, cells: list[str]) -> list[float]:
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise _damaged(path, f"line {number}: no number where one is expected")
    return values


def read_memory(path: Path) -> Trace | None:
    """Read ``memory.dat``.

    Returns
    -------
    Trace or None
        Resident memory in MiB; `spans` are the functions, here epochs and phases. None where there
        is no such file or no sample in it.

    Raises
    ------
    RunError
        It is damaged.
    """
    if not path.exists():
        return None
    trace = Trace()
    parts: list[tuple[float, float]] = []  # wall-clock start, seconds before it
    is_new = True
    for number, line in _lines(path):
        kind, _, rest = line.partition(" ")
        if kind == "CMDLINE":
            is_new = True
        elif kind == "MEM":
            mib, stamp, *_ = _numbers(path, number, rest.split(" ", 2)[:2] + ["0"] * 2)
            if " " not in rest:
                raise _damaged(path, f"line {number}: a sample without its time")
            if is_new or stamp < parts[-1][0]:
                if parts:
                    trace.breaks.append(len(trace.values))
                parts.append((stamp, trace.end))
                is_new = False
            at = stamp - parts[-1][0] + parts[-1][1]
            trace.seconds.append(max(at, trace.end))
            trace.values.append(mib)
        elif kind in ("FUNC", "SPAN"):
            cells = rest.split(" ")
            if len(cells) < 5:
                raise _damaged(path, f"line {number}: a bracket without its end")
            _, start, _, end = _numbers(path, number, cells[1:5])
            trace.add_span(cells[0], start, end)
        elif line and kind != "CHLD":
            raise _damaged(path, f"line {number}: neither MEM nor FUNC: not a record of mprof")
    if not trace.values:
        return None
    for stamps in trace.spans.values():
        stamps[:] = array("d", (_since(stamp, parts) for stamp in stamps))
    return trace


def _since(stamp: float, parts: list[tuple[float, float]]) -> float:
    """Return the seconds of a wall-clock time, in the last part that begins before it."""
    start, before = next((part for part in reversed(parts) if part[0] <= stamp), parts[0])
    return max(stamp - start + before, 0.0)


def read_power(path: Path) -> Trace | None:
    """Read ``power.csv``.

    Returns
    -------
    Trace or None
        Power in watts; `spans` are the phases. None where there is no such file or no sample in it.

    Raises
    ------
    RunError
        It is damaged.
    """
    if not path.exists():
        return None
    trace, names = Trace(), None
    before = start = previous = 0.0
    phase = ""
    for number, line in _lines(path):
        if not line:
            continue
        if line.startswith("#"):
            trace.label = trace.label or line.lstrip("# ").strip()
            continue
        cells = line.split(",")
        if cells[0] == "t":
            names = cells
            if not {"t", "watts"} <= set(names):
                raise _damaged(path, f"line {number}: no column 'watts'")
            continue
        if names is None or len(cells) != len(names):
            expected = ",".join(COLUMNS)
            raise _damaged(path, f"line {number}: not a row of the columns {expected}")
        row = dict(zip(names, cells, strict=True))
        if not row["watts"]:
            continue  # a sample that was lost
        now, watts = _numbers(path, number, [row["t"], row["watts"]])
        if not trace.values:
            start = now
        elif now < previous:
            trace.breaks.append(len(trace.values))
            before, start = trace.end, now
        previous = now
        at = now - start + before
        if phase:
            trace.spans[phase][-1] = at  # a phase lasts until the first sample of the next
        if phase != (row.get("phase") or OTHER):
            phase = row.get("phase") or OTHER
            trace.add_span(phase, at, at)
        trace.seconds.append(at)
        trace.values.append(watts)
    return trace if trace.values else None

