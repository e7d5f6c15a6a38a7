"""What a sample of memory is read by: the kernel's table itself, or memory-profiler.

The table costs microseconds and knows the resident set size alone. memory-profiler, by way of
psutil, also knows the proportional and the unique set size and adds up child processes; importing
the two takes memory that then is part of every sample.

Source: proc(5), ``/proc/pid/statm``; memory_profiler's and psutil's documentation.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from bnntrain.config import Meters
from bnntrain.meters.power import MeterError

_MIB = 1 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")
_BACKENDS = {"rss": "psutil", "pss": "psutil_pss", "uss": "psutil_uss"}


class MemoryReader(Protocol):
    """Tells how much memory this process has.

    Attributes
    ----------
    backend, kind : str
        As in ``meters.memory_backend`` and ``meters.memory_kind``.
    children : bool
        Whether the processes that it has started are counted too.
    """

    backend: str
    kind: str
    children: bool

    def read(self) -> int:
        """Return bytes.

        Raises
        ------
        OSError
            The system does not tell.
        """

    def close(self) -> None:
        """Give back what `read` needs."""


class BuiltIn:
    """Reads the resident set size from the kernel's table.

    Raises
    ------
    OSError
        The system has no such table.
    """

    backend, kind, children = "built-in", "rss", False

    def __init__(self) -> None:
        self._statm = os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> int:
        """Return bytes."""
        return int(os.pread(self._statm, 128, 0).split(None, 2)[1]) * _PAGE_BYTES

    def close(self) -> None:
        """Close the table."""
        os.close(self._statm)


class MemoryProfiler:
    """Asks memory-profiler.

    Parameters
    ----------
    kind : str
        ``rss``, resident; ``pss``, shared pages in equal parts; ``uss``, pages of its own alone.
    children : bool
        Add the processes that this one has started, and theirs.

    Raises
    ------
    MeterError
        It is not installed.
    """

    backend = "memory-profiler"

    def __init__(self, kind: str = "rss", children: bool = False) -> None:
        try:
            import memory_profiler
            import psutil
        except ImportError as error:
            message = f"is not installed ({error}). Run 'pip install memory-profiler'"
            raise MeterError(self.backend, message) from None

        self.kind, self.children = kind, children
        self._usage, self._failures = memory_profiler.memory_usage, (psutil.Error, LookupError)

    def read(self) -> int:
        """Return bytes.

        Raises
        ------
        OSError
            The system does not tell.
        """
        try:
            (mib,) = self._usage(
                -1, interval=0, include_children=self.children, backend=_BACKENDS[self.kind]
            )
        except (*self._failures, NotImplementedError) as error:
            raise OSError(f"{self.kind}: {error}") from None
        if mib is None:  # its answer where access is denied
            raise OSError(f"{self.kind}: access denied")
        return round(mib * _MIB)

    def close(self) -> None:
        """Nothing is open."""


def load_library(meters: Meters) -> None:
    """Import what `open_reader` will need, before the memory that is to be measured is taken."""
    if meters.memory_backend == MemoryProfiler.backend:
        with contextlib.suppress(ImportError):  # told by open_reader
            import memory_profiler  # noqa: F401


def open_reader(meters: Meters) -> MemoryReader:
    """Open the reader that a configuration names.

    Raises
    ------
    OSError, MeterError
        There is none.
    """
    if meters.memory_backend == MemoryProfiler.backend:
        return MemoryProfiler(meters.memory_kind, meters.memory_children)
    return BuiltIn()
