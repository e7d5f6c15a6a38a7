"""The reference of convolutional networks against definitions written out and central differences.

What the product computes is held against `conv_reference` in test_conv_step.py; nothing here runs
the product, except for the sizes of blocks.
"""

from __future__ import annotations

import itertools

import conv_reference as conv
import numpy as np
import pytest
import reference

from bnntrain.graph import LayerSpec, build_graph

POOLS = ("none", *conv.BEFORE_NORM, "before_sign", "after_sign")
STEP = 2e-5


def layer_list(geometry):
    """The product's description of a block."""
    options = {
        "channels": geometry.outputs,
        "kernel": geometry.kernel,
        "stride": geometry.stride,
        "padding": geometry.padding,
    }
    found = [LayerSpec("conv", options), LayerSpec("batch_norm"), LayerSpec("sign")]
    places = {"before_norm": 1, "average_before_norm": 1, "before_sign": 2, "after_sign": 3}
    if geometry.pool != "none":
        kind = "avg_pool" if geometry.pool.startswith("average") else "max_pool"
        found.insert(places[geometry.pool], LayerSpec(kind))
    return found


# Sizes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 7])
def test_sizes_are_those_of_the_product(kernel, stride, padding, pool):
    for height, width in itertools.product((12, 14, 15, 21), (13, 16)):
        geometry = conv.Geometry(height, width, 3, 5, kernel, stride, padding, pool)
        (step,) = build_graph(layer_list(geometry), (height, width, 3)).fused()
        if min(geometry.product) < 2:
            continue
        assert step.product.output.size == (*geometry.product, 5)
        assert step.output.size == (*geometry.output, 5)
        assert step.product.padding == geometry.before
        assert step.product.fan_in == geometry.fan_in
        assert step.pool == pool


# Extent, kernel, stride, windows, and how far the first sticks out: what TensorFlow's "SAME" gives.
SAME = [
    (28, 3, 1, 28, 1),
    (28, 3, 2, 14, 0),
    (7, 3, 2, 4, 1),
    (5, 2, 1, 5, 0),
    (6, 5, 1, 6, 2),
    (6, 5, 2, 3, 1),
    (5, 1, 2, 3, 0),
    (3, 7, 2, 2, 3),
]


@pytest.mark.parametrize(("extent", "kernel", "stride", "count", "before"), SAME)
def test_same_padding_by_hand(extent, kernel, stride, count, before):
    geometry = conv.Geometry(extent, extent, 1, 1, kernel, stride, "same")
    assert geometry.product == (count, count)
    assert geometry.before == (before, before)


# The product --------------------------------------------------------------------------------------

SHAPES = [
    conv.Geometry(5, 4, 3, 2, 3, 1, "same"),
    conv.Geometry(5, 4, 3, 2, 3, 1, "valid"),
    conv.Geometry(6, 7, 2, 3, 3, 2, "same"),
    conv.Geometry(6, 7, 2, 3, 2, 2, "valid"),
    conv.Geometry(6, 5, 1, 2, 2, 1, "same"),
    conv.Geometry(4, 3, 2, 2, 7, 2, "same"),
    conv.Geometry(7, 5, 2, 2, 5, 2, "same"),
    conv.Geometry(3, 3, 4, 5, 1, 1, "same"),
    conv.Geometry(4, 5, 2, 3, 1, 2, "valid"),
    conv.Geometry(1, 1, 7, 4),
]


def draw(geometry, batch=2, seed=0):
    """Random x of signs, weights, and a gradient of y."""
    random = np.random.default_rng(seed)
    x = random.choice([-1.0, 1.0], (batch, geometry.height, geometry.width, geometry.channels))
    signs = random.choice([-1.0, 1.0], (geometry.outputs, geometry.fan_in))
    dy = random.integers(-127, 128, (batch, *geometry.product, geometry.outputs)).astype(float)
    return x, signs, dy


