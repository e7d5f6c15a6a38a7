"""Figures as PNG files, by matplotlib (extra ``plot``), for papers and slides."""

from __future__ import annotations

import io
import itertools
from importlib.util import find_spec

from bnntrain.errors import UsageError
from bnntrain.page.figures import MARKERS, BarFigure, Figure, LineFigure
from bnntrain.page.output import GENERATOR

# Letters: so long that dashes are seen on both sides of a marker.
_HANDLE = 4.5
_DPI = 200
_SIZE = (6.4, 3.6)  # inches: the width of a text column of a paper, twice
_COLORS = ("#c2500a", "#1f5fbf", "#0c7a52", "#8a3ea8", "#8d6a00", "#b3245c")
_FILLS = ("#a9c9f0", "#f4bd8c", "#a8dcc0", "#d9bbe8", "#f0dc8a", "#f2b5c6", "#b5dfe6", "#cdd3da",
          "#c9d994", "#e3cdb5")  # fmt: skip
_HATCHES = ("", "///", "\\\\\\", "---", "|||", "+++", "...")
_STYLES = {"solid": "-", "dashed": "--", "dotted": ":", "faint": "-", MARKERS: "none"}
_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "": ""}


def check_library() -> None:
    """Find matplotlib before anything is read.

    Raises
    ------
    UsageError
        It is not installed.
    """
    if find_spec("matplotlib") is None:
        remedy = "Install it: pip install 'bnntrain[plot]'. The page needs none"
        raise UsageError(f"--png needs matplotlib, which is not installed. {remedy}")


def draw_picture(figure: Figure) -> bytes:
    """Draw a figure.

    Returns
    -------
    bytes
        A PNG; the same for the same figure and version of matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    is_bars = isinstance(figure, BarFigure)
    canvas = Canvas(figsize=_SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots()
    axes.set_title(figure.title, loc="left", fontsize="medium", fontweight="bold", parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if is_bars else "y", color="#e6e9ed")
    axes.set_axisbelow(True)
    axes.set_xlabel(figure.x_title)
    axes.set_xlim(figure.x_axis.low, figure.x_axis.high)
    axes.set_xticks(figure.x_axis.ticks, [figure.x_axis.text(t) for t in figure.x_axis.ticks])
    (_draw_bars if is_bars else _draw_lines)(axes, figure)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        legend = canvas.legend(handles, labels, loc="outside lower center", ncols=3,
                               fontsize="x-small", frameon=False, handlelength=_HANDLE)  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
    file = io.BytesIO()
    canvas.savefig(file, format="png", metadata={"Software": GENERATOR})
    return file.getvalue()


def _draw_lines(axes, figure: LineFigure) -> None:
    axes.set_ylabel(figure.y_title)
    axes.set_ylim(figure.y_axis.low, figure.y_axis.high)
    kinds = list(dict.fromkeys(kind for kind, _, _ in figure.shades))
    for kind, start, end in figure.shades:
        place = kinds.index(kind)
        first = (kind, start, end) == next(s for s in figure.shades if s[0] == kind)
        axes.axvspan(start, end, color=_FILLS[place % len(_FILLS)], alpha=0.5, linewidth=0,
                     label=_shown(kind) if first else None)  # fmt: skip
    for series in figure.series:
        color = _COLORS[series.color % len(_COLORS)]
        ends = [0, *series.breaks, len(series.x)]
        for first, last in itertools.pairwise(ends):
            axes.plot(
                series.x[first:last], series.y[first:last], color=color,
                linestyle=_STYLES[series.style], linewidth=1.0 if figure.is_record else 1.5,
                marker=_MARKERS[series.marker], markersize=9 if series.style == MARKERS else 3.5,
                markerfacecolor="white" if series.style == MARKERS else color,
                markevery=max(1, len(series.x) // 20),
                label=_shown(series.label) if first == 0 else None,
            )
    for level in figure.levels:
        axes.axhline(level.value, color="#1c2430", linestyle=_STYLES[level.style],
                     linewidth=0.7 if level.style == "faint" else 1.2, label=_shown(level.label))


def _draw_bars(axes, figure: BarFigure) -> None:
    rows = range(len(figure.bars))
    axes.set_yticks(rows, [bar.label for bar in figure.bars], parse_math=False)
    axes.invert_yaxis()
    begins = [0.0] * len(figure.bars)
    for place, kind in enumerate(figure.kinds):
        sizes = [max(bar.parts.get(kind, 0.0), 0.0) for bar in figure.bars]
        axes.barh(rows, sizes, 0.6, begins, color=_FILLS[place % len(_FILLS)],
                  hatch=_HATCHES[place % len(_HATCHES)], edgecolor="#1c2430", linewidth=0.4,
                  label=_shown(kind))
        begins = [begin + size for begin, size in zip(begins, sizes, strict=True)]
    for name in dict.fromkeys(name for bar in figure.bars for name, _ in bar.markers):
        points = [(size, row) for row, bar in enumerate(figure.bars)
                  for each, size in bar.markers if each == name]  # fmt: skip
        shape = "D" if name == "measured growth" else "|"
        axes.plot(*zip(*points, strict=True), linestyle="none", marker=shape, color="#1c2430",
                  markersize=6 if shape == "D" else 16, markerfacecolor="white",
                  label=_shown(name), zorder=3)  # fmt: skip


def _shown(label: str) -> str:
    """Keep a label that begins with an underscore in the legend; matplotlib would drop it."""
    text = label.replace("_", " ")
    return text if text.strip() else "-"
