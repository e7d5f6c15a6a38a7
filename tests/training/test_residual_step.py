"""Residual networks in every geometry and representation: whole steps against the reference.

Tolerances are those of `residual_checks`: integers exact, one rounding for every float32 operation,
half a unit for a float16 store, random bits known.
"""

from __future__ import annotations

import numpy as np
import pytest
from choices import meeting
from harness import make_config
from residual_checks import run_checked
from residual_kit import METHODS, STEMS, half, layers_of, same, scramble

from bnntrain import kernels


def config_of(method, stem, *blocks, batch=3, relu=False, classes=5, behind=(), **cells):
    """Describe a residual network."""
    layers = layers_of(stem, *blocks, relu=relu, classes=classes, behind=behind)
    return make_config(layers, method, batch, **cells)


# Geometry -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "kernel", "stride", "padding", "sample"),
    meeting(
        3, METHODS, (1, 3, 7), (1, 2), ("same", "valid"), ((11, 14, 3), (12, 9, 2), (8, 8, 1))
    ),
)
def test_stem(method, kernel, stride, padding, sample):
    stem = {"channels": 6, "kernel": kernel, "stride": stride, "padding": padding}
    run_checked(config_of(method, stem), sample)


POOLED = STEMS[1:]
STEM_SAMPLES = ((8, 8, 3), (11, 14, 3), (12, 9, 2), (1, 3, 1), (37, 50, 2))


@pytest.mark.parametrize(
    ("method", "behind", "kernel", "stride", "sample"),
    meeting(2, METHODS, POOLED, (1, 3, 7), (1, 2), STEM_SAMPLES),
)
def test_pooled_stem(method, behind, kernel, stride, sample):
    stem = {"channels": 6, "kernel": kernel, "stride": stride}
    run_checked(config_of(method, stem, same(6), behind=behind), sample)


@pytest.mark.parametrize(
    ("method", "behind", "channels"), meeting(2, METHODS, POOLED, (1, 64, 65, 130))
)
def test_channels_of_pooled_stems(method, behind, channels):
    stem = {"channels": channels, "kernel": 3, "stride": 2}
    run_checked(config_of(method, stem, same(9), behind=behind), (10, 12, 3), steps=1)


@pytest.mark.parametrize("method", METHODS)
def test_a_pooled_stem_of_many_products(method):
    # Sums of many bits, which are shifted: the more so, the more are equal.
    stem = {"channels": 6, "kernel": 7, "stride": 2}
    run_checked(config_of(method, stem, same(6), behind=POOLED[-1]), (15, 16, 11))


@pytest.mark.parametrize(
    ("method", "kernel", "relu"), meeting(2, METHODS, (1, 2, 3, 5), (False, True))
)
def test_identity(method, kernel, relu):
    blocks = same(6, kernel), same(6, kernel)
    run_checked(config_of(method, {"channels": 6}, *blocks, relu=relu), (7, 6, 2))


# A stride of 2 halves odd sizes as means do if windows stay inside.
HALVES = (
    (half(9), (10, 8, 2)),
    (half(9, 1), (6, 6, 2)),
    (half(9, 5), (6, 8, 2)),
    (half(9, 3, "valid"), (9, 7, 2)),
    (half(9, 2, "valid"), (7, 10, 2)),
    (half(9, 2, "valid"), (5, 5, 2)),
)


@pytest.mark.parametrize(
    ("method", "halves", "relu"), meeting(2, METHODS, HALVES, (False, True))
)
def test_half_the_size(method, halves, relu):
    block, sample = halves
    blocks = same(5), block, same(9)
    run_checked(config_of(method, {"channels": 5}, *blocks, relu=relu), sample)


CHANNELS = (1, 3, 63, 64, 65, 130)


