"""How verbs print results: JSON, or tables whose heading is bold on a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import click

from bnntrain.text import Row, table

UNKNOWN = "unknown"


def echo_json(value: object) -> None:
    """Print a value for machines."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def echo_table(head: Sequence[Row], rows: Sequence[Row | None], left: int = 1) -> None:
    """Print a table of `bnntrain.text.table`."""
    for number, line in enumerate(table(head, rows, left)):
        # click drops the style where the output is no terminal or NO_COLOR is set.
        click.echo(click.style(line, bold=True) if number < len(head) else line)


def condition_lines(facts: dict) -> list[tuple[str, str]]:
    """Write a `board.condition` as pairs of a heading and words; what is not known has no line."""
    clock, degrees, throttling = (
        facts[name] for name in ("clock", "temperature_celsius", "throttling")
    )
    found = []
    if clock:
        current, maximum = (clock[name] or UNKNOWN for name in ("current_mhz", "maximum_mhz"))
        governor = clock["governor"] or UNKNOWN
        found.append(("clock", f"{current} of {maximum} MHz, governor {governor}"))
    if degrees is not None:
        found.append(("temperature", f"{degrees:.0f} C"))
    if throttling:
        now, earlier = (", ".join(throttling[name]) or "none" for name in ("now", "since_start"))
        found.append(("throttling", f"now: {now}; since the system started: {earlier}"))
    return found


def weights_words(checkpoint: str, epoch: int) -> str:
    """Say whose weights they are: ``last epoch (20)``, ``best epoch (17)``."""
    return f"{checkpoint} epoch ({epoch})"


def printable(text: str) -> str:
    """Write a name so that it stays on its line: what a console would obey is escaped."""
    shown = click.format_filename(text)
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in shown
    )


def echo_error(kind: str, message: str) -> None:
    """Print an error on standard error as all verbs do, with the name of its kind in front."""
    color = False if os.environ.get("NO_COLOR") else None
    click.echo(f"{click.style(kind, fg='red')}: {printable(message)}", err=True, color=color)


def warning_line(text: str) -> str:
    """Write a warning as all verbs do; click drops the colour where it is not wanted."""
    return f"{click.style('warning', fg='yellow')}: {text}"
