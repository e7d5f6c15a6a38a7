"""What the tensors of a packed model must be like: nothing else reaches a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bnntrain.packed.layers import SCALING, WORD, PackedLayer, tensors_of


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
        _check_padding(layer, tensors[f"{layer.name}.weights"])
        if layer.is_last:
            for name in SCALING:
                if not np.isfinite(tensors[f"{layer.name}.{name}"]).all():
                    raise ValueError(f"{layer.name}.{name}: not finite")
            continue
        for name in ("threshold", "choice"):
            values = tensors.get(f"{layer.name}.{name}")
            if values is None:
                continue
            if values.min() < -layer.largest or values.max() > layer.largest + 1:
                raise ValueError(f"{layer.name}.{name}: out of range")
        if tensors[f"{layer.name}.flip"].max() > 1:
            raise ValueError(f"{layer.name}.flip: neither 0 nor 1")


def _check_padding(layer: PackedLayer, weights: np.ndarray) -> None:
    used = layer.lines[1] % WORD
    if used and (weights[:, -1] >> np.uint64(used)).any():
        raise ValueError(f"{layer.name}.weights: bits are set behind the last column")
