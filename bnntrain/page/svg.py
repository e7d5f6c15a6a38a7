"""Line figures as SVG. Colours are classes, so that the page's style may turn dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bnntrain.page.figures import MARKERS, LineFigure, Series
from bnntrain.page.markup import Markup, coordinate, join, tag
from bnntrain.page.sampling import extremes
from bnntrain.page.scale import number

WIDE, NARROW = 760, 370
"""Widths in pixels; the page shows one or the other."""

COLORS = 6
"""Colours that `style` defines for runs."""

_LANE, _LANE_GAP = 10, 4
_BELOW = 10  # between plot and rows, so that the lowest number does not meet their names
_LETTER = 6.2  # mean width of one in the size that the style gives
_TIPS = 60  # columns that have a tooltip in a record over time
_MANY = 150  # points beyond which a line's tooltips are those of columns
_ALL_MARKERS = 25  # points beyond which only some carry a marker
_SPARSE = 8


@dataclass(frozen=True)
class _Frame:
    """Where the plot lies in the drawing."""

    left: float
    top: float
    right: float
    bottom: float
    figure: LineFigure

    def x(self, value: float) -> float:
        return self.left + self.figure.x_axis.fraction(value) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - self.figure.y_axis.fraction(value) * (self.bottom - self.top)


def draw_lines(figure: LineFigure, width: int) -> Markup:
    """Draw a figure of lines.

    Parameters
    ----------
    figure : LineFigure
        What to draw.
    width : int
        In pixels, `WIDE` or `NARROW`.

    Returns
    -------
    Markup
        An ``svg`` element with a ``viewBox``.
    """
    labels = [figure.y_axis.text(tick) for tick in figure.y_axis.ticks]
    longest = max(map(len, [*labels, *(lane.label for lane in figure.lanes)]), default=1)
    left = longest * _LETTER + 12
    plot = 250 if width == WIDE else 190
    lanes = len(figure.lanes) * (_LANE + _LANE_GAP)
    lanes += _BELOW if lanes else 0
    frame = _Frame(left, 24, width - 14, 24 + plot, figure)
    height = int(24 + plot + 24 + lanes + 18)
    return tag(
        "svg",
        tag("text", figure.y_title, x=4, y=12, class_="name"),
        _shades(frame), _grid(frame, labels, lanes), _levels(frame),
        *(_series(frame, series) for series in figure.series),
        _lanes(frame), _tips(frame),
        tag("text", figure.x_title, x=frame.right, y=height - 4, class_="name end"),
        viewBox=f"0 0 {width} {height}", class_="wide" if width == WIDE else "narrow",
        role="img", aria_label=f"{figure.title}. {figure.caption}",
    )  # fmt: skip


def _grid(frame: _Frame, labels: Sequence[str], lanes: float) -> Markup:
    figure, parts = frame.figure, []
    for tick, label in zip(figure.y_axis.ticks, labels, strict=True):
        y = frame.y(tick)
        parts.append(tag("path", d=_across(frame, y), class_="grid"))
        parts.append(tag("text", label, x=frame.left - 6, y=y + 4, class_="end"))
    axis = figure.x_axis
    # Every second tick, or every fifth, where the numbers would touch.
    room = (frame.right - frame.left) / max(len(axis.ticks), 1)
    need = max((len(axis.text(tick)) for tick in axis.ticks), default=1) * _LETTER + 10
    every = next((n for n in (1, 2, 5, 10) if n * room >= need), 10)
    base = frame.bottom + lanes
    for place, tick in enumerate(axis.ticks):
        x = frame.x(tick)
        down = f"M{coordinate(x)} {coordinate(frame.bottom)}V{coordinate(base + 4)}"
        parts.append(tag("path", d=down, class_="tick"))
        if place % every == 0:
            parts.append(tag("text", axis.text(tick), x=x, y=base + 17, class_="middle"))
    parts.append(tag("path", d=_across(frame, frame.bottom), class_="axis"))
    return join(parts)


def _across(frame: _Frame, y: float) -> str:
    return f"M{coordinate(frame.left)} {coordinate(y)}H{coordinate(frame.right)}"


def _shades(frame: _Frame) -> Markup:
    """Shade kinds of time; one path for each kind."""
    paths: dict[str, list[str]] = {}
    for kind, start, end in frame.figure.shades:
        left, right = frame.x(start), frame.x(end)
        paths.setdefault(kind, []).append(
            _box(left, frame.top, right - left, frame.bottom - frame.top)
        )
    return join(
        tag("path", d="".join(boxes), class_=f"shade {kind_class(kind)}")
        for kind, boxes in paths.items()
    )


def _box(x: float, y: float, width: float, height: float) -> str:
    return (f"M{coordinate(x)} {coordinate(y)}h{coordinate(width)}"
            f"v{coordinate(height)}h{coordinate(-width)}z")  # fmt: skip


def kind_class(kind: str) -> str:
    """Return the class of a phase or variable; those that the style does not know are one."""
    return _KIND_CLASSES.get(kind, "k-other")


_KINDS = ("input", "X", "dX/Y", "dY", "W", "dW", "momenta", "statistics", "masks", "scratch",
          "idle_before", "load", "forward", "backward", "update", "evaluate", "checkpoint",
          "idle_after", "training", "epoch")  # fmt: skip
_KIND_CLASSES = {kind: f"k-{kind.replace('/', '').replace('_', '-')}" for kind in _KINDS}


def _levels(frame: _Frame) -> Markup:
    parts = []
    for level in frame.figure.levels:
        path = _across(frame, frame.y(level.value))
        name = tag("title", level.label)
        parts.append(tag("path", name, d=path, class_=f"level {level.style}"))
    return join(parts)


# Lines ------------------------------------------------------------------------------------------


def _series(frame: _Frame, series: Series) -> Markup:
    points = [
        (frame.x(x), frame.y(y)) if math.isfinite(y) else None
        for x, y in zip(series.x, series.y, strict=True)
    ]
    color = f"c{series.color % COLORS}"
    parts = []
    if series.style != MARKERS and len(points) > 1:
        style = f"line {color} {series.style}"
        parts.append(tag("path", d=_path(points, set(series.breaks)), class_=style))
    if series.marker:
        ringed = series.style == MARKERS
        places = _with_markers(points, ringed)
        parts += [draw_marker(series.marker, x, y, color, ringed) for x, y in places]
    return join(parts)


def _path(points: Sequence[tuple[float, float] | None], breaks: set[int]) -> str:
    """Join points, but not over gaps and breaks."""
    pieces, pen_up = [], True
    for index, point in enumerate(points):
        if point is None:
            pen_up = True
            continue
        pen_up = pen_up or index in breaks
        pieces.append(f"{'M' if pen_up else 'L'}{coordinate(point[0])} {coordinate(point[1])}")
        pen_up = False
    return "".join(pieces)


def _with_markers(
    points: Sequence[tuple[float, float] | None], ringed: bool
) -> Iterator[tuple[float, float]]:
    """Yield the points that carry a marker: all, or of many some at even distances."""
    every = 1 if ringed or len(points) <= _ALL_MARKERS else -(-len(points) // _SPARSE)
    # A point between gaps would be seen by nothing else.
    for index, point in enumerate(points):
        is_alone = not any(points[max(index - 1, 0) : index]) and not any(points[index + 1 :][:1])
        if point is not None and (index % every == 0 or is_alone):
            yield point


_SHAPES = {
    "square": "M-{0} -{0}H{0}V{0}H-{0}z",
    "triangle": "M0 -{1}L{1} {0}H-{1}z",
    "diamond": "M0 -{1}L{1} 0L0 {1}L-{1} 0z",
}


def draw_marker(shape: str, x: float, y: float, color: str, ringed: bool = False) -> Markup:
    """Draw a marker; a ringed one is larger, hollow and has a dot in it."""
    size = 6.5 if ringed else 3.0
    class_ = f"marker {color}" + (" ringed" if ringed else "")
    if shape == "circle":
        drawn = tag("circle", cx=x, cy=y, r=size, class_=class_)
    else:
        path = _SHAPES[shape].format(coordinate(size * 0.9), coordinate(size * 1.25))
        place = f"translate({coordinate(x)} {coordinate(y)})"
        drawn = tag("path", d=path, transform=place, class_=class_)
    if not ringed:
        return drawn
    return join([drawn, tag("circle", cx=x, cy=y, r=1.8, class_=f"marker {color}")])


# Rows below, tooltips ---------------------------------------------------------------------------


def _lanes(frame: _Frame) -> Markup:
    parts = []
    for place, lane in enumerate(frame.figure.lanes):
        y = frame.bottom + _BELOW + place * (_LANE + _LANE_GAP)
        parts.append(tag("text", lane.label, x=frame.left - 6, y=y + _LANE - 1, class_="end lane"))
        class_ = f"lane {kind_class(lane.kind)}"
        boxes = [
            _box(frame.x(start), y, max(frame.x(end) - frame.x(start), 0.75), _LANE)
            for start, end in lane.spans
        ]
        if not lane.names:
            parts.append(tag("path", tag("title", lane.label), d="".join(boxes), class_=class_))
            continue
        for number_, (box, name) in enumerate(zip(boxes, lane.names, strict=True)):
            shade = class_ if number_ % 2 == 0 else f"{class_} odd"
            parts.append(tag("path", tag("title", name), d=box, class_=shade))
    return join(parts)


def _tips(frame: _Frame) -> Markup:
    """Lay invisible shapes with a text over the plot."""
    figure, parts = frame.figure, []
    for series in figure.series:
        if figure.is_record or len(series.x) > _MANY:
            parts.append(_column_tips(frame, series))
        else:
            parts.append(_point_tips(frame, series))
    return join(parts)


def _point_tips(frame: _Frame, series: Series) -> Markup:
    parts = []
    for x, y in zip(series.x, series.y, strict=True):
        if math.isfinite(y):
            at = f"{frame.figure.x_title} {x:.0f}"
            text = tag("title", f"{series.label}, {at}: {_amount(y, frame)}")
            parts.append(tag("circle", text, cx=frame.x(x), cy=frame.y(y), r=8, class_="tip"))
    return join(parts)


def _column_tips(frame: _Frame, series: Series) -> Markup:
    pairs = [(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(y)]
    axis = frame.figure.x_axis
    columns = extremes([x for x, _ in pairs], [y for _, y in pairs], axis.low, axis.high, _TIPS)
    time = frame.figure.x_title.rpartition(" ")[2]
    several = len(frame.figure.series) > 1
    parts = []
    for start, end, low, high in columns:
        range_ = _amount(low, frame) if low == high else f"{number(low)} to {_amount(high, frame)}"
        text = f"{number(start, 3)} to {number(end, 3)} {time}: {range_}"
        left, top = frame.x(start), frame.y(high) - 6 if several else frame.top
        bottom = frame.y(low) + 6 if several else frame.bottom
        parts.append(tag("path", tag("title", f"{series.label}, {text}"), class_="tip",
                         d=_box(left, top, frame.x(end) - left, bottom - top)))  # fmt: skip
    return join(parts)


def _amount(value: float, frame: _Frame) -> str:
    return f"{number(value)} {frame.figure.unit}".strip()


# So long that dashes are seen on both sides of a marker.
_SAMPLE = "M1 7H41"


def legend_of(figure: LineFigure) -> Markup:
    """Write the legend of a figure of lines, as a list that wraps."""
    samples: list[tuple[Markup, str]] = []
    for series in figure.series:
        color = f"c{series.color % COLORS}"
        drawn = []
        if series.style != MARKERS:
            drawn.append(tag("path", d=_SAMPLE, class_=f"line {color} {series.style}"))
        if series.marker:
            drawn.append(draw_marker(series.marker, 21.0, 7.0, color, series.style == MARKERS))
        samples.append((join(drawn), series.label))
    for level in figure.levels:
        samples.append((tag("path", d=_SAMPLE, class_=f"level {level.style}"), level.label))
    seen: Iterable[str] = dict.fromkeys(kind for kind, _, _ in figure.shades)
    for kind in seen:
        box = tag("path", d=_box(1, 1, 40, 12), class_=f"shade {kind_class(kind)}")
        samples.append((box, kind.replace("_", " ")))
    return legend(samples)


def legend(samples: Sequence[tuple[Markup, str]]) -> Markup:
    """Write a legend of small drawings (42 by 14) and their names."""
    box = {"viewBox": "0 0 42 14", "class_": "sample", "aria_hidden": "true"}
    items = (tag("li", tag("svg", drawing, **box), name) for drawing, name in samples)
    return tag("ul", *items, class_="legend")
