"""``bnntrain plan CONFIG``: the memory of a run, to the byte, before it starts."""

from __future__ import annotations

import click

from bnntrain.cli import options
from bnntrain.cli.measured import echo_measured, is_run, measured_json
from bnntrain.cli.output import echo_json, echo_table
from bnntrain.data.decoding import Decoding
from bnntrain.errors import UsageError
from bnntrain.footprint import Footprint, footprints, printed, training_samples
from bnntrain.limits import available_bytes
from bnntrain.plan import MIB, Plan
from bnntrain.preparation import Prepared, prepare, prepare_run
from bnntrain.steps import ROLES, Order
from bnntrain.text import NONE, mib, plural, size_text, times

_BASIS = ("published", "standard")


@click.command()
@options.config_argument
@options.override_options
@options.memory_limit_option
@click.option(
    "--ram", type=options.ByteSize(), metavar="SIZE",
    help="Memory to find the largest batch for, e.g. 512MiB [default: what is available here].",
)  # fmt: skip
@click.option("--buffers", is_flag=True, help="List every buffer with its place and lifetime.")
@options.json_option
def plan(
    config: str,
    memory_limit: int | None,
    ram: int | None,
    buffers: bool,
    as_json: bool,
    **parameters: object,
) -> None:
    """Show the memory of a run by variable, before it starts.

    Compares the published methods with what bnntrain allocates, and names the largest batch that
    fits. Needs no data files. With --memory-limit all figures are those of the batch that 'fit'
    would take under the same limit. For a run's folder in place of CONFIG, shows beside the plan
    what that run's memory was.
    """
    overrides = options.overrides_of(parameters)
    run = is_run(config)
    if run and (overrides or memory_limit is not None):
        raise UsageError(f"{config} is a run, whose plan is made. Give its config.yaml to vary it")
    asked = prepare_run(config) if run else prepare(config, overrides)
    prepared = asked if memory_limit is None else prepare(config, overrides, memory_limit)
    columns = footprints(prepared)
    ram = available_bytes() if ram is None else ram
    samples = training_samples(prepared)
    largest = [None if ram is None else c.largest_batch(ram, samples) for c in columns]
    if as_json:
        configured = _configured(columns, prepared)
        report = _report(prepared, columns)
        limit = {"memory_limit_bytes": memory_limit, "ram_bytes": ram}
        found = {"measured": measured_json(config)} if run else {}
        echo_json(report | limit | {"largest_batch": largest[configured]} | found)
        return
    click.echo(
        f"{prepared.config.name}: batch {prepared.plan.batch_size}, "
        f"{plural(prepared.plan.threads, 'thread')}, method {prepared.config.method}"
    )
    if memory_limit is not None:
        click.echo(_choice(asked.plan, prepared.plan, memory_limit))
    click.echo()
    _echo_columns(prepared, columns, ram, largest)
    if run:
        click.echo()
        echo_measured(config)
    if buffers:
        click.echo()
        _echo_buffers(prepared.plan, prepared.steps[0].order)


def _configured(columns: list[Footprint], prepared: Prepared) -> int:
    """Return which column is the configured method's."""
    if columns[-1].name == "configured":
        return len(columns) - 1
    return [(c.source, c.name) for c in columns].index(("ours", prepared.method.name))


def _report(prepared: Prepared, columns: list[Footprint]) -> dict[str, object]:
    """Build the JSON; ``roles`` breaks the columns down."""
    published = [column for column in columns if column.source == "published"]
    ours = [column for column in columns if column.source == "ours"]
    return {
        "name": prepared.config.name,
        "batch_size": prepared.plan.batch_size,
        "threads": prepared.plan.threads,
        "published": {column.name: column.total_bytes for column in published},
        "published_printed": _printed_json(prepared),
        "plan": {column.name: column.total_bytes for column in ours},
        "roles": {
            "published": {column.name: column.roles for column in published},
            "plan": {column.name: column.roles for column in ours},
        },
        "method": prepared.method.name,
        "total_bytes": prepared.plan.total_bytes,
        "shared_bytes": prepared.plan.shared_bytes,
        "buffers": prepared.plan.to_json(),
        "decoding": prepared.decoding.to_json() if prepared.decoding else None,
    }


