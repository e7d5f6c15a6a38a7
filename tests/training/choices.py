"""Fewer cases than all combinations: every pair or triple of values still meets.

A fault of geometry or of a representation shows where two or three options meet; what four do
together is in the few that this leaves, and in the random networks of the other tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from operator import getitem


def meeting(count: int, *options: Sequence[object]) -> list[tuple]:
    """Choose combinations of options in which all values of any `count` options meet.

    Parameters
    ----------
    count : int
        How many options meet: 2, every pair of values; 3, every triple.
    *options : sequence
        The values of each option.

    Returns
    -------
    list of tuple
        A value per option, always the same for the same options.
    """
    rows = product(*map(range, map(len, options)))
    left = {row: _meetings(count, row) for row in rows}
    chosen = []
    while left:
        # Of those that bring most, the first.
        best = max(left, key=lambda row: len(left[row]))
        met = left.pop(best)
        chosen.append(best)
        left = {row: rest for row, found in left.items() if (rest := found - met)}
    return [tuple(map(getitem, options, row)) for row in sorted(chosen)]


def _meetings(count: int, row: tuple[int, ...]) -> frozenset[tuple]:
    return frozenset(combinations(enumerate(row), count))
