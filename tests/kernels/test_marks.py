"""Sums by phase: against a plain sum over all stretches in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from bnntrain.kernels import Marks
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.floats(0, 100, allow_subnormal=False)


def stretches(marks, begin, end):
    """Yield (phase, left, right) between two times; phase 0 comes before the first mark."""
    edges = [begin, *(min(max(at, begin), end) for at, _ in marks), end]
    phases = [0, *(phase for _, phase in marks)]
    for phase, (left, right) in zip(phases, pairwise(edges), strict=True):
        yield phase, Fraction(left), Fraction(right)


@given(
    marks=st.lists(st.tuples(TIMES, st.integers(0, 5)), max_size=40),
    steps=st.lists(TIMES, min_size=2, max_size=8, unique=True),
    line=st.tuples(st.floats(-10, 10), st.floats(-1, 1), TIMES),
    is_late=st.booleans(),
)
def test_every_phase_gets_its_part_of_the_line(marks, steps, line, is_late):
    marks.sort(key=lambda mark: mark[0])
    steps.sort()
    found, left_to_mark = Marks(), list(marks)
    for left, right in pairwise(steps):
        while left_to_mark and (is_late is False or left_to_mark[0][0] <= right):
            found.add(*left_to_mark.pop(0))
        found.go_on(left, right, *line)
    value, slope, origin = map(Fraction, line)
    for wanted in range(6):
        parts = [(a, b) for phase, a, b in stretches(marks, steps[0], steps[-1]) if phase == wanted]
        seconds = sum(b - a for a, b in parts)
        integral = sum((value + slope * ((a + b) / 2 - origin)) * (b - a) for a, b in parts)
        assert found.sums(wanted)[:2] == pytest.approx((float(seconds), float(integral)), abs=1e-9)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_how_often_a_phase_is_entered(phases):
    marks = Marks()
    for at, phase in enumerate(phases):
        marks.add(at, phase)
    assert marks.leave_out(0, 100) == 100.0
    changes = [b for a, b in pairwise([0, *phases]) if a != b]
    assert [marks.sums(phase)[2] for phase in range(4)] == [changes.count(n) for n in range(4)]
    assert [marks.sums(phase)[:2] for phase in range(4)] == [(0.0, 0.0)] * 4
    assert marks.phase == ([0, *phases])[-1]


@pytest.mark.parametrize("behind", [0, 1, 100, 3000])
def test_marks_wait_for_their_time_and_are_then_forgotten(behind):
    """However many wait, as they do while a meter does not answer."""
    marks = Marks()
    for at in range(10_000):
        marks.add(at, at % 7)
        if at >= behind:
            marks.go_on(at - behind - 1, at - behind, 1.0, 0.0, 0.0)
            assert marks.waiting == behind
            assert marks.phase == (at - behind) % 7
    assert sum(marks.sums(phase)[0] for phase in range(7)) == 10_000 - behind


def test_a_long_run_loses_nothing_to_rounding():
    """A quarter of an hour, a day after the clock began."""
    marks = Marks()
    for number in range(100_000):
        at = 86_400.0 + number / 100
        marks.add(at, 1)
        marks.add(at + 0.005, 2)
        marks.go_on(at, at + 0.01, 5.0, 300.0, at)
    assert marks.sums(1)[1] == pytest.approx(100_000 * 0.005 * 5.75, rel=1e-7)
    assert marks.sums(2)[1] == pytest.approx(100_000 * 0.005 * 7.25, rel=1e-7)


def test_a_phase_that_nobody_has_met():
    marks = Marks()
    assert marks.sums(12) == (0.0, 0.0, 0)
    with pytest.raises(OverflowError):
        marks.add(0.0, -1)
