"""Thinning keeps what a screen can show."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bnntrain.page.sampling import dominant, extremes, merge, thin

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400)
COLUMNS = st.integers(1, 20)
SPANS = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0, 20)).map(lambda pair: (pair[0], sum(pair)))
)
NAMED = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 99), st.floats(0, 20)))


@given(VALUES, COLUMNS, st.data())
def test_thinning_is_short_and_keeps_ends_and_extremes(values, columns, data):
    steps = data.draw(
        st.lists(st.floats(0, 10), min_size=len(values), max_size=len(values))
    )
    times = list(itertools.accumulate(steps))
    breaks = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=3))
    chosen = thin(times, values, columns, breaks)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= 4 * columns + 2 * len(breaks)
    assert {0, len(values) - 1} <= set(chosen)
    kept = [values[i] for i in chosen]
    assert min(kept) == min(values)
    assert max(kept) == max(values)
    if len(values) > 4 * columns:
        assert set(breaks) <= set(chosen)


@given(VALUES, COLUMNS)
def test_every_column_keeps_its_extremes(values, columns):
    times = [float(n) for n in range(len(values))]
    end = times[-1] or 1.0
    chosen = thin(times, values, columns)
    kept = extremes([times[i] for i in chosen], [values[i] for i in chosen], 0.0, end, columns)
    assert kept == extremes(times, values, 0.0, end, columns)


def test_a_short_record_stays_as_it_is():
    assert thin([0.0, 1.0, 2.0], [5.0, 5.0, 5.0], 1) == [0, 1, 2]
    assert thin([], [], 10) == []


@given(SPANS, COLUMNS)
def test_joined_spans_cover_all_and_do_not_touch(spans, columns):
    merged = merge(spans, 0.0, 120.0, columns)
    assert len(merged) <= columns
    width = 120.0 / columns
    for start, end in spans:
        middle = (start + end) / 2
        assert any(left - 1e-6 <= middle <= right + 1e-6 for left, right in merged)
    for (_, end), (start, _) in itertools.pairwise(merged):
        assert start - end >= width * 0.99
    shown, real = sum(b - a for a, b in merged), len(spans) * 2 * width
    assert shown <= sum(b - a for a, b in spans) + real + 1e-6


@given(NAMED, COLUMNS)
def test_columns_are_named_by_what_fills_most_of_them(spans, columns):
    spans = [(name, start, start + length) for name, start, length in spans]
    found = dominant(spans, 0.0, 120.0, columns)
    width = 120.0 / columns
    for name, left, right in found:
        middle = left + width / 2
        share = dict.fromkeys("ab", 0.0)
        for each, start, end in spans:
            share[each] += max(0.0, min(end, middle + width / 2) - max(start, middle - width / 2))
        assert share[name] >= max(share.values()) - 1e-6
        assert right > left
    assert all(a[2] <= b[1] + 1e-6 for a, b in itertools.pairwise(found))


def test_nothing_has_no_length():
    assert merge([(0.0, 1.0)], 0.0, 0.0, 10) == []
    assert dominant([("a", 0.0, 1.0)], 0.0, 0.0, 10) == []
    assert extremes([0.0], [1.0], 0.0, 0.0, 10) == []
