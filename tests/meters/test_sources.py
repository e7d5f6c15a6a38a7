"""The other sources, on files and programs that stand for a board's; and what is missing."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator import Bus, Chip, Clock, smbus2_of
from waveforms import Constant

from bnntrain.config import Meters, load_config, load_meters, parse_override
from bnntrain.errors import ConfigError
from bnntrain.meters.energy import EnergyMeter
from bnntrain.meters.hwmon import Hwmon
from bnntrain.meters.pmic import rails
from bnntrain.meters.power import MeterError, MeterLost, OverRange, SampleLost
from bnntrain.meters.rapl import Rapl
from bnntrain.meters.replay import Replay
from bnntrain.meters.sources import open_source, survey


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# INA219: what may be wrong before the first sample ------------------------------------------------


def opened(monkeypatch, bus, **values):
    monkeypatch.setitem(sys.modules, "smbus2", smbus2_of(bus) if bus is not None else None)
    return open_source(Meters(energy="ina219", **values))


def chip():
    return Chip(Clock(), Constant(0.5), Constant(5.0))


@pytest.mark.parametrize(
    ("bus", "parts"),
    [
        (None, ("smbus2", "pip install 'bnntrain[energy]'")),
        (PermissionError(errno.EACCES, "x"), ("/dev/i2c-1", "no permission", "usermod -aG i2c")),
        (FileNotFoundError(errno.ENOENT, "x"), ("/dev/i2c-1", "no such I2C bus", "raspi-config")),
        (Bus({}), ("nothing answers at 0x40", "SDA, SCL", "i2cdetect -y 1")),
        (Bus({0x41: chip(), 0x44: chip()}), ("at 0x41, 0x44", "set meters.address")),
    ],
)
def test_ina219_that_cannot_be_opened(monkeypatch, bus, parts):
    with pytest.raises(MeterError) as error:
        opened(monkeypatch, bus)
    text = one_line(error)
    assert all(part in text for part in parts), text
    assert error.value.exit_code == 2


class Other(Chip):
    """A device at the same address that is no INA219, and notes what is written to it."""

    def __init__(self) -> None:
        super().__init__(Clock(), Constant(0), Constant(0))
        self.registers[0] = 0x4127  # an INA226 after reset
        self.written = []

    def write(self, register, value):
        self.written.append((register, value))


def test_another_device_at_the_address_is_not_written_to(monkeypatch):
    other = Other()
    bus = Bus({0x40: other})
    with pytest.raises(MeterError, match=r"is no INA219\. Check meters\.address"):
        opened(monkeypatch, bus)
    assert other.written == []
    assert bus.is_closed


def test_address_that_the_kernel_holds(monkeypatch):
    held = chip()

    def read(_register):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    held.read = read
    with pytest.raises(MeterError, match=r"meters\.energy: hwmon"):
        opened(monkeypatch, Bus({0x40: held}))


def test_bus_that_goes_away_is_lost_at_once(monkeypatch):
    mine = chip()
    source = opened(monkeypatch, Bus({0x40: mine}), averaging=1)
    assert source.label == "INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm"

    def read(_register):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    mine.read = read
    with pytest.raises(MeterLost, match="/dev/i2c-1 is gone"):
        source.read()


# hwmon --------------------------------------------------------------------------------------------


def hwmon_tree(root: Path, number=0, place="1-0040", **files) -> Path:
    folder = root / f"sys/class/hwmon/hwmon{number}"
    folder.mkdir(parents=True)
    device = root / "sys/devices" / place
    device.mkdir(parents=True)
    (folder / "device").symlink_to(device)
    content = {
        "name": "ina219", "shunt_resistor": "100000", "in0_input": "80", "in1_input": "5040",
        "curr1_input": "800", "power1_input": "4032000", **files,
    }  # fmt: skip
    for name, text in content.items():
        (folder / name).write_text(f"{text}\n")
    return folder


def test_hwmon(tmp_path):
    hwmon_tree(tmp_path, 0, "0-0048", name="lm75")
    hwmon_tree(tmp_path, 3)
    source = Hwmon(0.1, root=tmp_path)
    power = source.read()
    assert (power.volts, power.amps) == pytest.approx((5.04, 0.8))
    assert power.watts == pytest.approx(4.032)
    assert source.label == "ina219 by the kernel's driver (hwmon3), shunt 0.1 ohm"


def test_hwmon_chooses_by_bus_and_address(tmp_path):
    hwmon_tree(tmp_path, 0, "1-0040", in1_input="5000")
    hwmon_tree(tmp_path, 1, "1-0041", in1_input="3300")
    assert Hwmon(0.1, 1, 0x41, tmp_path).read().volts == pytest.approx(3.3)
    with pytest.raises(MeterError, match=r"several chips \(1-0040, 1-0041\), none at 1-0044"):
        Hwmon(0.1, 1, 0x44, tmp_path)


def test_shunt_of_the_kernel_that_is_another(tmp_path):
    """The driver's own 10 milliohm on a board with 100."""
    hwmon_tree(tmp_path, shunt_resistor="10000", curr1_input="8000")
    with pytest.raises(MeterError) as error:
        Hwmon(0.1, root=tmp_path)
    text = one_line(error)
    assert "the kernel takes the shunt for 0.01 ohm and meters.shunt_ohm is 0.1" in text
    assert "10 times too high" in text
    assert "echo 100000 | sudo tee" in text


