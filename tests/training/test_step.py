"""Every layer in every representation: whole steps against the float64 reference.

Tolerances are those of `checks`: integers exact, one rounding for every float32 operation, half a
unit for a float16 store, half a quantum for an int8 store, random bits known.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference
from checks import normalised, z_bound
from conv_checks import run_checked
from harness import (
    Watcher,
    evaluate,
    fill_batch,
    make_config,
    make_program,
    own_views,
    persistent_bytes,
    train_by_pass,
)

from bnntrain.errors import ConfigError
from bnntrain.method import resolve_method

METHODS = ("standard", "wang2021", "efficient")


@pytest.mark.parametrize("method", METHODS)
def test_methods_over_many_steps(method):
    config = make_config([70, 65, 33, 10], method, 48, rate=4e-3, smoothing=0.1)
    program, _ = run_checked(config, 100, steps=12, threads=2)
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


def title(value):
    """Name a parametrised dict or tuple."""
    return "-".join(map(str, value.values() if isinstance(value, dict) else value))


@pytest.mark.parametrize("gradient", GRADIENTS, ids=title)
@pytest.mark.parametrize("norm", ["l2", "l1", "l1-binary"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=title)
def test_passes(activation, norm, gradient):
    kept, mask = activation
    config = make_config(
        [65, 33, 7], "efficient", 31, activation=kept, mask=mask, norm=norm, **gradient
    )
    run_checked(config, 66, steps=3)


# Cells of the update: weight gradients, latents, optimisers ---------------------------------------

OPTIMIZERS = (
    ("adam", "float32"),
    ("adam", "float16"),
    ("sgd", "float32"),
    ("sgd", "float16"),
    ("sign-momentum", "float32"),
    ("sign-momentum", "float16"),
    ("sign-momentum", "int8"),
    ("sign", "float32"),
    ("bop", "float32"),
)
UPDATES = list(
    itertools.product(
        OPTIMIZERS,
        ("float32", "float16", "int16", "int8"),
        ("float32", "bit", "sign"),
        ("float32", "int8"),
    )
)


def update_config(optimizer, latent, weight_gradient, gradient, **options):
    """Describe a small network that is updated in this way."""
    name, momentum = optimizer
    # A threshold that some of Bop's averages pass, in one step.
    settings = {"name": name, "bop_threshold": 1e-4, "bop_gamma": 1e-2}
    return make_config(
        [33, 5],
        "efficient",
        9,
        settings,
        latent=latent,
        weight_gradient=weight_gradient,
        gradient=gradient,
        momentum=momentum,
        **options,
    )


def works(update):
    """Whether the method table has kernels for it."""
    try:
        resolve_method(update_config(*update))
    except ConfigError:
        return False
    return True


WORKING = [update for update in UPDATES if works(update)]


def test_nearly_every_update_has_a_kernel():
    # Refused: float16 moments of Adam on real gradients, whose squares underflow.
    refused = [update for update in UPDATES if update not in WORKING]
    assert {(update[0], update[2]) for update in refused} == {(("adam", "float16"), "float32")}


@pytest.mark.parametrize("update", WORKING, ids=lambda u: title(u[0]) + "-" + title(u[1:]))
def test_updates(update):
    run_checked(update_config(*update), 31, steps=3)


@pytest.mark.parametrize("batch", [2, 31])
@pytest.mark.parametrize("sizes", [(33, 5), (65, 130, 64), (7, 1)], ids=title)
def test_channel_momentum(sizes, batch):
    """Steps that follow the size of each channel's gradients, the first of which only measures."""
    config = make_config(list(sizes), "efficient", 9, {"momentum": 0.7, "beta2": 0.9})
    program, _ = run_checked(config, batch, steps=5)
    assert program.steps[0].method.optimizer == "channel-momentum"


def test_products_of_long_depth_come_in_pieces():
    """1030 outputs: more than a table row of scratch has room for."""
    run_checked(make_config([33, 1030, 4], "efficient", 9), 5, steps=2, threads=3)


@pytest.mark.parametrize("left", [0.0, 1e-42, 1e-38])
def test_a_channel_long_without_gradients_is_not_moved(left):
    """What is left of its usual gradient after 10**5 steps has no inverse in float32."""
    config = make_config([33, 5], "efficient", 9)
    program = make_program(config, 33, 1)
    random = np.random.default_rng(1)
    for step in range(2):
        fill_batch(program, random)
        program.arena.views["dense1.dW_magnitude"][...] = left
        program.train_batch(9, step + 1, 1e-3)
    assert not program.arena.views["dense1.momentum1"].any()


@pytest.mark.parametrize("latent", ["float32", "float16", "int16", "int8"])
@pytest.mark.parametrize("optimizer", [("adam", "float32"), ("sign-momentum", "int8")], ids=title)
def test_latents_stay_in_their_range(latent, optimizer):
    # Steps of a tenth of the range reach its ends soon; both ends are stored exactly.
    config = update_config(optimizer, latent, "sign", "int8", rate=0.02, latent_range=0.25)
    program, _ = run_checked(config, 31, steps=30)
    view = program.arena.views["dense1.latent"]
    limit = {"int16": 32767, "int8": 127}.get(latent, 0.25)
    assert np.abs(view.astype(float)).max() == limit


# Sizes --------------------------------------------------------------------------------------------

