"""Sums by phase: against a plain sum over all stretches in exact fractions."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.native import Trace

TIMES = st.floats(0, 100, allow_subnormal=False)
NAMES = st.sampled_from("012345")


def stretches(events, begin, end):
    """Yield (phase, left, right) between two times; phase "0" comes before the first event."""
    edges = [begin, *(min(max(at, begin), end) for at, _ in events), end]
    phases = ["0", *(phase for _, phase in events)]
    for phase, (left, right) in zip(phases, pairwise(edges), strict=True):
        yield phase, Fraction(left), Fraction(right)


@given(
    events=st.lists(st.tuples(TIMES, NAMES), max_size=40),
    steps=st.lists(TIMES, min_size=2, max_size=8, unique=True),
    line=st.tuples(st.floats(-10, 10), st.floats(-1, 1), TIMES),
    is_late=st.booleans(),
)
def test_every_phase_gets_its_part_of_the_line(events, steps, line, is_late):
    events.sort(key=lambda event: event[0])
    steps.sort()
    found, left_to_come = Trace("0"), list(events)
    for left, right in pairwise(steps):
        while left_to_come and (is_late is False or left_to_come[0][0] <= right):
            at, phase = left_to_come.pop(0)
            found.add(phase, at)
        found.go_on(left, right, *line)
    value, slope, origin = map(Fraction, line)
    met = list(stretches(events, steps[0], steps[-1]))
    for wanted in "012345":
        parts = [(a, b) for phase, a, b in met if phase == wanted]
        seconds = sum(b - a for a, b in parts)
        integral = sum((value + slope * ((a + b) / 2 - origin)) * (b - a) for a, b in parts)
        assert found.sums(wanted)[:2] == pytest.approx((float(seconds), float(integral)), abs=1e-9)


@given(st.lists(NAMES, max_size=30))
def test_how_often_a_phase_is_entered(phases):
    trace = Trace("0")
    for at, phase in enumerate(phases):
        trace.add(phase, at)
    assert trace.leave_out(0, 100) == 100.0
    changes = [b for a, b in pairwise(["0", *phases]) if a != b]
    assert [trace.sums(phase)[2] for phase in "012345"] == [changes.count(n) for n in "012345"]
    assert [trace.sums(phase)[:2] for phase in "012345"] == [(0.0, 0.0)] * 6
    assert trace.phase == (["0", *phases])[-1]


@pytest.mark.parametrize("behind", [0, 1, 100, 3000])
def test_events_wait_for_their_time_and_are_then_forgotten(behind):
    """However many wait, as they do while a meter does not answer."""
    trace = Trace("0")
    for at in range(10_000):
        trace.add(str(at % 7), at)
        if at >= behind:
            trace.go_on(at - behind - 1, at - behind, 1.0, 0.0, 0.0)
            assert trace.waiting == behind
            assert trace.phase == str((at - behind) % 7)
    assert sum(trace.sums(phase)[0] for phase in "0123456") == 10_000 - behind


def test_a_long_run_loses_nothing_to_rounding():
    """A quarter of an hour, a day after the clock began."""
    trace = Trace("0")
    for number in range(100_000):
        at = 86_400.0 + number / 100
        trace.add("1", at)
        trace.add("2", at + 0.005)
        trace.go_on(at, at + 0.01, 5.0, 300.0, at)
    assert trace.sums("1")[1] == pytest.approx(100_000 * 0.005 * 5.75, rel=1e-7)
    assert trace.sums("2")[1] == pytest.approx(100_000 * 0.005 * 7.25, rel=1e-7)


def test_a_phase_that_nobody_has_met():
    trace = Trace("0")
    assert trace.sums("12") == (0.0, 0.0, 0)
    assert trace.names == ("0",)
    with pytest.raises(TypeError):
        trace.add(1, 0.0)


def test_an_event_is_of_its_time():
    trace, before = Trace("0"), time.monotonic()
    trace.begin("1")
    after = time.monotonic()
    assert (trace.latest, trace.phase, trace.names) == ("1", "0", ("0", "1"))
    trace.go_on(before - 1, after + 1, 1.0, 0.0, 0.0)
    seconds, integral, stays = trace.sums("1")
    assert 1 <= seconds <= 1 + after - before + 1e-6
    assert (integral, stays) == (pytest.approx(seconds), 1)


def test_what_is_forgotten_takes_no_room():
    trace = Trace("0")
    trace.begin("1")
    trace.go_on(0, time.monotonic(), 1.0, 0.0, 0.0)
    sums = trace.sums("0")
    trace.forget()
    for _ in range(1000):
        trace.begin("2")
    assert (trace.waiting, trace.latest, trace.sums("0")) == (0, "2", sums)


def test_a_listener_says_what_it_wants_to_hear():
    heard = []
    trace = Trace("0")

    def listen(phase, at):
        assert at <= time.monotonic()
        heard.append(phase)
        return phase in "ab"

    trace.listen(listen, ("a", "b", "q"))
    for phase in "aqabXaqYa":
        trace.begin(phase)
    assert "".join(heard) == "aqXY"
    trace.attend()
    trace.add("a", time.monotonic())
    trace.begin("q")
    trace.begin("a")
    assert "".join(heard) == "aqXYq"
    trace.listen(None, ())
    trace.begin("X")
    assert "".join(heard) == "aqXYq"


def test_what_a_listener_raises_comes_through():
    def fail(phase, at):
        raise OSError(5, "no")

    trace = Trace("0")
    trace.listen(fail, ())
    with pytest.raises(OSError, match="no"):
        trace.begin("1")
    assert trace.latest == "1"
