"""The page as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bnntrain.accounting import MEASURED_BOARD
from bnntrain.page.bars import bar_legend, draw_bars, draw_hatches
from bnntrain.page.drawings import Gallery, all_figures
from bnntrain.page.figures import BarFigure, Figure
from bnntrain.page.markup import Markup, join, tag
from bnntrain.page.output import GENERATOR
from bnntrain.page.scale import number
from bnntrain.page.source import RunRecord
from bnntrain.page.style import style_sheet
from bnntrain.page.svg import NARROW, WIDE, draw_lines, legend_of
from bnntrain.page.tables import Cell, Sheet, comparison, facts, phases, variables
from bnntrain.text import plural

_SUMS = {"total"}
_RATIO = "ratio"
# More columns than these fill the page at full size.
_COLUMNS = 6


def render_page(runs: Sequence[RunRecord]) -> bytes:
    """Write the page about some runs.

    Parameters
    ----------
    runs : sequence of RunRecord
        At least one.

    Returns
    -------
    bytes
        HTML in UTF-8, the same for the same runs. It loads nothing.
    """
    title = _title(runs)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="generator", content=GENERATOR),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        # A browser would refuse to load anything even if a text of the page asked for it.
        tag("meta", http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'"),
        tag("title", title),
        tag("style", Markup(style_sheet())),
    )  # fmt: skip
    body = tag("body", draw_hatches(), tag("main", *_sections(title, runs)))
    page = tag("html", head, body, lang="en")
    return f"<!DOCTYPE html>\n{page}\n".encode()


def _title(runs: Sequence[RunRecord]) -> str:
    names = list(dict.fromkeys(filter(None, (run.text("name") for run in runs)))) or ["bnntrain"]
    what = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    return f"{what}: {' against '.join(run.label for run in runs)}" if 1 < len(runs) < 5 else (
        f"{what}: {len(runs)} runs" if len(runs) > 1 else what)  # fmt: skip


def _sections(title: str, runs: Sequence[RunRecord]) -> Iterator[Markup]:
    gallery = all_figures(runs)
    yield tag("h1", title)
    yield tag("p", _lead(runs), class_="lead")
    yield from (tag("p", text, class_="warn") for text in _warnings(runs))
    yield _cards(runs)
    if gallery.learning:
        yield tag("h2", "Learning")
        yield tag("div", *map(_figure, gallery.learning), class_="pair")
    yield tag("h2", "Comparison" if len(runs) > 1 else "Figures")
    yield _table(_with_units(comparison(runs), len(runs) > 1))
    yield from _comparison_notes(runs)
    yield from _memory(gallery, runs)
    yield from _energy(gallery, runs)
    yield tag("h2", "What ran")
    yield _facts_table(facts(runs))
    text = "Written by bnntrain report. Point at a line or a bar for figures."
    yield tag("footer", tag("p", text))


def _lead(runs: Sequence[RunRecord]) -> str:
    first = runs[0]
    same = {(run.text("model"), run.text("dataset")) for run in runs}
    if len(same) > 1 or not first.text("model"):
        return f"{len(runs)} training runs" if len(runs) > 1 else "A training run"
    method = "" if len(runs) > 1 else f" by method {first.text('method')}"
    where = f"{first.text('isa')}, {plural(int(first.figure('threads') or 0), 'thread')}"
    return f"Model {first.text('model')} trained on {first.text('dataset')}{method} ({where})."


def _warnings(runs: Sequence[RunRecord]) -> Iterator[str]:
    """Say which runs did not end."""
    for run in runs:
        prefix = f"{run.label}: " if len(runs) > 1 else ""
        done, planned = (f"{run.figure(key) or 0:.0f}" for key in ("epochs_done", "epochs"))
        if not run.summary:
            yield f"{prefix}there is no run.json: the run ended before its first step."
        elif run.text("status") == "interrupted":
            yield f"{prefix}interrupted after {done} of {planned} epochs; it can be resumed."
        elif run.text("status") == "failed":
            yield f"{prefix}failed after {done} of {planned} epochs."
        elif run.text("status") != "finished":
            yield f"{prefix}not finished, {done} of {planned} epochs are recorded."


# Cards ------------------------------------------------------------------------------------------

_CARDS = (
    ("Test accuracy", "test accuracy, last epoch"),
    ("Time per batch", "time per batch"),
    ("Memory, arena", "arena, as planned"),
    ("Energy per batch", "energy per batch"),
)


def _cards(runs: Sequence[RunRecord]) -> Markup | None:
    """Show the four figures that readers look for first, of few runs."""
    if len(runs) > 3:
        return join(())
    rows = {row[0]: row for row in comparison(runs).rows}
    cards = []
    for title, name in _CARDS:
        if name not in rows:
            continue
        _, unit, *cells = rows[name]
        if not any(isinstance(cell, float) for cell in cells):
            continue
        lines = [
            tag("p", tag("span", run.label if len(runs) > 1 else "", class_="who"),
                tag("b", _figure_text(value, str(unit))))
            for run, value in zip(runs, cells, strict=False)
        ]  # fmt: skip
        if len(runs) > 1:
            lines.append(tag("p", _relation(cells, runs), class_="ratio"))
        cards.append(tag("li", tag("h3", title), *lines))
    return tag("ul", *cards, class_="cards")


def _figure_text(value: Cell, unit: str) -> str:
    if not isinstance(value, float):
        return "not measured"
    return f"{number(value, 4 if unit == '%' else 3)} {unit}"


def _relation(cells: Sequence[Cell], runs: Sequence[RunRecord]) -> str:
    """Say how the first run's figure relates to the last one's."""
    first, last, ratio = cells[0], cells[len(runs) - 1], cells[-1]
    if isinstance(ratio, float):
        return f"ratio {number(ratio, 3)}x"
    if isinstance(first, float) and isinstance(last, float):
        return f"{last - first:+.2f} points"
    return "no ratio"


# Sections ---------------------------------------------------------------------------------------


def _comparison_notes(runs: Sequence[RunRecord]) -> Iterator[Markup]:
    texts = [
        "Time per batch is the median, reading included. Growth is resident memory at its peak "
        "less that before training."
    ]
    if len(runs) > 1:
        texts.append(f"Ratio: {runs[0].label} / {runs[-1].label}.")
    if any(run.counterpart_bytes for run in runs):
        texts.append(
            "Published: Wang et al., arXiv 2102.04270, with Adam, for the standard or the "
            "low-memory method, whichever retains activations as the run does; modelled by their "
            "formula, printed in their table where it has this network and batch."
        )
    for theirs in dict.fromkeys(run.measured for run in runs if run.measured):
        texts.append(
            f"Measured by them on {MEASURED_BOARD}, low-memory, batch {theirs.batch}: "
            f"{theirs.seconds:.2f} s, {theirs.mib:.2f} MiB, {theirs.joules:.2f} J per batch."
        )
    texts += [f"{run.label}: no published figures ({run.trouble})." for run in runs if run.trouble]
    yield tag("p", " ".join(texts), class_="note")


def _memory(gallery: Gallery, runs: Sequence[RunRecord]) -> Iterator[Markup]:
    yield tag("h2", "Memory")
    yield from map(_figure, gallery.memory)
    without = [run.label for run in runs if not run.memory]
    if without:
        names = ", ".join(without) if len(runs) > 1 else "this run"
        reasons = dict.fromkeys(filter(None, (run.text("memory", "reason") for run in runs)))
        reason = "; ".join(reasons) or "there is no memory.dat"
        yield tag("p", f"Not recorded over time: {names} ({reason}).", class_="note")
    for run in runs:
        for text in run.warnings("memory"):
            yield tag("p", f"{run.label}: {text}", class_="warn")
    yield from map(_figure, gallery.variables)
    sheet = variables(runs)
    if sheet.rows:
        yield _table(sheet)


def _energy(gallery: Gallery, runs: Sequence[RunRecord]) -> Iterator[Markup]:
    yield tag("h2", "Energy")
    yield from map(_figure, gallery.power)
    yield from map(_figure, gallery.phases)
    sheet = phases(runs)
    if sheet.rows:
        yield _table(sheet)
    for run in runs:
        prefix = f"{run.label}: " if len(runs) > 1 else ""
        reason = run.text("energy", "reason")
        if reason:
            yield tag("p", f"{prefix}energy was not measured: {reason}", class_="note")
        elif not run.phases and not run.power:
            yield tag("p", f"{prefix}no power meter was used.", class_="note")
        parts = len(run.measured_parts)
        if parts > 1:
            text = f"{prefix}trained in {parts} parts: the energy of the run and of its phases is "
            text += "that of all, the energy of a batch and of an image the last one's."
            yield tag("p", text, class_="note")
        for text in run.warnings("energy"):
            yield tag("p", f"{prefix}{text}", class_="warn")


def _figure(figure: Figure) -> Markup:
    if isinstance(figure, BarFigure):
        drawings = [draw_bars(figure, width) for width in (WIDE, NARROW)]
        names = bar_legend(figure)
    else:
        # Curves by epoch stand side by side, each as wide as a phone.
        is_alone = figure.is_record or figure.name == "memory-by-epoch"
        widths = (WIDE, NARROW) if is_alone else (NARROW,)
        drawings = [draw_lines(figure, width) for width in widths]
        names = legend_of(figure)
    class_ = "record" if getattr(figure, "is_record", False) else None
    return tag("figure", tag("h3", figure.title), *drawings, names,
               tag("figcaption", figure.caption), class_=class_)  # fmt: skip


# Tables -----------------------------------------------------------------------------------------


def _table(sheet: Sheet) -> Markup:
    head = tag("tr", *(
        tag("th", name, scope="col", class_="word" if place < sheet.left else None)
        for place, name in enumerate(sheet.head)
    ))  # fmt: skip
    is_ratio = sheet.head[-1] == _RATIO
    decimals = _decimals(sheet) if sheet.name == "variables" else None
    rows = [_row(row, sheet.left, is_ratio, decimals) for row in sheet.rows]
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_=_width(sheet))
    return _scrolling(table, sheet.name)


def _with_units(sheet: Sheet, has_ratio: bool) -> Sheet:
    """Put units behind names and shorten the last heading, to suit a phone."""
    rows = [[f"{name}, {unit}" if unit else name, *cells] for name, unit, *cells in sheet.rows]
    head = [sheet.head[0], *sheet.head[2:]]
    if has_ratio:
        head[-1] = _RATIO
    return Sheet(sheet.name, head, rows)


def _row(row: Sequence[Cell], left: int, is_ratio: bool, decimals: int | None) -> Markup:
    cells = [tag("th", row[0], scope="row")]
    for place, value in enumerate(row[1:], 1):
        text = _cell(value, decimals)
        if is_ratio and place == len(row) - 1 and value is not None:
            text = f"{number(float(value), 3)}x"
        cells.append(tag("td", text, class_="word" if place < left else None))
    return tag("tr", *cells, class_="sum" if row[0] in _SUMS else None)


def _decimals(sheet: Sheet) -> int:
    """Two where the smallest total has digits before the point, three below, as `plan` prints."""
    totals = next(row for row in sheet.rows if row[0] == "total")
    return 2 if min(cell for cell in totals[1:] if isinstance(cell, float)) >= 1 else 3


def _cell(value: Cell, decimals: int | None = None) -> str:
    if isinstance(value, float):
        if decimals is not None:
            return f"{value:,.{decimals}f}"
        return number(value)
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else value


def _facts_table(sheet: Sheet) -> Markup:
    """Write facts; one that all runs share stands once, over all columns."""
    several = len(sheet.head) > 2
    names = (tag("th", name, scope="col", class_="word") for name in sheet.head)
    head = tag("thead", tag("tr", *names))
    rows = []
    for name, *values in sheet.rows:
        class_ = "word code" if "SHA" in name else "word long"
        if several and len(set(values)) == 1:
            cells = [tag("td", values[0], colspan=len(values), class_=class_)]
        else:
            cells = [tag("td", value or "-", class_=class_) for value in values]
        rows.append(tag("tr", tag("th", name, scope="row"), *cells))
    body = tag("tbody", *rows)
    table = tag("table", head if several else None, body, class_=_width(sheet))
    return _scrolling(table, sheet.name)


def _width(sheet: Sheet) -> str | None:
    """Return the class of a table whose columns have to be narrow."""
    return "many" if len(sheet.head) > _COLUMNS else None


def _scrolling(table: Markup, name: str) -> Markup:
    """Let a wide table scroll by itself, also from the keyboard."""
    label = f"table: {name}"
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)
