"""What this machine is and whether training can work on it: the facts behind ``doctor``.

Nothing of the package that needs NumPy or the kernels is imported before it has been tried, so that
a broken installation is reported and not met.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import asdict
from pathlib import Path

from bnntrain import __version__, board
from bnntrain.data.files import cache_folder, data_folder
from bnntrain.errors import BnntrainError
from bnntrain.limits import available_bytes, available_threads, memory_limit_bytes

# Distribution and module of what optional extras bring, by extra.
EXTRAS = {"images": ("Pillow", "PIL"), "energy": ("smbus2", "smbus2")}
_SMALLEST_AVAILABLE = 64 << 20
# Celsius; at 80 a Raspberry Pi begins to slow down.
_HOT = 78


def examine(root: Path = Path("/")) -> dict[str, object]:
    """Look at the machine and the installation.

    Parameters
    ----------
    root : Path
        Folder in which ``proc`` and ``sys`` tell of the board.

    Returns
    -------
    dict
        ``bnntrain``, ``python``, ``numpy`` (version or None), ``os``, ``machine``, ``board``,
        ``cpu``, ``bits``, ``cores``, ``clock``, ``temperature_celsius``, ``throttling`` (see
        `board`), ``isa`` (``supported``, ``selected``, ``variable``),
        ``threads``, ``memory`` (``total_bytes`` of the machine, ``limit_bytes`` of the control
        group or None, ``available_bytes``), ``data_folder`` and
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
        "board": board.board_name(root),
        "cpu": board.cpu_name(root),
        "bits": board.word_bits(),
        "cores": len(os.sched_getaffinity(0)),
        **board.condition(root),
        "isa": {"supported": [], "selected": None, "variable": os.environ.get("BNNTRAIN_ISA")},
        "threads": available_threads(root),
        "memory": {"total_bytes": None, "limit_bytes": None, "available_bytes": None},
        "data_folder": None,
        "cache_folder": None,
        "datasets": [],
        "extras": {extra: _extra(*names) for extra, names in EXTRAS.items()},
        "warnings": warnings,
        "problems": problems,
    }
    _add_speed(facts, warnings)
    _add_kernels(facts, problems)
    _add_memory(facts, warnings, root)
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


def _add_speed(facts: dict[str, object], warnings: list[str]) -> None:
    """Say what makes this machine slower than it need be."""
    narrow = board.word_size_warning()
    if narrow:
        warnings.append(narrow)
    if facts["clock"] and facts["clock"]["held_low"]:
        warnings.append(
            "the CPU governor 'powersave' keeps the lowest frequency: set 'ondemand' or "
            "'performance' in /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
        )
    throttling = facts["throttling"] or {"now": [], "since_start": []}
    if "under-voltage" in throttling["now"] + throttling["since_start"]:
        warnings.append("the supply voltage was too low: the board slows down. Use a stronger one")
    elif throttling["now"]:
        warnings.append(f"the board runs slower than it could ({', '.join(throttling['now'])})")
    degrees = facts["temperature_celsius"]
    if degrees is not None and degrees >= _HOT:
        warnings.append(f"the processor is at {degrees:.0f} C and may slow down: cool it")


def _add_kernels(facts: dict[str, object], problems: list[str]) -> None:
    try:
        from bnntrain import kernels, native  # noqa: F401
    except ImportError as error:
        problems.append(f"the kernels cannot be loaded ({error}). Install bnntrain again")
        return
    facts["isa"]["supported"] = kernels.supported_isas()
    try:
        facts["isa"]["selected"] = kernels.selected_isa()
    except ValueError as error:
        problems.append(f"{error}. Set BNNTRAIN_ISA to one of these, or unset it")


def _add_memory(facts: dict[str, object], warnings: list[str], root: Path) -> None:
    available = available_bytes(root)
    facts["memory"] = {
        "total_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "limit_bytes": memory_limit_bytes(root),
        "available_bytes": available,
    }
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
