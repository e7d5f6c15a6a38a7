"""What figures a set of runs gives."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bnntrain.meters.phases import IDLE, PHASES, STEP_PHASES
from bnntrain.page.figures import (
    DASHED,
    DOTTED,
    MARKERS,
    SOLID,
    Bar,
    BarFigure,
    Figure,
    Lane,
    Level,
    LineFigure,
    Series,
)
from bnntrain.page.sampling import dominant, merge, thin
from bnntrain.page.scale import Axis, finite, make_axis, number, time_unit
from bnntrain.page.source import RunRecord
from bnntrain.page.traces import Trace
from bnntrain.plan import MIB
from bnntrain.steps import ROLES
from bnntrain.text import memory_name

_MARKERS = ("circle", "square", "triangle", "diamond")
_STEP = "training"
# A phase that lasts for less than this many samples is not told from its neighbours by them.
_SAMPLES_PER_PHASE = 4
# Pixel columns of the widest drawing.
_COLUMNS = 700
# More epochs than this have no tooltip of their own: they would be thinner than a pixel.
_MANY_EPOCHS = 300


@dataclass(frozen=True)
class Gallery:
    """All figures of a page, by section; a section may be empty.

    Attributes
    ----------
    learning : list of LineFigure
        Accuracy and loss by epoch.
    memory : list of Figure
        Memory over time, one per run.
    variables : list of BarFigure
        Planned memory by variable.
    power : list of LineFigure
        Power over time, one per run.
    phases : list of BarFigure
        Energy by phase.
    """

    learning: list[Figure] = field(default_factory=list)
    memory: list[Figure] = field(default_factory=list)
    variables: list[Figure] = field(default_factory=list)
    power: list[Figure] = field(default_factory=list)
    phases: list[Figure] = field(default_factory=list)

    def __iter__(self):
        """All of them in the order of the page."""
        for figures in (self.learning, self.memory, self.variables, self.power, self.phases):
            yield from figures


def all_figures(runs: Sequence[RunRecord]) -> Gallery:
    """Draw everything that there is about some runs."""
    return Gallery(
        [figure for figure in (_accuracy(runs), _loss(runs)) if figure],
        _memory(runs), _variables(runs), _power(runs), _phases(runs),
    )


# Learning ---------------------------------------------------------------------------------------


def _accuracy(runs: Sequence[RunRecord]) -> LineFigure | None:
    return _learning(
        runs, "accuracy", "Accuracy", "accuracy, %", "%",
        ("accuracy", "val_accuracy", "test_accuracy"), (0.0, 100.0),
    )


def _loss(runs: Sequence[RunRecord]) -> LineFigure | None:
    return _learning(
        runs, "loss", "Loss", "loss, mean per sample", "",
        ("loss", "val_loss", "test_loss"), (0.0, None),
    )


def _learning(
    runs: Sequence[RunRecord], name: str, title: str, y_title: str, unit: str,
    keys: tuple[str, str, str], limits: tuple[float | None, float | None],
) -> LineFigure | None:
    series, gaps = [], 0
    for color, run in enumerate(runs):
        epochs = [row["epoch"] for row in run.metrics]
        marker = _MARKERS[color % len(_MARKERS)]
        for key, what, style in ((keys[0], "training", DASHED), (keys[1], "validation", SOLID)):
            values = [row.get(key, math.nan) for row in run.metrics]
            known = [row[key] for row in run.metrics if key in row]
            gaps += len(known) - len(finite(known))
            if finite(known):
                series.append(Series(f"{run.label}, {what}", epochs, values, color, style, marker))
        test = run.figure(keys[2])
        if test is not None:
            last = run.figure("epochs_done") or max(epochs, default=1.0)
            series.append(Series(f"{run.label}, test", [last], [test], color, MARKERS, marker))
    if not series:
        return None
    epochs = [x for line in series for x in line.x]
    return LineFigure(
        name, title, _learning_caption(name, gaps),
        make_axis(epochs, 6, whole=True, tight=True),
        make_axis((y for line in series for y in line.y), 5, floor=limits[0], ceiling=limits[1]),
        "epoch", y_title, series, unit=unit,
    )


def _learning_caption(name: str, gaps: int) -> str:
    text = f"{name.capitalize()} by epoch. Training {name} is that of the batches as they were "
    text += "trained on; a ringed marker is the test set, read once, with the last epoch's weights."
    if gaps:
        text += f" {gaps} values that were no finite number are left out."
    return text


# Records over time ------------------------------------------------------------------------------


def _memory(runs: Sequence[RunRecord]) -> list[Figure]:
    recorded = [run for run in runs if run.memory]
    values = [v for run in recorded for v in (min(run.memory.values), max(run.memory.values))]
    values += [v for run in recorded for v in _levels_of(run)]
    axis = make_axis(values, 5, floor=0.0)
    figures: list[Figure] = [_memory_record(run, runs.index(run), axis) for run in recorded]
    others = [run for run in runs if not run.memory]
    if by_epoch := _memory_by_epoch(others, runs):
        figures.append(by_epoch)
    return figures


def _levels_of(run: RunRecord) -> list[float]:
    sizes = (run.figure("rss_before_bytes"), run.figure("rss_peak_bytes"))
    known = [size / MIB for size in sizes if size is not None]
    return known + ([run.planned_rss_mib] if run.planned_rss_mib is not None else [])


def _memory_levels(run: RunRecord) -> list[Level]:
    levels = []
    before, peak = run.figure("rss_before_bytes"), run.figure("rss_peak_bytes")
    if run.planned_rss_mib is not None:
        text = f"planned: before training + arena = {number(run.planned_rss_mib)} MiB"
        levels.append(Level(text, run.planned_rss_mib, DASHED))
    if peak is not None:
        name = "kernel's high-water mark" if run.summary.get("rss_peak_exact") else "highest seen"
        levels.append(Level(f"{name} {number(peak / MIB)} MiB", peak / MIB, DOTTED))
    if before is not None:
        levels.append(Level(f"before training {number(before / MIB)} MiB", before / MIB, "faint"))
    return levels


def _memory_record(run: RunRecord, color: int, axis: Axis) -> LineFigure:
    trace, what = run.memory, memory_name(run.section("memory"))
    caption = (
        f"{run.label}: {what} as sampled ({len(trace.values):,} samples), with what the "
        "plan says before the run starts. Rows below: epochs and phases as memory.dat has them; "
        "of the steps of an epoch it may have the first ones only."
    )
    name, title = _file_name("memory", run, color), f"Memory over time, {run.label}"
    return _record(name, title, caption, trace, f"{what}, MiB", "MiB", color, axis,
                   _memory_levels(run))  # fmt: skip


def _power(runs: Sequence[RunRecord]) -> list[Figure]:
    recorded = [run for run in runs if run.power]
    axis = make_axis(
        [0.0, *(v for run in recorded for v in (min(run.power.values), max(run.power.values)))], 5
    )
    return [_power_record(run, runs.index(run), axis) for run in recorded]


def _power_record(run: RunRecord, color: int, axis: Axis) -> LineFigure:
    trace = run.power
    meter = run.text("energy", "meter") or trace.label
    caption = f"{run.label}: power as sampled ({len(trace.values):,} samples)"
    caption += f", measured by {meter}." if meter else "."
    is_joined = _is_fast(run, trace)
    caption += " Shaded and in the rows below: the phases"
    caption += "; those of a training step change too fast to be told apart here." if (
        is_joined) else "."
    idle = [run.figure("energy", f"idle_watts_{when}") for when in ("before", "after")]
    levels = [
        Level(f"idle {when} {number(watts, 3)} W", watts, style)
        for when, watts, style in zip(("before", "after"), idle, (DASHED, DOTTED), strict=True)
        if watts is not None
    ]
    name, title = _file_name("power", run, color), f"Power over time, {run.label}"
    return _record(name, title, caption, trace, "power, W", "W", color, axis, levels,
                   is_shaded=True, is_joined=is_joined)  # fmt: skip


def _record(
    name: str, title: str, caption: str, trace: Trace, y_title: str, unit: str, color: int,
    y_axis: Axis, levels: list[Level], is_shaded: bool = False, is_joined: bool = False,
) -> LineFigure:
    """Draw a trace with its spans, in the unit of time that suits its length."""
    end = max([trace.end, *(max(stamps) for stamps in trace.spans.values() if stamps)])
    time, scale = time_unit(end)
    chosen = thin(trace.seconds, trace.values, _COLUMNS, trace.breaks)
    breaks = set(trace.breaks)
    line = Series(
        y_title.partition(",")[0], [trace.seconds[i] / scale for i in chosen],
        [trace.values[i] for i in chosen], color,
        breaks=[place for place, i in enumerate(chosen) if i in breaks],
    )
    if breaks:
        resumed = "once" if len(breaks) == 1 else f"{len(breaks)} times"
        caption += f" The run was resumed {resumed}; pauses are left out."
    shades = _shades(trace, end, is_joined) if is_shaded else []
    return LineFigure(
        name, title, caption, make_axis([0.0, end / scale], 6, tight=True), y_axis,
        f"time, {time}", y_title, [line], levels, _lanes(trace, end, scale, is_joined),
        [(kind, start / scale, stop / scale) for kind, start, stop in shades], unit, True,
    )


def _file_name(what: str, run: RunRecord, place: int) -> str:
    """Name a run's figure; the place tells runs apart whose labels differ in punctuation only."""
    words = re.sub(r"[^a-z0-9]+", "-", run.label.lower()).strip("-")
    return f"{what}-{place + 1}-{words}"[:80].rstrip("-")