def test_shunt_that_was_calibrated_corrects_the_current(tmp_path):
    hwmon_tree(tmp_path)
    assert Hwmon(0.098, root=tmp_path).read().amps == pytest.approx(0.8 * 0.1 / 0.098)


def test_hwmon_at_its_limit_and_gone(tmp_path):
    folder = hwmon_tree(tmp_path, in0_input="320")
    source = Hwmon(0.1, root=tmp_path)
    with pytest.raises(OverRange):
        source.read()
    (folder / "in0_input").write_text("80\n")
    (folder / "in1_input").write_text("\n")
    with pytest.raises(SampleLost):
        source.read()
    (folder / "in1_input").unlink()
    with pytest.raises(MeterLost, match="in1_input is gone"):
        source.read()


def test_a_chip_that_has_lost_its_calibration_reads_no_current(tmp_path):
    """After a moment without supply the driver's currents are 0, while voltages are right."""
    folder = hwmon_tree(tmp_path, curr1_input="0")
    source = Hwmon(0.1, root=tmp_path)
    with pytest.raises(SampleLost, match="80 mV over the shunt and a current of 0"):
        source.read()
    for idle in ("0", "1", "-1"):
        (folder / "in0_input").write_text(f"{idle}\n")
        assert source.read().amps == 0


@pytest.mark.parametrize("text", ["²", "many", "-5", "0", "", "9" * 5000])
def test_a_shunt_of_the_kernel_that_is_no_number(tmp_path, text):
    hwmon_tree(tmp_path, shunt_resistor=text)
    assert Hwmon(0.1, root=tmp_path).label.endswith("shunt not told by the kernel")


def test_no_hwmon(tmp_path):
    with pytest.raises(MeterError, match=r"drives no INA219.*meters\.energy: ina219.*new_device"):
        Hwmon(0.1, root=tmp_path)


# PMIC ---------------------------------------------------------------------------------------------

ANSWER = """\
  VDD_CORE_A current(7)=1.50000000A
   3V3_SYS_A current(1)=0.10000000A
  HDMI_A current(6)=0.02000000A
  VDD_CORE_V volt(15)=0.80000000V
   3V3_SYS_V volt(9)=3.30000000V
  EXT5V_V volt(24)=5.10000000V
  BATT_V volt(25)=0.00000000V
"""


def program(monkeypatch, folder: Path, text: str, code: int = 0) -> Path:
    """Put a vcgencmd into the search path that answers with a file's text."""
    answer = folder / "answer.txt"
    answer.write_text(text)
    path = folder / "vcgencmd"
    path.write_text(f'#!/bin/sh\n[ "$1" = pmic_read_adc ] && cat "{answer}"\nexit {code}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return answer


def test_pmic_adds_up_the_rails_that_have_both(monkeypatch, tmp_path):
    answer = program(monkeypatch, tmp_path, ANSWER)
    source = open_source(Meters(energy="pmic"))
    power = source.read()
    assert power.watts == pytest.approx(1.5 * 0.8 + 0.1 * 3.3)
    assert (power.volts, power.amps) == (None, None)
    assert "sum of 2 rails, without USB, fan and losses" in source.label
    answer.write_text(ANSWER.partition("BATT")[0].replace("VDD_CORE_V", "nothing"))
    with pytest.raises(SampleLost, match="1 of 2 rails"):
        source.read()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('error=1 error_msg="Command not registered"\n', ("only a Raspberry Pi 5 does",)),
        ("Can't open device file: /dev/vcio\n", ("no permission", "usermod -aG video")),
        ("", ("tells of no rails",)),
    ],
)
def test_pmic_that_is_none(monkeypatch, tmp_path, text, parts):
    program(monkeypatch, tmp_path, text, 255)
    with pytest.raises(MeterError) as error:
        open_source(Meters(energy="pmic"))
    text = one_line(error)
    assert all(part in text for part in parts), text