@pytest.mark.parametrize(("method", "inputs", "outputs"), meeting(2, METHODS, CHANNELS, CHANNELS))
def test_channels(method, inputs, outputs):
    # Of both kinds of shortcut where they differ.
    blocks = same(inputs), same(outputs), half(outputs + 1), same(outputs + 1)
    run_checked(config_of(method, {"channels": inputs}, *blocks, batch=2), (6, 4, 2), steps=1)


@pytest.mark.parametrize("method", METHODS)
def test_many_classes_and_few(method):
    for classes in (1, 2, 70):
        run_checked(config_of(method, {"channels": 5}, same(5), classes=classes), (5, 4, 2))


@pytest.mark.parametrize("method", METHODS)
def test_images_of_many_channels(method):
    # Sums of many bits, which are shifted.
    blocks = same(30), half(20), half(40)
    run_checked(config_of(method, {"channels": 30, "kernel": 5}, *blocks), (8, 8, 7))


@pytest.mark.parametrize("method", METHODS)
def test_images_larger_than_a_pass(method):
    # Lines of more than 192 positions, and images of more.
    blocks = same(3), half(4), same(4)
    run_checked(config_of(method, {"channels": 3}, *blocks, batch=2), (4, 402, 1), threads=2)


@pytest.mark.parametrize("method", METHODS)
def test_an_output_of_one_position(method):
    blocks = half(9, 2, "valid"), half(9, 2, "valid"), same(9)
    run_checked(config_of(method, {"channels": 5}, *blocks, batch=9), (5, 4, 3))


@pytest.mark.parametrize("method", METHODS)
def test_a_small_network_over_many_steps(method):
    blocks = same(12), same(12), half(24), same(24), half(33), same(33)
    config = config_of(
        method, {"channels": 12}, *blocks, batch=16, rate=4e-3, smoothing=0.1, relu=True
    )
    program, _ = run_checked(config, (12, 12, 3), steps=6)
    assert all(np.isfinite(view).all() for view in program.arena.persistent().values())


# Cells --------------------------------------------------------------------------------------------

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
    ("norm", "gradient", "relu"),
    meeting(2, ("l2", "l1", "l1-binary"), GRADIENTS, (False, True)),
)
def test_passes(norm, gradient, relu):
    blocks = same(7), half(66), same(66)
    config = config_of("efficient", {"channels": 7}, *blocks, relu=relu, norm=norm, **gradient)
    run_checked(config, (10, 8, 3), steps=3)


@pytest.mark.parametrize(
    ("norm", "gradient", "behind"), meeting(2, ("l2", "l1", "l1-binary"), GRADIENTS, POOLED)
)
def test_passes_of_pooled_stems(norm, gradient, behind):
    stem = {"channels": 7, "kernel": 5}
    config = config_of("efficient", stem, same(7), behind=behind, norm=norm, **gradient)
    run_checked(config, (10, 9, 3), steps=3)


@pytest.mark.parametrize("norm", ["l2", "l1", "l1-binary"])
def test_retained_streams(norm):
    config = config_of(
        "wang2021", {"channels": 7}, same(7), half(66), same(66),
        activation="float32", mask="retained", gradient="float32", norm=norm,
    )  # fmt: skip
    run_checked(config, (10, 8, 3), steps=2)


@pytest.mark.parametrize(
    "cells",
    [
        {"optimizer": {"name": "sgd"}},
        {"optimizer": {"name": "sign"}},
        {"optimizer": {"name": "sign-momentum"}},
        {"optimizer": {"name": "adam"}, "latent": "int16"},
        {"weight_gradient": "float32"},
        {"weight_gradient": "bit"},
        {"latent": "float16"},
    ],
    ids=str,
)
def test_updates_of_binary_weights_are_their_own(cells):
    config = config_of("efficient", {"channels": 7}, same(7), half(66), same(66), **cells)
    run_checked(config, (6, 8, 3), steps=3)


# Batches, threads, instruction sets ---------------------------------------------------------------


