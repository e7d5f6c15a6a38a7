"""Text tables and the way numbers are written."""

from __future__ import annotations

import pytest

from bnntrain.cli.fit import time_lines
from bnntrain.text import columns, duration, mib, size_text, table, times


def test_table_aligns_words_left_and_numbers_right():
    head = [["", "size"], ["name", "MiB"]]
    assert table(head, [["a", "1.00"], None, ["total", "12.00"]]) == [
        "        size",
        "name     MiB",
        "a       1.00",
        "------------",
        "total  12.00",
    ]


def test_columns_have_no_trailing_spaces():
    assert columns([["a", "long one"], ["bb", "x"]]) == ["a   long one", "bb  x"]
    assert columns([]) == []


def test_columns_wrap_their_last_one_between_words():
    path = "/" + "x" * 90
    lines = columns([["name", "word " * 30], ["b", path]], [["head", "of it"]])
    assert lines[0] == "head  of it"
    assert max(map(len, lines[:-1])) <= 80
    assert lines[2].startswith("      word ")
    assert lines[-1] == f"b     {path}"
    assert " ".join(" ".join(lines).split()) == "head of it name " + "word " * 30 + f"b {path}"


def test_rows_of_one_length():
    with pytest.raises(ValueError, match="zip"):
        table([["a", "b"]], [["c"]])


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 B"),
        (1023, "1023 B"),
        (1536, "1.50 KiB"),
        (1 << 20, "1.00 MiB"),
        (3 << 30, "3.00 GiB"),
    ],
)
def test_size_text(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0004, "0.4 ms"),
        (0.05, "50 ms"),
        (0.123456, "123 ms"),
        (0.9999, "1.0 s"),
        (5, "5.0 s"),
        (1199, "1199.0 s"),
        (1230, "20 min"),
        (3599.9, "1 h 0 min"),
        (7200, "2 h 0 min"),
        (100_000, "27 h 47 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_the_time_of_a_run_in_words():
    facts = {"batch_size": 50, "isa": "avx2", "threads": 2, "seconds_per_batch": 0.001}
    for total, wall, lines in (
        (0.05, 0.08, ["50 ms in all", "80 ms with evaluation and checkpoints"]),
        (5.0, 5.1, ["5.0 s in all"]),
        (7200.0, 9000.0, ["2 h 0 min in all", "2 h 30 min with evaluation and checkpoints"]),
    ):
        written = time_lines({**facts, "seconds_total": total, "seconds_wall": wall})
        assert [line.split(", ")[-1].strip() for line in written] == lines


def test_figures_that_there_are_not():
    assert mib(None) == times(None, 1.0) == times(1.0, None) == times(1.0, 0) == "-"
    assert mib(1 << 19, 3) == "0.500"
    assert times(3.0, 2.0) == "1.50x"