def _is_epoch(name: str) -> bool:
    return name.lower().startswith("epoch")


def _is_fast(run: RunRecord, trace: Trace) -> bool:
    """Whether the phases of a step change faster than samples can tell."""
    step, count = run.figure("seconds_per_batch"), len(trace.seconds)
    if step is None or count < 2:
        return True
    return step * count / trace.end < _SAMPLES_PER_PHASE * len(STEP_PHASES)


def _phases_of(trace: Trace, is_joined: bool) -> dict[str, list[str]]:
    """Return what is shown, in order, and the phases that it stands for."""
    names = [name for name in PHASES if name in trace.spans]
    names += sorted(name for name in trace.spans if name not in PHASES and not _is_epoch(name))
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_STEP if is_joined and name in STEP_PHASES else name, []).append(name)
    return found


def _shades(trace: Trace, end: float, is_joined: bool) -> list[tuple[str, float, float]]:
    """Name each part of the time by what fills most of it."""
    spans = (
        (shown, start, stop)
        for shown, names in _phases_of(trace, is_joined).items()
        for name in names
        for start, stop in trace.intervals(name)
    )
    return dominant(spans, 0.0, end, _COLUMNS)


def _lanes(trace: Trace, end: float, scale: float, is_joined: bool) -> list[Lane]:
    """Show when epochs and phases were; the phases of a step joined, if need be."""
    lanes = []
    names = [name for name in trace.spans if _is_epoch(name)]
    if names:
        epochs = sorted(span for name in names for span in trace.intervals(name))
        if len(epochs) > _MANY_EPOCHS:
            lanes.append(Lane("epochs", "epoch", _scaled(epochs, end, scale)))
        else:
            spans = [(start / scale, stop / scale) for start, stop in epochs]
            texts = [f"epoch {n}" for n in range(1, len(epochs) + 1)]
            lanes.append(Lane("epochs", "epoch", spans, texts))
    for shown, names in _phases_of(trace, is_joined).items():
        spans = _scaled(itertools.chain(*map(trace.intervals, names)), end, scale)
        lanes.append(Lane(shown.replace("_", " "), shown, spans))
    return lanes


