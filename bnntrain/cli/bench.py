"""``bnntrain bench``: kernels against the machine's limit, or a training step by phase."""

from __future__ import annotations

import json

import click

from bnntrain import api, kernels
from bnntrain.benchmark import bench_kernels, bench_step
from bnntrain.cli import options
from bnntrain.errors import UsageError
from bnntrain.kernel_cases import ELEMENTWISE, PRODUCTS

_OPERATIONS = (*PRODUCTS, *ELEMENTWISE)


@click.command()
@click.option(
    "--step", "config", metavar="CONFIG", help="Measure training steps of a configuration instead."
)
@click.option("--isa", "isas", multiple=True, help="Only this instruction set; may be given again.")
@click.option("--op", "operations", multiple=True, help="Only this operation; may be given again.")
@click.option("--all", "everything", is_flag=True, help="All operations, not the products alone.")
@click.option(
    "--steps",
    default=200,
    show_default=True,
    type=click.IntRange(2),
    help="Steps to time, with --step.",
)
@options.override_options
@options.json_option
def bench(
    config: str | None,
    isas: tuple[str, ...],
    operations: tuple[str, ...],
    everything: bool,
    steps: int,
    as_json: bool,
    **parameters: object,
) -> None:
    """Measure the speed of kernels or of a training step.

    Without --step: GMAC/s of every product kernel by instruction set and shape, beside the limit
    that the kernel's arithmetic instructions reach on registers alone, on this machine, now.
    """
    overrides = options.overrides_of(parameters)
    if config is not None:
        _report_step(bench_step(api.prepare(config, overrides), steps), as_json)
        return
    if overrides:
        raise UsageError("options of a configuration need --step CONFIG")
    _check("--isa", isas, kernels.supported_isas())
    _check("--op", operations, _OPERATIONS)
    chosen = list(operations) or (list(_OPERATIONS) if everything else None)
    rows = []
    for row in bench_kernels(list(isas) or None, chosen):
        rows.append(row)
        if not as_json:
            if len(rows) == 1:
                click.echo(
                    f"{'operation':<24} {'isa':<9} {'shape':<16} {'speed':>14} {'limit':>12} "
                    f"{'share':>6}"
                )
            click.echo(_line(row))
    if as_json:
        click.echo(json.dumps(rows, indent=2))


def _check(flag: str, given: tuple[str, ...], known: object) -> None:
    for name in given:
        if name not in known:
            raise UsageError(f"{flag}: no '{name}' here. Give one of {', '.join(known)}")


def _line(row: dict[str, object]) -> str:
    shape = "x".join(map(str, row["shape"]))
    start = f"{row['op']:<24} {row['isa']:<9} {shape:<16}"
    if "gvalue_per_s" in row:
        return f"{start} {row['gvalue_per_s']:>8.2f} Gval/s"
    limit = row["limit_gmac_per_s"]
    tail = f" {limit:>12.1f} {100 * row['gmac_per_s'] / limit:>5.0f}%" if limit else ""
    return f"{start} {row['gmac_per_s']:>7.1f} GMAC/s{tail}"


def _report_step(result: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    seconds = result["seconds_per_batch"]
    click.echo(
        f"{1e3 * seconds:.3f} ms per batch of {result['batch_size']}: {result['method']}, "
        f"{result['isa']}, "
        f"{result['threads']} threads"
    )
    click.echo(f"{'phase':<16} {'layer':<10} {'us':>9} {'share':>6} {'GMAC/s':>8}")
    total = sum(row["seconds"] for row in result["kernels"]) / (1 - result["outside_kernels_share"])
    for row in sorted(result["kernels"], key=lambda row: -row["seconds"]):
        speed = "" if row["gmac_per_s"] is None else f"{row['gmac_per_s']:.1f}"
        share = 100 * row["seconds"] / total
        click.echo(
            f"{row['op']:<16} {row['layer']:<10} {1e6 * row['seconds']:>9.1f} {share:>5.1f}% "
            f"{speed:>8}"
        )
    click.echo(f"outside kernels {100 * result['outside_kernels_share']:.1f} % of the step")
