"""Sizes of a network: what every block takes in and gives out, from a list of layers and a sample.

A *block* is a product (dense or convolution) with the batch norm, sign and max-pool behind it.
Convolutions slide a square window over height and width; ``same`` padding skips the taps that fall
outside the image (it never multiplies by a padding value), and puts the odd row or column below and
to the right, as TensorFlow does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bnntrain.config import LayerSpec

Size = tuple[int, int, int]
"""Height, width, channels."""

POOLS = ("none", "before_norm", "before_sign", "after_sign")
"""Where a block's max-pool stands."""

WINDOW = 2
"""Side and stride of a max-pool's window."""


class ShapeError(ValueError):
    """A layer does not fit what comes in; `layer` is its place in the list, `message` says why."""

    def __init__(self, layer: int, message: str) -> None:
        super().__init__(message)
        self.layer, self.message = layer, message


@dataclass(frozen=True)
class BlockShape:
    """Sizes of one block.

    Attributes
    ----------
    kind : str
        ``dense`` or ``conv``.
    layer : int
        Place of the product in the model's list of layers, from 0.
    input, product, output : tuple of int
        Height, width and channels of what comes in, of the product before any pooling, and of what
        goes out. A dense block has 1 x 1 positions.
    kernel, stride : int
        Side of the convolution's window, and its step.
    pad_top, pad_left : int
        Rows and columns of the first window that lie outside the image.
    pool : str
        One of `POOLS`.
    flattened : bool
        A dense block takes all positions together.
    """

    kind: str
    layer: int
    input: Size
    product: Size
    output: Size
    kernel: int = 1
    stride: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pool: str = "none"
    flattened: bool = False

    @property
    def inputs(self) -> int:
        """Values per sample that come in."""
        return math.prod(self.input)

    @property
    def outputs(self) -> int:
        """Values per sample that go out."""
        return math.prod(self.output)

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.output[2]

    @property
    def taps(self) -> int:
        """Positions of the window."""
        return self.kernel * self.kernel

    @property
    def fan_in(self) -> int:
        """Inputs of one product: taps times input channels."""
        return self.taps * self.input[2]

    @property
    def weights(self) -> int:
        """Binary weights."""
        return self.fan_in * self.channels

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample; skipped taps are counted."""
        return self.product[0] * self.product[1] * self.weights


def infer_shapes(layers: Sequence[LayerSpec], sample: Size) -> list[BlockShape]:
    """Follow a sample through the layers.

    Parameters
    ----------
    layers : sequence of LayerSpec
        In an order that `bnntrain.config` has checked.
    sample : tuple of int
        Height, width, channels of one image.

    Returns
    -------
    list of BlockShape
        First to last.

    Raises
    ------
    ShapeError
        An image too small for a window, or a dense layer's input.
    """
    blocks: list[BlockShape] = []
    before, size = None, sample
    for index, spec in enumerate(layers):
        if spec.kind == "dense":
            flat = (1, 1, math.prod(size))
            size = (1, 1, spec.options["units"])
            blocks.append(BlockShape("dense", index, flat, size, size))
        elif spec.kind == "conv":
            blocks.append(_conv(spec, index, size))
            size = blocks[-1].output
        elif spec.kind == "max_pool":
            size = _pooled(size, index)
            pool = {"conv": "before_norm", "batch_norm": "before_sign", "sign": "after_sign"}
            blocks[-1] = replace(blocks[-1], output=size, pool=pool[before])
        elif spec.kind == "flatten" and blocks:
            blocks[-1] = replace(blocks[-1], flattened=True)
        before = spec.kind
    return blocks


def _conv(spec: LayerSpec, index: int, size: Size) -> BlockShape:
    kernel, stride = spec.options["kernel"], spec.options["stride"]
    (height, top), (width, left) = (
        _extent(extent, kernel, stride, spec.options["padding"], index) for extent in size[:2]
    )
    product = (height, width, spec.options["channels"])
    return BlockShape("conv", index, size, product, product, kernel, stride, top, left)


def _extent(extent: int, kernel: int, stride: int, padding: str, index: int) -> tuple[int, int]:
    """Return positions along one axis, and how far the first window sticks out."""
    if padding == "valid":
        if extent < kernel:
            raise ShapeError(
                index,
                f"a window of {kernel} does not fit into the {extent} rows or columns that are "
                "left here. Give a smaller kernel, 'padding: same' or larger images",
            )
        return (extent - kernel) // stride + 1, 0
    count = -(-extent // stride)
    return count, max((count - 1) * stride + kernel - extent, 0) // 2


def _pooled(size: Size, index: int) -> Size:
    height, width, channels = size
    if min(height, width) < WINDOW:
        raise ShapeError(
            index,
            f"{height}x{width} positions are too few to pool {WINDOW}x{WINDOW}. Leave this layer "
            "or an earlier one out, or give larger images",
        )
    return height // WINDOW, width // WINDOW, channels
