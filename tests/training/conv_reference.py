"""What a block of a convolutional network computes, in float64 NumPy, from the equations alone.

Notation as in `reference`. Tensors are [batch][row][column][channel]: x is what a block reads
(signs, or pixel - 128 in the first), y the exact product at every position of the window, z the
normalised y. Weights are signs [output][tap * input channel], taps in scan order of the window. A
tap outside the image is skipped. A dense block is a window of 1 x 1 on one position.

Max-pooling takes windows of 2 x 2 with a stride of 2; an odd last row or column belongs to none.
Within a window the first of equals wins, in scan order. It stands

* ``before_norm``: on y. Batch norm sees the chosen y alone.
* ``average_before_norm``: on y, as the sum of all four, each of which gets its gradient: the mean
  but for a factor that batch norm cancels.
* ``before_sign``: on z. Batch norm sees every y.
* ``after_sign``: on sgn(z). Batch norm sees every y; the argmax is the first +1, or else the first.

In each case the block's output is the sign of the z that was chosen, and the gradient goes through
that z alone. Everything is a plain loop over positions and taps; nothing is fast.

Sources: docs/methods.md; Courbariaux et al. 2016; Ioffe & Szegedy 2015; padding as in TensorFlow.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import reference

BEFORE_NORM = ("before_norm", "average_before_norm")
"""Batch norm sees one y of each window."""

WINDOW = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Rows and columns of a pooling window, in scan order."""


@dataclass(frozen=True)
class Geometry:
    """Sizes of a block: the image that it reads, its window and its pooling."""

    height: int
    width: int
    channels: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    padding: str = "valid"
    pool: str = "none"

    @property
    def product(self) -> tuple[int, int]:
        """Rows and columns of y."""
        return self._axis(self.height)[0], self._axis(self.width)[0]

    @property
    def before(self) -> tuple[int, int]:
        """Rows above and columns left of the image that the first window covers."""
        return self._axis(self.height)[1], self._axis(self.width)[1]

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of what goes out."""
        rows, columns = self.product
        return (rows, columns) if self.pool == "none" else (rows // 2, columns // 2)

    @property
    def fan_in(self) -> int:
        """Weights of one output channel."""
        return self.kernel * self.kernel * self.channels

    def _axis(self, extent: int) -> tuple[int, int]:
        if self.padding == "valid":
            return len(range(0, extent - self.kernel + 1, self.stride)), 0
        # As many windows as strides begin inside the image; what they need more than there is
        # lies around it, the odd one behind.
        starts = len(range(0, extent, self.stride))
        missing = (starts - 1) * self.stride + self.kernel - extent
        return starts, max(missing, 0) // 2

    def taps(self, row: int, column: int) -> list[tuple[int, int, int]]:
        """List (number, row, column of the image) of the taps of a position inside the image."""
        (above, left), found = self.before, []
        for number, (i, j) in enumerate(itertools.product(range(self.kernel), repeat=2)):
            r, c = row * self.stride - above + i, column * self.stride - left + j
            if 0 <= r < self.height and 0 <= c < self.width:
                found.append((number, r, c))
        return found

    def stored_positions(self) -> list[tuple[int, int]]:
        """List the positions of y in the order in which their gradients are numbered.

        Without pooling behind batch norm it is scan order. With it the four positions of a window
        follow each other, windows in scan order; then come those that belong to none: the right
        column as far down as windows reach, and the bottom row.
        """
        rows, columns = self.product
        everything = list(itertools.product(range(rows), range(columns)))
        if self.pool not in ("before_sign", "after_sign"):
            return everything
        windows = itertools.product(range(rows // 2), range(columns // 2))
        found = [(2 * r + i, 2 * c + j) for r, c in windows for i, j in WINDOW]
        right = [(r, columns - 1) for r in range(rows // 2 * 2)] if columns % 2 else []
        bottom = [(rows - 1, c) for c in range(columns)] if rows % 2 else []
        return found + right + bottom


# The product and its two derivatives --------------------------------------------------------------


def patches(geometry: Geometry, x: np.ndarray) -> np.ndarray:
    """Return what every position's window sees, [batch][row][column][fan-in], 0 at skipped taps."""
    found = np.zeros((len(x), *geometry.product, geometry.kernel**2, geometry.channels))
    for r, c in np.ndindex(geometry.product):
        for number, row, column in geometry.taps(r, c):
            found[:, r, c, number] = x[:, row, column]
    return found.reshape(len(x), *geometry.product, geometry.fan_in)