def _printed_json(prepared: Prepared) -> dict[str, float] | None:
    row = printed(prepared)
    if row is None:
        return None
    return {"standard_mib": row.standard_mib, "low_memory_mib": row.low_memory_mib}


def _choice(asked: Plan, chosen: Plan, limit: int) -> str:
    """Say what a memory limit does."""
    if chosen.batch_size == asked.batch_size:
        return f"a limit of {size_text(limit)} leaves the batch at {chosen.batch_size}"
    return (
        f"a limit of {size_text(limit)} makes the batch {chosen.batch_size}: "
        f"{asked.batch_size} would take {size_text(asked.total_bytes)}"
    )


def _echo_columns(
    prepared: Prepared, columns: list[Footprint], ram: int | None, largest: list[int | None]
) -> None:
    """Print one column per method, one row per role."""
    chosen = columns[_configured(columns, prepared)]
    # `wang2021` of ours is printed when it is what will run; JSON always has it.
    shown = [
        number for number, column in enumerate(columns)
        if column is chosen or column.name != "wang2021"
    ]  # fmt: skip
    some = [columns[number] for number in shown]
    decimals = 2 if min(column.total_bytes for column in some) >= MIB else 3
    head = [
        ["", *(column.source for column in some)],
        ["MiB by variable", *(column.name.replace("_", "-") for column in some)],
    ]
    rows: list[list[str] | None] = [
        [role, *(_cell(column.roles[role], decimals) for column in some)]
        for role in ROLES
        if any(column.roles[role] for column in some)
    ]
    basis = next(column for column in some if (column.source, column.name) == _BASIS)
    rows += [
        ["shared bytes", *(_cell(-column.shared_bytes, decimals) for column in some)],
        None,
        ["total", *(mib(column.total_bytes, decimals) for column in some)],
        ["published standard / this",
         *(times(basis.total_bytes, column.total_bytes) for column in some)],
    ]  # fmt: skip
    if ram is not None:
        batches = (f"{largest[number]:,}" if largest[number] else NONE for number in shown)
        rows.append([f"largest batch in {size_text(ram)}", *batches])
    echo_table(head, rows)
    click.echo()
    click.echo("published: the formula of Wang et al. (arXiv 2102.04270) with Adam")
    row = printed(prepared)
    if row is not None:
        click.echo(f"           their table prints {row.text} for this model and batch")
    click.echo(f"ours: every byte of training; this run allocates {prepared.plan.total_bytes:,}")
    if prepared.decoding is not None:
        click.echo(_beside(prepared.decoding))


def _beside(decoding: Decoding) -> str:
    """Say who decodes pictures, and what that takes."""
    if not decoding.most_workers:
        return "pictures: decoded by the process that trains"
    number = plural(decoding.workers, "worker")
    more = f", {decoding.most_workers} at most" if decoding.most_workers > decoding.workers else ""
    return f"pictures: decoded by {number}{more}, {size_text(decoding.buffer_bytes)} between"


def _cell(size: int, decimals: int) -> str:
    return mib(size, decimals) if size else NONE


def _echo_buffers(plan: Plan, order: Order) -> None:
    """Print every buffer in the order of its place in the arena."""
    head = [["buffer", "role", "shape", "bits", "bytes", "offset", "lifetime"]]
    placed = sorted(plan.placed, key=lambda item: (item.offset, item.buffer.first_use))
    rows = [
        [
            item.buffer.name,
            item.buffer.role,
            "x".join(map(str, item.buffer.shape)),
            str(item.buffer.bits),
            f"{item.buffer.bytes:,}",
            f"{item.offset:,}",
            f"{item.buffer.first_use}-{item.buffer.last_use}",
        ]
        for item in placed
    ]
    echo_table(head, rows, left=2)
    click.echo(
        f"lifetime: 0 reads the batch, 1-{order.loss - 1} forward, {order.loss} loss, "
        f"{order.loss + 1}-{order.end - 1} backward, {order.end} update"
    )
