"""The reference of residual networks against central differences of its own surrogate loss.

What the product computes is held against `residual_reference` in test_residual_gradients.py and
test_residual_step.py; nothing here runs the product.
"""

from __future__ import annotations

from operator import attrgetter

import conv_reference as conv
import numpy as np
import pool_reference as pool
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
    "pooled stem": (
        (5, 4, 2),
        [
            ("stem", "pixels", None, 1, {"outputs": 3, "kernel": 3}),
            ("first", "stem", "stem", 1, {"outputs": 3, "kernel": 3}),
        ],
    ),
    "pooled stem of strides": (
        (9, 12, 1),
        [
            ("stem", "pixels", None, 1, {"outputs": 3, "kernel": 7, "stride": 2}),
            ("first", "stem", "stem", 1, {"outputs": 3, "kernel": 2}),
        ],
    ),
}


def draw(name, relu, norm="l2", seed=0, behind=(False, False)):
    """Return a network of random parameters, pixels and labels.

    `behind` says whether a pooled stem has a ReLU, and whether it has a second norm.
    """
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
        if layer == "stem" and name.startswith("pooled"):
            found[-1].behind = drawn_pool(random, outputs, *behind)
            sizes[layer] = (*((extent + 1) // 2 for extent in geometry.product), outputs)
    last, channels = rows[-1][0], sizes[rows[-1][0]][2]
    head = random.normal(0, 1, (CLASSES, channels)), random.normal(0, 1, CLASSES)
    x = random.integers(-128, 128, (BATCH, *sample)).astype(float)
    return (
        [*found, residual.Head("head", *head, last, relu)], x, random.integers(0, CLASSES, BATCH)
    )  # fmt: skip


def drawn_pool(random, outputs, relu, has_norm):
    """Return what stands behind a stem's norm."""
    if not has_norm:
        return pool.Pool(relu)
    gamma = random.uniform(0.4, 1.6, outputs) * random.choice([-1, 1], outputs)
    return pool.Pool(relu, gamma, random.normal(0, 0.3, outputs))


def smooth(name, relu, norm, behind=(False, False)):
    """Draw a network of whose values none is near a kink; return its states too."""
    for seed in range(100):
        network, x, labels = draw(name, relu, norm, seed, behind)
        states = residual.forward(network, x)
        read = [each.read for each in states.values() if each.layer.reads != residual.PIXELS]
        norms = [states[layer.name].normalised for layer in network[:-1]]
        kinks = [np.abs(r) - level for r in read for level in (0, 1)]
        pools = [state.pooled for state in states.values() if getattr(state, "pooled", None)]
        kinks += [each.z for each in pools]
        norms += [each.normalised for each in pools if each.normalised]
        kinks += [n.y - n.mean for n in norms if n.kind == "l1"]
        if min(np.abs(distance).min() for distance in kinks) > 10 * STEP:
            return network, x, labels, states
    raise AssertionError("no such network")


def tensors(layer):
    """List a layer's parameters by the gradient that is theirs."""
    if isinstance(layer, residual.Head):
        return {"dw": layer.weights, "dbeta": layer.bias}
    found = {"dw": layer.weights, "dgamma": layer.gamma, "dbeta": layer.beta}
    if layer.behind is not None and layer.behind.has_norm:
        found |= {"second.dgamma": layer.behind.gamma, "second.dbeta": layer.behind.beta}
    return found


PLAIN, POOLED = (
    [name for name in NETWORKS if name.startswith("pooled") == pooled] for pooled in (False, True)
)
FLAGS = (False, True)


@pytest.mark.parametrize(
    ("name", "relu", "norm"), meeting(2, PLAIN, FLAGS, ("l2", "l1"))
)
def test_gradients_against_central_differences(name, relu, norm):
    check_gradients(*smooth(name, relu, norm))


@pytest.mark.parametrize(
    ("name", "norm", "relu", "second"), meeting(2, POOLED, ("l2", "l1"), FLAGS, FLAGS)
)
def test_pooled_stems_against_central_differences(name, norm, relu, second):
    check_gradients(*smooth(name, False, norm, (relu, second)))


def check_gradients(network, x, labels, states):
    """Check all gradients of a network."""
    offsets = {name: np.zeros(state.out.shape) for name, state in states.items()}
    gradients = residual.backward(
        states, reference.cross_entropy(states["head"].out, labels)[1]
    )

    def loss():
        return residual.surrogate_loss(network, x, labels, states, offsets)

    assert loss() == reference.cross_entropy(states["head"].out, labels)[0]
    for layer in network:
        for kind, tensor in tensors(layer).items():
            check(attrgetter(kind)(gradients[layer.name]), central_difference(loss, tensor))
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
    """Within what central differences are off by, of a 0 too."""
    slack = 1e-5 * np.abs(wanted).max() + 1e-9
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-4, atol=slack)


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


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (6, 3), (7, 8)])
def test_pool_by_its_definition(height, width):
    # Of few values, so that many are equal; gamma of both signs and 0, where all z are.
    random = np.random.default_rng(height)
    y = random.integers(-2, 3, (3, height, width, 3)).astype(float)
    gamma, beta = np.array([0.7, -1.3, 0.0]), np.array([0.1, 0.2, 0.3])
    norm = reference.normalise("l2", conv.flat(y), gamma, beta)
    pooled = pool.forward(pool.Pool(relu=True), norm, y.shape, None)
    z, g = norm.z.reshape(y.shape), random.normal(0, 1, pooled.out.shape)
    spread, wanted = pool.backward(pooled, g)[0], np.zeros(y.shape)
    # Odd sizes begin with a window that sticks out by one, even ones end with it.
    assert pooled.out.shape == (3, (height + 1) // 2, (width + 1) // 2, 3)
    for n, r, column, c in np.ndindex(pooled.out.shape):
        inside = [
            (i, j)
            for i in range(2 * r - height % 2, 2 * r - height % 2 + 3)
            for j in range(2 * column - width % 2, 2 * column - width % 2 + 3)
            if 0 <= i < height and 0 <= j < width
        ]
        order = np.argsort([-z[n, i, j, c] for i, j in inside], kind="stable")
        i, j = inside[order[0]]
        assert pooled.out[n, r, column, c] == max(z[n, i, j, c], 0)
        if gamma[c] and z[n, i, j, c] > 0:
            wanted[n, i, j, c] += g[n, r, column, c]
    np.testing.assert_allclose(spread[..., gamma != 0], wanted[..., gamma != 0], rtol=1e-14)
