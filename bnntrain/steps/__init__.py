"""Steps: one file per kind of fused sequence, each with its buffers and its binding to kernels.

A model is a graph of operations; what runs are *steps*, a product with the batch norm, sign and
max-pool that follow it, because they share every tile of y (see `kernels/dense/dense.h` and
`kernels/conv/conv.h`).
"""

from bnntrain.steps.buffers import ROLES, WORD_BITS, Buffer, storage_of
from bnntrain.steps.conv import ConvStep, shared_buffers, window_of
from bnntrain.steps.dense import DenseStep
from bnntrain.steps.network import has_step, make_steps
from bnntrain.steps.order import READ, Order
from bnntrain.steps.stem import SECOND
from bnntrain.steps.step import GRADIENT_LIMITS, Step
from bnntrain.steps.streams import TYPES, Stream, Types, find_streams

__all__ = [
    "GRADIENT_LIMITS",
    "READ",
    "ROLES",
    "SECOND",
    "TYPES",
    "WORD_BITS",
    "Buffer",
    "ConvStep",
    "DenseStep",
    "Order",
    "Step",
    "Stream",
    "Types",
    "find_streams",
    "has_step",
    "make_steps",
    "shared_buffers",
    "storage_of",
    "window_of",
]