EDGES = (1, 63, 64, 65, 129)


@pytest.mark.parametrize("outputs", EDGES)
@pytest.mark.parametrize("inputs", EDGES)
@pytest.mark.parametrize("method", METHODS)
def test_sizes(method, inputs, outputs):
    for batch in (1, 2, 63, 65):
        run_checked(make_config([outputs, 3], method, batch), inputs)


@pytest.mark.parametrize("method", METHODS)
def test_last_block_of_edge_size(method):
    for classes in (1, 2, 64, 65):
        run_checked(make_config([33, classes], method, 5), 20)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_of_one_block(method):
    run_checked(make_config([10], method, 17), 65)


@pytest.mark.parametrize("rows", [1, 30, 63])
@pytest.mark.parametrize("method", METHODS)
def test_fewer_rows_than_planned(method, rows):
    run_checked(make_config([65, 10], method, 64), 65, rows=rows)


# Degenerate channels ------------------------------------------------------------------------------


def equal_samples(program, random):
    """Fill the batch with copies of one sample."""
    fill_batch(program, random)
    program.x[...] = program.x[0]


@pytest.mark.parametrize("norm", ["l2", "l1", "l1-binary"])
@pytest.mark.parametrize("method", METHODS)
def test_constant_channels(method, norm):
    # Batch norm divides by epsilon alone there: l1 by 1e-5, so that float16 gradients saturate.
    config = make_config([65, 10], method, 16, norm=norm)
    program, traces = run_checked(config, 63, fill=equal_samples)
    assert all(np.isfinite(view).all() for view in program.arena.persistent().values())
    for trace in traces:
        n = normalised(trace, norm)
        assert not n.spread.any()
        beta = trace.state["beta"].astype(float)
        if trace.is_last or method == "standard":
            assert np.all(np.abs(trace.kept["out"] - beta) <= z_bound(n))


def edge_norms(program, random):
    """Give gamma the values 0, -1, 1, tiny and large, beta the values at which signs turn."""
    for block in program.steps:
        views = own_views(program, block.name)
        views["gamma"][...] = np.resize([0.0, -1.0, 1.0, 1e-30, -1e-30, 50.0], block.outputs)
        views["beta"][...] = np.resize([0.0, -0.5, 0.5, 0.0, 2.0, 1.5, -1.5], block.outputs)


@pytest.mark.parametrize("mask", ["bit", "recompute"])
@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize("gradient", ["float32", "int8"])
def test_edges_of_gamma_and_beta(mask, norm, gradient):
    config = make_config([84, 10], "efficient", 24, norm=norm, mask=mask, gradient=gradient)
    _, traces = run_checked(config, 40, prepare=edge_norms)
    dead = traces[0].state["gamma"] == 0
    assert dead.any()
    # No gradient passes a gamma of zero, and no evidence is no push.
    assert not traces[0].dy[:, dead].any()


# Evaluation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["l2", "l1", "l1-binary"])
@pytest.mark.parametrize("method", METHODS)
def test_evaluation_normalises_with_the_running_statistics(method, norm):
    config = make_config([65, 10], method, 32, norm=norm)
    program, _ = run_checked(config, 70, steps=3)
    random = np.random.default_rng(5)
    fill_batch(program, random)
    labels, x = program.labels.copy(), program.x.astype(float)
    before = {name: view.copy() for name, view in program.arena.persistent().items()}
    logits, loss, correct = evaluate(program, 32)
    for block in program.steps:
        state = {
            tensor: view.astype(float)
            for tensor, view in own_views(program, block.name).items()
            if f"{block.name}.{tensor}" in before
        }
        y = x @ reference.sign(state["latent"]).T
        inverse = reference.inverse_of(norm, state["running_spread"])
        z = state.get("gamma", 1.0) * (y - state["running_mean"]) * inverse + state["beta"]
        x = reference.sign(z)
    np.testing.assert_allclose(logits, z, rtol=1e-4, atol=1e-4)
    wanted, _ = reference.cross_entropy(z, labels)
    assert loss == pytest.approx(wanted, rel=1e-4)
    assert correct == (z.argmax(axis=1) == labels).sum()
    assert all(
        np.array_equal(before[name], view) for name, view in program.arena.persistent().items()
    )


class Listed(Watcher):
    """Lists the passes."""

    def __init__(self):
        self.passes = []

    def after(self, step, name, rows):
        self.passes.append((step and step.name, name))


@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
def test_one_call_runs_the_passes_in_their_order(method):
    sizes, rows, listed = [70, 33, 10], 21, Listed()
    together, apart = (make_program(make_config(sizes, method, rows), 40) for _ in range(2))
    random = np.random.default_rng(5)
    for step in range(4):
        fill_batch(together, random)
        apart.x[...], apart.labels[...] = together.x, together.labels
        watcher = listed if step == 0 else Watcher()
        wanted = train_by_pass(apart, rows - step, step, 1e-3, watcher)
        assert together.train_batch(rows - step, step, 1e-3) == wanted
        assert persistent_bytes(together) == persistent_bytes(apart)
    names = ["dense1", "dense2", "dense3"]
    assert listed.passes == [
        *((name, "forward") for name in names), (None, "loss"),
        *((name, "backward") for name in reversed(names)), *((name, "update") for name in names),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="rows: expected 1 to 21, got 22"):
        together.train_batch(22, 5, 1e-3)
