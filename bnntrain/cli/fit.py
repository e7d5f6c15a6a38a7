"""``bnntrain fit CONFIG``: train, record, report."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bnntrain import training
from bnntrain.cli import options
from bnntrain.cli.output import weights_words
from bnntrain.cli.progress import Bar, Lines, Quiet
from bnntrain.config import is_config_name
from bnntrain.errors import UsageError
from bnntrain.plan import MIB
from bnntrain.records import is_run
from bnntrain.text import duration, plural

_NOTICED = 0.1
_WAITED = 0.05


@click.command()
@options.configuration(required=False)
@options.override_options
@click.option(
    "--run-dir", type=options.NamedPath(),
    help="Folder for the records [default: a new one under runs/].",
)  # fmt: skip
@click.option(
    "--resume", type=options.ResumedRun(), is_flag=False, flag_value=True, metavar="[RUN]",
    help="Continue a run, to the same weights: RUN, the one in --run-dir, or the newest unfinished "
    "one of CONFIG.",
)
@options.memory_limit_option
@options.meter_options
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@options.json_option
def fit(
    config: str | None,
    run_dir: str | None,
    resume: str | bool | None,
    memory_limit: int | None,
    quiet: bool,
    as_json: bool,
    **parameters: object,
) -> None:
    """Train a network.

    CONFIG is a .yaml file or a shipped name ('bnntrain config show' lists them). Ctrl-C saves a
    checkpoint and stops; 'bnntrain fit --resume RUN' goes on from there with the options of the
    run, and with more --epochs than before makes it longer, even when it had finished.
    """
    if "" in (run_dir, resume):  # of an unset shell variable: it would be the working directory
        option = "--run-dir" if run_dir == "" else "--resume"
        raise UsageError(f"{option} is empty. Give the name of a folder")
    config, resume = _what_to_train(config, resume, run_dir)
    overrides = options.overrides_of(parameters)
    observer = Quiet() if quiet else Bar() if _is_terminal() else Lines()
    try:
        run = training.fit(config, overrides, run_dir, resume, memory_limit, observer)
    finally:
        if isinstance(observer, Bar):
            observer.close()
    if as_json:
        click.echo(json.dumps(run.summary, indent=2))
    else:
        click.echo(report(run))


def _what_to_train(
    config: str | None, resume: str | bool | None, run_dir: str | None
) -> tuple[str | None, str | bool]:
    """Return configuration and run to resume; ``--resume CONFIG`` is the option and CONFIG."""
    is_free = config is None and isinstance(resume, str)
    if is_free and not is_run(Path(resume)) and is_config_name(resume):
        config, resume = resume, True
    if config is None and resume is None:
        message = "Missing argument 'CONFIG'. Give one, or --resume RUN"
        raise click.UsageError(message, click.get_current_context())
    if config is None and resume is True and run_dir is None:
        message = "--resume: which run? Give its folder, or CONFIG for its newest unfinished run"
        raise UsageError(message)
    return config, resume or False


def _is_terminal() -> bool:
    """Whether progress is read by a person; standard error may also be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def report(run: training.Run) -> str:
    """The last lines of a run: accuracy, memory, speed, where it is."""
    s = run.summary
    used = (s["rss_peak_bytes"] - s["rss_before_bytes"]) / MIB
    lines = [
        accuracy_line(s),
        f"memory: arena {s['arena_bytes'] / MIB:.2f} MiB as planned; "
        f"resident {s['rss_before_bytes'] / MIB:.1f} MiB, {used:.2f} MiB more at its peak",
    ]
    if s["seconds_per_batch"] is not None:
        lines += time_lines(s)
    if s["energy"]["available"]:
        lines.append(energy_line(s["energy"], s["energy_j_per_batch"]))
    return "\n".join([*lines, f"run: {click.format_filename(run.path)}"])


def accuracy_line(s: dict) -> str:
    """The accuracy of a run in words; the best epoch's where it was chosen and is another one."""
    parts = [f"{s['test_accuracy']:.2f} %, {weights_words('last', s['epochs_done'])}"]
    best = s.get("best_epoch")  # runs of former versions have no such field
    if s["validation_samples"] and best != s["epochs_done"]:
        words = weights_words("best", best) if best else "best validation"
        parts.append(f"{s['best_test_accuracy']:.2f} %, {words}")
    return f"test accuracy {'; '.join(parts)}"


def time_lines(s: dict) -> list[str]:
    """The speed of a run in words; mean and elapsed time where they tell something else."""
    # Runs of former versions have neither.
    mean, wall = s.get("seconds_per_batch_mean"), s.get("seconds_wall")
    median, trained = s["seconds_per_batch"], s["seconds_total"]
    lines = [
        f"time: {1e3 * median:.2f} ms per batch of {s['batch_size']} "
        f"({s['isa']}, {plural(s['threads'], 'thread')}), {duration(trained)} in all"
    ]
    also = []
    if mean is not None and abs(mean - median) > _NOTICED * median:
        also.append(f"mean {1e3 * mean:.2f} ms per batch")
    if wall is not None and wall - trained > _NOTICED * trained:
        also.append(f"{duration(wall)} with evaluation and checkpoints")
    share = (s.get("decoding") or {}).get("waiting_share")
    if share is not None and share > _WAITED:
        also.append(f"{share:.0%} waiting for pictures")
    return [*lines, f"      {', '.join(also)}"] if also else lines


def energy_line(energy: dict, per_batch: float | None) -> str:
    """The energy of a run in words."""
    parts = [f"{energy['joules']:.4g} J in {energy['seconds']:.1f} s"]
    if per_batch is not None:
        parts.insert(0, f"{per_batch:.3g} J per batch")
    if energy["net_joules"] is not None:
        parts.append(f"{energy['net_joules']:.4g} J above idle")
    return f"energy: {', '.join(parts)} ({energy['meter']})"
