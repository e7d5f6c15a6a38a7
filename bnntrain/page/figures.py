"""Figures as data: what is drawn, not how. `svg`, `bars` and `pictures` draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bnntrain.page.scale import Axis

SOLID, DASHED, DOTTED, MARKERS = "solid", "dashed", "dotted", "markers"


@dataclass(frozen=True)
class Series:
    """A line, or markers without one.

    Attributes
    ----------
    label : str
        For the legend.
    x, y : sequence of float
        Points; where y is no number the line has a gap.
    color : int
        Number of the run.
    style : str
        `SOLID`, `DASHED`, `DOTTED` or `MARKERS`.
    marker : str
        Shape at the points: ``circle``, ``square``, ``triangle``, ``diamond``; empty for none.
    breaks : sequence of int
        Points at which a new line begins.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    color: int
    style: str = SOLID
    marker: str = ""
    breaks: Sequence[int] = ()


@dataclass(frozen=True)
class Level:
    """A horizontal line at `value`; `style` as of a `Series`."""

    label: str
    value: float
    style: str = DASHED


@dataclass(frozen=True)
class Lane:
    """A row below the plot that shows when something happened.

    Attributes
    ----------
    label : str
        Beside the row.
    kind : str
        Of what kind, for the colour.
    spans : sequence of (float, float)
        When, on the x axis.
    names : sequence of str
        What each span is called, for a tooltip; empty: they are not told apart.
    """

    label: str
    kind: str
    spans: Sequence[tuple[float, float]]
    names: Sequence[str] = ()


@dataclass(frozen=True)
class LineFigure:
    """Lines over a common axis.

    Attributes
    ----------
    name : str
        Short, for a file name.
    title, caption : str
        Above and below it.
    x_axis, y_axis : Axis
        Ranges and ticks.
    x_title, y_title : str
        With units.
    series, levels, lanes : sequences
        What is drawn.
    shades : sequence of (str, float, float)
        Kind, start and end of shaded parts.
    unit : str
        Of y, for tooltips.
    is_record : bool
        Many samples over time: drawn thinned, over both widths of a page.
    """

    name: str
    title: str
    caption: str
    x_axis: Axis
    y_axis: Axis
    x_title: str
    y_title: str
    series: Sequence[Series]
    levels: Sequence[Level] = ()
    lanes: Sequence[Lane] = ()
    shades: Sequence[tuple[str, float, float]] = ()
    unit: str = ""
    is_record: bool = False


@dataclass(frozen=True)
class Bar:
    """A bar of parts laid end to end.

    Attributes
    ----------
    label : str
        What it is of.
    parts : mapping of str to float
        Kind to size.
    markers : sequence of (str, float)
        Sizes that are pointed out on the bar.
    """

    label: str
    parts: Mapping[str, float]
    markers: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class BarFigure:
    """Bars over a common axis that begins at 0.

    Attributes
    ----------
    name, title, caption
        As of a `LineFigure`.
    x_axis : Axis
        Of sizes.
    x_title : str
        With the unit.
    unit : str
        For tooltips.
    kinds : sequence of str
        Kinds of parts, in the order in which they are laid and listed.
    bars : sequence of Bar
        From top to bottom.
    """

    name: str
    title: str
    caption: str
    x_axis: Axis
    x_title: str
    unit: str
    kinds: Sequence[str]
    bars: Sequence[Bar]


Figure = LineFigure | BarFigure
