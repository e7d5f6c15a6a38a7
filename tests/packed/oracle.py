"""What a network gives with its running statistics, in NumPy, from the equations alone.

Products are exact. Where activations are signs, that of z is decided in extended precision: z is
zero or further from it than any rounding. Where they are real, z is the float32 product and sum of
y with a scale and a shift, in that order, and its sign is that of the rounded z.
"""

from __future__ import annotations

import numpy as np
import reference
from conv_reference import Geometry, as_image, convolve, windows
from harness import geometry_of, own_views

from bnntrain.program import Program
from bnntrain.steps import Step

F32 = np.float32


def logits_of(program: Program, x: np.ndarray) -> np.ndarray:
    """Return the logits (float32) of samples."""
    for step in program.steps:
        geometry = geometry_of(step) or Geometry(1, 1, step.inputs, step.channels)
        state = {
            name: view for name, view in own_views(program, step.name).items()
            if name in ("latent", "gamma", "beta", "running_mean", "running_spread")
        }
        y = convolve(geometry, as_image(geometry, x), reference.sign(state["latent"].astype(float)))
        if geometry.pool == "before_norm":
            y = windows(y).max(axis=3)
        if geometry.pool == "average_before_norm":
            y = windows(y).sum(axis=3)
        if step.is_last:
            return rounded_z(step, state, y).reshape(len(x), -1)
        x = signs_of(step, state, geometry.pool, y)
    raise AssertionError


def rounded_z(step: Step, state: dict[str, np.ndarray], y: np.ndarray) -> np.ndarray:
    """Return z in float32."""
    inverse = reference.inverse_of(step.method.norm, state["running_spread"].astype(float))
    gain = state.get("gamma", np.ones(1)).astype(float) * inverse
    shift = state["beta"].astype(float) - gain * state["running_mean"].astype(float)
    return y.astype(F32) * gain.astype(F32) + shift.astype(F32)


def signs_of(
    step: Step, state: dict[str, np.ndarray], pool: str, y: np.ndarray
) -> np.ndarray:
    """Return the signs that go out, pooled where pooling stands behind the norm."""
    long = {name: view.astype(np.longdouble) for name, view in state.items()}
    inverse = reference.inverse_of(step.method.norm, state["running_spread"].astype(float))
    gamma = long.get("gamma", np.longdouble(1))
    exact = reference.sign(gamma * inverse * (y - long["running_mean"]) + long["beta"])
    is_real = step.method.activation == "float32"
    signs = reference.sign(rounded_z(step, state, y)) if is_real else exact
    if pool == "before_sign":
        return windows(signs).max(axis=3)
    if pool == "after_sign":
        # The first that is +1 without rounding, or else the first; rounding may change its sign.
        chosen = windows(exact).argmax(axis=3)[:, :, :, None]
        return np.take_along_axis(windows(signs), chosen, axis=3)[:, :, :, 0]
    return signs
