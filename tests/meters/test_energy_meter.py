"""The meter as a run uses it: a thread, phases from outside, failures of every kind."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator import Clock

from bnntrain.meters.energy import EnergyMeter
from bnntrain.meters.integral import Integral
from bnntrain.meters.phases import Phase
from bnntrain.meters.power import MeterLost, Power, SampleLost
from bnntrain.meters.power_csv import read_rows

KEYS = [
    "available", "reason", "meter", "kind", "interval_s", "samples", "lost_samples", "over_range",
    "resets", "warnings", "seconds", "joules", "phases", "idle_watts_before", "idle_watts_after",
    "drift_watts", "net_joules",
]  # fmt: skip


class Fake:
    """A source that does what it is told; `seen` is set when it has been read `enough` times."""

    label, kind = "a fake", "replay"

    def __init__(self, answer, enough=20):
        self.answer, self.enough = answer, enough
        self.seen = threading.Event()
        self.count = 0
        self.is_closed = False

    def read(self):
        self.count += 1
        if self.count >= self.enough:
            self.seen.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        self.is_closed = True


def measure(source, path=None):
    meter = EnergyMeter(source, 0.001, path)
    meter.start()
    meter.begin_phase("forward")
    assert source.seen.wait(30)
    return meter.stop()


def test_thread_measures_and_closes(tmp_path):
    source = Fake(Power(5.0, 5.0, 1.0))
    record = measure(source, tmp_path / "power.csv")
    got = record.to_json()
    assert list(got) == KEYS
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert got["available"]
    assert got["joules"] == pytest.approx(5 * got["seconds"])
    assert set(got["phases"]) <= {"other", "forward"}
    assert source.is_closed
    rows = list(read_rows(tmp_path / "power.csv"))
    assert len(rows) == got["samples"]
    assert {row.phase for row in rows} <= {"other", "forward"}
    head = (tmp_path / "power.csv").read_text().splitlines()[:3]
    assert head[0] == "# a fake"
    assert head[1].startswith("# started 20")
    assert head[2] == "t,watts,volts,amps,phase"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (MeterLost("the bus is gone"), "the bus is gone"),
        (SampleLost("no acknowledgement"), "no sample could be taken (no acknowledgement)"),
        (ZeroDivisionError("a defect"), "ZeroDivisionError: a defect"),
        (Power(float("nan")), "no sample could be taken (the power is no number)"),
    ],
)
def test_whatever_the_source_does_stop_returns_a_record(answer, words):
    record = measure(Fake(answer, enough=1))
    assert not record.available
    assert words in record.reason
    assert record.joules is None


@pytest.mark.parametrize(
    ("watts", "words"),
    [
        (-2.0, "the power is negative (forward): VIN+ and VIN- of the meter are swapped"),
        (0.0, "the power is 0 W all the time"),
        (1e308, "the power is beyond all measure"),
    ],
)
def test_what_no_machine_takes_is_no_figure(watts, words):
    answers = [Power(watts, at=float(at)) for at in range(30)]
    clock = Clock(0.0)
    meter = EnergyMeter(Fake(answers[0]), 1.0, None, clock=clock)
    meter.begin()
    meter.begin_phase("forward")
    for power in answers:
        meter.source.answer = power
        meter.step()
        clock.sleep(1.0)
    got = meter.stop().to_json()
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert words in got["reason"]
    assert (got["available"], got["joules"], meter.failure) == (False, None, got["reason"])


def test_stop_twice_and_without_a_phase():
    meter = EnergyMeter(Fake(Power(1.0)), 0.001, None)
    meter.start()
    assert meter.stop() is meter.stop()


def test_a_file_that_cannot_be_written_ends_the_recording_only(tmp_path):
    record = measure(Fake(Power(5.0)), tmp_path / "no folder" / "power.csv")
    assert record.available
    assert record.joules > 0
    assert any("power.csv could not be written (No such file" in text for text in record.warnings)


def test_a_full_disk_ends_the_recording_only():
    """/dev/full takes no byte."""
    from pathlib import Path

    record = measure(Fake(Power(5.0), enough=2000), Path("/dev/full"))
    assert record.available
    assert record.joules > 0
    assert any("could not be written" in text for text in record.warnings)


def test_a_resumed_run_continues_the_file(tmp_path):
    path = tmp_path / "power.csv"
    measure(Fake(Power(5.0)), path)
    first = list(read_rows(path))
    path.write_text(path.read_text() + "99.5,1")  # what a power cut leaves
    measure(Fake(Power(7.0)), path)
    rows = list(read_rows(path))
    assert [row.t for row in rows[: len(first)]] == [row.t for row in first]
    assert rows[-1].power.watts == 7.0
    assert path.read_text().count("t,watts") == 1


def test_memory_does_not_grow_with_the_run():
    """Neither samples nor passed events are kept."""
    integral = Integral(1.0)
    integral.start = 0.0
    for number in range(10_000):
        integral.trace.add("forward" if number % 2 else "backward", number * 0.1)
        integral.add(number * 0.1 + 0.05, Power(2.0))
    assert integral.trace.waiting == 0
    assert len(integral.phases) == 2


def test_events_are_not_kept_after_the_meter_is_lost():
    class Gone(Fake):
        def read(self):
            raise MeterLost("unplugged")

    meter = EnergyMeter(Gone(Power(1.0)), 0.001, None)
    trace = meter._integral.trace
    meter.begin()
    assert not meter.step()
    for _ in range(1000):
        meter.begin_phase("forward")
    assert trace.waiting == 0
    assert not meter.stop().available


PHASES = ["load", "forward", "backward", "idle_before"]


@given(
    samples=st.lists(
        st.tuples(st.floats(0.001, 0.9), st.floats(0, 20)), min_size=2, max_size=40
    ),
    events=st.lists(st.tuples(st.floats(0, 20), st.sampled_from(PHASES)), max_size=30),
)
def test_phases_add_up_to_the_whole_wherever_they_begin(samples, events):
    integral = Integral(1.0)
    integral.start = 0.0
    for at, phase in sorted(events):
        integral.trace.add(phase, at)
    now, last, total = 0.0, None, 0.0
    for gap, watts in samples:
        integral.add(now, Power(watts))
        if last is not None:
            total += (now - last[0]) * (watts + last[1]) / 2
        last = now, watts
        now += gap
    assert sum(each.joules for each in integral.phases.values()) == pytest.approx(total)
    assert sum(each.seconds for each in integral.phases.values()) == pytest.approx(last[0])
    assert sum(each.samples for each in integral.phases.values()) == len(samples)


def test_an_edge_within_an_interval_is_interpolated():
    integral = Integral(1.0)
    integral.start = 0.0
    integral.trace.add("load", 0.0)
    integral.trace.add("forward", 0.25)
    integral.add(0.0, Power(0.0))
    integral.add(1.0, Power(8.0))
    assert integral.phases["load"].joules == pytest.approx(0.25 * 1.0)
    assert integral.phases["forward"].joules == pytest.approx(0.75 * 5.0)


def test_means_are_constant_over_their_interval():
    integral = Integral(0.5)
    integral.start = 0.0
    integral.add(0.0, Power(99.0, since=-1.0))
    integral.add(2.0, Power(3.0, since=0.0))
    assert integral.sums("other").joules == pytest.approx(6.0)


def test_a_mean_counts_for_its_own_time_only():
    """Whatever the meter lost before it began anew."""
    integral = Integral(0.5)
    integral.start = 0.0
    integral.add(1.0, Power(3.0, since=0.0))
    integral.add(4.0, Power(5.0, since=2.5))
    assert integral.sums("other") == Phase(2.5, 3.0 + 7.5, 2)
    assert integral.missing_s == pytest.approx(1.5)


def test_energy_so_far():
    clock = Clock(0.0)
    meter = EnergyMeter(Fake(Power(2.0)), 1.0, None, clock=clock)
    assert meter.so_far(["other"]) == Phase()
    meter.begin()
    for _ in range(5):
        meter.step()
        clock.sleep(1.0)
    meter.begin_phase("idle_before")
    assert meter.so_far(["other"]) == Phase(pytest.approx(4.0), pytest.approx(8.0), 5)
    assert meter.so_far(["load", "forward"]) == Phase()
