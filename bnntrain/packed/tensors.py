"""What the tensors of a packed model must be like: nothing else reaches a kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bnntrain.inference import PackedBinary, PackedLayer, PackedResidual, tensors_of
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
        scale that is no number. The message begins with the tensor's name.
    """
    for layer in layers:
        if layer.fused.is_binary:
            _check_padding(layer, tensors[f"{layer.name}.weights"])
        for tensor in layer.tensors:
            if tensor.dtype == "float32":
                _check_reals(tensor.name, tensors[tensor.name])
        amax = tensors.get(f"{layer.name}.amax")
        if amax is not None and min(amax.tolist()) <= 0:
            raise ValueError(f"{layer.name}.amax: not above 0")
        for name in ("threshold", "choice", "flip"):
            array = tensors.get(f"{layer.name}.{name}")
            values = [0] if array is None else array.tolist()
            low, high = (0, 1) if name == "flip" else (-layer.largest, layer.largest + 1)
            if min(values) < low or max(values) > high:
                raise ValueError(f"{layer.name}.{name}: out of range")


def _check_reals(name: str, values: np.ndarray) -> None:
    # Python's own loops: NumPy's would come into memory for a few thousand numbers.
    for row in values.reshape(len(values), -1):
        if not all(map(math.isfinite, row.tolist())):
            raise ValueError(f"{name}: not finite")


def _check_padding(layer: PackedBinary | PackedResidual, weights: np.ndarray) -> None:
    used = layer.lines[1] % WORD_BITS
    if used and max(weights[:, -1].tolist()) >> used:
        raise ValueError(f"{layer.name}.weights: bits are set behind the last column")
