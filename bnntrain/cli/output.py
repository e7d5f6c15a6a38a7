"""How verbs print results: JSON, or tables whose heading is bold on a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from bnntrain.report import Row, table


def echo_json(value: object) -> None:
    """Print a value for machines."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def echo_table(head: Sequence[Row], rows: Sequence[Row | None], left: int = 1) -> None:
    """Print a table of `bnntrain.report.table`."""
    for number, line in enumerate(table(head, rows, left)):
        # click drops the style where the output is no terminal or NO_COLOR is set.
        click.echo(click.style(line, bold=True) if number < len(head) else line)