def test_no_vcgencmd(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeterError, match="vcgencmd: is not installed"):
        open_source(Meters(energy="pmic"))


@given(st.text("VA_current(7)=0.8\n eE-+", max_size=200))
def test_any_answer_of_vcgencmd_is_read_without_failure(text):
    rails(text)


# RAPL ---------------------------------------------------------------------------------------------

RANGE = 262_143_328_850


class RaplTree:
    """A tree of counters with the usual overlaps."""

    ZONES: ClassVar = {
        "intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "uncore",
        "intel-rapl:0:2": "dram", "intel-rapl:1": "package-1", "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
    }  # fmt: skip

    def __init__(self, root: Path, zones: Iterable[str] = ZONES, begin: int = 0) -> None:
        self.root, self.folder = root, root / "sys/class/powercap"
        (self.folder / "intel-rapl").mkdir(parents=True)
        for zone in zones:
            (self.folder / zone).mkdir()
            (self.folder / zone / "name").write_text(f"{self.ZONES[zone]}\n")
            (self.folder / zone / "max_energy_range_uj").write_text(f"{RANGE}\n")
            self.set(zone, begin)

    def path(self, zone: str) -> Path:
        return self.folder / zone / "energy_uj"

    def set(self, zone: str, value: int) -> None:
        self.path(zone).write_text(f"{value % RANGE}\n")

    def set_all(self, value: int) -> None:
        for zone in self.ZONES:
            self.set(zone, value)


def test_rapl_counts_nothing_twice(tmp_path):
    """Two packages and the memory; not core, uncore, psys or the second way to the package."""
    tree, clock = RaplTree(tmp_path), Clock()
    source = Rapl(tmp_path, clock=clock)
    assert source.label == "Intel RAPL: package-0, dram, package-1"
    tree.set_all(10_000_000)
    clock.sleep(2.0)
    power = source.read()
    assert power.watts == pytest.approx(3 * 10 / 2)
    assert (power.at, power.since) == (clock(), clock() - 2.0)


@given(
    begin=st.integers(0, RANGE - 1),
    steps=st.lists(st.tuples(st.integers(0, 400_000_000), st.floats(0.5, 3)), min_size=2),
)
def test_rapl_wraps_without_a_trace(begin, steps, tmp_path_factory):
    root = tmp_path_factory.mktemp("rapl")
    tree, clock = RaplTree(root, begin=begin), Clock()
    source = Rapl(root, clock=clock)
    meter = EnergyMeter(source, 1.0, None, clock=clock)
    meter.begin()
    clock.sleep(1.0)
    meter.step()
    value, joules = begin, 0.0
    for microjoules, seconds in steps:
        value += microjoules
        joules += 3e-6 * microjoules
        tree.set_all(value)
        clock.sleep(seconds)
        meter.step()
    record = meter.stop()
    assert record.resets == 0
    if joules:  # else they stand still
        assert record.joules == pytest.approx(joules, rel=1e-6)


def test_rapl_that_begins_anew_is_told_and_not_counted(tmp_path):
    tree, clock = RaplTree(tmp_path, begin=50_000_000_000), Clock()
    source = Rapl(tmp_path, clock=clock)
    tree.set_all(1_000)
    clock.sleep(0.05)
    with pytest.raises(SampleLost, match="began anew"):
        source.read()
    assert source.resets == 1
    tree.set_all(501_000)
    clock.sleep(0.05)
    assert source.read().watts == pytest.approx(30)


def rapl_record(tree: RaplTree, values: dict[str, list[int]]):
    """Measure while counters take these values, a second apart; return the record."""
    clock = Clock()
    source = Rapl(tree.root, clock=clock)
    meter = EnergyMeter(source, 0.2, None, clock=clock)
    meter.begin()
    for row in zip(*values.values(), strict=True):
        for zone, value in zip(values, row, strict=True):
            tree.path(zone).write_text(f"{value}\n")
        clock.sleep(1.0)
        if not meter.step():
            break
    return meter.stop()


def package(root: Path, begin: int, range_text: str | None) -> RaplTree:
    """A single counter with this range; None for no file of it."""
    tree = RaplTree(root, ("intel-rapl:0",))
    tree.path("intel-rapl:0").write_text(f"{begin}\n")
    path = tree.folder / "intel-rapl:0" / "max_energy_range_uj"
    path.unlink() if range_text is None else path.write_text(range_text)
    return tree


