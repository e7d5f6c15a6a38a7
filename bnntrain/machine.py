"""What this machine is and whether training can work on it: the facts behind ``doctor``.

Nothing of the package that needs NumPy or the kernels is imported before it has been tried, so that
a broken installation is reported and not met.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from dataclasses import asdict
from pathlib import Path

from bnntrain import __version__
from bnntrain.data.files import cache_folder, data_folder
from bnntrain.errors import BnntrainError
from bnntrain.meters import available_bytes

# Distribution and module of what optional extras bring, by extra.
EXTRAS = {"images": ("Pillow", "PIL")}
_SMALLEST_AVAILABLE = 64 << 20


def examine() -> dict[str, object]:
    """Look at the machine and the installation.

    Returns
    -------
    dict
        ``bnntrain``, ``python``, ``numpy`` (version or None), ``os``, ``machine``, ``board``,
        ``cpu``, ``bits``, ``cores``, ``isa`` (``supported``, ``selected``, ``variable``),
        ``threads``, ``memory`` (``total_bytes``, ``available_bytes``), ``data_folder`` and
        ``cache_folder`` (``path``, ``exists``, ``writable``), ``datasets``, ``extras``, and the
        lists ``warnings`` and ``problems``; with a problem training cannot work.
    """
    warnings: list[str] = []
    problems: list[str] = []
    facts: dict[str, object] = {
        "bnntrain": __version__,
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "os": _os_name(),
        "machine": platform.machine(),
        "board": _board(),
        "cpu": _cpu(),
        "bits": 64 if sys.maxsize > 1 << 32 else 32,
        "cores": len(os.sched_getaffinity(0)),
        "isa": {"supported": [], "selected": None, "variable": os.environ.get("BNNTRAIN_ISA")},
        "threads": None,
        "memory": {"total_bytes": None, "available_bytes": None},
        "data_folder": None,
        "cache_folder": None,
        "datasets": [],
        "extras": {extra: _extra(*names) for extra, names in EXTRAS.items()},
        "warnings": warnings,
        "problems": problems,
    }
    if facts["bits"] == 32:
        warnings.append("32-bit system: slower, and arenas are limited to 2 GiB. Use a 64-bit one")
    _add_kernels(facts, problems)
    _add_memory(facts, warnings)
    _add_folders(facts, warnings, problems)
    return facts


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _extra(distribution: str, module: str) -> str | None:
    """Return the version of an optional package, or None if it is not installed."""
    return _version(distribution) if importlib.util.find_spec(module) else None


def _os_name() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()}"


def _board() -> str | None:
    """Return the name of a single-board computer, e.g. ``Raspberry Pi 4 Model B Rev 1.4``."""
    text = _read("/proc/device-tree/model")
    return text.strip("\0\n ") or None


def _cpu() -> str | None:
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found.group(1).strip() if found else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _add_kernels(facts: dict[str, object], problems: list[str]) -> None:
    try:
        from bnntrain import kernels
    except ImportError as error:
        problems.append(f"the kernels cannot be loaded ({error}). Install bnntrain again")
        return
    facts["threads"] = kernels.thread_limit()
    facts["isa"]["supported"] = kernels.supported_isas()
    try:
        facts["isa"]["selected"] = kernels.selected_isa()
    except ValueError as error:
        problems.append(f"{error}. Set BNNTRAIN_ISA to one of these, or unset it")


def _add_memory(facts: dict[str, object], warnings: list[str]) -> None:
    available = available_bytes()
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    facts["memory"] = {"total_bytes": total, "available_bytes": available}
    if available is not None and available < _SMALLEST_AVAILABLE:
        warnings.append(
            f"{available >> 20} MiB of memory are available: end other programs, or see "
            "'bnntrain plan CONFIG --ram SIZE' for what fits"
        )


def _add_folders(facts: dict[str, object], warnings: list[str], problems: list[str]) -> None:
    try:
        facts["data_folder"] = _folder(data_folder())
        facts["cache_folder"] = cache = _folder(cache_folder())
    except BnntrainError as error:
        problems.append(str(error))
        return
    if not cache["writable"]:
        problems.append(
            f"the cache folder {cache['path']} cannot be written to, and converted data go there. "
            "Set BNNTRAIN_CACHE to one that can"
        )
    if not os.access(Path.cwd(), os.W_OK):
        warnings.append("the working directory cannot be written to: give 'fit' a --run-dir")
    if facts["numpy"] is None:
        problems.append("NumPy is not installed. Install bnntrain again")
        return
    try:
        facts["datasets"] = _datasets()
    except BnntrainError as error:
        warnings.append(f"data sets: {error}")


def _folder(path: Path) -> dict[str, object]:
    """Say whether a folder is there and whether files can be made in it, without making any."""
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return {"path": str(path), "exists": path.is_dir(), "writable": writable}


def _datasets() -> list[dict[str, object]]:
    from bnntrain.data.catalog import find_datasets

    return [asdict(found) for found in find_datasets()]
