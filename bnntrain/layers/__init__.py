"""Layers: one file per kind of block, each with its buffers, forward and backward.

A model is a list of layers; what runs is a list of *blocks*, a product with the batch norm, sign
and max-pool that follow it, because they share every tile of y (see `kernels/dense/dense.h` and
`kernels/conv/conv.h`).
"""

from bnntrain.layers.block import GRADIENT_LIMITS, Block
from bnntrain.layers.buffers import ROLES, Buffer, Times
from bnntrain.layers.conv import ConvBlock, shared_buffers
from bnntrain.layers.dense import DenseBlock
from bnntrain.layers.network import build_blocks
from bnntrain.layers.shapes import POOLS, BlockShape, ShapeError, Size, infer_shapes

__all__ = [
    "GRADIENT_LIMITS",
    "POOLS",
    "ROLES",
    "Block",
    "BlockShape",
    "Buffer",
    "ConvBlock",
    "DenseBlock",
    "ShapeError",
    "Size",
    "Times",
    "build_blocks",
    "infer_shapes",
    "shared_buffers",
]
