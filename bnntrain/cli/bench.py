"""``bnntrain bench``: kernels against the machine's limit, or a training step by pass."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import click

# What one of the three ways needs of size is imported there: a trained network takes little memory.
from bnntrain.cli import options
from bnntrain.cli.output import condition_lines, echo_json
from bnntrain.errors import UsageError
from bnntrain.step_table import MOST
from bnntrain.text import columns, plural, size_text

_WARMUP = 20


@click.command()
@click.option(
    "--step", "config", metavar="CONFIG", help="Measure training steps of a configuration instead."
)
@click.option(
    "--latency", "model", metavar="MODEL",
    help="Measure how long a trained network takes for an image: the folder of a run, or a file "
    "that 'bnntrain export' wrote.",
)
@click.option("--isa", "isas", multiple=True, help="Only this instruction set; may be given again.")
@click.option("--op", "operations", multiple=True, help="Only this operation; may be given again.")
@click.option("--list", "listed", is_flag=True, help="Name the operations that --op takes.")
@click.option("--all", "everything", is_flag=True, help="All operations, not the products alone.")
@click.option(
    "--steps",
    default=200,
    show_default=True,
    type=click.IntRange(2),
    help="Steps to time, with --step.",
)
@click.option(
    "--most",
    default=MOST,
    show_default=True,
    type=click.IntRange(0),
    help="Single passes to show, with --step.",
)
@click.option(
    "--against",
    metavar="FILE",
    help="Show the figures of a file beside the measured ones, with --step: what this command or "
    "tools/pi_model.py printed with --json.",
)
@options.override_options
@options.json_option
def bench(
    config: str | None,
    model: str | None,
    isas: tuple[str, ...],
    operations: tuple[str, ...],
    listed: bool,
    everything: bool,
    steps: int,
    most: int,
    against: str | None,
    as_json: bool,
    **parameters: object,
) -> None:
    """Measure the speed of kernels or of a training step.

    Without --step: GMAC/s of every product kernel by instruction set and shape, beside the limit
    that the kernel's arithmetic instructions reach on registers alone, on this machine, now.

    With --step: milliseconds by pass on all layers together, seconds per batch, and the largest
    single passes. tools/pi_model.py prints the same table from a model of Raspberry Pis. Half of
    the steps are timed whole, for 's per batch', the others pass by pass on the first thread, whose
    share of the work is never the smallest. 'read' is the reading of records; 'outside' is what no
    other row accounts for: Python, starting and joining of threads, code between passes.

    With --latency: the median time from pixels to scores, for --batch-size images (1) together on
    --threads threads (as many as 'predict' takes), with the memory that this takes.
    """
    overrides = options.overrides_of(parameters)
    if model is not None:
        if config is not None:
            raise UsageError("--latency and --step measure different things. Give one of them")
        _bench_latency(model, overrides, as_json)
        return
    if listed:
        echo_json(_operations()) if as_json else click.echo("\n".join(_operations()))
        return
    if config is not None:
        _bench_step(config, overrides, steps, most, against, as_json)
        return
    if against is not None:
        raise UsageError("--against needs --step CONFIG")
    if overrides:
        raise UsageError("options of a configuration need --step CONFIG")
    _bench_kernels(isas, operations, everything, as_json)


def _operations() -> tuple[str, ...]:
    from bnntrain.kernel_cases import ELEMENTWISE, PRODUCTS

    return (*PRODUCTS, *ELEMENTWISE)


def _bench_kernels(
    isas: tuple[str, ...], operations: tuple[str, ...], everything: bool, as_json: bool
) -> None:
    from bnntrain import kernels
    from bnntrain.benchmark import bench_kernels

    known = kernels.supported_isas()
    _check("--isa", isas, known, f"Give one of {', '.join(known)}")
    _check("--op", operations, _operations(), "'bnntrain bench --list' names all")
    chosen = list(operations) or (list(_operations()) if everything else None)
    rows = []
    for row in bench_kernels(list(isas) or None, chosen):
        rows.append(row)
        if not as_json:
            if len(rows) == 1:
                click.echo(
                    f"{'operation':<24} {'isa':<8} {'shape':<16} {'speed':>14} {'limit':>7} "
                    f"{'share':>5}"
                )
            click.echo(_line(row))
    if as_json:
        echo_json(rows)


def _bench_latency(model: str, overrides: dict[str, object], as_json: bool) -> None:
    from bnntrain.latency import bench_latency

    sizes = {"train.batch_size": 1, "train.threads": 0}
    if set(overrides) - set(sizes):
        raise UsageError("--latency takes --batch-size and --threads, no other options of training")
    batch, threads = (sizes | overrides).values()
    result = bench_latency(model, batch_size=batch, threads=threads)
    if as_json:
        echo_json(result)
        return
    taken = plural(result["threads"], "thread")
    for line in columns([
        ("latency", f"{1e3 * result['seconds_per_image']:.3f} ms per image"),
        ("work", f"{1000 * result['gmac_per_image']:.3g} MMAC, {result['gmac_per_s']:.1f} GMAC/s"),
        ("taken", f"{plural(batch, 'image')} at a time, {taken}, {result['isa']}"),
        ("memory", f"{size_text(result['arena_bytes'])}, weights included"),
        ("file", size_text(result["model_bytes"])),
    ]):  # fmt: skip
        click.echo(line)


def _check(flag: str, given: tuple[str, ...], known: Sequence[str], remedy: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UsageError(f"{flag}: no '{name}' here.{hint} {remedy}")


def _line(row: dict[str, object]) -> str:
    shape = "x".join(map(str, row["shape"]))
    start = f"{row['op']:<24} {row['isa']:<8} {shape:<16}"
    if "gvalue_per_s" in row:
        return f"{start} {row['gvalue_per_s']:>8.2f} Gval/s"
    limit = row["limit_gmac_per_s"]
    tail = f" {limit:>7.1f} {100 * row['gmac_per_s'] / limit:>4.0f}%" if limit else ""
    return f"{start} {row['gmac_per_s']:>7.1f} GMAC/s{tail}"


def _bench_step(
    config: str,
    overrides: dict[str, object],
    steps: int,
    most: int,
    against: str | None,
    as_json: bool,
) -> None:
    import msgspec

    from bnntrain import board
    from bnntrain.benchmark import bench_step
    from bnntrain.preparation import prepare
    from bnntrain.step_table import Step, read_steps, step_table

    if against is not None and as_json:
        raise UsageError("--against is for the table: give it without --json")
    prepared = prepare(config, overrides)
    here = {"board": board.board_name(), "cpu": board.cpu_name()}
    plan = prepared.plan
    what = prepared.config.name, prepared.method.name, plan.batch_size, plan.threads
    given = read_steps(against, what, here["board"]) if against is not None else []
    before = board.condition()
    result = bench_step(prepared, steps, warmup=min(steps, _WARMUP))
    result |= {**here, "before": before, "after": board.condition()}
    if as_json:
        echo_json(result)
        return
    for line in columns(heading(result)):
        click.echo(line)
    click.echo()
    shown = [msgspec.convert(result, Step), *given]
    names = (f"model {one.modelled}" if one.modelled else "given" for one in given)
    head, *lines = step_table(shown, ["measured", *names], most)
    click.echo(click.style(head, bold=True))
    for line in lines:
        click.echo(line)


def heading(result: dict[str, object]) -> list[tuple[str, str]]:
    """Write what was measured, where and in what condition, as pairs of a name and words."""
    speed = result["gmac_per_s"]
    work = f"{result['gmac']:.2f} GMAC, {speed:.1f} GMAC/s"
    where = ", ".join(filter(None, (result["board"], result["cpu"])))
    what = [str(result["config"]), str(result["method"]), f"batch {result['batch_size']}"]
    return [
        ("step", ", ".join([*what, plural(result["threads"], "thread"), result["isa"]])),
        ("work", work),
        *([("machine", where)] if where else []),
        *((when, "; ".join(map(" ".join, condition_lines(result[when]))))
          for when in ("before", "after") if any(result[when].values())),
    ]  # fmt: skip
