"""``bnntrain compare CONFIG``: train by several methods, one table."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from bnntrain import api
from bnntrain.accounting import MEASURED_BOARD, Measured
from bnntrain.cli import options
from bnntrain.cli.output import echo_json, echo_table
from bnntrain.config import Config
from bnntrain.errors import BnntrainError, Interrupted, RunError, UsageError
from bnntrain.footprint import measured, published_counterpart
from bnntrain.method import METHODS
from bnntrain.records import RUNS, reported
from bnntrain.runs import numbered
from bnntrain.signals import caught
from bnntrain.text import NONE, mib, times

Summary = dict[str, object]


def _methods(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Split and check ``--methods``."""
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        if name not in METHODS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(METHODS)}")
    if len(set(names)) != len(names):
        raise click.BadParameter("a method is named twice")
    return names


@click.command()
@options.config_argument
@functools.partial(options.override_options, without="--method")
@click.option(
    "--methods",
    default="standard,efficient",
    show_default=True,
    callback=_methods,
    metavar="A,B",
    help="Rows of the method table, in the order of the comparison.",
)
@click.option(
    "--run-dir", type=options.NamedPath(),
    help="Folder of the runs [default: a new one under runs/].",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the runs in --run-dir: what has finished is not trained again.",
)
@options.meter_options
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@options.json_option
@click.pass_context
def compare(
    context: click.Context,
    config: str,
    methods: tuple[str, ...],
    run_dir: str | None,
    resume: bool,
    quiet: bool,
    as_json: bool,
    **parameters: object,
) -> None:
    """Train a network by several methods and compare them.

    Each run has the same seed and a process of its own, so that one's memory is not counted with
    another's. Ctrl-C saves a checkpoint of the run in progress and stops; --resume goes on.
    """  # fmt: skip
    overrides = options.overrides_of(parameters)
    if "method" in overrides:
        raise UsageError("method: is what is compared. Give --methods instead")
    # All are checked before the first one trains for an hour.
    prepared = [api.prepare(config, {**overrides, "method": method}) for method in methods]
    if resume and run_dir is None:
        raise UsageError("--resume: which comparison? Give its folder with --run-dir")
    folder = _resumed(Path(run_dir)) if resume else _folder(prepared[0].config, methods, run_dir)
    runs: list[Summary] = []
    for number, (method, each) in enumerate(zip(methods, prepared, strict=True), 1):
        if not quiet:
            click.echo(f"{method} ({number} of {len(methods)})", err=True)
        command = _command(config, overrides, method, folder / method, quiet)
        again = ["--resume"] if (folder / method).exists() else []
        code, text = _train([*command, *again], method)
        if code:
            with contextlib.suppress(OSError):  # it holds runs, or was never made
                folder.rmdir()
            # The run itself has said in one line what is wrong.
            context.exit(code)
        runs.append(json.loads(text) | {"published_bytes": published_counterpart(each)})
    if as_json:
        echo_json(runs)
    else:
        _echo_comparison(runs, measured(prepared[0]))
        click.echo(f"runs: {folder}")


def _folder(config: Config, methods: Sequence[str], run_dir: str | None) -> Path:
    """Return the folder for the runs, in which those of `methods` do not exist yet."""
    if run_dir is None:
        base = Path(RUNS) / f"{config.name}-compare-seed{config.train.seed}"
        return next(filter(_make, numbered(base)))
    folder = Path(run_dir)
    for path in [folder, *(folder / method for method in methods)]:
        if path.exists() and (path != folder or not path.is_dir()):
            raise RunError(path, "exists already. Give another --run-dir")
    return folder


