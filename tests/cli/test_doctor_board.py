"""What ``doctor`` says of a board, from files as Linux writes them, below a folder of our own."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from bnntrain import board
from bnntrain.cli.doctor import lines
from bnntrain.machine import examine

POLICY = "sys/devices/system/cpu/cpufreq/policy0"
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
ZONES = "sys/class/thermal"
CORE = "processor\t: {0}\nBogoMIPS\t: 38.40\nCPU implementer\t: 0x41\nCPU part\t: {1}\n\n"
PI_3 = {
    "proc/device-tree/model": "Raspberry Pi 3 Model B Plus Rev 1.3\0",
    "proc/cpuinfo": "".join(CORE.format(core, "0xd03") for core in range(4)),
    f"{POLICY}/scaling_governor": "ondemand\n",
    f"{POLICY}/scaling_driver": "cpufreq-dt\n",
    f"{POLICY}/scaling_cur_freq": "600000\n",
    f"{POLICY}/cpuinfo_max_freq": "1400000\n",
    f"{ZONES}/thermal_zone0/type": "cpu-thermal\n",
    f"{ZONES}/thermal_zone0/temp": "48312\n",
    FIRMWARE: "0\n",
}


@pytest.fixture(autouse=True)
def programs(tmp_path, monkeypatch) -> Path:
    """The only folder of programs: no vcgencmd of this machine."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    """A 64-bit system, about whose word size there is nothing to say."""
    monkeypatch.setattr(sys, "maxsize", 2**63 - 1)


@pytest.fixture
def root(tmp_path):
    """Writes files and returns the folder that they are in."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "root"

    return write


def test_a_raspberry_pi(root):
    facts = examine(root(PI_3))
    assert facts["board"] == "Raspberry Pi 3 Model B Plus Rev 1.3"
    assert facts["cpu"] == "Cortex-A53"
    assert facts["clock"] == {
        "governor": "ondemand", "current_mhz": 600, "maximum_mhz": 1400, "held_low": False,
    }  # fmt: skip
    assert facts["temperature_celsius"] == 48.312
    assert facts["throttling"] == {"now": [], "since_start": []}
    assert facts["warnings"] == []
    words = dict(lines(facts))
    assert words["machine"].startswith("Raspberry Pi 3 Model B Plus Rev 1.3, Cortex-A53, ")
    assert words["clock"] == "600 of 1400 MHz, governor ondemand"
    assert words["temperature"] == "48 C"
    assert words["throttling"] == "now: none; since the system started: none"


def test_a_system_that_tells_nothing(tmp_path):
    facts = examine(tmp_path / "nothing")
    names = ("board", "cpu", "clock", "temperature_celsius", "throttling")
    assert [facts[name] for name in names] == [None] * len(names)
    assert facts["warnings"] == []
    assert not {"clock", "temperature", "throttling"} & set(dict(lines(facts)))


def test_files_that_make_no_sense_count_as_none(root):
    nonsense = dict.fromkeys(PI_3, "\n") | {f"{ZONES}/thermal_zone0/temp": "hot", FIRMWARE: "?"}
    facts = examine(root(nonsense))
    assert facts["clock"] == {
        "governor": None, "current_mhz": None, "maximum_mhz": None, "held_low": False,
    }  # fmt: skip
    assert facts["temperature_celsius"] is facts["throttling"] is facts["cpu"] is None
    assert dict(lines(facts))["clock"] == "unknown of unknown MHz, governor unknown"


@pytest.mark.parametrize("text", ["50005\n", "0x50005"])
def test_under_voltage(root, text):
    facts = examine(root(PI_3 | {FIRMWARE: text}))
    both = ["under-voltage", "throttled"]
    assert facts["throttling"] == {"now": both, "since_start": both}
    (warning,) = facts["warnings"]
    assert warning.startswith("the supply voltage was too low")


def test_heat(root):
    hot = {FIRMWARE: "80008\n", f"{ZONES}/thermal_zone0/temp": "81500\n"}
    facts = examine(root(PI_3 | hot))
    slower, cool = facts["warnings"]
    assert slower == "the board runs slower than it could (soft temperature limit)"
    assert cool == "the processor is at 82 C and may slow down: cool it"


def test_a_firmware_that_answers_by_its_program(root, programs):
    program = programs / "vcgencmd"
    program.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0xe0000\n')
    program.chmod(0o755)
    since = ["frequency capped", "throttled", "soft temperature limit"]
    assert board.throttling(root({})) == {"now": [], "since_start": since}


@pytest.mark.parametrize("text", ["#!/bin/sh\necho error; exit 1\n", "no program"])
def test_a_firmware_that_does_not_answer(root, programs, text):
    program = programs / "vcgencmd"
    program.write_text(text)
    program.chmod(0o755)
    assert board.throttling(root({})) is None


@pytest.mark.parametrize(
    ("driver", "held"), [("cpufreq-dt", True), ("intel_pstate", False), ("acpi-cpufreq", True)]
)
def test_a_clock_that_is_held_low(root, driver, held):
    files = {f"{POLICY}/scaling_governor": "powersave\n", f"{POLICY}/scaling_driver": driver}
    facts = examine(root(PI_3 | files))
    assert facts["clock"]["held_low"] is held
    assert ["powersave" in text for text in facts["warnings"]] == [True] * held


def test_unlike_cores(root):
    cores = CORE.format(0, "0xd03") + CORE.format(1, "0xd03") + CORE.format(2, "0xd08")
    fast = POLICY.replace("policy0", "policy4")
    files = {
        "proc/cpuinfo": cores,
        f"{fast}/cpuinfo_max_freq": "1800000\n",
        f"{fast}/scaling_cur_freq": "408000\n",
        f"{ZONES}/thermal_zone1/type": "gpu-thermal\n",
        f"{ZONES}/thermal_zone1/temp": "90000\n",
    }
    folder = root(PI_3 | files)
    assert board.cpu_name(folder) == "Cortex-A53 and Cortex-A72"
    assert board.clock(folder)["maximum_mhz"] == 1800
    assert board.temperature(folder) == 48.312


def test_a_processor_without_a_known_part(root):
    text = CORE.format(0, "0xfff") + "model name\t: ARMv7 Processor rev 4 (v7l)\n"
    assert board.cpu_name(root({"proc/cpuinfo": text})) == "ARMv7 Processor rev 4 (v7l)"


@pytest.mark.parametrize("machine", ["armv7l", "aarch64"])
def test_a_32_bit_system_on_arm(root, monkeypatch, machine):
    # A 32-bit Python reports either, by the kernel that it runs on.
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    (warning,) = examine(root(PI_3))["warnings"]
    assert warning.startswith("32-bit system: a 64-bit one is several times faster")


def test_a_file_that_cannot_be_read(root):
    # A folder stands in for it: root may read every file.
    assert board.cpu_name(root({"proc/cpuinfo/file": ""})) is None
