"""What the tensors of a packed model must be like: nothing else reaches a kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bnntrain.inference import (
    LARGEST_INT8,
    PackedBinary,
    PackedLayer,
    PackedResidual,
    tensors_of,
    unit_in_int8,
)
from bnntrain.steps import WORD_BITS


def new_tensors(layers: Sequence[PackedLayer]) -> dict[str, np.ndarray]:
    """Return room for all tensors, zero."""
    return {tensor.name: np.zeros(tensor.storage[1], tensor.storage[0])
            for tensor in tensors_of(layers)}  # fmt: skip


def check_tensors(layers: Sequence[PackedLayer], tensors: Mapping[str, np.ndarray]) -> None:
    """Refuse tensors whose values mean nothing; types and shapes are taken for granted.

    Raises
    ------
    ValueError
        Padding bits that are set, a threshold that no product reaches, a direction that is none, a
        scale that is no number, a real weight beyond +-127 in int8. The message begins with the
        tensor's name.
    """
    for layer in layers:
        if layer.fused.is_binary:
            _check_padding(layer, tensors[f"{layer.name}.weights"])
        for tensor in layer.tensors:
            kind, values = tensor.name.split(".")[-1], tensors[tensor.name]
            if tensor.dtype == "float32":
                _check_reals(tensor.name, values)
            if kind == "amax":
                _check_amax(tensor.name, values)
            if kind in ("threshold", "choice"):
                _check_range(tensor.name, values, -layer.largest, layer.largest + 1)
            if kind == "flip":
                _check_range(tensor.name, values, 0, 1)
            if tensor.dtype == "int8":  # products of real weights are bounded by that
                _check_range(tensor.name, values, -LARGEST_INT8, LARGEST_INT8)


def _check_range(name: str, values: np.ndarray, low: int, high: int) -> None:
    for row in values.reshape(len(values), -1):
        found = row.tolist()
        if min(found) < low or max(found) > high:
            raise ValueError(f"{name}: out of range")


def _check_amax(name: str, amax: np.ndarray) -> None:
    largest, unit = amax.tolist()
    if largest < 0 or unit != unit_in_int8(amax[0]):
        raise ValueError(f"{name}: no amax and its unit")


def _check_reals(name: str, values: np.ndarray) -> None:
    # Python's own loops: NumPy's would come into memory for a few thousand numbers.
    for row in values.reshape(len(values), -1):
        if not all(map(math.isfinite, row.tolist())):
            raise ValueError(f"{name}: not finite")


def _check_padding(layer: PackedBinary | PackedResidual, weights: np.ndarray) -> None:
    used = layer.lines[1] % WORD_BITS
    if used and max(weights[:, -1].tolist()) >> used:
        raise ValueError(f"{layer.name}.weights: bits are set behind the last column")
