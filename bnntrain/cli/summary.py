"""``bnntrain summary CONFIG``: the network in figures."""

from __future__ import annotations

from dataclasses import asdict

import click

from bnntrain.cli import options
from bnntrain.cli.output import echo_json, echo_table
from bnntrain.inventory import WORD_BYTES, Layer, layers_of, totals_of
from bnntrain.method import cell_labels
from bnntrain.preparation import Prepared, prepare
from bnntrain.steps import stream_labels
from bnntrain.text import NONE, columns, plural, size_text, times


@click.command()
@options.config_argument
@options.override_options
@options.json_option
def summary(config: str, as_json: bool, **parameters: object) -> None:
    """Show a network's layers, parameters, operations and sizes.

    Needs no data files.
    """
    prepared = prepare(config, options.overrides_of(parameters))
    layers = layers_of(prepared)
    totals = totals_of(layers)
    if as_json:
        echo_json(_report(prepared, layers, totals))
        return
    height, width, channels = prepared.shape
    click.echo(
        f"{prepared.config.model.name}: images of {height}x{width}x{channels} from "
        f"{prepared.config.data.dataset}\n"
    )
    _echo_layers(layers, totals)
    click.echo()
    for line in columns(_facts(prepared, totals)):
        click.echo(line)


def _report(
    prepared: Prepared, layers: list[Layer], totals: dict[str, int]
) -> dict[str, object]:
    return {
        "name": prepared.config.name,
        "model": prepared.config.model.name,
        "dataset": prepared.config.data.dataset,
        "input_shape": list(prepared.shape),
        "layers": [asdict(layer) for layer in layers],
        "totals": totals,
        "compression": totals["float32_bytes"] / totals["deployed_bytes"],
        "method": prepared.method.name,
        "representation": _labels(prepared),
        "layer_representation": _differing(prepared),
        "batch_size": prepared.plan.batch_size,
        "plan_bytes": prepared.plan.total_bytes,
    }


def _echo_layers(layers: list[Layer], totals: dict[str, int]) -> None:
    # Pixels meet binary weights or real ones: no network has both columns. Those with real layers
    # are the large ones, and count in millions.
    is_real = bool(totals["real_macs"])
    last, unit = ("real", "MMACs") if is_real else ("int8", "MACs")
    head = [
        ["", "input", "output", "1-bit", "other", "deployed", "1-bit", last],
        ["layer", "bits", "shape", "weights", "params", "bytes", unit, unit],
    ]
    rows: list[list[str] | None] = [
        [
            layer.name,
            str(layer.input_bits),
            "x".join(map(str, layer.output_shape)),
            *_counts(asdict(layer), is_real),
        ]
        for layer in layers
    ]
    echo_table(head, [*rows, None, ["total", "", "", *_counts(totals, is_real)]])


def _counts(figures: dict[str, int], is_real: bool) -> list[str]:
    numbers = (
        figures["binary_parameters"], figures["other_parameters"] + figures["real_parameters"],
        figures["deployed_bytes"],
    )  # fmt: skip
    macs = figures["binary_macs"], figures["real_macs" if is_real else "int8_macs"]
    found = [f"{number:,}" if number else NONE for number in numbers]
    return found + [_macs(number, is_real) for number in macs]


def _macs(number: int, in_millions: bool) -> str:
    if not number:
        return NONE
    return f"{number / 1e6:,.3f}" if in_millions else f"{number:,}"


def _facts(prepared: Prepared, totals: dict[str, int]) -> list[tuple[str, str]]:
    """What stands below the table: sizes, then how each kind of tensor is held in training."""
    deployed, float32 = totals["deployed_bytes"], totals["float32_bytes"]
    plan = prepared.plan
    return [
        ("deployed", f"{size_text(deployed)}: {_deployed_as(totals)}"),
        ("in float32", f"{size_text(float32)}, {times(float32, deployed)} as large"),
        (
            "training",
            f"{size_text(plan.total_bytes)}, method {prepared.method.name}, batch "
            f"{plan.batch_size}, {plural(plan.threads, 'thread')}",
        ),
        *((f"  {tensor}", label) for tensor, label in _labels(prepared).items()),
        *(
            (f"  in {name}", ", ".join(f"{cell} {value}" for cell, value in cells.items()))
            for name, cells in _differing(prepared).items()
        ),
    ]


def _labels(prepared: Prepared) -> dict[str, str]:
    """Say in words how each kind of tensor is held."""
    has_streams = any(step.outgoing_stream is not None for step in prepared.steps)
    found = cell_labels(prepared.method)
    return found | stream_labels(prepared.method) if has_streams else found


def _deployed_as(totals: dict[str, int]) -> str:
    if not totals["real_parameters"]:
        return "1-bit weights, a threshold per channel"
    int8 = totals["int8_parameters"]
    float32 = WORD_BYTES * (totals["real_parameters"] - int8)
    others = f"{size_text(int8)} in int8, " if int8 else ""
    return f"1-bit weights, {others}{size_text(float32)} in float32"


def _differing(prepared: Prepared) -> dict[str, dict[str, object]]:
    """Return by layer the cells of the method table that are not the run's."""
    found = {
        step.name: prepared.methods.own_cells(step.fused.product.layer) for step in prepared.steps
    }
    return {name: cells for name, cells in found.items() if cells}
