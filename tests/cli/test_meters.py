"""What ``fit`` records beside the training, and what ``compare`` and ``plan`` make of it."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter

import mprof
import pytest

MIB = 1 << 20
FIT = ("fit", "digits", "--epochs", 3, "--threads", 1)
WATTS = 4.0


@pytest.fixture(scope="module")
def recording(program):
    """A power.csv of constant power that lasts longer than any run here."""
    path = program.cwd / "constant.csv"
    path.write_text(f"t,watts,volts,amps,phase\n0,{WATTS},,,\n100000,{WATTS},,,\n")
    return path


def replay(recording):
    return ("--energy", "replay", "-s", f"meters.file={recording}", "-s", "meters.interval=0.002")


def fit(program, name, *options):
    """Train; return run.json, standard error and the folder."""
    folder = program.cwd / name
    done = program.run(*FIT, "--run-dir", folder, "--json", "-q", *options)
    return json.loads(done.stdout), done.stderr, folder


@pytest.fixture(scope="module")
def plain(program):
    """A run as it is by default."""
    return fit(program, "metered-plain")


@pytest.fixture(scope="module")
def measured(program, recording):
    """A run with both meters and a baseline."""
    return fit(program, "metered-both", *replay(recording), "--idle", 0.2)


def test_memory_is_recorded_by_default(plain):
    summary, err, folder = plain
    assert err == ""
    memory = summary["memory"]
    assert memory["available"]
    assert memory["interval_s"] == 0.1
    found = mprof.read_mprofile_file(str(folder / "memory.dat"))
    assert max(found["mem_usage"]) == pytest.approx(memory["sampled_peak_bytes"] / MIB, abs=1e-5)
    assert memory["start_bytes"] <= memory["sampled_peak_bytes"] <= 1.02 * summary["rss_peak_bytes"]
    brackets = {name: len(each) for name, each in found["func_timestamp"].items()}
    batches = ("load", "forward", "backward", "update")
    # So few that the legend of mprof's plot leaves room for the plot.
    assert brackets == dict.fromkeys(("epoch", "checkpoint", "evaluate", *batches), 2)
    lines = (folder / "memory.dat").read_text().splitlines()
    spans = Counter(line.split()[1] for line in lines if line.startswith(("FUNC ", "SPAN ")))
    assert spans == {"epoch": 3, "checkpoint": 3, "evaluate": 4, **dict.fromkeys(batches, 3 * 2)}
    assert shlex.split(found["cmd_line"])[1:5] == ["fit", "digits", "--epochs", "3"]
    assert set(brackets) - {"epoch"} <= set(memory["phases"])
    assert not summary["energy"]["available"]
    assert summary["energy_j_per_batch"] is None
    assert not (folder / "power.csv").exists()
    command = [sys.executable, "-m", "mprof", "peak", folder / "memory.dat"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{memory['sampled_peak_bytes'] / MIB:.3f} MiB" in done.stdout


def test_no_memory(program, plain):
    summary, err, folder = fit(program, "metered-off", "--no-memory")
    assert err == ""
    assert not (folder / "memory.dat").exists()
    assert (summary["memory"]["available"], summary["memory"]["samples"]) == (False, 0)
    assert "meters.memory is false" in summary["memory"]["reason"]
    assert summary["weights_sha256"] == plain[0]["weights_sha256"]


def test_memory_by_memory_profiler(program, plain):
    """In a process that does not import it otherwise; the kind is told wherever it is shown."""
    options = ("memory_backend=memory-profiler", "memory_kind=pss", "memory_children=true")
    summary, err, folder = fit(
        program, "metered-pss", *(word for each in options for word in ("-s", f"meters.{each}"))
    )
    assert err == ""
    memory = summary["memory"]
    assert memory["available"]
    assert (memory["backend"], memory["kind"], memory["children"]) == (
        "memory-profiler", "pss", True,
    )  # fmt: skip
    found = mprof.read_mprofile_file(str(folder / "memory.dat"))
    assert max(found["mem_usage"]) == pytest.approx(memory["sampled_peak_bytes"] / MIB, abs=1e-5)
    assert summary["weights_sha256"] == plain[0]["weights_sha256"]
    assert (plain[0]["memory"]["backend"], plain[0]["memory"]["kind"]) == ("built-in", "rss")
    what = "proportional memory (pss) with child processes"
    text = program.run("plan", folder).stdout
    assert f" of {what}, every 0.1 s" in text
    rows = {line[:26].strip(): line[26:].split() for line in text.splitlines()}
    assert rows["peak of the samples"][1] == "-"
    program.run("report", folder)
    assert f"{what}, MiB" in (folder / "report.html").read_text()


def test_without_memory_profiler_the_run_goes_on(program, plain, tmp_path):
    (tmp_path / "memory_profiler.py").write_text("raise ImportError('not here')\n")
    folder = program.cwd / "metered-missing"
    done = program.run(
        *FIT, "--run-dir", folder, "--json", "-q", "-s", "meters.memory_backend=memory-profiler",
        PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert line == (
        "Warning: no memory is recorded: memory-profiler: is not installed (not here). "
        "Run 'pip install memory-profiler'. Training goes on"
    )
    summary = json.loads(done.stdout)
    assert not summary["memory"]["available"]
    assert summary["weights_sha256"] == plain[0]["weights_sha256"]


def test_weights_and_checkpoints_do_not_depend_on_meters(plain, measured):
    assert measured[0]["weights_sha256"] == plain[0]["weights_sha256"]
    one, other = ((run[2] / "checkpoint/best.npz").read_bytes() for run in (plain, measured))
    assert one == other


def test_energy_of_a_run(measured, recording):
    summary, err, folder = measured
    assert err == ""
    energy = summary["energy"]
    assert energy["available"]
    assert (energy["kind"], energy["meter"]) == ("replay", f"replay of {recording}")
    assert energy["joules"] == pytest.approx(WATTS * energy["seconds"], rel=1e-6)
    batch = ("load", "forward", "backward", "update")
    seconds = sum(energy["phases"][phase]["seconds"] for phase in batch)
    batches = 3 * (summary["train_samples"] // summary["batch_size"])
    assert summary["energy_j_per_batch"] == energy["j_per_batch"]
    assert energy["j_per_batch"] == pytest.approx(WATTS * seconds / batches, rel=1e-6)
    assert energy["j_per_image"] == pytest.approx(energy["j_per_batch"] / summary["batch_size"])
    assert energy["idle_watts_before"] == pytest.approx(WATTS)
    assert energy["idle_watts_after"] == pytest.approx(WATTS)
    assert energy["net_joules"] == pytest.approx(0, abs=1e-6)
    assert set(energy["phases"]) >= {"idle_before", "evaluate", "checkpoint", "idle_after", *batch}
    rows = (folder / "power.csv").read_text().splitlines()
    assert "t,watts,volts,amps,phase" in rows[:3]
    assert rows[-1].split(",")[1] == f"{WATTS:.6f}"


def test_energy_by_epoch(program, recording):
    folder = program.cwd / "metered-epochs"
    options = ("-s", "train.batch_size=20", "-s", "model={layers: [{dense: 2000}, batch_norm, "
               "sign, {dense: 10}, batch_norm]}")  # fmt: skip
    done = program.run(*FIT, *options, *replay(recording), "--run-dir", folder, "-q")
    assert "J per batch" in done.stdout
    summary = json.loads((folder / "run.json").read_text())
    head, *rows = (line.split(",") for line in (folder / "metrics.csv").read_text().splitlines())
    energies = [dict(zip(head, row, strict=True))["energy_j"] for row in rows]
    found = [float(each) for each in energies if each]
    if found:  # an epoch of too few samples has none
        assert summary["energy"]["j_per_epoch"] == pytest.approx(sum(found) / len(found))
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        if cells["energy_j"]:
            assert 0 < float(cells["energy_j"]) < 2 * WATTS * float(cells["seconds"]) + 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        # Without smbus2 it does not come as far as the bus.
        (("--energy", "ina219", "-s", "meters.bus=251"), "/dev/i2c-251: no such|smbus2"),
        (("--energy", "replay", "-s", "meters.file=none.csv"), "none.csv"),
    ],
)
def test_a_meter_that_fails_does_not_end_the_run(program, plain, options, says):
    summary, err, folder = fit(program, f"metered-fails-{options[1]}", *options, "--idle", 3600)
    (line,) = err.splitlines()
    assert line.startswith("Warning: no energy is recorded: ")
    assert line.endswith(". Training goes on")
    assert re.search(says, line)
    assert summary["energy"]["reason"] in line
    assert (summary["energy"]["available"], summary["energy"]["kind"]) == (False, options[1])
    assert summary["weights_sha256"] == plain[0]["weights_sha256"]
    assert not (folder / "power.csv").exists()


def test_interrupted_and_resumed(program, recording):
    folder = program.cwd / "metered-resumed"
    arguments = ("fit", "digits", "--epochs", 400, "--threads", 1, "--run-dir", folder)
    child = program.start(*arguments, *replay(recording))
    assert child.stderr.readline().startswith("epoch   1/400")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=600)
    first = json.loads((folder / "run.json").read_text())
    assert (first["status"], first["energy"]["earlier"]) == ("interrupted", [])
    assert first["energy"]["available"]
    assert first["memory"]["available"]
    # Meters are no part of what has to be the same.
    done = program.run(*arguments, "--resume", "--json", "-q", "-s", "meters.memory_interval=0.05")
    second = json.loads(done.stdout)
    assert second["memory"]["interval_s"] == 0.05
    for name in ("memory", "energy"):
        (earlier,) = second[name]["earlier"]
        assert earlier == {key: value for key, value in first[name].items() if key != "earlier"}
    assert not second["energy"]["available"]
    text = (folder / "memory.dat").read_text()
    assert text.count("CMDLINE ") == 2
    peaks = [section["sampled_peak_bytes"] for section in (first["memory"], second["memory"])]
    found = mprof.read_mprofile_file(str(folder / "memory.dat"))
    assert max(found["mem_usage"]) == pytest.approx(max(peaks) / MIB, abs=1e-5)
    # What has finished is left as it is.
    before = (folder / "memory.dat").read_bytes()
    assert json.loads(program.run(*arguments, "--resume", "--json", "-q").stdout) == second
    assert (folder / "memory.dat").read_bytes() == before


def test_a_full_disk_under_the_meters_only(program, plain, recording):
    # A run of no epochs yet, in whose place the meters find a full disk.
    _, _, folder = fit(program, "metered-full", "--no-memory")
    for name in ("run.json", "checkpoint/last.npz"):
        (folder / name).unlink()
    head = (folder / "metrics.csv").read_text().partition("\n")[0]
    (folder / "metrics.csv").write_text(head + "\n")
    for name in ("memory.dat", "power.csv"):
        (folder / name).symlink_to("/dev/full")
    resumed, err, _ = fit(program, folder.name, "--memory", *replay(recording), "--resume")
    assert resumed["status"] == "finished"
    assert resumed["weights_sha256"] == plain[0]["weights_sha256"]
    assert resumed["memory"]["available"]
    assert any("memory.dat could not be written" in each for each in resumed["memory"]["warnings"])
    lines = err.splitlines()
    assert sum("memory.dat" in line for line in lines) == 1
    assert all(line.startswith("Warning: ") for line in lines)


def test_compare_shows_time_memory_and_energy(program, recording):
    folder = program.cwd / "metered-compared"
    arguments = ("compare", "digits", "--epochs", 2, "--threads", 1, "--run-dir", folder, "-q")
    done = program.run(*arguments, *replay(recording))
    lines = done.stdout.splitlines()
    runs = [json.loads((folder / m / "run.json").read_text()) for m in ("standard", "efficient")]
    for line, run in zip(lines[2:4], runs, strict=True):
        cells = line.split()
        assert cells[5] == f"{run['memory']['sampled_peak_bytes'] / MIB:.2f}"
        assert cells[8] == f"{run['energy_j_per_batch']:.3g}"
    ratio = runs[0]["energy_j_per_batch"] / runs[1]["energy_j_per_batch"]
    assert lines[5].split()[-1] == f"{ratio:.2f}x"


def test_compare_passes_the_options_on(program):
    folder = program.cwd / "metered-compared-off"
    arguments = ("compare", "digits", "--epochs", 1, "--threads", 1, "--run-dir", folder, "-q")
    (run,) = program.json(*arguments, "--methods", "efficient", "--no-memory")
    assert not run["memory"]["available"]
    assert list(folder.rglob("memory.dat")) == []


def test_plan_of_a_run_shows_what_was_measured(program, plain):
    summary, _, folder = plain
    report = program.json("plan", folder)
    assert report["total_bytes"] == summary["arena_bytes"]
    measured = report["measured"]
    assert measured["rss_peak_bytes"] == summary["rss_peak_bytes"]
    assert measured["phases"] == summary["memory"]["phases"]
    assert [each["epoch"] for each in measured["epochs"]] == [1, 2, 3]
    lines = program.run("plan", folder).stdout.splitlines()
    rows = {line[:26].strip(): line[26:].split() for line in lines}
    before, peak = summary["rss_before_bytes"], summary["memory"]["sampled_peak_bytes"]
    assert rows["before the arena"] == [f"{before / MIB:.2f}", "0.00"]
    assert rows["peak of the samples"][:2] == [f"{peak / MIB:.2f}", f"{(peak - before) / MIB:.2f}"]
    assert rows["arena, as planned"] == [f"{summary['arena_bytes'] / MIB:.2f}"]
    assert {"load", "forward", "backward", "update", "evaluate", "checkpoint"} <= set(rows)


def test_plan_of_a_run_takes_no_other_options(program, plain):
    line = program.error("plan", plain[2], "--epochs", 5)
    assert line.startswith(f"UsageError: {plain[2]} is a run")


def test_plan_of_a_run_without_records(program, plain, tmp_path):
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "config.yaml").write_text((plain[2] / "config.yaml").read_text())
    assert "the run has not begun" in program.run("plan", folder).stdout
    old = {key: value for key, value in plain[0].items() if key not in ("memory", "energy")}
    (folder / "run.json").write_text(json.dumps(old))
    assert "from before there were any" in program.run("plan", folder).stdout
