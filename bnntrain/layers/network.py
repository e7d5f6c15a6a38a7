"""From a list of layers to the blocks that run."""

from __future__ import annotations

from collections.abc import Sequence

from bnntrain.config import LayerSpec
from bnntrain.layers.block import Block
from bnntrain.layers.buffers import Times
from bnntrain.layers.conv import ConvBlock
from bnntrain.layers.dense import DenseBlock
from bnntrain.layers.shapes import Size, infer_shapes
from bnntrain.method import Method

_KINDS: dict[str, type[Block]] = {"dense": DenseBlock, "conv": ConvBlock}


def build_blocks(layers: Sequence[LayerSpec], sample: Size, method: Method) -> list[Block]:
    """Group layers into blocks.

    Parameters
    ----------
    layers : sequence of LayerSpec
        A model's layers, already checked by `bnntrain.config`.
    sample : tuple of int
        Height, width and channels of an image.
    method : Method
        Representations of their tensors.

    Returns
    -------
    list of Block
        First to last, not yet bound to memory.

    Raises
    ------
    ShapeError
        The images are too small for the layers.
    """
    shapes = infer_shapes(layers, sample)
    return [
        _KINDS[shape.kind](f"{shape.kind}{index + 1}", shape, Times(index, len(shapes)), method)
        for index, shape in enumerate(shapes)
    ]