@pytest.mark.parametrize(("method", "batch"), meeting(2, METHODS, (1, 2, 5, 17, 33)))
def test_batches(method, batch):
    run_checked(config_of(method, {"channels": 5}, same(5), half(9), batch=batch), (8, 6, 3))


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("method", METHODS)
def test_fewer_rows_than_planned(method, rows):
    config = config_of(method, {"channels": 5}, same(5), half(9), same(9), batch=8)
    run_checked(config, (8, 6, 3), rows=rows)


@pytest.mark.parametrize(
    ("method", "threads", "isa"), meeting(3, METHODS, (1, 2, 3), kernels.supported_isas())
)
def test_threads_and_instruction_sets(method, threads, isa):
    blocks = same(66), half(35), same(35)
    config = config_of(method, {"channels": 66}, *blocks, batch=6, relu=True)
    run_checked(config, (10, 12, 3), threads=threads, isa=isa)


@pytest.mark.parametrize(
    ("method", "behind", "threads", "isa", "rows"),
    meeting(2, METHODS, POOLED, (1, 2, 3), kernels.supported_isas(), (1, 4, 5)),
)
def test_pooled_stems_of_threads_and_rows(method, behind, threads, isa, rows):
    stem = {"channels": 66, "kernel": 3, "stride": 2}
    config = config_of(method, stem, half(9), same(9), behind=behind, batch=5)
    run_checked(config, (16, 13, 3), threads=threads, isa=isa, rows=rows)


# Values at the edge -------------------------------------------------------------------------------


def large_gammas(program, random):
    """Let streams go beyond what int16 holds, and features with them."""
    scramble(program, random)
    for name, view in program.arena.persistent().items():
        if name.endswith("gamma"):
            view *= 40


@pytest.mark.parametrize("method", METHODS)
def test_streams_saturate(method):
    blocks = same(20), same(20), half(24), same(24)
    config = config_of(method, {"channels": 20}, *blocks)
    _, seen = run_checked(config, (8, 8, 3), prepare=large_gammas)
    if method == "efficient":
        assert any(np.abs(one.out.astype(int)).max() == 32767 for one in seen[:-1])


@pytest.mark.parametrize("behind", POOLED)
@pytest.mark.parametrize("method", METHODS)
def test_pooled_stems_saturate(method, behind):
    config = config_of(method, {"channels": 20}, same(20), same(20), behind=behind)
    _, seen = run_checked(config, (9, 8, 3), prepare=large_gammas)
    if method == "efficient":
        assert np.abs(seen[0].out.astype(int)).max() == 16383


def edges(program, random):
    """Give gamma the values 0, tiny and negative ones, beta those at which signs and masks turn."""
    scramble(program, random)
    for name, view in program.arena.persistent().items():
        if name.endswith("gamma"):
            view[...] = np.resize([0.0, -1.0, 1.0, 1e-30, 0.0, -1e-30], view.shape)
        if name.endswith("beta"):
            view[...] = np.resize([1.0, -0.5, 0.5, -1.0, 0.0], view.shape)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("method", ["standard", "efficient"])
def test_edges_of_gamma_and_beta(method, relu):
    # Values of exactly 0, 1 and -1 in the stream: sgn(0) = +1, abs(1) passes, relu does not let 0.
    blocks = same(30), half(30, 2), same(30)
    config = config_of(method, {"channels": 30}, *blocks, relu=relu)
    _, seen = run_checked(config, (8, 6, 3), steps=1, prepare=edges)
    values = np.unique(np.concatenate([one.out.ravel() for one in seen[:2]]))
    one = 512 if method == "efficient" else 1
    assert {0, one, -one} <= set(values)


@pytest.mark.parametrize(("method", "behind"), meeting(2, METHODS, POOLED))
def test_edges_of_pooled_stems(method, behind):
    # Channels whose values are all equal, at 0 too, in front of the second norm.
    config = config_of(method, {"channels": 31}, same(31), behind=behind)
    _, seen = run_checked(config, (8, 7, 3), steps=1, prepare=edges)
    assert np.isfinite(seen[0].trace.later["latent"]).all()
