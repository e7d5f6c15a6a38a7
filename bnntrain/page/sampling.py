"""What of a long record a screen can show.

A line on a screen has so many columns of pixels. Of the samples that fall into one column, the
first, the lowest, the highest and the last draw the same picture as all of them do.

Source: the M4 aggregation of Jugel et al., "M4: a visualization-oriented time series data
aggregation", PVLDB 7(10), 2014.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[float, float]


def thin(
    x: Sequence[float], y: Sequence[float], columns: int, breaks: Iterable[int] = ()
) -> list[int]:
    """Choose the samples that a line of `columns` pixel columns needs.

    Parameters
    ----------
    x, y : sequence of float
        Samples; `x` does not fall.
    columns : int
        Width of the drawing.
    breaks : iterable of int
        Indices at which a new line begins; they and the samples before them are kept.

    Returns
    -------
    list of int
        Indices, rising: at most 4 per column and 2 per break; every extreme is among them.
    """
    count = len(x)
    if count <= 4 * columns:
        return list(range(count))
    start, width = x[0], (x[-1] - x[0]) / columns or 1.0
    chosen: set[int] = set()
    for index in breaks:
        chosen.update(i for i in (index - 1, index) if 0 <= i < count)
    first, column = 0, 0
    for index in range(1, count + 1):
        now = columns if index == count else min(int((x[index] - start) / width), columns - 1)
        if now != column or index == count:
            inside = range(first, index)
            chosen.update((first, index - 1, min(inside, key=y.__getitem__),
                           max(inside, key=y.__getitem__)))
            first, column = index, now
    return sorted(chosen)


def extremes(
    x: Sequence[float], y: Sequence[float], start: float, end: float, columns: int
) -> list[tuple[float, float, float, float]]:
    """Return start, end, lowest and highest of the columns that hold a sample."""
    width = (end - start) / columns
    if width <= 0:
        return []
    found: dict[int, list[float]] = {}
    for at, value in zip(x, y, strict=True):
        column = min(max(int((at - start) / width), 0), columns - 1)
        known = found.setdefault(column, [value, value])
        known[0], known[1] = min(known[0], value), max(known[1], value)
    return [
        (start + column * width, start + (column + 1) * width, low, high)
        for column, (low, high) in sorted(found.items())
    ]


def merge(spans: Iterable[Span], start: float, end: float, columns: int) -> list[Span]:
    """Join spans that lie nearer to each other than a pixel column; the shortest are one column.

    Returns
    -------
    list of (float, float)
        At most `columns`, rising, apart from each other, within `start` and `end`.
    """
    width = (end - start) / columns
    if width <= 0:
        return []
    covered = bytearray(columns)
    for begin, stop in spans:
        if stop < start or begin > end or stop < begin:
            continue
        first = min(max(int((begin - start) / width), 0), columns - 1)
        last = min(max(int((stop - start) / width), first), columns - 1)
        # What ends on the edge of a column has no part of it.
        if last > first and stop <= start + last * width:
            last -= 1
        covered[first : last + 1] = b"\1" * (last + 1 - first)
    found, column = [], 0
    while (first := covered.find(1, column)) >= 0:
        column = covered.find(0, first)
        column = columns if column < 0 else column
        found.append((start + first * width, start + column * width))
    return found


def dominant(
    spans: Iterable[tuple[str, float, float]], start: float, end: float, columns: int
) -> list[tuple[str, float, float]]:
    """Name each pixel column by what fills most of it; equal neighbours are joined.

    Returns
    -------
    list of (str, float, float)
        Rising; columns in which nothing happens are left out.
    """
    width = (end - start) / columns
    if width <= 0:
        return []
    shares: list[dict[str, float]] = [{} for _ in range(columns)]
    for name, begin, stop in spans:
        if stop < start or begin > end:
            continue
        first = min(max(int((begin - start) / width), 0), columns - 1)
        last = min(max(int((stop - start) / width), first), columns - 1)
        for column in range(first, last + 1):
            left = start + column * width
            part = min(stop, left + width) - max(begin, left)
            if part > 0:
                shares[column][name] = shares[column].get(name, 0.0) + part
    found: list[tuple[str, float, float]] = []
    for column, share in enumerate(shares):
        if not share:
            continue
        name = max(share, key=lambda each: (share[each], each))
        left = start + column * width
        if found and found[-1][0] == name and found[-1][2] > left - width / 2:
            found[-1] = (name, found[-1][1], left + width)
        else:
            found.append((name, left, left + width))
    return found
