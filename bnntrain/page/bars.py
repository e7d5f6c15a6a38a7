"""Figures of bars as SVG. Parts differ by colour, hatching, and their name where it fits."""

from __future__ import annotations

from collections.abc import Sequence

from bnntrain.page.figures import Bar, BarFigure
from bnntrain.page.markup import Markup, coordinate, join, tag
from bnntrain.page.scale import number
from bnntrain.page.svg import WIDE, draw_marker, kind_class, legend

_BAR, _LABEL, _GAP = 24, 16, 12
_LETTER = 6.6
HATCHES = {
    "hatch-rise": "M0 6L6 0M-1 1L1 -1M5 7L7 5",
    "hatch-fall": "M0 0L6 6M-1 5L1 7M5 -1L7 1",
    "hatch-level": "M0 3H6",
    "hatch-upright": "M3 0V6",
    "hatch-cross": "M0 3H6M3 0V6",
    "hatch-dots": "M2 3h2M5 0h2M-1 6h2",
}
"""Patterns by id: what is drawn in a tile of 6 by 6."""

_OVERLAYS = ("", *HATCHES)


def draw_hatches() -> Markup:
    """Define the patterns that all figures of a page share."""
    patterns = (
        tag("pattern", tag("path", d=path, class_="hatch"), id=name, width=6, height=6,
            patternUnits="userSpaceOnUse")
        for name, path in HATCHES.items()
    )  # fmt: skip
    return tag("svg", tag("defs", *patterns), width=0, height=0, class_="defs", aria_hidden="true")


def draw_bars(figure: BarFigure, width: int) -> Markup:
    """Draw a figure of bars, as `svg.draw_lines` draws lines."""
    left, right = 6.0, width - 16.0
    parts: list[Markup] = []
    bottom = 6.0 + len(figure.bars) * (_LABEL + _BAR + _GAP)
    for tick in figure.x_axis.ticks:
        x = left + figure.x_axis.fraction(tick) * (right - left)
        parts.append(tag("path", d=f"M{coordinate(x)} 6V{coordinate(bottom + 4)}", class_="grid"))
        class_ = "middle" if tick else ""
        parts.append(tag("text", figure.x_axis.text(tick), x=x, y=bottom + 17, class_=class_))
    for place, bar in enumerate(figure.bars):
        top = 6.0 + place * (_LABEL + _BAR + _GAP)
        parts.append(_bar(figure, bar, top, left, right))
    height = int(bottom + 36)
    parts.append(tag("text", figure.x_title, x=right, y=height - 4, class_="name end"))
    return tag(
        "svg", *parts, viewBox=f"0 0 {width} {height}", role="img",
        class_="wide" if width == WIDE else "narrow",
        aria_label=f"{figure.title}. {figure.caption}",
    )  # fmt: skip


def _bar(figure: BarFigure, bar: Bar, top: float, left: float, right: float) -> Markup:
    scale = (right - left) / figure.x_axis.high
    sizes = {kind: max(bar.parts.get(kind, 0.0), 0.0) for kind in figure.kinds}
    total = f"{number(sum(sizes.values()), 3)} {figure.unit}"
    parts = [tag("text", bar.label, tag("tspan", f"  {total}", class_="name"), x=left, y=top + 11,
                 class_="strong")]  # fmt: skip
    x, y = left, top + _LABEL
    for kind, size in sizes.items():
        wide = size * scale
        if wide <= 0:
            continue
        text = f"{bar.label}, {kind.replace('_', ' ')}: {number(size, 3)} {figure.unit}"
        parts.append(_part(figure.kinds.index(kind), kind, x, y, wide, text))
        if _has_room(kind, x, wide, [left + size * scale for _, size in bar.markers]):
            parts.append(tag("text", kind.replace("_", " "), x=x + wide / 2, y=y + _BAR / 2 + 4,
                             class_="middle inside"))  # fmt: skip
        x += wide
    for name, size in bar.markers:
        at = left + max(size, 0.0) * scale
        text = f"{bar.label}, {name}: {number(size, 3)} {figure.unit}"
        parts.append(_pointer(name, at, y, text))
    return join(parts)


def _part(place: int, kind: str, x: float, y: float, width: float, text: str) -> Markup:
    box = {"x": x, "y": y, "width": width, "height": _BAR}
    parts = [tag("rect", class_=f"part {kind_class(kind)}", **box)]
    overlay = _OVERLAYS[place % len(_OVERLAYS)]
    if overlay:
        parts.append(tag("rect", fill=f"url(#{overlay})", **box))
    return tag("g", tag("title", text), *parts)


def _has_room(kind: str, x: float, width: float, markers: Sequence[float]) -> bool:
    """Whether a part can carry its name, with no marker upon that."""
    half, middle = (len(kind) * _LETTER + 6) / 2, x + width / 2
    return 2 * half < width and not any(abs(each - middle) < half + 4 for each in markers)


def _pointer(name: str, x: float, y: float, text: str) -> Markup:
    if name == "measured growth":
        return tag("g", tag("title", text), draw_marker("diamond", x, y + _BAR / 2, "ink", True))
    path = f"M{coordinate(x)} {coordinate(y - 4)}v{_BAR + 8}"
    return tag("path", tag("title", text), d=path, class_="pointer")


def bar_legend(figure: BarFigure) -> Markup:
    """Write the legend of a figure of bars."""
    samples = []
    for place, kind in enumerate(figure.kinds):
        box = {"x": 1, "y": 1, "width": 40, "height": 12}
        overlay = _OVERLAYS[place % len(_OVERLAYS)]
        hatch = tag("rect", fill=f"url(#{overlay})", **box) if overlay else None
        drawn = tag("rect", class_=f"part {kind_class(kind)}", **box)
        samples.append((join(each for each in (drawn, hatch) if each), kind.replace("_", " ")))
    for name in dict.fromkeys(name for bar in figure.bars for name, _ in bar.markers):
        if name == "measured growth":
            drawn = draw_marker("diamond", 21.0, 7.0, "ink", True)
        else:
            drawn = tag("path", d="M21 0V14", class_="pointer")
        samples.append((drawn, name))
    return legend(samples)
