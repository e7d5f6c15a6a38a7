"""What a run's memory was, beside what was planned: the second table of ``bnntrain plan RUN``."""

from __future__ import annotations

from pathlib import Path

import click

from bnntrain.cli.output import echo_table
from bnntrain.plan import MIB
from bnntrain.records import RunFolder
from bnntrain.text import NONE, memory_name, mib, plural


def is_run(path: str) -> bool:
    """Whether a path is a run's folder."""
    return Path(path, "config.yaml").is_file()


def measured_json(path: str) -> dict[str, object]:
    """Return memory in bytes: before the arena, by phase and epoch, at its peak.

    Figures that the run has not, or not yet, are None.

    Raises
    ------
    RunError
        Its records are damaged.
    """
    folder = RunFolder.open(Path(path))
    summary, metrics = folder.read_summary(), folder.read_metrics()
    memory = summary.get("memory") or {}
    return {
        "arena_bytes": summary.get("arena_bytes"),
        "rss_before_bytes": summary.get("rss_before_bytes"),
        "phases": memory.get("phases", {}),
        "epochs": [
            {"epoch": int(row["epoch"]), "rss_peak_bytes": round(row["rss_peak_mib"] * MIB)}
            for row in metrics
            if "rss_peak_mib" in row
        ],
        **{name: memory.get(name) for name in ("backend", "kind", "children")},
        "samples": memory.get("samples", 0),
        "interval_s": memory.get("interval_s"),
        "sampled_peak_bytes": memory.get("sampled_peak_bytes"),
        "rss_peak_bytes": summary.get("rss_peak_bytes"),
        "rss_peak_exact": summary.get("rss_peak_exact"),
        "reason": memory.get("reason"),
    }


def echo_measured(path: str) -> None:
    """Print the table."""
    found = measured_json(path)
    before = found["rss_before_bytes"]
    if before is None:
        click.echo("measured: nothing yet; the run has not begun")
        return

    # What is not resident memory has not grown from it.
    is_alike = found["kind"] in (None, "rss") and not found["children"]

    def row(what: str, size: int | None, samples: str = "") -> list[str]:
        is_growth = size is not None and (is_alike or not samples)
        return [what, mib(size), mib(size - before) if is_growth else NONE, samples]

    rows: list[list[str] | None] = [row("before the arena", before)]
    rows += [
        row(name, phase["peak_bytes"], f"{phase['samples']:,}")
        for name, phase in found["phases"].items()
    ]
    ends = found["epochs"][:1] + found["epochs"][1:][-1:]
    rows += [
        row(f"up to the end of epoch {each['epoch']}", each["rss_peak_bytes"]) for each in ends
    ]
    rows += [
        None,
        row("peak of the samples", found["sampled_peak_bytes"], f"{found['samples']:,}"),
        row("peak by the kernel's mark", found["rss_peak_bytes"]),
        ["arena, as planned", "", mib(found["arena_bytes"]), ""],
    ]
    echo_table([["measured", "memory", "growth", ""], ["", "MiB", "MiB", "samples"]], rows)
    click.echo()
    if found["samples"]:
        click.echo(
            f"samples: {plural(found['samples'], 'sample')} of {memory_name(found)}, every "
            f"{found['interval_s']:g} s\n         and at the edges of phases; a phase's highest"
        )
    else:
        click.echo(f"samples: none; {found['reason'] or 'the run is from before there were any'}")
    if not found["rss_peak_exact"]:
        click.echo("the kernel's mark could not be reset: it is that of the whole process")
