"""Plain-text tables and the way numbers are written in them.

ASCII only, so that every console prints it, and without colour: the command line adds that. Imports
the standard library alone, so that a report of what is missing (`doctor`) can be printed when NumPy
is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

_MIB = 1 << 20
_UNITS = (("GiB", 1 << 30), ("MiB", _MIB), ("KiB", 1 << 10))
_MEMORY_KINDS = {"pss": "proportional memory (pss)", "uss": "unique memory (uss)"}
NONE = "-"
"""What stands for a figure that there is not."""

Row = Sequence[str]
_GAP = "  "
_WIDTH = 80
_NARROWEST = 20
_LONG_S = 1200


def table(head: Sequence[Row], rows: Sequence[Row | None], left: int = 1) -> list[str]:
    """Align cells in columns.

    Parameters
    ----------
    head : sequence of rows
        Lines of the heading, in the order in which they stand.
    rows : sequence of rows or None
        Cells; None draws a rule. Rows and heading lines have one length.
    left : int
        Columns, from the first, that are aligned to the left; numbers go to the right.

    Returns
    -------
    list of str
        Lines without trailing spaces, the ``len(head)`` lines of the heading first.
    """
    cells = [row for row in [*head, *rows] if row is not None]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "-" * len(_GAP.join("-" * width for width in widths))
    lines = []
    for row in [*head, *rows]:
        if row is None:
            lines.append(rule)
            continue
        padded = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(_GAP.join(padded).rstrip())
    return lines


def columns(rows: Sequence[Row], head: Sequence[Row] = ()) -> list[str]:
    """Align rows of words to the left; a last column that is too wide goes on in further lines.

    A word that does not fit, such as a path, stays whole.
    """
    count = max((len(row) for row in rows), default=0)
    if count:
        before = [max(len(row[place]) for row in [*head, *rows]) for place in range(count - 1)]
        left = max(_WIDTH - sum(before) - len(_GAP) * len(before), _NARROWEST)
        rows = [line for row in rows for line in _wrapped(row, left)]
    return table(head, rows, left=count)


def _wrapped(row: Row, width: int) -> list[Row]:
    """Break the last cell of a row into lines."""
    *before, last = row
    lines = textwrap.wrap(last, width, break_long_words=False, break_on_hyphens=False) or [""]
    empty = [""] * len(before)
    return [[*(empty if place else before), line] for place, line in enumerate(lines)]


def mib(size: float | None, decimals: int = 2) -> str:
    """Write bytes in MiB, without the unit."""
    return NONE if size is None else f"{size / _MIB:.{decimals}f}"


def size_text(size: float) -> str:
    """Write bytes with the largest unit that they fill."""
    for unit, scale in _UNITS:
        if size >= scale:
            return f"{size / scale:.2f} {unit}"
    return f"{size:.0f} B"


def duration(seconds: float) -> str:
    """Write a time so that short ones keep their digits and long ones are read at a glance."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms" if seconds < 0.9995 else "1.0 s"
    if seconds < _LONG_S:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def times(whole: float | None, part: float | None) -> str:
    """Write how often `part` goes into `whole`, e.g. ``7.2x``."""
    return f"{whole / part:.2f}x" if whole and part else NONE


def memory_name(memory: Mapping[str, object]) -> str:
    """Name what a recording of memory is of, by its section of ``run.json``."""
    name = _MEMORY_KINDS.get(str(memory.get("kind")), "resident memory")
    return f"{name} with child processes" if memory.get("children") else name


def plural(count: int, noun: str) -> str:
    """Write a count and what is counted, e.g. ``2 threads``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
