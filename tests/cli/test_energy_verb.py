"""``bnntrain energy``: the installed program, with a simulated INA219 in the place of smbus2."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from bnntrain.config import shipped_text
from bnntrain.meters.power_csv import read_rows

SIMULATOR = Path(__file__).resolve().parents[1] / "meters"
# A module smbus2 whose bus has one chip: SIM_AMPS through a shunt of SIM_OHM at SIM_ADDRESS.
SMBUS2 = f"""
import errno, os, sys, time
sys.path.insert(0, {str(SIMULATOR)!r})
from simulator import Bus, Chip
from waveforms import Constant

def SMBus(number):
    if str(number) == os.environ.get("SIM_FORBIDDEN"):
        raise PermissionError(errno.EACCES, "Permission denied")
    if number != 1:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
    amps, ohm = (float(os.environ.get(name, value)) for name, value in
                 (("SIM_AMPS", "0.8"), ("SIM_OHM", "0.1")))
    address = int(os.environ.get("SIM_ADDRESS", "0x40"), 16)
    return Bus({{address: Chip(time.monotonic, Constant(amps), Constant(5.0), ohm)}})
"""


@pytest.fixture
def ina219(tmp_path):
    """The environment of a program that finds a simulated chip."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "smbus2.py").write_text(SMBUS2)
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
def no_smbus2(tmp_path):
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "smbus2.py").write_text("raise ImportError('smbus2')\n")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
def replay(tmp_path):
    """Options that replay 5 W for an hour."""
    path = tmp_path / "recorded.csv"
    path.write_text("t,watts,volts,amps,phase\n0,5,5,1,\n3600,5,5,1,\n")
    return ("--energy", "replay", "-s", f"meters.file={path}")


def test_list_says_what_works_and_why_the_rest_does_not(program, ina219):
    found = {each["kind"]: each for each in program.json("energy", "list", **ina219)}
    assert list(found) == ["hwmon", "ina219", "pmic", "rapl"]
    assert found["ina219"]["usable"]
    assert found["ina219"]["watts"] == pytest.approx(4.0, rel=0.01)
    assert found["ina219"]["what"] == "INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm"
    text = program.run("energy", "list", **ina219).stdout
    assert "ina219  4.0" in text
    assert len([line for line in text.splitlines() if not line.startswith(" ")]) == 4


def test_record_for_a_time(program, ina219, tmp_path):
    path = tmp_path / "power.csv"
    done = program.run(
        "energy", "record", "-o", path, "--for", 1, "--energy", "ina219", **ina219
    )
    assert done.stdout == ""
    assert "mean 4.000 W" in done.stderr
    assert f"recorded: {path}" in done.stderr
    rows = list(read_rows(path))
    assert len(rows) > 5
    assert {row.power.volts for row in rows} == {5.0}
    assert path.read_text().startswith("# INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm\n# started")


def test_record_while_a_command_runs(program, replay, tmp_path):
    code = "import sys, time; time.sleep(0.3); print('done'); sys.exit(7)"
    done = program.run(
        "energy", "record", "-o", tmp_path / "power.csv", *replay, "--",
        sys.executable, "-c", code, expect=7,
    )  # fmt: skip
    assert done.stdout == "done\n"
    assert "mean 5.000 W" in done.stderr
    assert "recorded: " in done.stderr


