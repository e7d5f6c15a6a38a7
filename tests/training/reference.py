"""What a training step computes, in float64 NumPy, from the equations and not from the kernels.

Notation: x [B][I] is what a block reads (signs, or pixel - 128 in the first), s = sgn(W) [O][I],
y = x s^T exact integers, z the normalised y, a = sgn(z) with sgn(0) = +1. Gradients are those of
the loss summed over the batch.

Sources: docs/methods.md; Courbariaux et al. 2016 (straight-through estimator); Ioffe & Szegedy 2015
(batch norm); Wang et al. 2021, section 5 (l1 batch norm and its binary approximation); Kingma & Ba
2015 (Adam); Helwegen et al. 2019 (Bop).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NORM_EPSILON = 1e-5


def sign(values: np.ndarray) -> np.ndarray:
    """Return -1 below zero and +1 elsewhere, zero included."""
    return np.where(values < 0, -1.0, 1.0)


# Forward ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Normalised:
    """Batch norm of y [B][O]: z = gamma (y - mean) inverse + beta.

    `spread` is the variance (l2) or the mean absolute deviation (l1 and l1-binary), `inverse` the
    reciprocal of what y - mean is divided by; both per channel, like `mean`, `gamma` and `beta`.
    """

    kind: str
    y: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    inverse: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """The normalised values."""
        return self.gamma * (self.y - self.mean) * self.inverse + self.beta


def normalise(kind: str, y: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> Normalised:
    """Normalise y with the statistics of the batch."""
    mean = y.mean(axis=0)
    deviation = y - mean
    spread = (deviation**2 if kind == "l2" else np.abs(deviation)).mean(axis=0)
    return Normalised(kind, y, gamma, beta, mean, spread, inverse_of(kind, spread))


def inverse_of(kind: str, spread: np.ndarray) -> np.ndarray:
    """Return 1/sqrt(variance + epsilon) or 1/(mean deviation + epsilon)."""
    return 1 / np.sqrt(spread + NORM_EPSILON) if kind == "l2" else 1 / (spread + NORM_EPSILON)


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0
) -> tuple[float, np.ndarray]:
    """Return the loss summed over the batch, and its gradient softmax - target [B][O]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    target = np.full(logits.shape, smoothing / logits.shape[1])
    target[np.arange(len(labels)), labels] += 1 - smoothing
    return float(-(target * log_p).sum()), np.exp(log_p) - target


# Backward -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NormGradient:
    """Gradients with respect to y [B][O], gamma and beta [O].

    `size` [B][O] is the sum of the magnitudes of the terms that `dy` is a sum of: what its rounding
    errors in floating point are relative to.
    """

    dy: np.ndarray
    dgamma: np.ndarray | None
    dbeta: np.ndarray
    size: np.ndarray


def norm_backward(n: Normalised, g: np.ndarray) -> NormGradient:
    """Differentiate batch norm; g [B][O] is dL/dz."""
    count = len(g)
    gain = n.gamma * n.inverse
    dbeta = g.sum(axis=0)
    if n.kind == "l1-binary":
        # The normalised value is replaced by its sign times its mean magnitude.
        t, mean_t = sign(n.z), 0.0
        slope = np.abs(n.z).mean(axis=0) * (g * t).mean(axis=0)
        dgamma = None
    else:
        unit = (n.y - n.mean) * n.inverse
        dgamma = (g * unit).sum(axis=0)
        slope = dgamma / count
        if n.kind == "l2":
            t, mean_t = n.y * n.inverse, n.mean * n.inverse
        else:
            # d mean|y - mu| / dy = (sgn(y - mu) - mean of those signs) / N
            t = sign(n.y - n.mean)
            mean_t = t.mean(axis=0)
    dy = gain * (g - dbeta / count - (t - mean_t) * slope)
    terms = np.abs(g) + np.abs(dbeta) / count + (np.abs(t) + np.abs(mean_t)) * np.abs(slope)
    return NormGradient(dy, dgamma, dbeta, np.abs(gain) * terms)


def passes(z: np.ndarray) -> np.ndarray:
    """Where the straight-through estimator lets a gradient pass: abs(z) <= 1."""
    return np.abs(z) <= 1


# A whole network ----------------------------------------------------------------------------------


@dataclass
class Layer:
    """A block's parameters: signs [O][I], gamma and beta [O], kind of batch norm."""

    signs: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    norm: str = "l2"


@dataclass
class LayerGradient:
    """Gradients of a block; `dx` is with respect to what it reads, `dw` to sgn(W)."""

    dy: np.ndarray
    dx: np.ndarray
    dw: np.ndarray
    dgamma: np.ndarray | None
    dbeta: np.ndarray