def _scaled(
    spans: Iterable[tuple[float, float]], end: float, scale: float
) -> list[tuple[float, float]]:
    return [(start / scale, stop / scale) for start, stop in merge(spans, 0.0, end, _COLUMNS)]


def _memory_by_epoch(others: Sequence[RunRecord], runs: Sequence[RunRecord]) -> LineFigure | None:
    """Draw what metrics.csv knows of runs without memory.dat."""
    series = []
    for run in others:
        rows = [row for row in run.metrics if "rss_peak_mib" in row]
        if rows:
            color = runs.index(run)
            x, y = [row["epoch"] for row in rows], [row["rss_peak_mib"] for row in rows]
            series.append(Series(run.label, x, y, color, SOLID, _MARKERS[color % len(_MARKERS)]))
    if not series:
        return None
    caption = "Highest resident memory so far, by epoch. Of these runs there is no memory.dat."
    return LineFigure(
        "memory-by-epoch", "Memory by epoch", caption,
        make_axis((x for line in series for x in line.x), 6, whole=True, tight=True),
        make_axis((y for line in series for y in line.y), 5, floor=0.0),
        "epoch", "resident memory, MiB", series, unit="MiB",
    )


# Bars -------------------------------------------------------------------------------------------


def _variables(runs: Sequence[RunRecord]) -> list[Figure]:
    planned = [run for run in runs if run.roles]
    if not planned:
        return []
    bars = [*_published_bars(planned)]
    for run in planned:
        markers = [("arena, as allocated", run.plan_bytes / MIB)]
        if run.growth_bytes is not None:
            markers.append(("measured growth", run.growth_bytes / MIB))
        bars.append(Bar(run.label, {k: v / MIB for k, v in run.roles.items()}, markers))
    kinds = [*ROLES, *sorted({role for run in planned for role in run.roles} - set(ROLES))]
    present = [kind for kind in kinds if any(bar.parts.get(kind) for bar in bars)]
    widest = [sum(bar.parts.values()) for bar in bars]
    widest += [size for bar in bars for _, size in bar.markers]
    caption = (
        "Memory of training by variable, as if nothing were shared. Variables that are needed at "
        "different times share bytes, so the arena is smaller than its parts. Measured growth is "
        "resident memory at its peak less that before training."
    )
    if len(bars) > len(planned):
        caption += " Published: modelled by Wang et al. (arXiv 2102.04270) with Adam."
    axis = make_axis([0.0, *widest], 6)
    title = "Memory by variable"
    return [BarFigure("variables", title, caption, axis, "MiB", "MiB", present, bars)]


def _published_bars(runs: Sequence[RunRecord]) -> list[Bar]:
    """Return the published methods' bars, if all runs have the same."""
    found = {
        tuple((each.name, tuple(each.roles.items())) for each in run.published) for run in runs
    }
    if len(found) != 1:
        return []
    return [
        Bar(f"published {name.replace('_', '-')}", {role: size / MIB for role, size in roles})
        for name, roles in found.pop()
    ]


def _phases(runs: Sequence[RunRecord]) -> list[Figure]:
    bars = [
        Bar(run.label, {
            phase: figures["joules"] for phase, figures in run.phases.items() if phase not in IDLE
        })
        for run in runs
    ]  # fmt: skip
    bars = [bar for bar in bars if sum(bar.parts.values()) > 0]
    if not bars:
        return []
    kinds = [*PHASES, *sorted({phase for bar in bars for phase in bar.parts} - set(PHASES))]
    present = [kind for kind in kinds if any(bar.parts.get(kind) for bar in bars)]
    caption = "Energy of the whole run by phase, as measured, idle power included."
    axis = make_axis([0.0, *(sum(bar.parts.values()) for bar in bars)], 6)
    return [BarFigure("energy-by-phase", "Energy by phase", caption, axis, "J", "J", present, bars)]
