"""What a residual network computes, in float64 NumPy, from the equations alone.

Notation as in `conv_reference`. A network is a list of layers, each of which makes one tensor that
is called by the layer's name:

* a real convolution and its batch norm, of pixels or of a tensor r of a stream, there of the means
  of its 2x2 windows if `side` is 2 (an odd last row or column belongs to none): it begins a stream,
  z = norm(mean(r) * W); of pixels, perhaps with a pool `behind` it, see `pool_reference`;
* a residual convolution: z = norm(sgn(r) * sgn(W)) + a, where a is the tensor that it `adds` to;
* the head: logits = mean over all positions of r, or of max(r, 0), times W, plus bias.

The straight-through estimator lets a gradient pass sgn(r) where abs(r) <= 1.

Sources: Liu et al., arXiv 1808.00278; Bethge et al., arXiv 1906.08637; `kernels/block/residual.h`,
`kernels/real_conv/real_conv.h`, `kernels/head/head.h`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import conv_reference as conv
import numpy as np
import pool_reference as pool
import reference

PIXELS = "pixels"


@dataclass
class Conv:
    """A convolution and its batch norm; `geometry` is of what is multiplied, after the mean."""

    name: str
    geometry: conv.Geometry
    weights: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    norm: str = "l2"
    reads: str = PIXELS
    side: int = 1
    adds: str | None = None
    behind: pool.Pool | None = None

    @property
    def is_binary(self) -> bool:
        """Whether it multiplies signs of a stream, and adds to one."""
        return self.adds is not None


@dataclass
class Head:
    """Global average pooling and a dense layer: weights [classes][channels], bias [classes]."""

    name: str
    weights: np.ndarray
    bias: np.ndarray
    reads: str
    relu: bool = False


@dataclass(frozen=True)
class State:
    """A convolution's forward pass.

    `read` is the tensor that comes in, `operand` what is multiplied, both [batch][row][column]
    [channel]; `normalised` the batch norm of all its rows, `out` the tensor that it makes.
    """

    layer: Conv
    read: np.ndarray
    operand: np.ndarray
    normalised: reference.Normalised
    out: np.ndarray
    pooled: pool.Pooled | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the product, which is larger than `out` where that is pooled."""
        return (len(self.read), *self.layer.geometry.product, self.layer.geometry.outputs)


@dataclass(frozen=True)
class HeadState:
    """The head's forward pass; `out` are the logits."""

    layer: Head
    read: np.ndarray
    features: np.ndarray
    out: np.ndarray


# Forward ------------------------------------------------------------------------------------------


def means(r: np.ndarray, side: int) -> np.ndarray:
    """Return the means of windows without overlap."""
    return r if side == 1 else conv.windows(r).mean(axis=3)


def operand_of(layer: Conv, r: np.ndarray) -> np.ndarray:
    """Return what a convolution multiplies of what it reads."""
    if layer.reads == PIXELS:
        return r
    return reference.sign(r) if layer.is_binary else means(r, layer.side)


def convolved(
    layer: Conv,
    read: np.ndarray,
    operand: np.ndarray,
    addend: np.ndarray | None,
    choice: np.ndarray | None = None,
) -> State:
    """Run a convolution on its operand; `choice` is what the pool behind it takes, if given."""
    y = conv.convolve(layer.geometry, operand, layer.weights)
    return normalised(layer, read, operand, y, addend, choice)


def normalised(
    layer: Conv,
    read: np.ndarray,
    operand: np.ndarray,
    y: np.ndarray,
    addend: np.ndarray | None,
    choice: np.ndarray | None = None,
) -> State:
    """Normalise y and add, or pool."""
    norm = reference.normalise(layer.norm, conv.flat(y), layer.gamma, layer.beta)
    if layer.behind is not None:
        pooled = pool.forward(layer.behind, norm, y.shape, choice)
        return State(layer, read, operand, norm, pooled.out, pooled)
    z = norm.z.reshape(y.shape)
    return State(layer, read, operand, norm, z if addend is None else z + addend)


def scored(layer: Head, r: np.ndarray) -> HeadState:
    """Run the head."""
    features = (np.maximum(r, 0) if layer.relu else r).mean(axis=(1, 2))
    return HeadState(layer, r, features, features @ layer.weights.T + layer.bias)


States = dict[str, State | HeadState]


def forward(network: Sequence[Conv | Head], x: np.ndarray) -> States:
    """Run a network; the last state's `out` are the logits."""
    return _run(network, x, operand_of, {}, {})


def _run(
    network, x, operand, offsets: Mapping[str, np.ndarray], choices: Mapping[str, np.ndarray]
) -> States:
    tensors, found = {PIXELS: x}, {}
    for layer in network:
        read = tensors[layer.reads]
        if isinstance(layer, Head):
            found[layer.name] = scored(layer, read)
            continue
        addend = tensors[layer.adds] if layer.is_binary else None
        state = convolved(layer, read, operand(layer, read), addend, choices.get(layer.name))
        found[layer.name] = state = replace(state, out=state.out + offsets.get(layer.name, 0.0))
        tensors[layer.name] = state.out
    return found


