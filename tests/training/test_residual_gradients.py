"""Gradients of residual networks, from end to end, against those of the equations.

The convention is that of test_conv_gradients.py: sgn(r) is replaced by sgn(r0) + clip(r) -
clip(r0). That the reference's gradients are central differences is in test_residual_reference.py;
here what the product leaves in its buffers is compared with them, through the whole network, in
float64 around the weights and data that it trained on.
"""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

import numpy as np
import pool_reference as pool
import pytest
import reference
import residual_reference as residual
from harness import fill_batch, make_config
from residual_kit import (
    STEMS,
    Seen,
    half,
    layers_of,
    program_of,
    reference_of,
    same,
    scramble,
    traced_step,
)
from residual_real import ADAM, real_layer
from residual_units import in_units
from test_conv_gradients import cosine

# Stem, blocks, sample, what stands behind the stem's norm.
NETWORKS = {
    "identity": ({"channels": 6}, [same(6), same(6, 2), same(6, 5)], (7, 6, 2), ()),
    "7x7 stem, odd sizes": (
        {"channels": 5, "kernel": 7, "stride": 2},
        [same(5), half(9, 3, "valid"), same(9)],
        (13, 17, 3),
        (),
    ),
    "above a word": ({"channels": 66}, [half(70), same(70), same(9)], (6, 8, 3), ()),
    **{
        f"pooled stem: {len(behind)} behind": (
            {"channels": 5, "kernel": 7, "stride": 2}, [same(5), half(9)], (22, 32, 3), behind
        )
        for behind in (STEMS[1], STEMS[2], STEMS[4])
    },
}


def traced(name, method, relu=False, batch=5, seed=0, **cells):
    """Trace one step of a scrambled network; return what its layers saw, and the labels."""
    stem, blocks, sample, behind = NETWORKS[name]
    layers = layers_of(stem, *blocks, relu=relu, behind=behind)
    config = make_config(layers, method, batch, seed=seed, **cells)
    program, random = program_of(config, sample), np.random.default_rng(seed)
    fill_batch(program, random)
    scramble(program, random)
    labels = program.labels.copy()
    return traced_step(program, batch, 0)[0], labels


def real_dw(one: Seen, rows: int) -> np.ndarray:
    """A real layer's dW, of which the first step's moment is what it had not."""
    return one.trace.later["momentum1"].astype(float) * rows / (1 - ADAM[0])


