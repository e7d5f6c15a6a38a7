"""Steps: one file per kind of fused sequence, each with its buffers and its binding to kernels.

A model is a graph of operations; what runs are *steps*, a product with the batch norm, sign and
max-pool that follow it, because they share every tile of y (see `kernels/dense/dense.h` and
`kernels/conv/conv.h`).
"""

from __future__ import annotations

from importlib import import_module

from bnntrain.steps.buffers import (
    GRADIENT_LIMITS,
    ROLES,
    SECOND,
    WORD_BITS,
    Buffer,
    storage_of,
)
from bnntrain.steps.order import READ, Order
from bnntrain.steps.streams import TYPES, Stream, Types, find_streams, stream_labels
from bnntrain.steps.window import window_of

# What only training needs: a packed model is classified without it, in less memory.
_OF_TRAINING = {
    "ConvStep": "conv", "shared_buffers": "conv", "DenseStep": "dense",
    "make_steps": "network", "Step": "step",
}  # fmt: skip

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
    "make_steps",
    "shared_buffers",
    "storage_of",
    "stream_labels",
    "window_of",
]


def __getattr__(name: str) -> object:
    """Import a name of training where it is first asked for."""
    if name not in _OF_TRAINING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_OF_TRAINING[name]}"), name)
