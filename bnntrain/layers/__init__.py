"""Layers: one file per kind of block, each with its buffers, forward and backward.

A model is a list of layers; what runs is a list of *blocks*, a product with the batch norm and sign
that follow it, because the three share every tile of y (see `kernels/dense/dense.h`).
"""

from bnntrain.layers.buffers import ROLES, Buffer, Times
from bnntrain.layers.dense import DenseBlock
from bnntrain.layers.network import build_blocks

__all__ = ["ROLES", "Buffer", "DenseBlock", "Times", "build_blocks"]
