"""The reference of residual networks against central differences of its own surrogate loss.

What the product computes is held against `residual_reference` in test_residual_gradients.py and
test_residual_step.py; nothing here runs the product.
"""

from __future__ import annotations

import conv_reference as conv
import numpy as np
import pytest
import reference
import residual_reference as residual
from choices import meeting
from test_conv_reference import central_difference

STEP = 2e-5
BATCH, CLASSES = 4, 3
# Rows, columns and channels of the pixels, and per layer: (name, reads, adds, side, options).
NETWORKS = {
    "identity": (
        (5, 4, 2),
        [
            ("stem", "pixels", None, 1, {"outputs": 3, "kernel": 3}),
            ("first", "stem", "stem", 1, {"outputs": 3, "kernel": 3}),
            ("second", "first", "first", 1, {"outputs": 3, "kernel": 2}),
        ],
    ),
    "shortcut of half the size": (
        (7, 6, 2),
        [
            ("stem", "pixels", None, 1, {"outputs": 2, "kernel": 3}),
            ("shortcut", "stem", None, 2, {"outputs": 4}),
            ("wide", "stem", "shortcut", 1, {"outputs": 4, "kernel": 2, "stride": 2}),
            ("last", "wide", "wide", 1, {"outputs": 4, "kernel": 1}),
        ],
    ),
    "7x7 stem, shortcut of the same size": (
        (9, 8, 2),
        [
            ("stem", "pixels", None, 1, {"outputs": 2, "kernel": 7, "stride": 2}),
            ("shortcut", "stem", None, 1, {"outputs": 3}),
            ("wide", "stem", "shortcut", 1, {"outputs": 3, "kernel": 3}),
        ],
    ),
}


def draw(name, relu, norm="l2", seed=0):
    """Return a network of random parameters, pixels and labels."""
    sample, rows = NETWORKS[name]
    random, sizes, found = np.random.default_rng(seed), {residual.PIXELS: sample}, []
    for layer, reads, adds, side, options in rows:
        height, width, channels = sizes[reads]
        padding = "valid" if adds and options.get("stride") == 2 else "same"
        geometry = conv.Geometry(
            height // side, width // side, channels, padding=padding, **options
        )
        outputs = geometry.outputs
        weights = random.normal(0, 1, (outputs, geometry.fan_in))
        gamma = random.uniform(0.4, 1.6, outputs) * random.choice([-1, 1], outputs)
        beta = random.normal(0, 0.3, outputs)
        weights = reference.sign(weights) if adds else weights
        found.append(
            residual.Conv(layer, geometry, weights, gamma, beta, norm, reads, side, adds)
        )
        sizes[layer] = (*geometry.product, outputs)
    last, channels = rows[-1][0], sizes[rows[-1][0]][2]
    head = random.normal(0, 1, (CLASSES, channels)), random.normal(0, 1, CLASSES)
    x = random.integers(-128, 128, (BATCH, *sample)).astype(float)
    return (
        [*found, residual.Head("head", *head, last, relu)], x, random.integers(0, CLASSES, BATCH)
    )  # fmt: skip


def smooth(name, relu, norm):
    """Draw a network of whose values none is near a kink; return its states too."""
    for seed in range(100):
        network, x, labels = draw(name, relu, norm, seed)
        states = residual.forward(network, x)
        read = [each.read for each in states.values() if each.layer.reads != residual.PIXELS]
        norms = [states[layer.name].normalised for layer in network[:-1]]
        kinks = [np.abs(r) - level for r in read for level in (0, 1)]
        kinks += [n.y - n.mean for n in norms if n.kind == "l1"]
        if min(np.abs(distance).min() for distance in kinks) > 10 * STEP:
            return network, x, labels, states
    raise AssertionError("no such network")


def tensors(layer):
    """List a layer's parameters by the gradient that is theirs."""
    if isinstance(layer, residual.Head):
        return {"dw": layer.weights, "dbeta": layer.bias}
    return {"dw": layer.weights, "dgamma": layer.gamma, "dbeta": layer.beta}


@pytest.mark.parametrize(
    ("name", "relu", "norm"), meeting(2, list(NETWORKS), (False, True), ("l2", "l1"))
)
def test_gradients_against_central_differences(name, relu, norm):
    network, x, labels, states = smooth(name, relu, norm)
    offsets = {name: np.zeros(state.out.shape) for name, state in states.items()}
    gradients = residual.backward(
        states, reference.cross_entropy(states["head"].out, labels)[1]
    )

    def loss():
        return residual.surrogate_loss(network, x, labels, states, offsets)

    assert loss() == reference.cross_entropy(states["head"].out, labels)[0]
    for layer in network:
        for kind, tensor in tensors(layer).items():
            check(getattr(gradients[layer.name], kind), central_difference(loss, tensor))
        if layer.name != "head":
            check(gradients[layer.name].arrived, central_difference(loss, offsets[layer.name]))
    # Whoever is the last of a tensor's readers completes its gradient.
    order = [layer.name for layer in reversed(network)]
    gathered = residual.gathered(states, gradients, order)
    last = {states[name].layer.reads: name for name in order}
    for tensor, reader in last.items():
        if tensor != residual.PIXELS:
            np.testing.assert_allclose(gathered[reader], gradients[tensor].arrived, rtol=1e-12)


def check(got, wanted):
    """Within what central differences are off by."""
    np.testing.assert_allclose(
        got.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max()
    )


@pytest.mark.parametrize("relu", [False, True])
def test_mean_and_head_by_their_definition(relu):
    random = np.random.default_rng(1)
    r = random.normal(0, 1, (2, 5, 3, 4))
    wanted = np.zeros((2, 2, 1, 4))
    for n, row, column, c in np.ndindex(wanted.shape):
        wanted[n, row, column, c] = sum(
            r[n, 2 * row + i, 2 * column + j, c] for i in (0, 1) for j in (0, 1)
        ) / 4
    np.testing.assert_allclose(residual.means(r, 2), wanted, rtol=1e-14)
    layer = residual.Head("head", random.normal(0, 1, (3, 4)), random.normal(0, 1, 3), "r", relu)
    for n, o in np.ndindex(2, 3):
        total = layer.bias[o]
        for row, column, c in np.ndindex(5, 3, 4):
            value = r[n, row, column, c]
            total += (max(value, 0) if relu else value) / 15 * layer.weights[o, c]
        assert residual.scored(layer, r).out[n, o] == pytest.approx(total, rel=1e-12)