def test_a_training_run_under_a_meter_that_is_gone_ends_well(program, tmp_path):
    """The recording ends after 0.2 s: the record says so, and the run goes on."""
    (tmp_path / "short.csv").write_text("t,watts\n0,5\n0.2,5\n")
    run = tmp_path / "run"
    done = program.run(
        "energy", "record", "-o", tmp_path / "power.csv",
        "--energy", "replay", "-s", f"meters.file={tmp_path / 'short.csv'}", "--",
        *program.command("fit", "digits", "--epochs", 1, "--threads", 1, "--run-dir", run, "-q"),
    )  # fmt: skip
    assert "energy: not available, stopped after" in done.stderr
    assert "the recording ends after 0.2 s" in done.stderr
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_a_killed_command_gives_the_shells_code(program, replay, tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    program.run(
        "energy", "record", "-o", tmp_path / "p.csv", *replay, "--", sys.executable, "-c", code,
        expect=128 + signal.SIGKILL,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize(("options", "expect"), [((), 0), (("--for", 3000), 130)])
def test_a_signal_finishes_the_file(program, replay, tmp_path, options, expect, number):
    path = tmp_path / "power.csv"
    child = program.start("energy", "record", "-o", path, *options, *replay)
    # The head is written when the meter has started; the handlers stand before.
    while not (path.exists() and path.stat().st_size):
        assert child.poll() is None
        os.sched_yield()
    child.send_signal(number)
    _, err = child.communicate(timeout=600)
    assert child.returncode == expect, err
    assert "Traceback" not in err
    assert "recorded: " in err
    assert path.read_text().endswith("\n")


def test_record_writes_over_nothing(program, replay, tmp_path):
    path = tmp_path / "power.csv"
    path.write_text("precious")
    line = program.error("energy", "record", "-o", path, "--for", 1, *replay)
    assert line == f"UsageError: {path}: exists already. Give another name, or delete it"
    assert path.read_text() == "precious"


def test_record_as_json(program, replay, tmp_path):
    got = program.json(
        "energy", "record", "-o", tmp_path / "power.csv", "--for", 0.5, *replay, "--json"
    )
    assert got["available"]
    assert got["joules"] == pytest.approx(5 * got["seconds"])
    assert got["kind"] == "replay"


@pytest.mark.parametrize(("watts", "words"), [(-5, "is negative"), (0, "is 0 W all the time")])
def test_what_no_machine_takes_is_no_figure(program, tmp_path, watts, words):
    (tmp_path / "odd.csv").write_text(f"t,watts\n0,{watts}\n3600,{watts}\n")
    replay = ("--energy", "replay", "-s", f"meters.file={tmp_path / 'odd.csv'}")
    record = ("energy", "record", "--for", 0.5, *replay)
    done = program.run(*record, "-o", tmp_path / "a.csv", expect=1)
    assert f"energy: not available, the power {words}" in done.stderr
    assert " J in " not in done.stderr
    got = program.json(*record, "-o", tmp_path / "b.csv", expect=1)
    assert (got["available"], got["joules"]) == (False, None)
    (found,) = program.json("energy", "list", *replay)
    assert not found["usable"]
    run = tmp_path / "run"
    done = program.run("fit", "digits", "--epochs", 2, "--run-dir", run, "-q", *replay)
    assert done.stderr.startswith(f"Warning: energy: the power {words}")
    energy = json.loads((run / "run.json").read_text())["energy"]
    assert (energy["available"], energy["joules"], energy["j_per_batch"]) == (False, None, None)
    assert "energy:" not in done.stdout


def test_usage_of_record(program, replay, tmp_path):
    record = ("energy", "record", "-o", tmp_path / "p.csv", *replay)
    assert "Give one of them" in program.error(*record, "--for", 1, "--", "true")
    assert "no-such: no such command" in program.error(*record, "--", "no-such")
    line = program.error(*record[:3], tmp_path / "no" / "p.csv", *replay)
    assert line.startswith("UsageError: ")
    assert not (tmp_path / "p.csv").exists()


def test_calibrate_by_a_resistor(program, ina219):
    """A shunt of 0.098 ohm taken for 0.1: 0.8 A look like 0.784."""
    arguments = ("energy", "calibrate", "--load", 6.25, "--for", 0.5, "--energy", "ina219")
    got = program.json(*arguments, **ina219, SIM_OHM="0.098")
    assert got["shunt_ohm"] == pytest.approx(0.098, rel=0.001)
    assert got["error_ohm"] / got["shunt_ohm"] == pytest.approx(0.0112, abs=0.001)
    assert got["plausible"]
    done = program.run(*arguments, **ina219, SIM_OHM="0.098")
    assert done.stdout.splitlines()[-1] == "meters: {shunt_ohm: 0.09800}"


def test_calibrate_by_a_multimeter(program, ina219):
    done = program.run(
        "energy", "calibrate", "--amps", 0.8, "--volts", 5.05, "--for", 0.3, "--energy", "ina219",
        **ina219, SIM_OHM="0.01",
    )  # fmt: skip
    assert "voltage: -0.99 % from the multimeter's 5.05 V" in done.stdout
    assert "warning: far from 0.1 ohm" in done.stdout
    assert "meters: {shunt_ohm: 0.01000}" in done.stdout


def test_usage_of_calibrate(program, ina219, replay):
    calibrate = ("energy", "calibrate", "--for", 0.2)
    assert "either --load or --amps" in program.error(*calibrate, **ina219)
    assert "has no shunt" in program.error(*calibrate, "--load", 10, *replay)
    line = program.error(
        *calibrate, "--load", 10, "--energy", "ina219", **ina219, SIM_AMPS="0.0001"
    )
    assert "no load, or VIN+ and VIN- are swapped" in line
    line = program.error(
        *calibrate, "--load", 10, "--energy", "ina219", "-s", "meters.gain=1", **ina219
    )
    assert "Raise meters.gain" in line


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        ((), {"SIM_ADDRESS": "0x45"}, "An INA219 seems to be at 0x45: set meters.address"),
        (("-s", "meters.bus=3"), {}, "/dev/i2c-3: no such I2C bus"),
        ((), {"SIM_FORBIDDEN": "1"}, "no permission. Run 'sudo usermod -aG i2c $USER'"),
        (("-s", "meters.address=0x50"), {}, "override: meters.address: 80 is not allowed"),
    ],
)
def test_a_chip_that_cannot_be_reached(program, ina219, tmp_path, options, environment, words):
    line = program.error(
        "energy", "record", "-o", tmp_path / "p.csv", "--for", 1, "--energy", "ina219", *options,
        **ina219, **environment,
    )  # fmt: skip
    assert words in line
    assert not (tmp_path / "p.csv").exists()


def test_missing_smbus2(program, no_smbus2, tmp_path):
    record = ("energy", "record", "-o", tmp_path / "p.csv", "--for", 1, "--energy", "ina219")
    line = program.error(*record, **no_smbus2)
    assert line == (
        "MeterError: /dev/i2c-1: needs smbus2, which is not installed: "
        "pip install 'bnntrain[energy]'"
    )


def test_meter_of_a_configuration(program, replay, tmp_path):
    recorded = replay[-1].partition("=")[2]
    config = tmp_path / "mine.yaml"
    section = f"meters: {{energy: replay, file: {recorded}}}\n"
    config.write_text(f"{shipped_text('digits')}\n{section}")
    got = program.json(
        "energy", "record", "-o", tmp_path / "p.csv", "--for", 0.3, "--config", config
    )
    assert got["kind"] == "replay"


def test_a_record_in_what_is_no_folder(program, replay, tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in ("file", "none"):
        path = tmp_path / folder / "power.csv"
        line = program.error("energy", "record", "-o", path, "--for", 1, *replay)
        assert line == (
            f"UsageError: {path.parent} is no folder. Make it, or give another name"
        )
