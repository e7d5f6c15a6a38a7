"""Convolutional networks in every geometry and representation: whole steps against the reference.

Tolerances are those of `checks` and `conv_checks`: integers exact, one rounding for every float32
operation, half a unit for a float16 store, half a quantum for an int8 store, random bits known.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference
from choices import meeting
from conv_checks import run_checked, state_of
from conv_reference import BEFORE_NORM, Geometry, as_image, convolve, windows
from harness import (
    conv_layers,
    evaluate,
    fill_batch,
    geometry_of,
    make_config,
    own_views,
)

from bnntrain import kernels
from bnntrain.errors import ConfigError
from bnntrain.method import resolve_method

METHODS = ("standard", "wang2021", "efficient")
BEHIND_NORM = ("before_sign", "after_sign")
POOLS = ("none", *BEFORE_NORM, *BEHIND_NORM)


def title(value):
    """Name a parametrised dict or tuple."""
    return "-".join(map(str, value.values() if isinstance(value, dict) else value))


# Geometry -----------------------------------------------------------------------------------------


# Odd rows and columns; products of odd and of even size.
GEOMETRIES = meeting(
    4, METHODS, (1, 2, 3, 5, 7), (1, 2), ("same", "valid"), POOLS, ((11, 14, 3), (12, 10, 2))
)
by_geometry = pytest.mark.parametrize("geometry", GEOMETRIES, ids=title)


def block_of(channels, geometry):
    """Return method, options of a convolution and shape of the images."""
    method, kernel, stride, padding, pool, shape = geometry
    block = {"kernel": kernel, "stride": stride, "padding": padding, "pool": pool}
    return method, {"channels": channels} | block, shape


@by_geometry
def test_first_block(geometry):
    method, block, shape = block_of(5, geometry)
    run_checked(make_config(conv_layers(block), method, 3), shape)


@by_geometry
def test_inner_block(geometry):
    method, block, shape = block_of(7, geometry)
    below = {"channels": 6, "kernel": 1}
    run_checked(make_config(conv_layers(below, block), method, 3), shape)


@pytest.mark.parametrize("pools", list(itertools.product(POOLS, POOLS)), ids=title)
@pytest.mark.parametrize("method", METHODS)
def test_one_order_of_pooling_behind_another(method, pools):
    blocks = [{"channels": 9, "kernel": 3, "pool": pool} for pool in pools]
    last = {"channels": 5, "kernel": 2, "stride": 2, "padding": "valid"}
    run_checked(make_config(conv_layers(*blocks, last), method, 4), (13, 11, 3))


CHANNELS = (1, 3, 16, 32, 33, 63, 64, 65, 70, 128)


@pytest.mark.parametrize(("method", "inputs", "outputs"), meeting(2, METHODS, CHANNELS, CHANNELS))
def test_channels(method, inputs, outputs):
    # `inputs` channels between the two convolutions; the dense block reads rows of `outputs` bits.
    below = {"channels": inputs, "kernel": 1}
    block = {"channels": outputs, "kernel": 3, "pool": "before_norm"}
    run_checked(make_config(conv_layers(below, block), method, 2), (5, 6, 2))


@pytest.mark.parametrize("pool", BEHIND_NORM)
@pytest.mark.parametrize("channels", [64, 65, 130])
@pytest.mark.parametrize("method", METHODS)
def test_channels_of_pooling_behind_the_norm(method, channels, pool):
    blocks = [{"channels": channels, "kernel": 3, "pool": pool} for _ in range(2)]
    run_checked(make_config(conv_layers(*blocks), method, 3), (7, 10, 3))


@pytest.mark.parametrize("method", METHODS)
def test_an_output_of_one_position(method):
    last = {"channels": 65, "kernel": 3, "padding": "valid"}
    blocks = [{"channels": 33, "kernel": 3, "stride": 2}, last]
    run_checked(make_config(conv_layers(*blocks), method, 9), (5, 5, 3))


@pytest.mark.parametrize("method", METHODS)
def test_images_of_more_channels_than_a_word(method):
    run_checked(make_config(conv_layers({"channels": 10, "kernel": 3}), method, 3), (4, 5, 70))


@pytest.mark.parametrize("method", METHODS)
def test_a_small_binarynet_over_many_steps(method):
    blocks = [
        {"channels": 12, "kernel": 3},
        {"channels": 12, "kernel": 3, "pool": "before_norm"},
        {"channels": 20, "kernel": 3},
        {"channels": 20, "kernel": 3, "pool": "before_norm"},
    ]
    layers = conv_layers(*blocks, dense=(33, 10))
    config = make_config(layers, method, 24, rate=4e-3, smoothing=0.1)
    program, _ = run_checked(config, (12, 13, 3), steps=8)
    assert all(np.isfinite(view).all() for view in program.arena.persistent().values())


@pytest.mark.parametrize("method", METHODS)
def test_a_small_cnv_over_many_steps(method):
    blocks = [
        {"channels": 12, "kernel": 3, "padding": "valid"},
        {"channels": 12, "kernel": 3, "padding": "valid", "pool": "after_sign"},
        {"channels": 20, "kernel": 3, "padding": "valid"},
    ]
    layers = conv_layers(*blocks, dense=(33, 10))
    config = make_config(layers, method, 24, rate=4e-3)
    program, _ = run_checked(config, (13, 14, 3), steps=8)
    assert all(np.isfinite(view).all() for view in program.arena.persistent().values())


# Cells of the forward and backward passes: retained activations, norm, gradients -----------------

ACTIVATIONS = (("float32", "retained"), ("bit", "bit"), ("bit", "recompute"))
GRADIENTS = (
    {"gradient": "float32"},
    {"gradient": "float16"},
    *(
        {"gradient_bits": bits, "gradient_scale": scale, "gradient_rounding": rounding}
        for bits, scale, rounding in (
            (8, "delayed", "nearest"),
            (8, "current", "stochastic"),
            (6, "delayed", "stochastic"),
            (6, "current", "nearest"),
        )
    ),
)


@pytest.mark.parametrize(
    ("activation", "norm", "gradient", "pool"),
    meeting(3, ACTIVATIONS, ("l2", "l1", "l1-binary"), GRADIENTS, POOLS),
)
def test_passes(activation, norm, gradient, pool):
    kept, mask = activation
    blocks = [
        {"channels": 9, "kernel": 3, "pool": pool},
        {"channels": 66, "kernel": 3, "stride": 2, "pool": pool},
    ]
    config = make_config(
        conv_layers(*blocks), "efficient", 5, activation=kept, mask=mask, norm=norm, **gradient
    )
    run_checked(config, (11, 10, 3), steps=3)


# Cells of the update: weight gradients, latents, optimisers ---------------------------------------

OPTIMIZERS = (
    ("adam", "float32"),
    ("adam", "float16"),
    ("sgd", "float32"),
    ("sign-momentum", "float16"),
    ("sign-momentum", "int8"),
    ("sign", "float32"),
    ("bop", "float32"),
)
UPDATES = list(
    itertools.product(
        OPTIMIZERS, ("float32", "int16", "int8"), ("float32", "bit", "sign"), ("float32", "int8")
    )
)


def update_config(optimizer, latent, weight_gradient, gradient):
    """Describe a small network that is updated in this way; 65 channels are two words a tap."""
    name, momentum = optimizer
    return make_config(
        conv_layers({"channels": 65, "kernel": 2}, {"channels": 6, "kernel": 3}),
        "efficient",
        2,
        # A threshold that some of Bop's averages pass, in one step.
        {"name": name, "bop_threshold": 1e-4, "bop_gamma": 1e-2},
        latent=latent,
        weight_gradient=weight_gradient,
        gradient=gradient,
        momentum=momentum,
    )


def works(update):
    """Whether the method table has kernels for it."""
    try:
        resolve_method(update_config(*update))
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize(
    "update",
    [update for update in UPDATES if works(update)],
    ids=lambda u: title(u[0]) + "-" + title(u[1:]),
)
def test_updates(update):
    run_checked(update_config(*update), (5, 4, 3))


@pytest.mark.parametrize("bits", [6, 8])
def test_channel_momentum(bits):
    """Steps that follow the size of each channel's gradients, the first of which only measures."""
    config = make_config(
        conv_layers({"channels": 65, "kernel": 2}, {"channels": 6, "kernel": 3}),
        "efficient",
        2,
        {"momentum": 0.7, "beta2": 0.9},
        gradient_bits=bits,
    )
    program, _ = run_checked(config, (5, 4, 3), steps=5)
    assert program.steps[0].method.optimizer == "channel-momentum"


