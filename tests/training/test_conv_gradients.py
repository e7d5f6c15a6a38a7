"""Gradients of convolutional networks against central differences, quantised against exact ones.

The convention is that of test_gradients.py: the gradient of the binary network is that of the
surrogate in which sgn(z) is replaced by sgn(z0) + clip(z) - clip(z0), here with the choices of
max-pooling at z0. It is evaluated in float64 (`conv_reference.surrogate_loss`) around the weights
and data that the product trained on.
"""

from __future__ import annotations

import conv_reference as conv
import numpy as np
import pytest
import reference
from harness import (
    conv_layers,
    fill_batch,
    make_config,
    make_program,
    scramble_norms,
    traced_step,
)
from test_conv_reference import POOLS, central_difference

STEP = 2e-5
NETWORKS = {
    "before norm, before sign": [
        {"channels": 4, "kernel": 3, "pool": "before_norm"},
        {"channels": 5, "kernel": 2, "pool": "before_sign"},
    ],
    "after sign, strides": [
        {"channels": 4, "kernel": 3, "pool": "after_sign"},
        {"channels": 5, "kernel": 3, "stride": 2},
        {"channels": 6, "kernel": 2, "padding": "valid"},
    ],
}


def traced(blocks, method, batch, sample, dense=(3,), seed=0, **representation):
    """Trace one step of a scrambled network; return traces and labels."""
    layers = conv_layers(*blocks, dense=dense)
    config = make_config(layers, method, batch, seed=seed, **representation)
    program = make_program(config, sample)
    random = np.random.default_rng(seed)
    fill_batch(program, random)
    scramble_norms(program, random)
    labels = program.labels.copy()
    traces, _, _ = traced_step(program, batch, 0)
    return traces, labels


def layers_of(traces, norm="l2"):
    """The traced network's parameters before the step, as float64."""
    return [
        conv.Layer(
            t.geometry or conv.Geometry(1, 1, t.inputs, t.outputs),
            t.signs.copy(),
            t.state.get("gamma", np.ones(t.outputs)).astype(float),
            t.state["beta"].astype(float),
            norm,
        )
        for t in traces
    ]


def assert_equal_gradients(got, wanted):
    """Within 1e-4 of the element and 1e-5 of the tensor's largest."""
    got = got.reshape(wanted.shape)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_standard_against_central_differences(name):
    # A seed under which no value is near a kink, see the assertions.
    traces, labels = traced(NETWORKS[name], "standard", 5, (9, 10, 2), seed=2)
    layers, x = layers_of(traces), traces[0].x
    states = conv.forward(layers, x)
    for trace, state in zip(traces[:-1], states, strict=False):
        assert np.array_equal(reference.sign(trace.kept["out"]).ravel(), state.out.ravel())
        assert np.abs(np.abs(state.z) - 1).min() > 50 * STEP
    offsets = [
        np.zeros(conv.as_image(layer.geometry, trace.x).shape)
        for layer, trace in zip(layers, traces, strict=True)
    ]

    def loss():
        return conv.surrogate_loss(layers, x, labels, states, offsets)

    for trace, layer, offset in zip(traces, layers, offsets, strict=True):
        assert_equal_gradients(trace.made["d_gamma"], central_difference(loss, layer.gamma))
        assert_equal_gradients(trace.made["d_beta"], central_difference(loss, layer.beta))
        assert_equal_gradients(trace.made["dW"], central_difference(loss, layer.signs))
        if trace.dx is not None:
            assert_equal_gradients(trace.dx, central_difference(loss, offset))


def cosine(a, b):
    """Cosine of the angle between two tensors."""
    a, b = a.astype(float).ravel(), b.ravel()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


# Least cosine with the unquantised gradient after four blocks: of dX, of dgamma, of dbeta. Measured
# over two seeds and the three places of pooling: 0.9965, 0.9926, 0.9905 (8 bits), 0.983, 0.967,
# 0.942 (6 bits), 0.9991, 0.955, 0.37 (8 bits to nearest), 0.99999 each (float16). dbeta sums what
# batch norm has made cancel. Where pooling stands behind it, dY is small at all positions that were
# not chosen; rounded to nearest they vanish together, while stochastic rounding keeps their sum.
BOUNDS = [
    ({"gradient_bits": 8}, 0.995, 0.99, 0.985),
    ({"gradient_bits": 8, "norm": "l1"}, 0.995, 0.99, 0.985),
    ({"gradient_bits": 8, "norm": "l1-binary"}, 0.995, 0.99, 0.985),
    ({"gradient_bits": 6}, 0.975, 0.95, 0.92),
    ({"gradient_bits": 8, "gradient_rounding": "nearest"}, 0.998, 0.94, None),
    ({"gradient": "float16"}, 0.9999, 0.9999, 0.9999),
]


@pytest.mark.parametrize(("cells", "tensors", "gammas", "betas"), BOUNDS)
@pytest.mark.parametrize("pool", [pool for pool in POOLS if pool != "none"])
def test_quantised_gradients_point_where_the_exact_ones_do(pool, cells, tensors, gammas, betas):
    blocks = [
        {"channels": 32, "kernel": 3},
        {"channels": 48, "kernel": 3, "pool": pool},
        {"channels": 64, "kernel": 3, "pool": pool},
    ]
    traces, labels = traced(blocks, "efficient", 16, (13, 12, 3), (10,), **cells)
    layers, x = layers_of(traces, cells.get("norm", "l2")), traces[0].x
    states = conv.forward(layers, x)
    _, g = reference.cross_entropy(states[-1].z.reshape(16, -1), labels)
    for trace, exact in zip(traces, conv.backward(layers, x, states, g), strict=True):
        if trace.dx is not None:
            assert cosine(trace.dx, exact.dx) >= tensors
        if exact.dgamma is not None:
            assert cosine(trace.made["d_gamma"], exact.dgamma) >= gammas
        if betas is not None:
            assert cosine(trace.made["d_beta"], exact.dbeta) >= betas


def test_momentum_moves_by_the_sign_of_the_quantised_product():
    # From rest, the first step's momentum is 127 (1 - beta) sgn(dW), rounded: the sign itself. The
    # first block's dY stays where it was made.
    blocks = [{"channels": 33, "kernel": 3}, {"channels": 8, "kernel": 3}]
    traces, _ = traced(blocks, "efficient", 6, (9, 8, 3), weight_gradient="sign")
    trace = traces[0]
    product = conv.weight_gradient(trace.geometry, trace.dy.reshape(6, 9, 8, 33), trace.x)
    assert not trace.state["momentum1"].any()
    assert np.array_equal(np.sign(trace.later["momentum1"]), np.sign(product))