@pytest.mark.parametrize("range_text", [None, "", "many\n", "0\n", "-1\n", "9" * 5000, "7\n"])
def test_a_wrap_of_unknown_range_is_left_out_and_told(tmp_path, range_text):
    tree = package(tmp_path, 262_000_000_000, range_text)
    steps = [262_020_000_000, 1_000_000, 21_000_000, 41_000_000]
    record = rapl_record(tree, {"intel-rapl:0": steps})
    got = record.to_json()
    assert (got["available"], got["resets"], got["lost_samples"]) == (True, 1, 1)
    assert (got["joules"], got["seconds"]) == (pytest.approx(60), pytest.approx(3))
    assert any("a counter began anew once" in text for text in got["warnings"])
    assert any("1.00 s without samples are not counted" in text for text in got["warnings"])
    told = any("max_energy_range_uj of package-0 cannot be read" in t for t in got["warnings"])
    assert told == (range_text != "7\n")


def test_a_counter_that_stands_still_is_no_zero(tmp_path):
    tree = package(tmp_path, 1_000_000, str(RANGE))
    record = rapl_record(tree, {"intel-rapl:0": [1_000_000] * 8})
    got = record.to_json()
    assert (got["available"], got["joules"], got["samples"]) == (False, None, 0)
    assert "the counter of package-0 stands still" in got["reason"]
    (found,) = survey(Meters(), "rapl", tmp_path)
    assert (found.usable, found.watts) == (False, None)
    assert "the counter of package-0 stands still" in found.what


def test_one_package_that_stands_still_spoils_the_sum(tmp_path):
    tree = RaplTree(tmp_path)
    moving = [number * 10_000_000 for number in range(1, 9)]
    zones = {"intel-rapl:0": moving, "intel-rapl:0:2": moving, "intel-rapl:1": [0] * 8}
    record = rapl_record(tree, zones)
    assert (record.available, record.joules) == (False, None)
    assert "package-1 stands still" in record.reason


def test_a_counter_that_dies_in_mid_run_ends_the_measurement(tmp_path):
    tree = package(tmp_path, 0, str(RANGE))
    record = rapl_record(tree, {"intel-rapl:0": [10_000_000, 20_000_000, *[20_000_000] * 8]})
    assert not record.available
    assert "package-0 stands still" in record.reason
    assert (record.joules, record.seconds) == (pytest.approx(20), pytest.approx(2))


def test_a_counter_that_is_renewed_slowly_is_a_mean_since_its_last_move(tmp_path):
    tree = package(tmp_path, 0, str(RANGE))
    steps = [0, 0, 30_000_000, 30_000_000, 50_000_000]
    record = rapl_record(tree, {"intel-rapl:0": steps})
    assert (record.joules, record.seconds) == (pytest.approx(50), pytest.approx(5))
    assert (record.available, record.lost_samples, record.resets) == (True, 3, 0)


def test_memory_whose_counter_stands_still_is_named(tmp_path):
    tree = RaplTree(tmp_path, ("intel-rapl:0", "intel-rapl:0:2"))
    moving = [number * 10_000_000 for number in range(1, 12)]
    record = rapl_record(tree, {"intel-rapl:0": moving, "intel-rapl:0:2": [0] * 11})
    assert record.available
    assert record.joules == pytest.approx(110)
    assert "the counter of dram stands still: memory is not in the figures" in record.warnings


@pytest.mark.parametrize("text", ["garbage", "", "-5", "9" * 5000, "1.5"])
def test_a_counter_that_is_no_number(tmp_path, text):
    tree = package(tmp_path, 0, str(RANGE))
    tree.path("intel-rapl:0").write_text(f"{text}\n")
    with pytest.raises(MeterError, match=r"energy_uj.*Choose another meters\.energy"):
        Rapl(tmp_path)
    (found,) = survey(Meters(), "rapl", tmp_path)
    assert not found.usable


@given(
    values=st.lists(st.text("0123456789- \n.x", max_size=14), min_size=1, max_size=12),
    range_text=st.one_of(st.none(), st.text("0123456789-x", max_size=14)),
)
def test_whatever_the_counter_says_no_energy_is_below_nothing(
    values, range_text, tmp_path_factory
):
    tree = package(tmp_path_factory.mktemp("rapl"), 0, range_text)
    record = rapl_record(tree, {"intel-rapl:0": values})
    got = record.to_json()
    assert got["joules"] is None or got["joules"] > 0
    assert got["joules"] is not None or not got["available"]