def convolve(geometry: Geometry, x: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return y of x and of weights [output][fan-in]."""
    return patches(geometry, x) @ signs.T


def input_gradient(geometry: Geometry, dy: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return dX: every position sends its dY through its taps back to where they read."""
    shape = (len(dy), *geometry.product, geometry.kernel**2, geometry.channels)
    sent = (dy @ signs).reshape(shape)
    found = np.zeros((len(dy), geometry.height, geometry.width, geometry.channels))
    for r, c in np.ndindex(geometry.product):
        for number, row, column in geometry.taps(r, c):
            found[:, row, column] += sent[:, r, c, number]
    return found


def weight_gradient(geometry: Geometry, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dW [output][fan-in], summed over samples and positions."""
    return flat(dy).T @ flat(patches(geometry, x))


def flat(tensor: np.ndarray) -> np.ndarray:
    """One row per sample and position."""
    return tensor.reshape(-1, tensor.shape[-1])


# Pooling ------------------------------------------------------------------------------------------


def windows(tensor: np.ndarray) -> np.ndarray:
    """Return [batch][row][column][4][channel]: the values of each window in scan order."""
    rows, columns = tensor.shape[1] // 2, tensor.shape[2] // 2
    found = np.empty((len(tensor), rows, columns, len(WINDOW), tensor.shape[3]), tensor.dtype)
    for r, c in np.ndindex(rows, columns):
        for number, (i, j) in enumerate(WINDOW):
            found[:, r, c, number] = tensor[:, 2 * r + i, 2 * c + j]
    return found


def first_largest(tensor: np.ndarray) -> np.ndarray:
    """Return the number 0 ... 3 of each window's first largest value."""
    return windows(tensor).argmax(axis=3)


def pick(tensor: np.ndarray, argmax: np.ndarray) -> np.ndarray:
    """Return each window's chosen value."""
    return np.take_along_axis(windows(tensor), argmax[:, :, :, None], axis=3)[:, :, :, 0]


def repeat(pooled: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a tensor of `size` positions with each pooled value at all four of its window."""
    found = np.zeros((len(pooled), *size, pooled.shape[3]), pooled.dtype)
    for r, c in np.ndindex(pooled.shape[1:3]):
        for i, j in WINDOW:
            found[:, 2 * r + i, 2 * c + j] = pooled[:, r, c]
    return found


def spread(pooled: np.ndarray, argmax: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a tensor of `size` positions with each pooled value at its argmax, 0 elsewhere."""
    found = np.zeros((len(pooled), *size, pooled.shape[3]), pooled.dtype)
    for r, c in np.ndindex(pooled.shape[1:3]):
        for number, (i, j) in enumerate(WINDOW):
            chosen = argmax[:, r, c] == number
            found[:, 2 * r + i, 2 * c + j] = np.where(chosen, pooled[:, r, c], 0)
    return found


# A block ------------------------------------------------------------------------------------------


@dataclass
class Layer:
    """A block's sizes and parameters: signs [output][fan-in], gamma and beta, kind of norm."""

    geometry: Geometry
    signs: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    norm: str = "l2"


@dataclass(frozen=True)
class State:
    """A block's forward pass.

    `y` is the product at every position, `normalised` the batch norm of the rows that it sees
    (pooled ones with `BEFORE_NORM`, else all, in scan order), `argmax` the number of each
    window's chosen position (None without pooling) and `z` [batch][row][column][channel] what the
    block's output is the sign of.
    """

    geometry: Geometry
    y: np.ndarray
    normalised: reference.Normalised
    argmax: np.ndarray | None
    z: np.ndarray

    @property
    def out(self) -> np.ndarray:
        """Signs."""
        return reference.sign(self.z)


def forward_block(layer: Layer, x: np.ndarray, argmax: np.ndarray | None = None) -> State:
    """Run a block on x [batch][row][column][channel], or on a tensor to be read in that order.

    A given `argmax` replaces the block's own.
    """
    geometry = layer.geometry
    y = convolve(geometry, as_image(geometry, x), layer.signs)
    return normalise_block(layer, y, argmax)


def as_image(geometry: Geometry, x: np.ndarray) -> np.ndarray:
    """Give x the shape that the block reads: a dense block takes all values in their order."""
    return x.reshape(len(x), geometry.height, geometry.width, geometry.channels)


def normalise_block(layer: Layer, y: np.ndarray, argmax: np.ndarray | None = None) -> State:
    """Pool and normalise y."""
    pool, seen = layer.geometry.pool, y
    if pool == "before_norm":
        argmax = first_largest(y) if argmax is None else argmax
        seen = pick(y, argmax)
    if pool == "average_before_norm":
        seen = windows(y).sum(axis=3)
    normalised = reference.normalise(layer.norm, flat(seen), layer.gamma, layer.beta)
    z = normalised.z.reshape(seen.shape)
    if pool in ("before_sign", "after_sign"):
        if argmax is None:
            # Of equal y only the first is chosen, whatever rounding does to their z.
            order = np.sign(layer.gamma) * y if pool == "before_sign" else reference.sign(z)
            argmax = first_largest(order)
        z = pick(z, argmax)
    return State(layer.geometry, y, normalised, argmax, z)


@dataclass(frozen=True)
class Gradient:
    """Gradients of a block, unquantised.

    dY and its `size` (see `reference.NormGradient`) at every position of the product, dX, dW,
    dgamma and dbeta.
    """

    dy: np.ndarray
    size: np.ndarray
    dx: np.ndarray
    dw: np.ndarray
    dgamma: np.ndarray | None
    dbeta: np.ndarray


def norm_gradient(
    state: State, g: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Return dY, its size, dgamma and dbeta; g (cancelled) is the gradient of `state.z`."""
    geometry = state.geometry
    if geometry.pool in ("before_sign", "after_sign"):
        g = spread(g, state.argmax, geometry.product)
    found = reference.norm_backward(state.normalised, flat(g))
    dy, size = found.dy.reshape(g.shape), found.size.reshape(g.shape)
    if geometry.pool == "before_norm":
        dy = spread(dy, state.argmax, geometry.product)
        size = spread(size, state.argmax, geometry.product)
    if geometry.pool == "average_before_norm":
        dy, size = repeat(dy, geometry.product), repeat(size, geometry.product)
    return dy, size, found.dgamma, found.dbeta


def backward_block(layer: Layer, x: np.ndarray, state: State, g: np.ndarray) -> Gradient:
    """Propagate g, the gradient of `state.z`, already cancelled."""
    geometry = layer.geometry
    dy, size, dgamma, dbeta = norm_gradient(state, g.reshape(state.z.shape))
    dx = input_gradient(geometry, dy, layer.signs)
    dw = weight_gradient(geometry, dy, as_image(geometry, x))
    return Gradient(dy, size, dx, dw, dgamma, dbeta)


# A whole network ----------------------------------------------------------------------------------


def forward(layers: list[Layer], x: np.ndarray) -> list[State]:
    """Run the binary network; the last block's z are the logits."""
    found = []
    for layer in layers:
        found.append(forward_block(layer, x))
        x = found[-1].out
    return found


def backward(
    layers: list[Layer], x: np.ndarray, states: list[State], g: np.ndarray
) -> list[Gradient]:
    """Propagate g, the gradient of the logits, through all blocks without quantisation."""
    reads = [x] + [state.out for state in states[:-1]]
    found = []
    for index in range(len(layers) - 1, -1, -1):
        g = g.reshape(states[index].z.shape)
        if index < len(layers) - 1:
            g = g * reference.passes(states[index].z)
        found.append(backward_block(layers[index], reads[index], states[index], g))
        g = found[-1].dx
    return found[::-1]


def surrogate_loss(
    layers: list[Layer],
    x: np.ndarray,
    labels: np.ndarray,
    anchors: list[State],
    offsets: list[np.ndarray] | None = None,
) -> float:
    """Loss of the differentiable network whose gradient the straight-through estimator is.

    As `reference.surrogate_loss`. The choices of pooling are those of the binary network
    (`anchors`): y has ties, at which a maximum has no derivative.
    """
    for index, (layer, anchor) in enumerate(zip(layers, anchors, strict=True)):
        if offsets is not None:
            x = as_image(layer.geometry, x) + offsets[index]
        z = forward_block(layer, x, anchor.argmax).z
        x = anchor.out + np.clip(z, -1, 1) - np.clip(anchor.z, -1, 1)
    return reference.cross_entropy(z.reshape(len(z), -1), labels)[0]
