"""The memory meter: what a sample is, and a memory.dat that mprof itself reads."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import memory_profiler
import mprof
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.config import Meters, load_meters
from bnntrain.errors import ConfigError
from bnntrain.meters import memory_readers
from bnntrain.meters.memory import BRACKETED_BATCHES, MemoryMeter
from bnntrain.meters.memory_readers import MemoryProfiler, open_reader
from bnntrain.meters.mprof_file import SHOWN
from bnntrain.meters.phases import STEP_PHASES

MIB = 1 << 20
NEVER = 3600.0
"""An interval so long that only edges are sampled."""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="no /proc: resident memory is not sampled here"
)


def read(path: Path) -> dict:
    """Read a recording with mprof's own reader."""
    return mprof.read_mprofile_file(str(path))


def test_a_sample_is_what_memory_profiler_takes_for_one(tmp_path):
    memory_profiler.memory_usage(-1)  # its own imports are behind us then
    meter = MemoryMeter(NEVER, tmp_path / "memory.dat")
    meter.start()
    before = memory_profiler.memory_usage(-1)[0] * MIB
    record = meter.stop()
    pages = 128 * os.sysconf("SC_PAGE_SIZE")
    assert abs(record.start_bytes - before) <= pages
    assert abs(record.end_bytes - before) <= pages