def _make(path: Path) -> bool:
    """Make a folder; return whether there was none: one of two that start together is second."""
    with reported(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            return False
    return True


def _resumed(folder: Path) -> Path:
    """Return the folder of a comparison that has begun."""
    if not folder.is_dir():
        raise RunError(folder, "no such folder. Without --resume a new comparison begins there")
    return folder


def _command(
    config: str, overrides: dict[str, object], method: str, folder: Path, quiet: bool
) -> list[str]:
    """Return the command of one run. JSON is YAML, so values pass unchanged."""
    settings = (("-s", f"{key}={json.dumps(value)}") for key, value in overrides.items())
    return [
        sys.executable, "-P", "-m", "bnntrain", "fit", config, *itertools.chain(*settings),
        "--method", method, "--run-dir", str(folder), "--json", *(["--quiet"] if quiet else []),
    ]  # fmt: skip


def _train(command: Sequence[str], method: str) -> tuple[int, str]:
    """Run one training to its end; return its exit code and standard output.

    Raises
    ------
    BnntrainError
        The process was killed.
    Interrupted
        It was asked to stop when it had just finished.
    """
    with _forwarded(command) as (child, received):
        text, _ = child.communicate()
    code = child.returncode
    if code < 0:
        name = signal.Signals(-code).name
        hint = " Was memory short? See 'bnntrain plan'" if name == "SIGKILL" else ""
        raise BnntrainError(method, f"the training process was ended by {name}.{hint}")
    if received and not code:
        raise Interrupted(method, "finished; the methods after it were not trained")
    return code, text


@contextmanager
def _forwarded(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen, list[int]]]:
    """Start a process; signals to this one go to it, so that it can save a checkpoint.

    Yields
    ------
    child : Popen
        In a process group of its own: a terminal would send it Ctrl-C a second time.
    received : list of int
        Signals so far.
    """
    child, received = None, []

    def forward(number: int, _frame: object) -> None:
        received.append(number)
        if child is not None:
            child.send_signal(number)

    with caught(forward):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
        for number in received:
            child.send_signal(number)
        yield child, received


def _echo_comparison(runs: list[Summary], published: Measured | None) -> None:
    """Print one row per method, and how the first one's figures relate to the last one's."""
    head = [
        ["", "accuracy", "time", "arena", "growth", "sampled", "peak", "paper", "energy"],
        ["method", "%", "ms", *["MiB"] * 5, "J"],
    ]
    rows: list[list[str] | None] = [_row(run) for run in runs]
    first, last = runs[0], runs[-1]
    if len(runs) > 1:
        pairs = zip(_figures(first), _figures(last), strict=True)
        rows += [None, ["ratio", "", *(times(a, b) for a, b in pairs)]]
    echo_table(head, rows)
    click.echo()
    click.echo("accuracy: of the test set, last epoch; time, energy: of a batch")
    click.echo("growth: resident memory at its peak less that before training; peak: all of it,")
    click.echo("        by the kernel's mark; sampled: the highest sample of memory.dat")
    click.echo("paper: modelled by Wang et al. for their standard or their low-memory method")
    if published is not None:
        click.echo(
            f"       and measured on {MEASURED_BOARD}, low-memory:\n"
            f"       {published.seconds:.2f} s, {published.mib:.2f} MiB, "
            f"{published.joules:.2f} J per batch"
        )
    if len(runs) > 1:
        click.echo(f"ratio: {first['method']} / {last['method']}")
        points = last["test_accuracy"] - first["test_accuracy"]
        click.echo(f"accuracy of {last['method']}: {points:+.2f} points against {first['method']}")


def _row(run: Summary) -> list[str]:
    seconds, *sizes, energy = _figures(run)
    return [
        run["method"],
        f"{run['test_accuracy']:.2f}",
        NONE if seconds is None else f"{1e3 * seconds:.2f}",
        *(mib(size) for size in sizes),
        NONE if energy is None else f"{energy:.3g}",
    ]


def _figures(run: Summary) -> tuple[float | None, ...]:
    """Return seconds per batch, bytes by column (arena to published), joules per batch."""
    growth = run["rss_peak_bytes"] - run["rss_before_bytes"]
    return (
        run["seconds_per_batch"], run["arena_bytes"], growth, _sampled_peak(run),
        run["rss_peak_bytes"], run["published_bytes"], run["energy_j_per_batch"],
    )  # fmt: skip


def _sampled_peak(run: Summary) -> int | None:
    # Runs from before there were meters have no such section.
    return run.get("memory", {}).get("sampled_peak_bytes")
