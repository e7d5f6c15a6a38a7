"""``bnntrain fit CONFIG``: train, record, report."""

from __future__ import annotations

import json
import sys

import click

from bnntrain import api
from bnntrain.cli import options
from bnntrain.cli.progress import Bar, Lines, Quiet
from bnntrain.errors import UsageError
from bnntrain.plan import MIB


@click.command()
@options.config_argument
@options.override_options
@click.option(
    "--run-dir", type=click.Path(),
    help="Folder for the records [default: a new one under runs/].",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the run in --run-dir, to the same weights.")
@options.memory_limit_option
@options.meter_options
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@options.json_option
def fit(
    config: str,
    run_dir: str | None,
    resume: bool,
    memory_limit: int | None,
    quiet: bool,
    as_json: bool,
    **parameters: object,
) -> None:
    """Train a network.

    CONFIG is a .yaml file or a shipped name ('bnntrain config show' lists them). Ctrl-C saves a
    checkpoint and stops; --resume goes on from there.
    """
    if run_dir == "":  # of an unset shell variable: it would stand for the working directory
        raise UsageError("--run-dir is empty. Give the name of a folder")
    overrides = options.overrides_of(parameters)
    observer = Quiet() if quiet else Bar() if _is_terminal() else Lines()
    try:
        run = api.fit(config, overrides, run_dir, resume, memory_limit, observer)
    finally:
        if isinstance(observer, Bar):
            observer.close()
    if as_json:
        click.echo(json.dumps(run.summary, indent=2))
    else:
        click.echo(report(run))


def _is_terminal() -> bool:
    """Whether progress is read by a person; standard error may also be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def report(run: api.Run) -> str:
    """The last lines of a run: accuracy, memory, speed, where it is."""
    s = run.summary
    used = (s["rss_peak_bytes"] - s["rss_before_bytes"]) / MIB
    lines = [
        f"test accuracy {s['test_accuracy']:.2f} % (last epoch), "
        f"{s['best_test_accuracy']:.2f} % (best validation)",
        f"memory: arena {s['arena_bytes'] / MIB:.2f} MiB, as planned; "
        f"resident {s['rss_before_bytes'] / MIB:.1f} MiB before training, "
        f"{used:.2f} MiB more at its peak",
    ]
    if s["seconds_per_batch"] is not None:
        lines.append(
            f"time: {1e3 * s['seconds_per_batch']:.2f} ms per batch of {s['batch_size']} "
            f"({s['isa']}, {s['threads']} threads), {s['seconds_total']:.1f} s in all"
        )
    if s["energy"]["available"]:
        lines.append(energy_line(s["energy"], s["energy_j_per_batch"]))
    return "\n".join([*lines, f"run: {click.format_filename(run.path)}"])


def energy_line(energy: dict, per_batch: float | None) -> str:
    """The energy of a run in words."""
    parts = [f"{energy['joules']:.4g} J in {energy['seconds']:.1f} s"]
    if per_batch is not None:
        parts.insert(0, f"{per_batch:.3g} J per batch")
    if energy["net_joules"] is not None:
        parts.append(f"{energy['net_joules']:.4g} J above idle")
    return f"energy: {', '.join(parts)} ({energy['meter']})"
