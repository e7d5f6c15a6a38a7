"""What the system says of its board: name, processor, clock, temperature, throttling.

Everything is read from files of Linux below a root folder, and is None where there is no such file.
A small board is most often slow because its supply or cooling is too weak, or its clock is held
low, and it does not say so by itself.

Sources: the kernel's documentation of cpufreq and of the thermal class; Raspberry Pi's of
``vcgencmd get_throttled``; Arm's of the register MIDR_EL1 (implementer and part in /proc/cpuinfo).
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Part numbers of Arm, which Linux gives instead of a name, of processors on common boards.
_ARM = "0x41"
_PARTS = {
    0xB76: "ARM1176", 0xC07: "Cortex-A7", 0xC08: "Cortex-A8", 0xC09: "Cortex-A9",
    0xC0F: "Cortex-A15", 0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55",
    0xD07: "Cortex-A57", 0xD08: "Cortex-A72", 0xD09: "Cortex-A73", 0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1", 0xD40: "Neoverse-V1", 0xD41: "Cortex-A78",
}  # fmt: skip
# Bits of the firmware's word; sixteen higher is the same since the system started.
_THROTTLED = {
    0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit",
}  # fmt: skip
_SINCE_START = 16
# These drivers' 'powersave' follows the load; that of others is the lowest frequency.
_OWN_POWERSAVE = ("intel_pstate", "amd-pstate-epp")
_TIMEOUT_S = 5


def board_name(root: Path = Path("/")) -> str | None:
    """Return the name of a single-board computer, e.g. ``Raspberry Pi 4 Model B Rev 1.4``."""
    return _read(root / "proc/device-tree/model")


def cpu_name(root: Path = Path("/")) -> str | None:
    """Return the processor's name; of unlike cores, all names."""
    text = _read(root / "proc/cpuinfo") or ""
    implementers, parts = _values(text, "CPU implementer"), _values(text, "CPU part")
    # The order of the cores; each name once.
    names = dict.fromkeys(
        _PARTS.get(int(part, 16)) if implementer == _ARM else None
        for implementer, part in zip(implementers, parts, strict=False)
    )
    if names and None not in names:
        return " and ".join(names)
    return next(iter(_values(text, "model name")), None)


def condition(root: Path = Path("/")) -> dict[str, object]:
    """Return ``clock``, ``temperature_celsius`` and ``throttling``: what makes a board slow."""
    return {
        "clock": clock(root),
        "temperature_celsius": temperature(root),
        "throttling": throttling(root),
    }


def word_bits() -> int:
    """Return the word size of this Python, which decides on the kernels: 64 or 32."""
    return 64 if sys.maxsize > 1 << 32 else 32


def word_size_warning() -> str | None:
    """Return what a 32-bit system costs here, in one line, or None on a 64-bit one."""
    if word_bits() == 64:
        return None
    # A 32-bit Raspberry Pi OS may run on a 64-bit kernel, which tells its own name.
    if platform.machine().startswith(("arm", "aarch64")):
        return (
            "32-bit system: a 64-bit one is several times faster on the same board, where its "
            "processor can run one, and here arenas are limited to 2 GiB"
        )
    return "32-bit system: slower, and arenas are limited to 2 GiB. Use a 64-bit one"


def clock(root: Path = Path("/")) -> dict[str, object] | None:
    """Return what governs the fastest core's clock.

    Returns
    -------
    dict or None
        ``governor`` (or None), ``current_mhz`` and ``maximum_mhz`` (or None), and ``held_low``: the
        governor keeps the lowest frequency whatever the load.
    """
    best: tuple[int, Path] | None = None
    for policy in sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*")):
        most = _number(policy / "cpuinfo_max_freq") or 0
        if best is None or most > best[0]:
            best = most, policy
    if best is None:
        return None
    most, policy = best
    governor, driver = _read(policy / "scaling_governor"), _read(policy / "scaling_driver")
    current = _number(policy / "scaling_cur_freq")
    return {
        "governor": governor,
        "current_mhz": None if current is None else current // 1000,
        "maximum_mhz": most // 1000 or None,
        "held_low": governor == "powersave" and driver not in _OWN_POWERSAVE,
    }


def temperature(root: Path = Path("/")) -> float | None:
    """Return the processor's temperature in degrees Celsius, the highest where there are several.

    Sensors of other parts count only where none says that it is the processor's.
    """
    processor, others = [], []
    for zone in (root / "sys/class/thermal").glob("thermal_zone*"):
        millidegrees = _number(zone / "temp")
        if millidegrees is not None:
            own = re.search("cpu|soc|pkg", (_read(zone / "type") or "").lower())
            (processor if own else others).append(millidegrees / 1000)
    return max(processor or others, default=None)


def throttling(root: Path = Path("/")) -> dict[str, list[str]] | None:
    """Return for what reasons a Raspberry Pi runs slower than it could.

    Returns
    -------
    dict or None
        ``now`` and ``since_start``, lists of reasons; None if this is no Raspberry Pi.
    """
    text = None
    for path in sorted((root / "sys/devices/platform").glob("soc*/soc*:firmware/get_throttled")):
        text = text or _read(path)
    text = text or _vcgencmd("get_throttled")
    found = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]+)", text or "")
    if found is None:
        return None
    word = int(found.group(1), 16)
    return {
        name: [reason for bit, reason in _THROTTLED.items() if word >> bit + shift & 1]
        for name, shift in (("now", 0), ("since_start", _SINCE_START))
    }


def _vcgencmd(question: str) -> str | None:
    """Ask the firmware of a Raspberry Pi by its own program, which may lack the permission."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, question], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _read(path: Path) -> str | None:
    """Return the text of a small file, or None if it is empty or not to be read."""
    try:
        return path.read_text(errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None


def _values(text: str, field: str) -> list[str]:
    return [each.strip() for each in re.findall(rf"^{field}\s*:\s*(.+)$", text, re.MULTILINE)]
