"""Arguments of the driver for a training step of one block, by its kind (`pi_blocks.c`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bnntrain.graph import POOLS
from bnntrain.plan import Plan
from bnntrain.steps import GRADIENT_LIMITS, ConvStep, Step

_FEW_IMAGES = 1


def arguments_of(block: Step, plan: Plan, batch: int | None = None) -> tuple[object, ...]:
    """Return kind and sizes of a block's training step, on the plan's batch by default."""
    kind = block.fused.kind
    return kind, *map(int, _SIZES[kind](block, plan, batch or plan.batch_size))


def samples_of(block: Step, plan: Plan) -> list[tuple[tuple[object, ...], float]]:
    """Return arguments of smaller steps and their weights.

    A stem goes image by image, so that its cost is linear in them. Its images are large: emulation
    of a whole batch would take too long.
    """
    batch, few, more = plan.batch_size, _FEW_IMAGES, 2 * _FEW_IMAGES
    if block.fused.kind != "stem" or batch <= more:
        return [(arguments_of(block, plan), 1.0)]
    beyond = (batch - few) / (more - few)
    return [
        (arguments_of(block, plan, few), 1.0 - beyond),
        (arguments_of(block, plan, more), beyond),
    ]


def _window(block: Any, plan: Plan, batch: int) -> list[int]:
    product = block.product
    return [
        *product.input.size, product.options.kernel, product.options.stride, *product.padding,
        *product.output.size[:2], list(POOLS).index(block.fused.pool), block.channels, batch,
        plan.threads,
    ]  # fmt: skip


def _dense(block: Step, plan: Plan, batch: int) -> list[int]:
    return [
        block.fan_in, block.channels, batch, plan.threads, block.is_first, block.is_last
    ]  # fmt: skip


def _conv(block: ConvStep, plan: Plan, batch: int) -> list[int]:
    sizes = {placed.buffer.name: placed.buffer.bytes for placed in plan.placed}
    return [
        *_window(block, plan, batch), block.is_first, *block.keeps_y(sizes, plan.batch_size),
        GRADIENT_LIMITS[block.method.gradient_bits], f"{block.name}.X_flat" in sizes,
        block.window.skips,
    ]  # fmt: skip


def _adds(block: Step) -> bool:
    source = block.incoming_stream
    return source is not None and not source.begins_gradient(block.fused)


def _residual(block: ConvStep, plan: Plan, batch: int) -> list[int]:
    return [*_conv(block, plan, batch), _adds(block)]


def _real_conv(block: Any, plan: Plan, batch: int) -> list[int]:
    stream = (0, 0, 0)
    if block.incoming_stream is not None:
        stream = (*block.fused.input.size[:2], block.fused.pooled)
    return [*_window(block, plan, batch), *stream, _adds(block)]


def _stem(block: Any, plan: Plan, batch: int) -> list[int]:
    fused = block.fused
    return [
        *_window(block, plan, batch), *fused.output.size[:2], *fused.pool_padding, fused.has_relu,
        fused.has_second_norm,
    ]  # fmt: skip


def _head(block: Any, plan: Plan, batch: int) -> list[int]:
    height, width, channels = block.fused.input.size
    return [
        channels, block.channels, batch, plan.threads, height * width, block.fused.has_relu
    ]  # fmt: skip


_SIZES: dict[str, Callable[[Any, Plan, int], list[int]]] = {
    "dense": _dense, "conv": _conv, "residual": _residual, "real_conv": _real_conv, "stem": _stem,
    "head": _head,
}  # fmt: skip