# Batches, threads, instruction sets ---------------------------------------------------------------

# Rows that straddle what kernels work on at a time: 192 positions, 256 of dW, groups of images.
TWO_BLOCKS = [
    {"channels": 10, "kernel": 3, "pool": "before_norm"},
    {"channels": 7, "kernel": 3, "pool": "after_sign"},
]


@pytest.mark.parametrize("batch", [1, 2, 4, 5, 9, 33])
@pytest.mark.parametrize("method", METHODS)
def test_batches(method, batch):
    run_checked(make_config(conv_layers(*TWO_BLOCKS), method, batch), (14, 15, 3))


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("method", METHODS)
def test_fewer_rows_than_planned(method, rows):
    run_checked(make_config(conv_layers(*TWO_BLOCKS), method, 8), (14, 15, 3), rows=rows)


@pytest.mark.parametrize(
    ("method", "threads", "isa", "pool"),
    meeting(3, METHODS, (1, 2, 3), kernels.supported_isas(), POOLS),
)
def test_threads_and_instruction_sets(method, threads, isa, pool):
    blocks = [
        {"channels": 66, "kernel": 3, "pool": pool},
        {"channels": 35, "kernel": 5, "stride": 2, "pool": pool},
    ]
    config = make_config(conv_layers(*blocks), method, 6)
    run_checked(config, (9, 11, 3), threads=threads, isa=isa)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("method", METHODS)