def surrogate_loss(
    network: Sequence[Conv | Head],
    x: np.ndarray,
    labels: np.ndarray,
    anchors: States,
    offsets: Mapping[str, np.ndarray],
) -> float:
    """Loss of the differentiable network whose gradient the straight-through estimator is.

    sgn(r) is replaced by sgn(r0) + clip(r) - clip(r0), as in `reference.surrogate_loss`; r0 are the
    binary network's own (`anchors`), and pools choose as they do there. `offsets` are added to the
    tensors of the streams.
    """

    def operand(layer: Conv, r: np.ndarray) -> np.ndarray:
        if not layer.is_binary:
            return operand_of(layer, r)
        anchor = anchors[layer.name].read
        return reference.sign(anchor) + np.clip(r, -1, 1) - np.clip(anchor, -1, 1)

    choices = {
        name: state.pooled.choice for name, state in anchors.items()
        if isinstance(state, State) and state.pooled is not None
    }  # fmt: skip
    logits = _run(network, x, operand, offsets, choices)[network[-1].name].out
    return reference.cross_entropy(logits, labels)[0]


# Backward -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gradient:
    """Gradients of a layer, unquantised.

    `arrived` is that of the tensor that it makes, `dy` and its `size` (see
    `reference.NormGradient`) are those of its product, `sent` its part of the gradient of what it
    reads, without what an addition passes on; None for pixels. The head's bias is `dbeta`; `second`
    are the gradients of the second batch norm of a pooled stem.
    """

    arrived: np.ndarray
    dy: np.ndarray
    size: np.ndarray
    dw: np.ndarray
    dgamma: np.ndarray | None
    dbeta: np.ndarray
    sent: np.ndarray | None
    second: reference.NormGradient | None = None


def conv_backward(state: State, g: np.ndarray) -> Gradient:
    """Propagate g, the gradient of what a convolution makes."""
    layer, geometry = state.layer, state.layer.geometry
    of_norm, second = (g, None) if state.pooled is None else pool.backward(state.pooled, g)
    norm = reference.norm_backward(state.normalised, conv.flat(of_norm))
    dy, size = norm.dy.reshape(state.shape), norm.size.reshape(state.shape)
    dw = conv.weight_gradient(geometry, dy, state.operand)
    sent = None
    if layer.reads != PIXELS:
        sent = to_read(state, conv.input_gradient(geometry, dy, layer.weights))
    return Gradient(g, dy, size, dw, norm.dgamma, norm.dbeta, sent, second)


def to_read(state: State, dx: np.ndarray) -> np.ndarray:
    """Return the gradient of what was read from that of the operand."""
    if state.layer.is_binary:
        return dx * reference.passes(state.read)
    side = state.layer.side
    return dx if side == 1 else conv.repeat(dx, state.read.shape[1:3]) / side**2


def head_backward(state: HeadState, g: np.ndarray) -> Gradient:
    """Propagate g, the gradient of the logits."""
    layer, r = state.layer, state.read
    spread = (g @ layer.weights)[:, None, None, :] / (r.shape[1] * r.shape[2])
    sent = spread * ((r > 0) if layer.relu else np.ones(r.shape))
    return Gradient(g, g, np.abs(g), g.T @ state.features, None, g.sum(axis=0), sent)


def layer_backward(state: State | HeadState, g: np.ndarray) -> Gradient:
    """Propagate g through a layer."""
    return (head_backward if isinstance(state, HeadState) else conv_backward)(state, g)


def backward(states: States, g: np.ndarray) -> dict[str, Gradient]:
    """Propagate g, the gradient of the logits, through all layers without quantisation."""
    found, of = {}, {list(states)[-1]: g}
    for name, state in reversed(states.items()):
        gradient, layer = layer_backward(state, of[name]), state.layer
        found[name] = gradient
        if isinstance(layer, Conv) and layer.is_binary:
            of[layer.adds] = of.get(layer.adds, 0.0) + of[name]
        if gradient.sent is not None:
            of[layer.reads] = of.get(layer.reads, 0.0) + gradient.sent
    return found


def gathered(
    states: States, gradients: Mapping[str, Gradient], order: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the gradient of what a layer reads, as far as it is made once the layer is through.

    `order` are the names of the layers as they go back; what an addition passes on is included.
    """
    found, of = {}, {}
    for name in order:
        layer, gradient = states[name].layer, gradients[name]
        if isinstance(layer, Conv) and layer.is_binary:
            of[layer.adds] = of.get(layer.adds, 0.0) + gradient.arrived
        if gradient.sent is not None:
            found[name] = of[layer.reads] = of.get(layer.reads, 0.0) + gradient.sent
    return found
