"""``bnntrain doctor``: what this machine is, and whether training can work on it."""

from __future__ import annotations

import click

from bnntrain.cli.options import json_option
from bnntrain.cli.output import UNKNOWN, condition_lines, echo_json, warning_line
from bnntrain.machine import examine
from bnntrain.text import columns, plural, size_text


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Examine the machine and the installation.

    Exit code 1 says that training cannot work; the lines that begin with 'problem' say why.
    """
    facts = examine()
    if as_json:
        echo_json(facts)
    else:
        for line in columns(lines(facts)):
            click.echo(line)
        _echo_verdict(facts["warnings"], facts["problems"])
    context.exit(1 if facts["problems"] else 0)


def lines(facts: dict) -> list[tuple[str, str]]:
    """Write facts as pairs of a heading and words; what the system does not tell has no line."""
    isa, variable = facts["isa"], facts["isa"]["variable"]
    found = [each["name"] for each in facts["datasets"] if not each["missing"]]
    extras = [
        f"{extra} ({version or f'not installed: pip install {extra_of(extra)}'})"
        for extra, version in facts["extras"].items()
    ]
    return [
        ("bnntrain", f"{facts['bnntrain']}, Python {facts['python']}, NumPy {facts['numpy']}"),
        ("system", f"{facts['os']}, {facts['bits']} bit"),
        ("machine", ", ".join(filter(None, (facts["board"], facts["cpu"], facts["machine"])))),
        ("cores", f"{facts['cores']} available, {plural(facts['threads'], 'thread')} by default"),
        *condition_lines(facts),
        ("instructions", f"{isa['selected']} selected, of {', '.join(isa['supported'])}"
         + (f" (BNNTRAIN_ISA={variable})" if variable else "")),
        ("memory", _memory(facts["memory"])),
        ("data", _folder(facts["data_folder"])),
        ("cache", _folder(facts["cache_folder"])),
        ("data sets", ", ".join(found) or "none found"),
        ("extras", ", ".join(extras)),
    ]  # fmt: skip


def extra_of(name: str) -> str:
    """Write an extra as pip takes it."""
    return f"'bnntrain[{name}]'"


def _memory(memory: dict[str, int | None]) -> str:
    available, limit = memory["available_bytes"], memory["limit_bytes"]
    parts = [] if available is None else [f"{size_text(available)} available"]
    parts += [] if limit is None else [f"limited to {size_text(limit)}"]
    return ", ".join([*parts, f"{size_text(memory['total_bytes'])} in all"])


def _folder(folder: dict | None) -> str:
    if folder is None:
        return UNKNOWN
    state = "writable" if folder["writable"] else "not writable"
    return f"{folder['path']} ({state if folder['exists'] else f'not there yet, {state}'})"


def _echo_verdict(warnings: list[str], problems: list[str]) -> None:
    for text in warnings:
        click.echo(warning_line(text))
    for text in problems:
        click.echo(f"{click.style('problem', fg='red')}: {text}")
    if not problems:
        click.echo(click.style("training can work here", fg="green"))
