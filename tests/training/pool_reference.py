"""What stands behind the batch norm of a pooled stem, in float64 NumPy, from the equations alone.

ReLU, the largest of 3x3 values at every second position, and a second batch norm, the first and the
last of them optional. Windows lie as those of a convolution with ``same`` padding; what sticks out
is no value. Of equal values the first in scan order is chosen, and gets the gradient.

Which value is the largest is told from y, of which z = gamma (y - mean) / deviation + beta is a
growing function or, where gamma is negative, a falling one; where gamma is 0 all z are equal, and
the largest y stands for them.

Sources: He et al., arXiv 1512.03385; Bethge et al., arXiv 1906.08637; `kernels/stem/stem.h`.
"""

from __future__ import annotations

from dataclasses import dataclass

import conv_reference as conv
import numpy as np
import reference

SIZE, STRIDE = 3, 2


@dataclass
class Pool:
    """What stands behind the first batch norm; without `gamma` and `beta` no second one."""

    relu: bool = False
    gamma: np.ndarray | None = None
    beta: np.ndarray | None = None

    @property
    def has_norm(self) -> bool:
        """Whether there is a second batch norm."""
        return self.beta is not None


@dataclass(frozen=True)
class Pooled:
    """Its forward pass.

    `choice` [batch][row][column][channel] of the windows numbers the positions that they chose, in
    scan order, out of `positions` (rows, columns); `z` are the chosen values, `u` those behind the
    ReLU, `normalised` the second batch norm of all their rows, `out` what goes out.
    """

    layer: Pool
    positions: tuple[int, int]
    choice: np.ndarray
    z: np.ndarray
    u: np.ndarray
    normalised: reference.Normalised | None
    out: np.ndarray


def windows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each window's values [tap][batch][row][column][channel], in scan order, and the
    numbers [tap][row][column] of their positions; NaN and -1 where a tap lies outside."""
    batch, height, width, channels = values.shape
    window = conv.Geometry(height, width, channels, channels, SIZE, STRIDE, "same")
    found = np.full((SIZE**2, batch, *window.product, channels), np.nan)
    numbers = np.full((SIZE**2, *window.product), -1)
    for r, c in np.ndindex(window.product):
        for tap, row, column in window.taps(r, c):
            found[tap, :, r, c] = values[:, row, column]
            numbers[tap, r, c] = row * width + column
    return found, numbers


def choose(y: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Return the position of every window's largest z, by y."""
    found, numbers = windows(np.where(gamma < 0, -y, y))
    tap = np.nanargmax(found, axis=0)  # the first of equals
    rows, columns = np.indices(numbers.shape[1:])
    return numbers[tap, rows[..., None], columns[..., None]]


def take(values: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Return the values that were chosen."""
    batch, _, _, channels = values.shape
    lines, numbers = (each.reshape(batch, -1, channels) for each in (values, choice))
    return np.take_along_axis(lines, numbers, axis=1).reshape(choice.shape)


def spread(
    pooled: Pooled, g: np.ndarray, choice: np.ndarray | None = None
) -> np.ndarray:
    """Return the sum, at every position, of g of the windows that chose it."""
    choice = pooled.choice if choice is None else choice
    batch, channels = g.shape[0], g.shape[-1]
    found = np.zeros((batch, *pooled.positions, channels))
    n, _, _, c = np.indices(choice.shape)
    np.add.at(found, (n, *np.unravel_index(choice, pooled.positions), c), g)
    return found


def normalise(layer: Pool, kind: str, u: np.ndarray) -> reference.Normalised:
    """Run the second batch norm on all rows of u."""
    gamma = np.ones(u.shape[-1]) if layer.gamma is None else layer.gamma
    return reference.normalise(kind, conv.flat(u), gamma, layer.beta)


def forward(
    layer: Pool, norm: reference.Normalised, shape: tuple[int, ...], choice: np.ndarray | None
) -> Pooled:
    """Pool the values of the first batch norm, an image of this shape; by a given choice or not."""
    if choice is None:
        choice = choose(norm.y.reshape(shape), norm.gamma)
    z = take(norm.z.reshape(shape), choice)
    u = np.maximum(z, 0) if layer.relu else z
    second = normalise(layer, norm.kind, u) if layer.has_norm else None
    out = u if second is None else second.z.reshape(u.shape)
    return Pooled(layer, shape[1:3], choice, z, u, second, out)


def backward(
    pooled: Pooled, g: np.ndarray
) -> tuple[np.ndarray, reference.NormGradient | None]:
    """Propagate g, of what goes out, to the first batch norm; return the second's gradients too."""
    second = None
    if pooled.normalised is not None:
        second = reference.norm_backward(pooled.normalised, conv.flat(g))
        g = second.dy.reshape(g.shape)
    if pooled.layer.relu:
        g = g * (pooled.z > 0)
    return spread(pooled, g), second
