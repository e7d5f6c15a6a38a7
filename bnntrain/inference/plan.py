"""The memory of inference: weights, thresholds, and activations that come and go.

Placed by the planner of training (`bnntrain.plan.place`). Time 0 loads the network and reads a
batch, 1 ... L are the L layers, L + 1 reads the scores. Weights live throughout; an activation from
the layer that makes it to the one that reads it, so that two places take turns. During a training
run the network is evaluated in the arena of training, around what is kept from step to step.
"""

from __future__ import annotations

from collections.abc import Sequence

from bnntrain import kernels
from bnntrain.inference.layers import PackedLayer
from bnntrain.plan import MIB, Layout, Placed, Plan, largest_batch, place
from bnntrain.steps import Buffer

LARGEST_BATCH = 256
"""More samples at a time make nothing faster."""

ROWS = "weight_rows"
"""Packed signs of the first layer's weights as they are stored, before they are transposed."""

_INPUT, _SCORES = "batch.x", "logits"


def plan_inference(
    layers: Sequence[PackedLayer], batch: int, threads: int, around: Sequence[Placed] = ()
) -> Layout:
    """Lay out a forward pass of `batch` samples.

    Parameters
    ----------
    layers : sequence of PackedLayer
        The network.
    batch, threads : int
        Samples at a time; threads with scratch of their own.
    around : sequence of Placed
        What lies in the arena already; a buffer of a name that is needed serves here as well.
    """
    last = len(layers) + 1
    sample = layers[0].fused.input.values
    buffers = [
        Buffer(_INPUT, "input", "all", (batch, sample), "int8", 0, 1),
        Buffer("batch.labels", "input", "all", (batch,), "uint16", 0, last),
    ]
    scratch = 0
    for number, layer in enumerate(layers):
        buffers += _lasting(layer, last) + _activations(layer, number + 1, batch)
        scratch = max(scratch, kernels.inference_scratch_bytes(
            layer.product.fan_in, batch, layer.is_first, layer.window()
        ))  # fmt: skip
    buffers.append(Buffer("scratch", "scratch", "all", (threads, scratch), "uint8", 1, last - 1))
    there = {item.buffer.name for item in around}
    placed, total = place([each for each in buffers if each.name not in there], around)
    needed = {each.name for each in buffers}
    shared = tuple(item for item in around if item.buffer.name in needed)
    return Layout(batch, threads, placed + shared, total)


def plan_evaluation(layers: Sequence[PackedLayer], plan: Plan) -> Layout:
    """Lay out a forward pass in the arena of training.

    As many samples at a time as in a step, or half of them, and half again, where more would take a
    larger arena. One sample takes one where the free bytes do not even hold the signs of all
    weights.
    """
    batch = min(plan.batch_size, LARGEST_BATCH)
    while True:
        found = plan_inference(layers, batch, plan.threads, plan.kept)
        if batch == 1 or found.total_bytes <= plan.total_bytes:
            return found
        batch //= 2


def usual_batch(layers: Sequence[PackedLayer], threads: int) -> int:
    """Choose a batch: what takes, beside the network itself, no more than it, or than 1 MiB."""

    def total(batch: int) -> int:
        return plan_inference(layers, batch, threads).total_bytes

    alone = total(1)
    limit = max(2 * alone, alone + MIB)
    return largest_batch(total, limit, LARGEST_BATCH)


def _lasting(layer: PackedLayer, last: int) -> list[Buffer]:
    """Return what is made when a network is loaded."""
    name = layer.name
    found = [
        Buffer(tensor.name, "W" if tensor.dtype == "bit" else "statistics", name, tensor.shape,
               tensor.dtype, 0, last)
        for tensor in layer.tensors
    ]  # fmt: skip
    if layer.is_first:
        found[0] = Buffer(f"{name}.weights", "W", name, layer.lines[::-1], "bit", 0, last)
        found.append(Buffer(f"{name}.{ROWS}", "W", name, layer.lines, "bit", 0, 0))
    window = layer.window()
    if window is None:
        return found
    found.append(
        Buffer(f"{name}.origins", "scratch", name, (window.positions, 2), "int32", 0, last)
    )
    if window.skips and not layer.is_first:
        sums = (layer.product.taps, layer.channels)
        found.append(Buffer(f"{name}.tap_sums", "scratch", name, sums, "int32", 0, last))
    return found


def _activations(layer: PackedLayer, time: int, batch: int) -> list[Buffer]:
    """Return what a layer gives out, and where a dense layer follows also in its order."""
    name, (height, width, channels) = layer.name, layer.fused.result
    if layer.is_last:
        return [Buffer(_SCORES, "X", name, (batch, channels), "float32", time, time + 1)]
    out = (batch * height * width, channels)
    until = time if layer.is_flattened else time + 1
    found = [Buffer(f"{name}.out", "X", name, out, "bit", time, until)]
    if layer.is_flattened:
        flat = (batch, layer.fused.output.values)
        found.append(Buffer(f"{name}.flat", "X", name, flat, "bit", time, time + 1))
    return found
