"""Axes and numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.page.scale import duration, make_axis, number, step_text, time_unit

NUMBERS = st.floats(-1e12, 1e12)
ANYTHING = st.one_of(st.none(), st.floats())


@given(st.lists(ANYTHING), st.integers(2, 8), st.booleans(), st.booleans())
def test_every_value_fits_and_ticks_are_round(values, count, whole, tight):
    axis = make_axis(values, count, whole, tight)
    assert axis.low < axis.high
    for value in values:
        if value is not None and abs(value) < 1e300:
            assert axis.low <= value <= axis.high
            assert 0.0 <= axis.fraction(value) <= 1.0
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert len(axis.ticks) <= count + 3
    leading = axis.step / 10 ** math.floor(math.log10(axis.step) + 1e-9)
    assert min(abs(leading - round_) for round_ in (1, 2, 5, 10)) < 1e-6
    if whole:
        assert axis.step >= 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=2).filter(lambda v: max(v) - min(v) > 1))
def test_ticks_lie_on_the_axis_and_read_differently(values):
    axis = make_axis(values)
    texts = [axis.text(tick) for tick in axis.ticks]
    assert len(set(texts)) == len(texts) >= 2
    slack = 1e-6 * axis.step
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0, 1.0], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([91.2, 97.9], ["90", "92", "94", "96", "98"]),
        ([0.0004, 0.0011], ["0.0004", "0.0006", "0.0008", "0.0010", "0.0012"]),
        ([-3.0, 40.0], ["-10", "0", "10", "20", "30", "40"]),
    ],
)
def test_ticks_that_a_reader_expects(values, texts):
    axis = make_axis(values)
    assert [axis.text(tick) for tick in axis.ticks] == texts


def test_percents_end_at_100():
    assert make_axis([62.0, 99.9], floor=0.0, ceiling=100.0).high == 100.0
    assert make_axis([0.0, 3.0], floor=0.0).low == 0.0


def test_one_epoch_has_one_tick():
    axis = make_axis([1.0], 6, whole=True, tight=True)
    assert [axis.text(tick) for tick in axis.ticks] == ["1"]


@given(st.floats())
def test_any_number_can_be_written(value):
    assert number(value)
    assert "e" not in number(value) or not 1e-4 <= abs(value) < 1e7 or not math.isfinite(value)


@given(st.floats(1e-4, 9e6))
def test_four_digits_are_kept(value):
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.000"), (98.3333, "98.33"), (0.03561, "0.03561"), (140396.2, "140,396"),
     (math.nan, "not a number"), (-math.inf, "infinite"), (1e-9, "1e-09")],
)  # fmt: skip
def test_numbers_that_a_reader_expects(value, text):
    assert number(value) == text


def test_no_negative_zero():
    assert step_text(-1e-20, 0.1) == "0.0"


def test_time_is_read_in_a_unit_that_suits_it():
    assert time_unit(100.0) == ("s", 1.0)
    assert time_unit(1000.0) == ("min", 60.0)
    assert time_unit(86_400.0) == ("h", 3600.0)
    assert duration(7200.0) == "120 min"
    assert duration(None) == "-"
