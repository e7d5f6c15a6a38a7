"""From a list of layers to those of a packed model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bnntrain import kernels
from bnntrain.graph import Fused, Item, ShapeError, Size, build_graph
from bnntrain.inference.binary import PackedBinary
from bnntrain.inference.layers import PackedLayer, Tensor
from bnntrain.inference.residual import PackedHead, PackedRealConv, PackedResidual, PackedStem
from bnntrain.steps import Order, find_streams

_MOST_POSITIONS = 1 << 24  # of an image; more than any memory here has room for

_KINDS: dict[str, type[PackedLayer]] = {
    "dense": PackedBinary, "conv": PackedBinary, "residual": PackedResidual,
    "real_conv": PackedRealConv, "stem": PackedStem, "head": PackedHead,
}  # fmt: skip


def as_packed(fused: Sequence[Fused], gradient: str) -> list[PackedLayer]:
    """Return the layers of a network.

    Parameters
    ----------
    fused : sequence of Fused
        Its operations.
    gradient : str
        Type of gradients that it was trained with.
    """
    streams = find_streams(fused, Order(fused))
    return [_KINDS[each.kind](each, gradient, streams) for each in fused]


def packed_layers(
    layers: Sequence[Item], sample: Size, classes: int, gradient: str = "int8"
) -> list[PackedLayer]:
    """Follow a sample through a list of layers.

    Raises
    ------
    ValueError
        The layers do not fit the sample or the number of classes, or are too wide.
    """
    try:
        fused = build_graph(layers, sample).fused()
    except ShapeError as error:
        raise ValueError(f"model: {error.layer}: {error.message}") from None
    for each in fused:
        if each.kind not in _KINDS:
            raise ValueError(f"model: {each.product.layer}: a {each.kind} cannot be packed")
        if each.terms > kernels.MAX_INPUTS:
            raise ValueError(f"model: {each.product.layer}: {each.terms} inputs, too many")
        if each.product.output.size[0] * each.product.output.size[1] > _MOST_POSITIONS:
            raise ValueError(f"model: {each.product.layer}: too many positions")
    if fused[-1].output.values != classes:
        raise ValueError(f"classes: {classes} names of {fused[-1].output.values} outputs")
    return as_packed(fused, gradient)


def tensors_of(layers: Sequence[PackedLayer]) -> Iterator[Tensor]:
    """Yield all tensors, layer by layer."""
    for layer in layers:
        yield from layer.tensors
