"""Batch norm and sign of a layer, with the running statistics, as one comparison a channel.

The same arithmetic as in the forward pass: `bnn_channel_threshold` for activations of a bit. Where
activations are real, their sign is that of z rounded to float32, whose threshold is searched for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bnntrain import kernels
from bnntrain.inference.layers import PackedLayer

if TYPE_CHECKING:
    from bnntrain.method import Method


def fold_norm(
    layer: PackedLayer, method: Method, state: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return a layer's tensors but for its weights.

    Parameters
    ----------
    layer : PackedLayer
        Its sizes.
    method : Method
        That it was trained by.
    state : mapping of str to ndarray of float32
        ``beta``, ``running_mean``, ``running_spread``, and ``gamma`` where the norm has one.

    Returns
    -------
    dict of str to ndarray
        By tensor, without the layer's name.
    """
    mean = state["running_mean"].astype(np.float64)
    beta = state["beta"].astype(np.float64)
    gamma = state["gamma"].astype(np.float64) if "gamma" in state else np.ones_like(beta)
    inverse = np.array(
        [kernels.channel_inverse(method.norm, float(each)) for each in state["running_spread"]]
    )
    gain = gamma * inverse
    scale, shift = gain.astype(np.float32), (beta - gain * mean).astype(np.float32)
    if layer.is_scaled:
        return {"scale": scale, "shift": shift}
    pairs = [kernels.channel_threshold(*each) for each in zip(mean, inverse, gamma, beta,
                                                              strict=True)]  # fmt: skip
    exact = np.clip([pair[0] for pair in pairs], -layer.largest, layer.largest + 1)
    exact, flip = exact.astype(np.int32), np.array([pair[1] for pair in pairs], np.uint8)
    found = {"threshold": exact, "flip": flip}
    if method.activation == "float32":
        found["threshold"] = _rounded_threshold(scale, shift, flip, layer.largest)
    if layer.fused.pool == "after_sign":
        found["choice"] = exact
    return found


def _rounded_threshold(
    scale: np.ndarray, shift: np.ndarray, flip: np.ndarray, largest: int
) -> np.ndarray:
    """Return the smallest y at which the sign of float32(y * scale + shift) is that of large ones.

    The rounded z is monotonic in y, as both of its roundings are.
    """
    low = np.full(scale.shape, -largest, np.int32)
    high = np.full(scale.shape, largest + 1, np.int32)
    while (low < high).any():
        middle = (low + high) >> 1
        z = middle.astype(np.float32) * scale + shift
        is_beyond = (z < 0) == flip.astype(bool)
        open_ = low < high
        high = np.where(open_ & is_beyond, middle, high)
        low = np.where(open_ & ~is_beyond, middle + 1, low)
    return low