def test_a_peak_is_seen_and_mprof_prints_it(tmp_path):
    path = tmp_path / "memory.dat"
    meter = MemoryMeter(NEVER, path)
    meter.start()
    meter.begin_epoch()
    meter.begin_phase("load")
    meter.begin_phase("forward")
    block = b"\1" * (64 * MIB)
    meter.begin_phase("backward")
    del block
    meter.begin_phase("update")
    meter.end_epoch()
    record = meter.stop()
    assert record.peak_bytes - record.start_bytes > 60 * MIB
    assert record.phases["forward"].peak_bytes == record.phases["backward"].peak_bytes
    assert record.phases["load"].peak_bytes < record.peak_bytes - 60 * MIB
    command = [sys.executable, "-m", "mprof", "peak", str(path)]
    for more in ([], ["--func", "epoch"], ["--func", "forward"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
        assert f"{record.peak_bytes / MIB:.3f} MiB" in done.stdout


STEPS = st.lists(
    st.sampled_from(["batch", "evaluate", "checkpoint", "end", "begin", "idle_before"]), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_any_course_of_a_run_gives_well_formed_brackets(steps, tmp_path_factory):
    path = tmp_path_factory.mktemp("course") / "memory.dat"
    meter = MemoryMeter(NEVER, path)
    meter.start()
    batches, expected, epochs, is_open = 0, dict.fromkeys(STEP_PHASES, 0), 0, False
    for step in ["begin", *steps]:
        if step == "begin" and not is_open:
            meter.begin_epoch()
            batches, epochs, is_open = 0, epochs + 1, True
        elif step == "end" and is_open:
            meter.end_epoch()
            is_open = False
        elif step == "batch":
            batches += 1
            for phase in STEP_PHASES:
                meter.begin_phase(phase)
                expected[phase] += batches <= BRACKETED_BATCHES
            meter.begin_phase("other")
        elif step not in ("begin", "end"):
            meter.begin_phase(step)
            meter.begin_phase("other")
            expected[step] = expected.get(step, 0) + 1
    record = meter.stop()
    found = read(path)
    brackets = found["func_timestamp"]
    bracketed = Counter(line.split()[1] for line in path.read_text().splitlines()
                     if line.startswith(("FUNC ", "SPAN ")))  # fmt: skip
    for phase, count in {**expected, "epoch": epochs}.items():
        assert bracketed[phase] == count, phase
        # The legend of mprof's plot has a line for each of these.
        assert len(brackets.get(phase, [])) == min(count, SHOWN), phase
    for phase, count in expected.items():
        assert phase in record.phases or not count
    stamps, sizes = found["timestamp"], found["mem_usage"]
    assert stamps == sorted(stamps)
    for begin, end, *edges, level in itertools.chain(*brackets.values()):
        assert stamps[0] <= begin <= end <= stamps[-1]
        assert all(min(sizes) - 1e-3 <= edge <= max(sizes) + 1e-3 for edge in edges)
        assert level in (0, 1)
    assert max(sizes) == pytest.approx(record.peak_bytes / MIB, abs=1e-5)


@pytest.mark.parametrize("tail", ["", "MEM 12", "FUNC epoch 1.0 2.0", "\nMEM"])
def test_a_recording_goes_on_where_a_killed_process_left_it(tmp_path, tail):
    path = tmp_path / "memory.dat"
    for _ in range(2):
        meter = MemoryMeter(NEVER, path)
        meter.start()
        meter.stop()
        with path.open("a") as file:
            file.write(tail.lstrip("\n"))
    text = path.read_text()
    assert text.count("CMDLINE ") == 2
    whole = text[: text.rindex("\n") + 1]
    path.write_text(whole)
    assert len(read(path)["mem_usage"]) == 4


def test_a_full_disk_ends_the_file_and_not_the_meter(tmp_path):
    path = tmp_path / "memory.dat"
    path.symlink_to("/dev/full")
    meter = MemoryMeter(NEVER, path)
    meter.start()
    reason = "memory.dat could not be written (No space left on device); it ends early"
    assert meter.trouble == reason
    meter.begin_epoch()
    meter.begin_phase("load")
    record = meter.stop()
    assert record.warnings == [meter.trouble]
    assert record.available
    assert record.phases["load"].peak_bytes


def test_where_no_memory_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_readers, "_STATM", tmp_path / "none")
    meter = MemoryMeter(NEVER, tmp_path / "memory.dat")
    with pytest.raises(FileNotFoundError):
        meter.start()
    assert not meter.stop().available
    assert not meter.path.exists()


# memory-profiler ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rss", "pss", "uss"])
def test_memory_profiler_reads_every_kind(tmp_path, kind):
    path = tmp_path / "memory.dat"
    meter = MemoryMeter(NEVER, path, make_reader=lambda: MemoryProfiler(kind))
    meter.start()
    meter.begin_phase("forward")
    block = b"\1" * (64 * MIB)
    meter.begin_phase("backward")
    del block
    record = meter.stop()
    assert (record.backend, record.kind, record.children) == ("memory-profiler", kind, False)
    assert record.phases["backward"].peak_bytes - record.start_bytes > 60 * MIB
    assert max(read(path)["mem_usage"]) == pytest.approx(record.peak_bytes / MIB, abs=1e-5)


def test_kinds_of_memory_are_in_order():
    unique, proportional, resident = (
        open_reader(Meters(memory_backend="memory-profiler", memory_kind=kind)).read()
        for kind in ("uss", "pss", "rss")
    )
    assert 0 < unique <= proportional <= resident


def test_children_are_counted_too():
    """64 MiB that another process has."""
    code = "block = b'1' * (64 << 20); print('there', flush=True); input()"
    alone, together = (
        open_reader(
            Meters(memory_backend="memory-profiler", memory_kind="uss", memory_children=each)
        )
        for each in (False, True)
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:
        assert child.stdout.readline() == "there\n"
        assert together.read() - alone.read() > 60 * MIB
        child.communicate("\n")


@pytest.mark.parametrize(
    ("key", "value"), [("memory_kind", "pss"), ("memory_kind", "uss"), ("memory_children", True)]
)
def test_what_the_built_in_reader_does_not_know_is_refused(key, value):
    with pytest.raises(ConfigError) as error:
        load_meters(None, {f"meters.{key}": value})
    text = str(error.value)
    assert text.startswith(f"override: meters.{key}: the built-in reader knows rss")
    assert text.endswith("Set meters.memory_backend: memory-profiler")
    assert load_meters(None, {f"meters.{key}": value, "meters.memory_backend": "memory-profiler"})


class Failing:
    """A reader that fails after some samples."""

    backend, kind, children = "memory-profiler", "pss", False

    def __init__(self, good: int) -> None:
        self.good = good
        self.is_closed = False

    def read(self) -> int:
        self.good -= 1
        if self.good < 0:
            raise OSError("pss: access denied")
        return MIB

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("good", range(9))
def test_a_reader_that_fails_in_mid_run_is_told_and_does_not_end_it(tmp_path, good):
    path, reader = tmp_path / "memory.dat", Failing(good)
    meter = MemoryMeter(NEVER, path, make_reader=lambda: reader)
    if good:
        meter.start()
    else:
        with pytest.raises(OSError, match="access denied"):
            meter.start()
    for _ in range(2):
        meter.begin_epoch()
        for phase in (*STEP_PHASES, "evaluate", "other"):
            meter.begin_phase(phase)
        meter.end_epoch()
    record = meter.stop()
    assert reader.is_closed
    assert not record.available
    if good:
        assert record.reason == meter.trouble
        assert record.reason.endswith("pss: access denied")
    if good > 1:
        assert set(read(path)["mem_usage"]) == {1.0}


def test_mprof_plots_it(tmp_path):
    pytest.importorskip("matplotlib")
    path, picture = tmp_path / "memory.dat", tmp_path / "memory.png"
    meter = MemoryMeter(NEVER, path)
    meter.start()
    meter.begin_epoch()
    for phase in (*STEP_PHASES, "evaluate", "checkpoint"):
        meter.begin_phase(phase)
    meter.end_epoch()
    meter.stop()
    for flame in ([], ["--flame"]):
        command = [sys.executable, "-m", "mprof", "plot", *flame, "-o", str(picture), str(path)]
        environment = {**os.environ, "MPLBACKEND": "Agg"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        assert picture.read_bytes().startswith(b"\x89PNG")
        picture.unlink()
