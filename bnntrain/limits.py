"""What the system lets this process have: processors and memory, by affinity and control group.

A container or a service may be allowed a part of the machine only. Linux tells so in the files of
the process' control group: version 2 has one tree for all, version 1 one for each controller, and
both may be mounted at once. The group itself and all groups above it limit the process; inside a
container its own group is often the root of what is mounted.

Source: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst and scheduler/sched-bwc.rst of
the Linux kernel; cgroups(7), proc(5).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")
# number parent device top mount ... - kind source options
_MOUNTED = re.compile(
    r"^\S+ \S+ \S+ (?P<top>\S+) (?P<mount>\S+) .*- (?P<kind>cgroup2?) \S+ (?P<options>\S+)$", re.M
)
# Version 1 writes "no limit" as the largest number of pages.
_UNLIMITED = 1 << 60


@dataclass(frozen=True)
class _Files:
    """The files of one version of control groups that tell of a limit and of what is used."""

    quota: str
    period: str | None  # None: both numbers stand in `quota`
    limit: str
    usage: str
    cached: str  # key of memory.stat: file pages that go as soon as somebody needs the memory


_VERSION_1 = _Files(
    "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes", "memory.usage_in_bytes",
    "total_inactive_file",
)  # fmt: skip
_VERSION_2 = _Files("cpu.max", None, "memory.max", "memory.current", "inactive_file")


def available_threads(root: Path = _ROOT) -> int:
    """Return how many threads can run at a time.

    Returns
    -------
    int
        The processors that the process may run on, or fewer where its groups' quotas of processor
        time are used up by fewer: a quota of 1.5 processors by 2, one of 0.5 by 1.
    """
    cores = len(os.sched_getaffinity(0))
    quotas = (_processors(*group) for group in _groups(root, "cpu"))
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas if quota is not None)]))


def available_bytes(root: Path = _ROOT) -> int | None:
    """Return the memory in bytes that this process can still take without swapping, or None.

    The least of what the machine has left and what each of its groups has left; file pages that a
    group can drop count as left, as in ``MemAvailable``.
    """
    left = [_meminfo(root, "MemAvailable")]
    left += [_bytes_left(*group) for group in _groups(root, "memory")]
    known = [each for each in left if each is not None]
    return min(known) if known else None


def memory_limit_bytes(root: Path = _ROOT) -> int | None:
    """Return the lowest memory limit of the process' groups in bytes, or None."""
    limits = (_number(folder / files.limit) for folder, files in _groups(root, "memory"))
    return min((limit for limit in limits if limit is not None), default=None)


def _processors(folder: Path, files: _Files) -> float | None:
    """Return a group's share of processor time, in processors; None where it has no limit."""
    if files.period is None:
        words = (_text(folder / files.quota) or "").split()
        quota, period = words if len(words) == 2 else ("max", "0")
    else:
        quota, period = (_text(folder / name) or "0" for name in (files.quota, files.period))
    with suppress(ValueError, ZeroDivisionError):
        share = int(quota) / int(period)
        return share if share > 0 else None
    return None


def _bytes_left(folder: Path, files: _Files) -> int | None:
    limit, usage = _number(folder / files.limit), _number(folder / files.usage)
    if limit is None or usage is None:
        return None
    found = re.search(rf"^{files.cached} (\d+)$", _text(folder / "memory.stat") or "", re.MULTILINE)
    return max(0, limit - usage + (min(int(found.group(1)), usage) if found else 0))


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, _Files]]:
    """Yield the folders of the process' groups, from its own to the topmost, and their files."""
    own = _own_groups(root)
    for mounted in _MOUNTED.finditer(_text(root / "proc/self/mountinfo") or ""):
        top, mount, options = map(_unescape, mounted.group("top", "mount", "options"))
        if mounted["kind"] == "cgroup2":
            name, files = "", _VERSION_2
        elif controller in options.split(","):
            name, files = controller, _VERSION_1
        else:
            continue
        # A container may see less of the tree than its group's name tells of.
        within = Path(os.path.relpath(own.get(name, "/"), top))
        inside = Path() if ".." in within.parts else within
        for group in (inside, *inside.parents):
            yield root / mount.lstrip("/") / group, files


def _own_groups(root: Path) -> dict[str, str]:
    """Return the process' group by controller; that of version 2 under the name ""."""
    own = {}
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        controllers, _, group = line.partition(":")[2].partition(":")
        own |= dict.fromkeys(controllers.split(","), group or "/")
    return own


def _unescape(text: str) -> str:
    """Undo the octal escapes of blanks in /proc/self/mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)


def _number(path: Path) -> int | None:
    """Return the limit in a file; None where there is no such file or no limit."""
    with suppress(ValueError):
        value = int(_text(path) or "")
        return value if 0 <= value < _UNLIMITED else None
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _meminfo(root: Path, name: str) -> int | None:
    found = re.search(rf"^{name}:\s+(\d+) kB", _text(root / "proc/meminfo") or "", re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None