def forward(layers: list[Layer], x: np.ndarray) -> list[Normalised]:
    """Run the binary network; the last block's z are the logits."""
    found = []
    for layer in layers:
        found.append(normalise(layer.norm, x @ layer.signs.T, layer.gamma, layer.beta))
        x = sign(found[-1].z)
    return found


def backward(
    layers: list[Layer], x: np.ndarray, states: list[Normalised], g: np.ndarray
) -> list[LayerGradient]:
    """Propagate g, the gradient of the logits, through all blocks without quantisation."""
    reads = [x] + [sign(state.z) for state in states[:-1]]
    found = []
    for index in range(len(layers) - 1, -1, -1):
        if index < len(layers) - 1:
            g = g * passes(states[index].z)
        norm = norm_backward(states[index], g)
        dx, dw = norm.dy @ layers[index].signs, norm.dy.T @ reads[index]
        found.append(LayerGradient(norm.dy, dx, dw, norm.dgamma, norm.dbeta))
        g = dx
    return found[::-1]


def surrogate_loss(
    layers: list[Layer],
    x: np.ndarray,
    labels: np.ndarray,
    anchors: list[np.ndarray],
    offsets: list[np.ndarray] | None = None,
) -> float:
    """Loss of the differentiable network whose gradient the straight-through estimator is.

    sgn(z) is replaced by sgn(z0) + clip(z) - clip(z0), clip to [-1, 1], where z0 (`anchors`) are
    the binary network's own values: at z = z0 both networks agree, and the derivative is 1 where
    abs(z) < 1 and 0 where abs(z) > 1. `offsets` are added to what each block reads.
    """
    for index, layer in enumerate(layers):
        if offsets is not None:
            x = x + offsets[index]
        z = normalise(layer.norm, x @ layer.signs.T, layer.gamma, layer.beta).z
        x = sign(anchors[index]) + np.clip(z, -1, 1) - np.clip(anchors[index], -1, 1)
    return cross_entropy(z, labels)[0]


# Optimisers ---------------------------------------------------------------------------------------


def adam(w, m, v, g, rate, beta1, beta2, epsilon, time):
    """One step of Adam, the `time`-th (from 1); returns the new w, m, v."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    unbiased = m / (1 - beta1**time), v / (1 - beta2**time)
    return w - rate * unbiased[0] / (np.sqrt(unbiased[1]) + epsilon), m, v


def sgd(w, m, g, rate, beta):
    """One step of gradient descent with (heavy-ball) momentum; returns the new w, m."""
    m = beta * m + g
    return w - rate * m, m


def sign_momentum(w, m, g, rate, beta, time):
    """One step of Adam whose second moment is a constant; returns the new w, m."""
    m = beta * m + (1 - beta) * np.sign(g)
    return w - rate * m / (1 - beta**time), m


def sign_only(w, g, rate):
    """One step of a fixed size against the gradient; returns the new w."""
    return w - rate * np.sign(g)


def bop(w, m, g, decay, threshold):
    """One step of the binary optimiser; returns the new signs and m."""
    m = (1 - decay) * m + decay * g
    flips = (np.abs(m) >= threshold) & (sign(m) == sign(w))
    return np.where(flips, -sign(w), sign(w)), m


# Integer update -----------------------------------------------------------------------------------


def integer_sign_momentum(latent, momentum, push, beta_q15, rate_q24, dither):
    """The all-integer step of `kernels/update/update.h`, exact; returns the new latent, momentum.

    `push` in {-1, 0, 1}, `dither` 24 random bits for each weight; all int64.
    """
    momentum = (beta_q15 * momentum + (2**15 - beta_q15) * 127 * push + 2**14) >> 15
    return np.clip(latent - ((momentum * rate_q24 + dither) >> 24), -127, 127), momentum


def integer_momentum(latent, momentum, push, beta_q15, step_q16, u):
    """The all-integer step on pushes -127 ... 127, all of it rounded by 16 random bits each."""
    sixtyfourths = np.floor(64 * beta_q15 * (momentum - push) / 2**15 + 0.5).astype(np.int64)
    momentum = push + (sixtyfourths + u % 64) // 64
    return np.clip(latent - (momentum * step_q16 + u) // 2**16, -127, 127), momentum


def integer_sign(latent, push, rate_q24, dither):
    """The same without momentum; returns the new latent."""
    return np.clip(latent - ((127 * push * rate_q24 + dither) >> 24), -127, 127)
