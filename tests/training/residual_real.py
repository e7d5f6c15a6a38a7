"""What real convolutions multiply, and how real weights move.

Source: `kernels/real_conv/real_conv.h`.
"""

from __future__ import annotations

from dataclasses import replace

import conv_reference as conv
import numpy as np
import reference
import residual_reference as residual
import rounding
from checks import close, storage_bound
from harness import Trace
from residual_errors import RealErrors
from residual_kit import Seen
from residual_units import ONE, in_units
from rounding import U

BITS, LARGEST_TERM = 15, 127 * 128
ADAM = (0.9, 0.999, 1e-7)
"""Of all real layers: decays of the moments, and epsilon."""


def shift_of(fan_in: int) -> int:
    """Return by how much products of int8 are shifted right to have at most 15 bits."""
    shift = 0
    while fan_in * LARGEST_TERM >> shift >= 2**BITS:
        shift += 1
    return shift


def check_real_operands(one: Seen, layer: residual.Conv, first_step: bool) -> None:
    """Check the operands that are not latent weights and pixels: rounded, or means."""
    integers = one.method.gradient == "int8"
    if integers:
        latent = one.trace.state["latent"]
        unit = np.abs(latent).max(axis=1) / np.float32(127)
        unit[unit == 0] = 1
        assert np.array_equal(one.kept["W_unit"], unit)
        exact = latent.astype(float) / unit[:, None]
        rounding.check(one.kept["W_rows"], exact, 2 * U * np.abs(exact), 127, None)
    if layer.reads == residual.PIXELS:
        return
    wanted = conv.flat(residual.means(in_units(one.read), layer.side))
    x = one.kept["X"][: len(wanted)]
    if not integers:
        size = residual.means(np.abs(in_units(one.read)), layer.side)
        close(x, wanted, 4 * U * conv.flat(size))
        return
    sums = np.rint(wanted * (ONE * layer.side**2))
    amax, (follows, unit) = np.abs(sums).max(), one.kept["amax"]
    assert unit == (np.float32(amax) / np.float32(127) if amax else 1)
    former = float(one.trace.state["amax"][0])
    close(follows, amax if first_step else 0.9 * former + 0.1 * amax, 4 * U * (amax + former))
    rounding.check(x, sums / unit, 2 * U * np.abs(sums / unit), 127, None)


def real_layer(
    one: Seen, layer: residual.Conv, read: np.ndarray
) -> tuple[residual.Conv, residual.State, RealErrors]:
    """Return a real convolution as it is multiplied, its forward pass, and that one's errors.

    Of integers, weights, operand and y are integers, which batch norm makes no difference of.
    """
    operand = read
    if layer.reads != residual.PIXELS:
        height, width = layer.geometry.height, layer.geometry.width
        operand = one.kept["X"].astype(float).reshape(-1, height, width, layer.geometry.channels)
        operand = operand[: len(read)]
    if one.method.gradient != "int8":
        state = residual.convolved(layer, read, operand, None)
        return layer, state, RealErrors.of(state)
    layer = replace(layer, weights=one.kept["W_rows"].astype(float))
    y = conv.convolve(layer.geometry, operand, layer.weights)
    y = np.floor(y / 2 ** shift_of(layer.geometry.fan_in))
    return layer, residual.normalised(layer, read, operand, y, None), RealErrors.none()


def unit_of_weights(one: Seen, layer: residual.Conv, unit: float | None) -> np.ndarray | float:
    """Return what 1 of dW as it is summed up is, of weights as they are held."""
    if unit is None:
        return 1.0
    shift = shift_of(layer.geometry.fan_in)
    return (unit / (one.kept["W_unit"].astype(float) * 2**shift))[:, None]


def unit_of_sent(one: Seen, layer: residual.Conv, unit: float) -> float:
    """Return what 1 of dX as it is summed up is, of the mean of what was read."""
    if layer.is_binary or one.method.gradient != "int8":
        return unit
    scale = float(one.kept["amax"][1]) / (ONE * layer.side**2)
    return unit / (2 ** shift_of(layer.geometry.fan_in) * scale)


def check_real_update(
    t: Trace, dw: np.ndarray, bound: np.ndarray, step: int, rate: float, rows: int
) -> None:
    """Check Adam's step of real weights on the mean gradient, by way of which dW is seen."""
    beta1, beta2, epsilon = ADAM
    w, m, v = (t.state[name].astype(float) for name in ("latent", "momentum1", "momentum2"))
    g, error = dw / rows, bound / rows
    wanted = reference.adam(w, m, v, g, rate, *ADAM, step + 1)
    off = (1 - beta1) * error + 16 * U * (np.abs(m) + np.abs(g)) + 1e-38
    close(t.later["momentum1"], wanted[1], off)
    off = (1 - beta2) * (2 * np.abs(g) + error) * error + 1e-4 * (1 - beta2) * g**2
    close(t.later["momentum2"], wanted[2], off + 4 * U * v + 1e-38)
    # A gradient near 0 has no sure direction: the step itself is checked from the moments.
    mean = t.later["momentum1"] / (1 - beta1 ** (step + 1))
    root = np.sqrt(t.later["momentum2"].astype(float) / (1 - beta2 ** (step + 1)))
    wanted = w - rate * mean / (root + epsilon)
    slack = 1e-3 * rate + 4 * U * np.abs(w)
    close(t.later["latent"], wanted, slack + storage_bound(str(t.later["latent"].dtype), wanted))