def test_images_larger_than_a_pass(method, pool):
    # 15 x 17 positions and more are cut within an image.
    blocks = [{"channels": 5, "kernel": 3, "pool": pool}, {"channels": 5, "kernel": 3}]
    run_checked(make_config(conv_layers(*blocks), method, 2), (31, 33, 2), threads=2)


# Degenerate channels ------------------------------------------------------------------------------


def equal_samples(program, random):
    """Fill the batch with flat images of one colour."""
    fill_batch(program, random)
    program.x[...] = 17


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("norm", ["l2", "l1", "l1-binary"])
@pytest.mark.parametrize("method", METHODS)
def test_constant_channels(method, norm, pool):
    # Batch norm divides by epsilon alone there.
    block = {"channels": 9, "kernel": 3, "padding": "valid", "pool": pool}
    config = make_config(conv_layers(block, block), method, 3, norm=norm)
    program, traces = run_checked(config, (13, 12, 2), fill=equal_samples, degenerate=True)
    assert all(np.isfinite(view).all() for view in program.arena.persistent().values())
    for trace in traces[:-1]:
        assert not state_of(trace, norm).normalised.spread.any()


def edge_norms(program, random):
    """Give gamma the values 0, -1, 1, tiny and large, beta the values at which signs turn."""
    for block in program.steps:
        views = own_views(program, block.name)
        views["gamma"][...] = np.resize([0.0, -1.0, 1.0, 1e-30, -1e-30, 50.0], block.channels)
        views["beta"][...] = np.resize([0.0, -0.5, 0.5, 0.0, 2.0, 1.5, -1.5], block.channels)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("mask", ["bit", "recompute"])
@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize("gradient", ["float32", "int8"])
def test_edges_of_gamma_and_beta(gradient, norm, mask, pool):
    blocks = [{"channels": 42, "kernel": 3, "pool": pool}, {"channels": 42, "kernel": 3}]
    cells = {"norm": norm, "mask": mask, "gradient": gradient}
    config = make_config(conv_layers(*blocks), "efficient", 3, **cells)
    _, traces = run_checked(config, (10, 9, 3), prepare=edge_norms)
    dead = traces[0].state["gamma"] == 0
    assert dead.any()
    # No gradient passes a gamma of zero, and no evidence is no push.
    assert not traces[0].dy[:, dead].any()


# Evaluation ---------------------------------------------------------------------------------------


def evaluated(block, state, norm, x):
    """Reference z of a block, under running statistics, where the output is the sign of it."""
    geometry = geometry_of(block) or Geometry(1, 1, block.inputs, block.channels)
    y = convolve(geometry, as_image(geometry, x), reference.sign(state["latent"]))
    if geometry.pool == "before_norm":
        y = windows(y).max(axis=3)
    if geometry.pool == "average_before_norm":
        y = windows(y).sum(axis=3)
    inverse = reference.inverse_of(norm, state["running_spread"])
    z = state.get("gamma", 1.0) * (y - state["running_mean"]) * inverse + state["beta"]
    # The largest z has the largest sign.
    return windows(z).max(axis=3) if geometry.pool in ("before_sign", "after_sign") else z


@pytest.mark.parametrize(
    "pools", [("none", "before_norm"), BEHIND_NORM, ("average_before_norm", "none")], ids=title
)
@pytest.mark.parametrize("norm", ["l2", "l1", "l1-binary"])
@pytest.mark.parametrize("method", METHODS)
def test_evaluation_normalises_with_the_running_statistics(method, norm, pools):
    blocks = [{"channels": 20, "kernel": 3, "pool": pool} for pool in pools]
    config = make_config(conv_layers(*blocks, dense=(30, 7)), method, 12, norm=norm)
    program, _ = run_checked(config, (9, 10, 3), steps=3)
    random = np.random.default_rng(5)
    fill_batch(program, random)
    labels, x = program.labels.copy(), program.x.astype(float)
    before = {name: view.copy() for name, view in program.arena.persistent().items()}
    logits, loss, correct = evaluate(program, 12)
    for block in program.steps:
        state = {
            tensor: view.astype(float)
            for tensor, view in own_views(program, block.name).items()
            if f"{block.name}.{tensor}" in before
        }
        z = evaluated(block, state, norm, x)
        x = reference.sign(z)
    z = z.reshape(12, -1)
    np.testing.assert_allclose(logits, z, rtol=1e-4, atol=1e-4)
    wanted, _ = reference.cross_entropy(z, labels)
    assert loss == pytest.approx(wanted, rel=1e-4)
    assert correct == (z.argmax(axis=1) == labels).sum()
    assert all(
        np.array_equal(before[name], view) for name, view in program.arena.persistent().items()
    )
