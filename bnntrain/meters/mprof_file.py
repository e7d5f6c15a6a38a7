"""``memory.dat``: memory over time, as ``mprof plot`` and ``mprof peak`` read it.

::

    CMDLINE bnntrain fit digits
    MEM 31.250000 1700000000.1000
    FUNC forward 31.2500 1700000000.1000 33.5000 1700000000.1020 1

``CMDLINE`` begins what one process recorded. ``MEM``: MiB, seconds since 1970. ``FUNC``: name, MiB
and time at its begin and at its end, depth. ``SPAN`` is the same for the reader of this package:
mprof skips it. It gives every FUNC a line in its legend, and hundreds of them would cover the plot.
Source: memory_profiler's ``mprof.py``.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

_MIB = 1 << 20
_TAIL_BYTES = 4096
SHOWN = 2
"""Brackets of a name that mprof shows; a continued file shows those of the first process alone."""


class Bracket(NamedTuple):
    """A stretch of time with a name; bytes, and seconds on CLOCK_MONOTONIC."""

    name: str
    start_bytes: int
    start: float
    end_bytes: int
    end: float
    level: int


class MprofWriter:
    """Appends lines; a failure of the file ends the recording and nothing else.

    Parameters
    ----------
    path : Path
        A file that is there is continued.
    now : float
        Time on CLOCK_MONOTONIC. Times of day are counted from there on: a clock that is set during
        the run, as a Raspberry Pi's is after it has started, does not bend the curve.

    Attributes
    ----------
    failure : str or None
        Why the recording ended early.
    """

    def __init__(self, path: Path, now: float) -> None:
        self.path = path
        self.failure: str | None = None
        self._epoch = time.time() - now
        self._lines: list[str] = []
        self._file: int | None = None
        self._shown: Counter[str] = Counter()
        self._is_new = True
        try:
            self._open()
        except OSError as error:
            self._fail(error)

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._cut_to_lines()
        self._is_new = os.fstat(self._file).st_size == 0
        self._lines.append(f"CMDLINE {' '.join(shlex.join(sys.argv).split())}\n")
        self.flush()

    def add_sample(self, resident: int, at: float) -> None:
        """Add the memory at a time of CLOCK_MONOTONIC."""
        self._lines.append(f"MEM {resident / _MIB:.6f} {self._epoch + at:.4f}\n")

    def add_bracket(self, bracket: Bracket) -> None:
        """Add a stretch of time."""
        name, start_bytes, start, end_bytes, end, level = bracket
        self._shown[name] += 1
        kind = "FUNC" if self._is_new and self._shown[name] <= SHOWN else "SPAN"
        self._lines.append(
            f"{kind} {name} {start_bytes / _MIB:.4f} {self._epoch + start:.4f} "
            f"{end_bytes / _MIB:.4f} {self._epoch + end:.4f} {level}\n"
        )

    def flush(self) -> None:
        """Write what was added, whole lines only: mprof reads no half ones."""
        lines, self._lines = self._lines, []
        if self._file is None or not lines:
            return
        data = "".join(lines).encode(errors="backslashreplace")
        try:
            written = os.write(self._file, data)
            if written < len(data):  # the disk is full now
                os.write(self._file, data[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                self._cut_to_lines()
            self._fail(error)

    def close(self) -> None:
        """Write what is left."""
        self.flush()
        self._close()

    def _cut_to_lines(self) -> None:
        """Remove a last line that was cut off."""
        size = os.fstat(self._file).st_size
        start = max(0, size - _TAIL_BYTES)
        end = start + os.pread(self._file, size - start, start).rfind(b"\n") + 1
        if end < size:
            os.ftruncate(self._file, end)

    def _fail(self, error: OSError) -> None:
        self.failure = f"{self.path.name} could not be written ({error.strerror}); it ends early"
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