def test_rapl_without_permission(tmp_path, monkeypatch):
    RaplTree(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: "energy_uj" not in str(path))
    with pytest.raises(MeterError) as error:
        Rapl(tmp_path)
    assert "no permission" in one_line(error)
    assert "sudo chmod a+r" in one_line(error)


def test_rapl_that_becomes_unreadable(tmp_path):
    tree, clock = RaplTree(tmp_path), Clock()
    source = Rapl(tmp_path, clock=clock)
    tree.path("intel-rapl:0").unlink()
    clock.sleep(1)
    with pytest.raises(MeterLost, match="is gone"):
        source.read()


def test_no_rapl(tmp_path):
    with pytest.raises(MeterError, match="no RAPL here"):
        Rapl(tmp_path)


# Replay -------------------------------------------------------------------------------------------


def recording(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["# a meter", "t,watts,volts,amps,phase", *rows]) + "\n")
    return path


def test_replay_plays_at_the_speed_of_the_recording(tmp_path):
    clock = Clock()
    path = recording(tmp_path / "power.csv", "2.0,1,5,0.2,load", "4.0,3,5,0.6,load", "5.0,3,,,x")
    source = Replay(path, clock=clock)
    assert source.read().watts == 1
    clock.sleep(1.0)
    assert (source.read().watts, source.read().volts) == (2, 5)
    clock.sleep(1.5)
    assert (source.read().watts, source.read().volts) == (3, None)
    clock.sleep(1.0)
    with pytest.raises(MeterLost, match=r"the recording ends after 3\.0 s"):
        source.read()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("t,watts\n1,2\n", "fewer than two rows"),
        ("", "fewer than two rows"),
        ("a,b\n1,2\n", "line 1: no columns t and watts"),
        ("t,watts\n1,2\n2,x\n", "line 3: is no row of numbers"),
        ("t,watts\n1,2\n0,3\n", "line 3: goes back in time"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_recording_that_cannot_be_played(tmp_path, content, words):
    path = tmp_path / "power.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(MeterError) as error:
        Replay(path)
    assert one_line(error).startswith(str(path))
    assert words in one_line(error)


@given(content=st.binary(max_size=200))
def test_any_file_is_played_or_refused(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("replay") / "power.csv"
    path.write_bytes(content)
    with contextlib.suppress(MeterError):
        Replay(path)


# Choosing -----------------------------------------------------------------------------------------


def test_auto_prefers_what_sees_the_whole_board(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "smbus2", None)
    RaplTree(tmp_path)
    assert open_source(Meters(energy="auto"), tmp_path).kind == "rapl"
    monkeypatch.setitem(sys.modules, "smbus2", smbus2_of(Bus({0x40: chip()})))
    assert open_source(Meters(energy="auto"), tmp_path).kind == "ina219"
    hwmon_tree(tmp_path)
    assert open_source(Meters(energy="auto"), tmp_path).kind == "hwmon"


def test_auto_says_why_nothing_works(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "smbus2", None)
    with pytest.raises(MeterError) as error:
        open_source(Meters(energy="auto"), tmp_path)
    text = one_line(error)
    for kind in ("hwmon: ", "ina219: ", "pmic: ", "rapl: "):
        assert kind in text
    assert "ina219: ina219" not in text
    found = survey(Meters(), root=tmp_path)
    assert [(each.kind, each.usable) for each in found] == [
        ("hwmon", False), ("ina219", False), ("pmic", False), ("rapl", False),
    ]  # fmt: skip
    assert "pip install" in found[1].what


def test_replay_needs_a_file():
    with pytest.raises(ConfigError, match=r"meters\.file: missing"):
        load_meters(None, {"meters.energy": "replay"})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("address", 64 + 16, "0x40 to 0x4F"),
        ("gain", 3, "one of 1, 2, 4, 8"),
        ("shunt_ohm", 0, "above 0"),
        ("energy", "ina", "Did you mean 'ina219'?"),
        ("shunt", 0.1, "Did you mean 'shunt_ohm'?"),
    ],
)
def test_settings_out_of_range(key, value, words):
    with pytest.raises(ConfigError) as error:
        load_meters(None, {f"meters.{key}": value})
    assert words in one_line(error)


def test_address_may_be_written_in_hexadecimal():
    given = dict([parse_override("meters.address=0x4F")])
    assert load_config("digits", given).meters.address == 0x4F
    assert load_meters(None, given).address == 0x4F
    with pytest.raises(ConfigError, match="0x40 to 0x4F"):
        load_meters(None, {"meters.address": 40})  # as i2cdetect prints it
