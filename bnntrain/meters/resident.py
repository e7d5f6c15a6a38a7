"""Resident memory of this process, from the kernel's own books.

Sampling misses short peaks; the kernel's high-water mark (``VmHWM``) does not. It covers the whole
life of the process unless it is reset, which Linux allows a process to do for itself.

Source: proc(5), ``/proc/pid/status`` and ``/proc/pid/clear_refs``.
"""

from __future__ import annotations

import re
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def _field(path: Path, name: str) -> int | None:
    """Return a field of a /proc table in bytes; None where the system has no such table."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def rss_bytes() -> int:
    """Return the resident set size in bytes (0 where the system does not tell)."""
    return _field(_STATUS, "VmRSS") or 0


class PeakMeter:
    """The highest resident set size since the meter was made.

    Attributes
    ----------
    exact : bool
        False where the kernel does not let the mark be reset: then the peak is that of the whole
        process so far, an upper bound.
    """

    def __init__(self) -> None:
        try:
            _CLEAR.write_text(_RESET_PEAK)
            self.exact = True
        except OSError:
            self.exact = False

    def peak_bytes(self) -> int:
        """Return the peak in bytes."""
        return _field(_STATUS, "VmHWM") or rss_bytes()