@pytest.mark.parametrize("geometry", SHAPES, ids=str)
def test_convolution_and_its_derivatives_by_their_definition(geometry):
    x, signs, dy = draw(geometry)
    w = signs.reshape(geometry.outputs, geometry.kernel, geometry.kernel, geometry.channels)
    (rows, columns), (above, left) = geometry.product, geometry.before
    y, dx, dw = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(w.shape)
    for n, r, c, o, i, j, k in itertools.product(*map(range, (len(x), rows, columns, *w.shape))):
        row, column = r * geometry.stride - above + i, c * geometry.stride - left + j
        if not (0 <= row < geometry.height and 0 <= column < geometry.width):
            continue
        y[n, r, c, o] += x[n, row, column, k] * w[o, i, j, k]
        dx[n, row, column, k] += dy[n, r, c, o] * w[o, i, j, k]
        dw[o, i, j, k] += dy[n, r, c, o] * x[n, row, column, k]
    assert np.array_equal(conv.convolve(geometry, x, signs), y)
    assert np.array_equal(conv.input_gradient(geometry, dy, signs), dx)
    assert np.array_equal(conv.weight_gradient(geometry, dy, x), dw.reshape(signs.shape))
    # One bilinear form, read three ways.
    assert (y * dy).sum() == (dx * x).sum() == (dw * w).sum()


def test_skipped_taps_are_not_minus_or_plus_one():
    # All x and w are +1: y counts the taps inside a 3 x 3 image.
    geometry = conv.Geometry(3, 3, 1, 1, 3, 1, "same")
    y = conv.convolve(geometry, np.ones((1, 3, 3, 1)), np.ones((1, 9)))
    assert np.array_equal(y[0, :, :, 0], [[4, 6, 4], [6, 9, 6], [4, 6, 4]])


# Pooling ------------------------------------------------------------------------------------------


def block(pool, y, gamma=1.0, beta=0.0, norm="l2", choice=None):
    """Normalise and pool a y of one sample and one channel."""
    y = np.array(y, float)[None, :, :, None]
    geometry = conv.Geometry(*y.shape[1:3], 1, 1, pool=pool)
    layer = conv.Layer(geometry, np.ones((1, 1)), np.array([gamma]), np.array([beta]), norm)
    return conv.normalise_block(layer, y, choice)


# Windows with ties; the last column belongs to none.
Y = [[3, 3, -1, 2, 9], [1, 3, 2, 2, -9]]


def test_choices_by_hand():
    assert block("before_norm", Y).argmax.ravel().tolist() == [0, 1]
    assert block("before_sign", Y).argmax.ravel().tolist() == [0, 1]
    assert block("before_sign", Y, -1.0).argmax.ravel().tolist() == [2, 0]
    assert block("before_sign", Y, 0.0).argmax.ravel().tolist() == [0, 0]
    # The mean is 1.5: the first window's signs are + + - +, the second's - + + +.
    assert block("after_sign", Y).argmax.ravel().tolist() == [0, 1]
    assert block("after_sign", Y, -1.0).argmax.ravel().tolist() == [2, 0]
    # No +1 anywhere: the first.
    assert block("after_sign", Y, beta=-9.0).argmax.ravel().tolist() == [0, 0]
    assert block("after_sign", Y, 0.0).argmax.ravel().tolist() == [0, 0]


def test_rows_that_batch_norm_sees():
    assert block("before_norm", Y).normalised.y.ravel().tolist() == [3, 2]
    for pool in ("before_sign", "after_sign", "none"):
        assert block(pool, Y).normalised.mean == 1.5


@pytest.mark.parametrize("pool", ["before_sign", "after_sign"])
@pytest.mark.parametrize("gamma", [0.7, -0.7, 0.0])
def test_outputs_are_the_largest_sign_of_a_window(pool, gamma):
    # Wherever the pooling stands behind batch norm, the maximum commutes with the sign.
    y = np.random.default_rng(0).integers(-3, 4, (7, 9))
    for beta in (0.0, 0.4, -0.4):
        state = block(pool, y, gamma, beta)
        signs = reference.sign(state.normalised.z).reshape(1, 7, 9, 1)
        assert np.array_equal(state.out, conv.windows(signs).max(axis=3))


