"""Which integers a gradient may be rounded to, given what it is and how far that may be off."""

from __future__ import annotations

import numpy as np
from kernel_oracles import byte_of_four

from bnntrain import kernels
from bnntrain.program import Program

U = 2.0**-24
"""Unit roundoff of float32."""


def noise(
    program: Program, stream: int, number: int, step: int, index: np.ndarray
) -> np.ndarray | None:
    """The random bytes that decide the rounding of a layer's gradients, or None to nearest.

    `index` numbers the elements [rows, columns] in the order in which they are stored.
    """
    if program.steps[number].method.gradient_rounding == "nearest":
        return None
    key = kernels.key(program.seed, stream, number, step)
    return byte_of_four(index, np.arange(index.shape[-1]), key)


def indices(tensor: np.ndarray) -> np.ndarray:
    """Return each element's number, rows one behind the other."""
    return np.arange(tensor.size).reshape(tensor.shape)


def interval(
    exact: np.ndarray, error: np.ndarray | float, limit: int, u: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest integer that values `exact` +- `error` round to."""
    slack = error + 2 * U * (np.abs(exact) + 1)
    low, high = (_rounded(exact + sign * slack, u) for sign in (-1, 1))
    return np.clip(low, -limit, limit), np.clip(high, -limit, limit)


def _rounded(v: np.ndarray, u: np.ndarray | None) -> np.ndarray:
    """To nearest; or down after adding u / 256 to the nearest whole number of 256ths."""
    return np.rint(v) if u is None else np.floor((np.rint(256 * v) + u) / 256)


def check(
    got: np.ndarray,
    exact: np.ndarray,
    error: np.ndarray | float,
    limit: int,
    u: np.ndarray | None,
) -> None:
    """Check integers against the exact values that they stand for."""
    low, high = interval(exact, error, limit, u)
    wrong = (got < low) | (got > high)
    assert not wrong.any(), (got[wrong][:5], low[wrong][:5], high[wrong][:5])
