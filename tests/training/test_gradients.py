"""Gradients against central differences, and quantised gradients against exact ones.

The straight-through convention. sgn has no useful derivative; the gradient of the binary network is
*defined* as that of the surrogate in which sgn(z) is replaced by sgn(z0) + clip(z) - clip(z0), clip
to [-1, 1] and z0 the value at hand. Both networks agree at z0, the surrogate is differentiable
wherever abs(z0) != 1, its derivative is 1 inside and 0 outside: exactly Courbariaux & Bengio's
cancellation. sgn(W) is a free real variable, so that dW stands for the derivative with respect to
it, and the last block's loss is an ordinary function of its logits. The surrogate is evaluated in
float64 (`reference.surrogate_loss`) around the weights and data that the product trained on.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference
from harness import fill_batch, make_config, make_program, scramble_norms, traced_step

INPUTS, SIZES, ROWS = 23, [19, 13, 5], 11
STEP = 2e-5


def traced(method, batch=ROWS, sizes=SIZES, inputs=INPUTS, seed=0, **representation):
    """Trace one step of a scrambled network; return traces and labels."""
    program = make_program(make_config(sizes, method, batch, seed=seed, **representation), inputs)
    random = np.random.default_rng(seed)
    fill_batch(program, random)
    scramble_norms(program, random)
    labels = program.labels.copy()
    traces, _, _ = traced_step(program, batch, 0)
    return traces, labels


def layers_of(traces, norm):
    """The traced network's parameters before the step, as float64."""
    return [
        reference.Layer(
            t.signs.copy(),
            t.state.get("gamma", np.ones(t.outputs)).astype(float),
            t.state["beta"].astype(float),
            norm,
        )
        for t in traces
    ]


def central_difference(function, array, step=STEP):
    """Derivative of `function()` with respect to every element of `array`, changed in place."""
    found = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        below = function()
        array[index] = value
        found[index] = (above - below) / (2 * step)
    return found


def assert_equal_gradients(got, wanted):
    """Within 1e-4 of the element and 1e-5 of the tensor's largest."""
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(("norm", "seed"), [("l2", 4), ("l2", 16), ("l1", 23)])
def test_standard_against_central_differences(norm, seed):
    # Seeds under which no value is near a kink, see the assertions.
    traces, labels = traced("standard", seed=seed, norm=norm)
    layers, x = layers_of(traces, norm), traces[0].x
    assert any(np.any(layer.gamma < 0) for layer in layers)
    assert any(np.any(layer.gamma == 0) for layer in layers)
    states = reference.forward(layers, x)
    anchors = [state.z for state in states]
    # No kink within reach of a step: sgn and clip are decided, and so is sgn(y - mean) of l1.
    for trace, anchor in zip(traces[:-1], anchors, strict=False):
        assert np.array_equal(reference.sign(trace.kept["out"]), reference.sign(anchor))
        assert np.abs(np.abs(anchor) - 1).min() > 50 * STEP
    if norm == "l1":
        assert all(np.abs(state.y - state.mean).min() > 1e-2 for state in states)
    offsets = [np.zeros(trace.x.shape) for trace in traces]

    def loss():
        return reference.surrogate_loss(layers, x, labels, anchors, offsets)

    for index, (trace, layer) in enumerate(zip(traces, layers, strict=True)):
        assert_equal_gradients(trace.made["d_gamma"], central_difference(loss, layer.gamma))
        assert_equal_gradients(trace.made["d_beta"], central_difference(loss, layer.beta))
        weights = central_difference(loss, layer.signs)
        assert_equal_gradients(trace.made["dW"], weights)
        if index:
            assert_equal_gradients(trace.dx, central_difference(loss, offsets[index]))


def test_reference_against_central_differences():
    # The quantised methods are held against `reference.backward`; this holds it against the loss.
    traces, labels = traced("standard", seed=4)
    layers, x = layers_of(traces, "l2"), traces[0].x
    states = reference.forward(layers, x)
    _, g = reference.cross_entropy(states[-1].z, labels)
    found = reference.backward(layers, x, states, g)
    anchors = [state.z for state in states]

    def loss():
        return reference.surrogate_loss(layers, x, labels, anchors)

    for layer, gradient in zip(layers, found, strict=True):
        for array, got in ((layer.gamma, gradient.dgamma), (layer.signs, gradient.dw)):
            wanted = central_difference(loss, array)
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7 * np.abs(wanted).max())


def cosine(a, b):
    """Cosine of the angle between two tensors."""
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


# Least cosine with the unquantised gradient after three blocks: of dX, dY and dW, of the sums
# dbeta and dgamma. Measured over six seeds: 0.9993 and 0.9972 (8 bits to nearest), 0.9987 and
# 0.9982 (8 bits), 0.986 and 0.986 (6 bits), 0.99999 and 0.99999 (float16). Every stage's own error
# is bounded in test_step.py. The larger half of all weight gradients keep their signs, with 6 bits
# the larger third (their error is a sixth of the root mean square: four of it reach the median).
BOUNDS = [
    ({"gradient_bits": 8, "gradient_rounding": "nearest"}, 0.998, 0.995),
    ({"gradient_bits": 8, "gradient_rounding": "nearest", "norm": "l1"}, 0.998, 0.995),
    ({"gradient_bits": 8, "gradient_rounding": "nearest", "norm": "l1-binary"}, 0.998, 0.995),
    ({"gradient_bits": 8}, 0.998, 0.995),
    ({"gradient_bits": 6}, 0.98, 0.97),
    ({"gradient": "float16"}, 0.99999, 0.99999),
]


@pytest.mark.parametrize(("cells", "tensors", "sums"), BOUNDS)
@pytest.mark.parametrize("seed", range(3))
def test_quantised_gradients_point_where_the_exact_ones_do(cells, tensors, sums, seed):
    norm = cells.get("norm", "l2")
    traces, labels = traced("efficient", 100, [128, 96, 10], 200, seed, **cells)
    layers, x = layers_of(traces, norm), traces[0].x
    states = reference.forward(layers, x)
    _, g = reference.cross_entropy(states[-1].z, labels)
    wanted = reference.backward(layers, x, states, g)
    for trace, exact in zip(traces, wanted, strict=True):
        dy = trace.dy.astype(float)
        dw = dy.T @ trace.x
        assert cosine(dy, exact.dy) >= tensors
        assert cosine(dw, exact.dw) >= tensors
        share = 2 / 3 if cells.get("gradient_bits") == 6 else 1 / 2
        large = np.abs(exact.dw) > np.quantile(np.abs(exact.dw), share)
        assert np.array_equal(np.sign(dw)[large], np.sign(exact.dw)[large])
        if trace.dx is not None:
            assert cosine(trace.dx.astype(float), exact.dx) >= tensors
        assert cosine(trace.made["d_beta"], exact.dbeta) >= sums
        if exact.dgamma is not None:
            assert cosine(trace.made["d_gamma"], exact.dgamma) >= sums


def test_momentum_moves_by_the_sign_of_the_quantised_product():
    # From rest, the first step's momentum is 127 (1 - beta) sgn(dW), rounded: the sign itself.
    traces, _ = traced("efficient", 64, [65, 33, 10], 63, weight_gradient="sign")
    for trace in traces:
        product = trace.dy.astype(np.int64).T @ trace.x.astype(np.int64)
        assert not trace.state["momentum1"].any()
        assert np.array_equal(np.sign(trace.later["momentum1"]), np.sign(product))