def test_pick_and_spread_are_adjoint_and_leave_the_rest_alone():
    random = np.random.default_rng(0)
    tensor = random.integers(-5, 6, (2, 5, 7, 3)).astype(float)
    choice = conv.first_largest(tensor)
    pooled = random.integers(-9, 10, choice.shape).astype(float)
    spread = conv.spread(pooled, choice, (5, 7))
    assert (conv.pick(tensor, choice) * pooled).sum() == (tensor * spread).sum()
    assert np.array_equal(conv.pick(spread, choice), pooled)
    assert not spread[:, 4].any()
    assert not spread[:, :, 6].any()
    assert np.count_nonzero(spread) == np.count_nonzero(pooled)


def test_stored_positions_by_hand():
    scan = [(r, c) for r in range(3) for c in range(5)]
    for pool in POOLS:
        found = conv.Geometry(3, 5, 1, 1, pool=pool).stored_positions()
        assert sorted(found) == scan
        if pool in ("none", *conv.BEFORE_NORM):
            assert found == scan
            continue
        assert found[:8] == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
        assert found[8:10] == [(0, 4), (1, 4)]
        assert found[10:] == [(2, c) for c in range(5)]


# Central differences ------------------------------------------------------------------------------


def central_difference(function, array, step=STEP):
    """Derivative of `function()` with respect to every element of `array`, changed in place."""
    found = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        found[index] = (above - function()) / (2 * step)
        array[index] = value
    return found


def assert_equal_gradients(got, wanted):
    """Within 1e-6 of the element and 1e-7 of the tensor's largest."""
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7 * np.abs(wanted).max())


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize("pool", POOLS)
def test_norm_and_pooling_by_central_differences(pool, norm):
    # Real y without ties, so that maxima are differentiable and no choice is frozen.
    random = np.random.default_rng(6)
    geometry = conv.Geometry(5, 5, 1, 3, pool=pool)
    y, gamma, beta = random.normal(0, 2, (2, 5, 5, 3)), np.array([0.8, -1.2, 0.0]), np.zeros(3)
    beta[...] = random.normal(0, 0.3, 3)
    layer = conv.Layer(geometry, np.ones((3, 1)), gamma, beta, norm)
    state = conv.normalise_block(layer, y)
    ordered = np.sort(conv.windows(y), axis=3)
    assert np.diff(ordered, axis=3).min() > 50 * STEP
    assert np.abs(state.normalised.z).min(initial=1, where=gamma != 0) > 50 * STEP
    assert np.abs(state.normalised.y - state.normalised.mean).min() > 50 * STEP
    g = random.normal(0, 1, state.z.shape)

    def loss():
        return (g * conv.normalise_block(layer, y).z).sum()

    dy, _, dgamma, dbeta = conv.norm_gradient(state, g)
    assert_equal_gradients(dy, central_difference(loss, y))
    assert_equal_gradients(dbeta, central_difference(loss, beta))
    # At gamma = 0 the choice before the sign jumps.
    sure = gamma != 0 if pool == "before_sign" else np.ones(3, bool)
    assert_equal_gradients(dgamma[sure], central_difference(loss, gamma)[sure])


def test_l1_binary_by_its_definition():
    # The published approximation is no derivative: its equation over all rows that the norm sees.
    random = np.random.default_rng(2)
    for pool in POOLS:
        geometry = conv.Geometry(4, 5, 1, 2, pool=pool)
        y = random.integers(-4, 5, (2, 4, 5, 2)).astype(float)
        layer = conv.Layer(geometry, np.ones((2, 1)), np.ones(2), np.full(2, 0.1), "l1-binary")
        state = conv.normalise_block(layer, y)
        g = random.normal(0, 1, state.z.shape)
        is_dense = pool in ("none", *conv.BEFORE_NORM)
        dense = g if is_dense else conv.spread(g, state.argmax, (4, 5))
        seen = state.z if is_dense else state.normalised.z.reshape(y.shape)
        t, axes = reference.sign(seen), (0, 1, 2)
        slope = np.abs(seen).mean(axis=axes) * (dense * t).mean(axis=axes)
        wanted = state.normalised.inverse * (dense - dense.mean(axis=axes) - t * slope)
        dy, _, dgamma, _ = conv.norm_gradient(state, g)
        assert dgamma is None
        if pool == "before_norm":
            wanted = conv.spread(wanted, state.argmax, (4, 5))
        if pool == "average_before_norm":
            wanted = conv.repeat(wanted, (4, 5))
        np.testing.assert_allclose(dy, wanted, rtol=1e-12, atol=1e-12)