def gradients(one: Seen, rows: int) -> dict[str, np.ndarray]:
    """What the product left of a layer's gradients, by the names of `residual.Gradient`."""
    made, is_real = one.trace.made, one.step.fused.kind != "residual"
    found = {
        "dw": real_dw(one, rows) if is_real else made.get("dW"),
        "dgamma": made.get("d_gamma"),
        "dbeta": made.get("d_bias" if one.step.is_last else "d_beta"),
        "second.dgamma": made.get("second_d_gamma"),
        "second.dbeta": made.get("second_d_beta"),
    }
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_standard_gives_the_gradients_of_the_equations(name, relu):
    seen, labels = traced(name, "standard", relu)
    network = reference_of(seen)
    states = residual.forward(network, seen[0].read)
    for one in seen:
        wanted = states[one.name].out
        np.testing.assert_allclose(one.out, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
        if one.step.fused.kind == "residual":  # else a sign, or a mask, would be another
            read = states[one.name].read
            assert np.array_equal(reference.sign(one.read), reference.sign(read))
            assert np.array_equal(reference.passes(one.read), reference.passes(read))
    _, g = reference.cross_entropy(states[seen[-1].name].out, labels)
    found = residual.backward(states, g)
    gathered = gathered_of(seen, states, found)
    for one in seen:
        for kind, got in gradients(one, len(labels)).items():
            assert_equal(got, attrgetter(kind)(found[one.name]))
        assert_equal(one.arrived, found[one.name].arrived)
        if one.after is not None:
            assert_equal(one.after, gathered[one.name])


def gathered_of(seen, states, gradients):
    """Return gradients of what layers read, in the order in which the product goes back."""
    order = [one.name for one in sorted(seen, key=lambda one: one.step.backward)]
    return residual.gathered(states, gradients, order)


def assert_equal(got, wanted):
    """Within 1e-4 of the element and 1e-5 of the tensor's largest."""
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("behind", STEMS[1:])
@pytest.mark.parametrize(
    ("method", "cells"), [("standard", {}), ("efficient", {"gradient_bits": 8})]
)
def test_of_equal_values_the_first_gets_the_gradient(method, cells, behind):
    # Products of few small integers, which floats hold exactly: most windows have several largest.
    stem = {"channels": 6, "kernel": 2, "padding": "valid"}
    config = make_config(layers_of(stem, same(6), behind=behind), method, 4, **cells)
    program, random = program_of(config, (10, 9, 1)), np.random.default_rng(2)
    fill_batch(program, random)
    scramble(program, random)
    program.x[...] = random.integers(-1, 2, program.x.shape)
    weights = program.arena.views[f"{program.steps[0].name}.latent"]
    weights[...] = random.choice([-1, 1], weights.shape)
    labels = program.labels.copy()
    seen, _, _ = traced_step(program, 4, 0)
    state, first = own_states(seen)[seen[0].name], exact_gradients(seen, labels)[0][seen[0].name]
    values, _ = pool.windows(state.normalised.y.reshape(state.shape))
    assert (values == np.nanmax(values, axis=0)).sum() > 1.3 * values[0].size
    got = gradients(seen[0], 4)["dw"]
    if method == "standard":
        assert_equal(got, first.dw)
    else:
        assert cosine(got, first.dw) > 0.999


# Quantised ----------------------------------------------------------------------------------------


def own_states(seen: list[Seen]) -> residual.States:
    """Return the forward pass as the product has it, signs that rounding decided included.

    Weights, operands and what the norm sees are those that are multiplied, in their own units.
    """
    found = {}
    for one, layer in zip(seen, reference_of(seen), strict=True):
        read = one.read if layer.reads == residual.PIXELS else in_units(one.read)
        if one.step.is_last:
            found[one.name] = residual.scored(layer, read)
        elif layer.is_binary:
            operand = residual.operand_of(layer, read)
            found[one.name] = residual.convolved(layer, read, operand, in_units(one.addend))
        else:
            found[one.name] = in_real_units(one, layer, read)
    return found


def in_real_units(one: Seen, layer: residual.Conv, read: np.ndarray) -> residual.State:
    """Return a real convolution's forward pass with the rounded operands as real numbers."""
    if one.method.gradient != "int8":
        return real_layer(one, layer, read)[1]
    weights = one.kept["W_rows"] * one.kept["W_unit"].astype(float)[:, None]
    operand = residual.operand_of(layer, read)
    if layer.reads != residual.PIXELS:
        x = one.kept["X"][: operand.size // operand.shape[-1]].reshape(operand.shape)
        operand = x * float(one.kept["amax"][1]) / (512 * layer.side**2)
    return residual.convolved(replace(layer, weights=weights), read, operand, None)


# Least cosine with the unquantised gradient through the whole network: of the gradients of streams,
# of dgamma, of dbeta and of the real convolutions' dW. Measured over two seeds and the networks
# here: 0.9991, 0.9992, 0.985, 0.9973 (8 bits), 0.9876, 0.984, 0.963, 0.9937 (6), 0.9940, 0.986,
# 0.980, 0.9970 (6 to nearest). dbeta sums what batch norm has made cancel.
BOUNDS = [
    ({"gradient_bits": 8}, 0.998, 0.998, 0.98, 0.995),
    ({"gradient_bits": 8, "norm": "l1"}, 0.998, 0.998, 0.975, 0.995),
    ({"gradient_bits": 8, "norm": "l1-binary"}, 0.998, 0.998, 0.98, 0.993),
    ({}, 0.98, 0.97, 0.94, 0.985),
    ({"gradient_rounding": "nearest"}, 0.99, 0.975, 0.96, 0.99),
]


# Of a pooled stem's first norm, of few windows' gradients that a second norm makes cancel; measured
# over the same: 0.9645, 0.9737 (8 bits, l1), 0.9516, 0.915 (6 bits).
OF_STEMS = {"dgamma": 0.94, "dbeta": 0.9}


@pytest.mark.parametrize(("cells", "tensors", "gammas", "betas", "weights"), BOUNDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_quantised_gradients_point_where_the_exact_ones_do(
    name, cells, tensors, gammas, betas, weights
):
    seen, labels = traced(name, "efficient", relu=True, batch=16, **cells)
    found, gathered = exact_gradients(seen, labels)
    least = {"dgamma": gammas, "dbeta": betas, "dw": weights}
    least |= {"second.dgamma": gammas, "second.dbeta": betas}
    for one in seen:
        own = least | OF_STEMS if one.step.fused.kind == "stem" else least
        for kind, got in gradients(one, len(labels)).items():
            assert cosine(got, attrgetter(kind)(found[one.name])) >= own[kind]
        if one.after is not None:
            assert cosine(one.after, gathered[one.name]) >= tensors


def exact_gradients(seen, labels):
    """Propagate the loss of the product's own forward pass without quantisation."""
    states = own_states(seen)
    found = residual.backward(
        states, reference.cross_entropy(states[seen[-1].name].out, labels)[1]
    )
    return found, gathered_of(seen, states, found)


@pytest.mark.parametrize("norm", ["l2", "l1-binary"])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_wang2021_gives_them_within_float16(name, relu, norm):
    seen, labels = traced(name, "wang2021", relu, norm=norm)
    found, gathered = exact_gradients(seen, labels)
    for one in seen:
        for kind, got in gradients(one, len(labels)).items():
            if kind != "dw" or one.step.fused.kind != "residual":
                assert_half(got, attrgetter(kind)(found[one.name]))
            else:
                wanted = attrgetter(kind)(found[one.name])
                sure = np.abs(wanted) > 0.01 * np.abs(wanted).max()
                assert np.array_equal(got[sure], reference.sign(wanted)[sure])
        if one.after is not None:
            assert_half(one.after, gathered[one.name])


def assert_half(got, wanted):
    """Within eight units of the last place of float16, and as many of the tensor's largest."""
    np.testing.assert_allclose(
        got.astype(float), wanted, rtol=2**-7, atol=2**-8 * np.abs(wanted).max()
    )
