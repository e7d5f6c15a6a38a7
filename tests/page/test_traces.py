"""Reading memory.dat and power.csv."""

from __future__ import annotations

import pytest
import sample_records as sample

from bnntrain.errors import RunError
from bnntrain.page.traces import read_memory, read_power


@pytest.fixture
def spans():
    return sample.timeline(epochs=3, step_s=0.05, steps=10)


def test_memory_has_samples_epochs_and_phases(tmp_path, spans):
    path = tmp_path / "memory.dat"
    path.write_text(sample.memory_text(spans, 39.0, 2.0))
    trace = read_memory(path)
    assert trace.end == pytest.approx(spans[-1][2], abs=0.1)
    assert 39.0 < min(trace.values) <= max(trace.values) <= 41.0
    assert list(trace.intervals("epoch")) == [
        pytest.approx(span, abs=1e-3) for span in sample.epochs_of(spans)
    ]
    evaluations = [span[1:] for span in spans if span[0] == "evaluate"]
    assert list(trace.intervals("evaluate")) == [
        pytest.approx(span, abs=1e-3) for span in evaluations
    ]


def test_memory_profiler_reads_the_sample_too(tmp_path, spans):
    mprof = pytest.importorskip("mprof")
    path = tmp_path / "memory.dat"
    path.write_text(sample.memory_text(spans, 39.0, 2.0))
    theirs = mprof.read_mprofile_file(str(path))
    assert theirs["mem_usage"] == list(read_memory(path).values)


def test_a_resumed_run_goes_on_without_the_pause(tmp_path):
    path = tmp_path / "memory.dat"
    path.write_text(
        "CMDLINE fit\nMEM 10.0 100.0\nMEM 11.0 101.0\n"
        "CMDLINE fit --resume\nMEM 12.0 9000.0\nMEM 13.0 9002.0\n"
        "FUNC epoch 10.0 100.0 11.0 101.0 1\nFUNC epoch 12.0 9000.5 13.0 9002.0 1\n"
    )
    trace = read_memory(path)
    assert list(trace.seconds) == [0.0, 1.0, 1.0, 3.0]
    assert trace.breaks == [2]
    assert list(trace.intervals("epoch")) == [(0.0, 1.0), (1.5, 3.0)]


def test_power_has_samples_and_phases(tmp_path, spans):
    path = tmp_path / "power.csv"
    path.write_text(sample.power_text(spans))
    trace = read_power(path)
    assert trace.label == "INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm"
    assert next(iter(trace.spans)) == "idle_before"
    assert next(trace.intervals("idle_before")) == pytest.approx((0.0, 3.0), abs=0.1)
    assert len(list(trace.intervals("checkpoint"))) == 3
    covered = sum(stop - start for name in trace.spans for start, stop in trace.intervals(name))
    assert covered == pytest.approx(trace.end)


def test_power_without_volts_or_with_lost_samples(tmp_path):
    path = tmp_path / "power.csv"
    path.write_text("t,watts,volts,amps,phase\n5.0,2.5,,,load\n5.1,,,,load\n5.2,3.5,,,\n")
    trace = read_power(path)
    assert list(trace.values) == [2.5, 3.5]
    assert list(trace.seconds) == pytest.approx([0.0, 0.2])
    assert set(trace.spans) == {"load", "other"}


def test_time_that_begins_again_is_a_resumed_run(tmp_path):
    path = tmp_path / "power.csv"
    head = "t,watts,volts,amps,phase\n"
    path.write_text(f"{head}0.0,1.0,,,load\n2.0,1.0,,,load\n# again\n{head}0.5,1.0,,,load\n")
    trace = read_power(path)
    assert trace.breaks == [2]
    assert list(trace.seconds) == [0.0, 2.0, 2.0]


@pytest.mark.parametrize("read", [read_memory, read_power])
def test_no_file_and_no_sample_are_no_record(tmp_path, read):
    assert read(tmp_path / "none") is None
    (tmp_path / "empty").write_text("")
    assert read(tmp_path / "empty") is None


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    memory, power = tmp_path / "memory.dat", tmp_path / "power.csv"
    memory.write_text("MEM 10.0 100.0\nMEM 11.0 1")
    power.write_text("t,watts,volts,amps,phase\n0.0,1.0,,,load\n0.1,2")
    assert list(read_memory(memory).values) == [10.0]
    assert list(read_power(power).values) == [1.0]


@pytest.mark.parametrize(
    ("read", "text", "fault"),
    [
        (read_memory, "MEM ten 100.0\n", "line 1: no number"),
        (read_memory, "MEM 10.0\n", "line 1: a sample without its time"),
        (read_memory, "MEM 1.0 2.0\nMEM nan 100.0\n", "line 2: no number"),
        (read_memory, "FUNC epoch 1.0 2.0\n", "line 1: a bracket without its end"),
        (read_memory, "t,watts\n", "line 1: neither MEM nor FUNC"),
        (read_power, "0.0,1.0\n", "line 1: not a row of the columns t,watts,volts,amps,phase"),
        (read_power, "t,volts\n", "line 1: no column 'watts'"),
        (read_power, "t,watts\n0.0,1.0,2.0\n", "line 2: not a row"),
        (read_power, "t,watts\n0.0,much\n", "line 2: no number"),
        (read_power, "t,watts\n0.0,inf\n", "line 2: no number"),
    ],
)
def test_damage_is_one_line_that_says_where(tmp_path, read, text, fault):
    path = tmp_path / "record"
    path.write_text(text)
    with pytest.raises(RunError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {fault}")
    assert "move it away" in str(caught.value)


@pytest.mark.parametrize("read", [read_memory, read_power])
def test_what_is_no_text(tmp_path, read):
    path = tmp_path / "record"
    path.write_bytes(b"MEM \xff\xfe\n")
    with pytest.raises(RunError, match="cannot be read"):
        read(path)