NETWORKS = {
    "max-pool before norm, before sign": [
        {"outputs": 4, "kernel": 3, "padding": "same", "pool": "before_norm"},
        {"outputs": 5, "kernel": 2, "padding": "same", "pool": "before_sign"},
        {"outputs": 3},
    ],
    "strides, max-pool after sign": [
        {"outputs": 4, "kernel": 3, "stride": 2, "padding": "same", "pool": "after_sign"},
        {"outputs": 5, "kernel": 2, "stride": 2, "padding": "valid"},
        {"outputs": 6},
        {"outputs": 3},
    ],
}


def network(blocks, random, size=(9, 10, 2)):
    """Layers with random parameters; those without a kernel are dense."""
    layers = []
    for block in blocks:
        if "kernel" not in block:
            size = (1, 1, int(np.prod(size)))
        geometry = conv.Geometry(*size, **block)
        outputs = geometry.outputs
        gamma = random.uniform(0.4, 1.6, outputs) * random.choice([-1, 1], outputs)
        signs = random.choice([-1.0, 1.0], (outputs, geometry.fan_in))
        layers.append(conv.Layer(geometry, signs, gamma, random.normal(0, 0.3, outputs)))
        size = (*geometry.output, outputs)
    return layers


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_by_central_differences(name):
    # Of the surrogate that the straight-through estimator is the gradient of, see
    # test_gradients.py. (Not l1: integers may lie at their mean, which is a kink.)
    random = np.random.default_rng(0)
    layers = network(NETWORKS[name], random)
    x, labels = random.integers(-128, 128, (5, 9, 10, 2)).astype(float), np.array([0, 2, 1, 1, 0])
    states = conv.forward(layers, x)
    for state in states[:-1]:
        assert np.abs(np.abs(state.z) - 1).min() > 50 * STEP
    logits = states[-1].z.reshape(5, -1)
    found = conv.backward(layers, x, states, reference.cross_entropy(logits, labels)[1])
    reads = [x] + [state.out for state in states[:-1]]
    offsets = [
        np.zeros(conv.as_image(layer.geometry, read).shape)
        for layer, read in zip(layers, reads, strict=True)
    ]

    def loss():
        return conv.surrogate_loss(layers, x, labels, states, offsets)

    for layer, offset, gradient in zip(layers, offsets, found, strict=True):
        assert_equal_gradients(gradient.dgamma, central_difference(loss, layer.gamma))
        assert_equal_gradients(gradient.dbeta, central_difference(loss, layer.beta))
        assert_equal_gradients(gradient.dw, central_difference(loss, layer.signs))
        assert_equal_gradients(gradient.dx, central_difference(loss, offset))


def test_a_dense_network_is_that_of_the_other_reference():
    random = np.random.default_rng(3)
    layers = network([{"outputs": 9}, {"outputs": 7}, {"outputs": 4}], random, (1, 1, 11))
    x, labels = random.choice([-1.0, 1.0], (6, 11)), random.integers(0, 4, 6)
    states = conv.forward(layers, x)
    other = reference.forward(layers, x)
    for state, wanted in zip(states, other, strict=True):
        np.testing.assert_allclose(state.z.reshape(6, -1), wanted.z)
    g = reference.cross_entropy(other[-1].z, labels)[1]
    for got, wanted in zip(
        conv.backward(layers, x, states, g), reference.backward(layers, x, other, g), strict=True
    ):
        np.testing.assert_allclose(got.dx.reshape(6, -1), wanted.dx, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(got.dw, wanted.dw, rtol=1e-12, atol=1e-12)
