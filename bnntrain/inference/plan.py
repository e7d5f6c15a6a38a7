"""The memory of inference: weights, thresholds, and activations that come and go.

Placed by the planner of training (`bnntrain.plan.place`). Time 0 loads the network and reads a
batch, 1 ... L are the L layers, L + 1 reads the scores. Weights live throughout; an activation from
the layer that makes it to the one that reads it, so that two places take turns. During a training
run the network is evaluated in the arena of training, around what is kept from step to step.
"""

from __future__ import annotations

from collections.abc import Sequence

from bnntrain.inference.layers import PackedLayer, stream_buffers
from bnntrain.plan import MIB, Layout, Placed, Plan, largest_batch, place
from bnntrain.steps import Buffer

LARGEST_BATCH = 256
"""More samples at a time make nothing faster."""

_INPUT = "batch.x"


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
        buffers += layer.lasting(last) + layer.activations(number + 1, batch)
        scratch = max(scratch, layer.scratch_bytes(batch))
    buffers += stream_buffers(layers, batch)
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
