"""A packed network gives, bit for bit, what the equations give with running statistics."""

from __future__ import annotations

import math
from functools import partial

import checking
import numpy as np
import pytest
from harness import conv_layers, own_views
from hypothesis import given, reject
from hypothesis import strategies as st
from oracle import logits_of
from packing import trained

from bnntrain import kernels
from bnntrain.graph import POOLS, ShapeError
from bnntrain.packed import Network
from bnntrain.program import Program

METHODS = ("standard", "wang2021", "efficient")
BATCH = 13
# Odd sizes, strides, both paddings, channels that fill no word, one tap, a sample of one channel.
NETWORKS = {
    "odd": ((9, 7, 3), ({"channels": 70}, {"channels": 33, "stride": 2, "padding": "valid"})),
    "wide": ((11, 11, 1), ({"channels": 5, "kernel": 5, "stride": 2}, {"channels": 130})),
    "words": ((8, 8, 2), ({"channels": 64}, {"channels": 20, "kernel": 1})),
    "large": ((6, 5, 4), ({"channels": 66, "kernel": 7}, {"channels": 64, "kernel": 4})),
}


def pooled(name: str, pool: str) -> tuple[list[object], tuple[int, int, int]]:
    """Return a network's layers and sample, with pooling at this place behind a convolution."""
    sample, (first, second) = NETWORKS[name]
    at = 1 if name == "wide" else 0
    convs = [{**each, "pool": pool} if i == at else each for i, each in enumerate((first, second))]
    return conv_layers(*convs, dense=(90, 7)), sample


check = partial(checking.check, logits_of)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
def test_convolutions(method, name, pool):
    layers, sample = pooled(name, pool)
    check(*trained(layers, sample, method, BATCH))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("norm", ["l1", "l1-binary", "l2"])
def test_norms(norm, pool):
    layers, sample = pooled("odd", pool)
    check(*trained(layers, sample, "efficient", BATCH, norm=norm))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sizes", [[7], [64, 7], [130, 65, 3]])
def test_dense_networks(method, sizes):
    check(*trained(sizes, (3, 5, 2), method, BATCH))


@pytest.mark.parametrize("latent", ["int8", "int16", "float16", "float32"])
def test_latent_weights(latent):
    layers, sample = pooled("odd", "before_norm")
    check(*trained(layers, sample, "efficient", BATCH, latent=latent))


@pytest.mark.parametrize("pool", POOLS)
def test_layers_that_differ(pool):
    layers, sample = pooled("odd", pool)
    own = [
        {"norm": "l1-binary", "latent": "float16"},
        {"activation": "float32", "mask": "retained", "norm": "l1"},
        {"latent": "int16"},
    ]
    check(*trained(layers, sample, "efficient", BATCH, own=own))


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("isa", kernels.supported_isas())
def test_instruction_sets_and_threads(isa, threads):
    for pool in POOLS:
        layers, sample = pooled("wide", pool)
        check(*trained(layers, sample, "efficient", BATCH), isa, threads)


@pytest.mark.parametrize("batch", [1, 3, 200])
def test_batches(batch):
    """What is worked on together does not show; more rows than a tile of products has."""
    layers, sample = pooled("odd", "before_norm")
    program, source = trained(layers, sample, batch=210)
    wanted = logits_of(program, program.x.astype(float))
    network = Network(source, 2, kernels.selected_isa(), batch)
    for first in range(0, 210, batch):
        rows = min(batch, 210 - first)
        network.x[:rows] = program.x[first : first + rows]
        network.run(rows)
        assert np.array_equal(network.logits[:rows], wanted[first : first + rows])


# Where real activations and exact thresholds differ ----------------------------------------------


def set_near_a_product(program: Program, name: str, random: np.random.Generator) -> None:
    """Let z of a block pass zero at a whole number, where its rounding decides the sign."""
    views = own_views(program, name)
    channels = len(views["beta"])
    views["gamma"][...] = random.uniform(0.3, 2, channels) * random.choice([-1, 1], channels)
    views["running_mean"][...] = random.normal(0, 3, channels)
    views["running_spread"][...] = random.uniform(1, 50, channels)
    inverse = 1 / np.sqrt(views["running_spread"].astype(float) + kernels.NORM_EPSILON)
    zero = random.integers(-4, 5, channels)
    views["beta"][...] = -views["gamma"] * inverse * (zero - views["running_mean"])


@pytest.mark.parametrize("pool", POOLS)
def test_signs_of_rounded_reals(pool):
    random = np.random.default_rng(5)
    layers = conv_layers({"channels": 512, "kernel": 2, "pool": pool}, dense=(256, 7))
    program, source = trained(layers, (8, 8, 1), "standard", 32)
    program.x[...] = random.integers(-1, 2, program.x.shape)
    for name in ("conv1", "dense2"):
        set_near_a_product(program, name, random)
    into = {}
    for layer in source.layers():
        for tensor in layer.tensors:
            into[tensor.name] = np.zeros(tensor.storage[1], tensor.storage[0])
    source.read(into)
    if pool == "after_sign":
        assert not np.array_equal(into["conv1.choice"], into["conv1.threshold"])
    check(program, source)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("gamma", "beta"), [(0, 0), (0, -1), (-0.0, 1), (1e-38, -1), (-1e-38, 0)])
def test_channels_that_are_constant(method, gamma, beta):
    layers, sample = pooled("odd", "before_sign")
    program, source = trained(layers, sample, method, BATCH)
    for step in program.steps[:-1]:
        views = own_views(program, step.name)
        views["beta"][...] = beta
        if "gamma" in views:
            views["gamma"][::2] = gamma
    check(program, source)


def test_weights_lie_in_the_arena_once():
    sizes = [1024, 1024, 10]
    _, source = trained(sizes, (8, 8, 1), batch=2, steps=0)
    network = Network(source, 1, kernels.selected_isa(), 1)
    weights = sum(math.prod(layer.lines) // 8 for layer in source.layers())
    assert weights < network.arena_bytes < weights + (160 << 10)
    assert network.arena_bytes == network.plan.total_bytes


CONVOLUTIONS = st.fixed_dictionaries({
    "channels": st.sampled_from([1, 3, 63, 64, 65, 130]), "kernel": st.integers(1, 4),
    "stride": st.sampled_from([1, 2]), "padding": st.sampled_from(["same", "valid"]),
    "pool": st.sampled_from(list(POOLS)),
})  # fmt: skip


@given(
    method=st.sampled_from(METHODS), convs=st.lists(CONVOLUTIONS, max_size=3),
    dense=st.lists(st.integers(2, 140), min_size=1, max_size=3),
    sample=st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3])),
    seed=st.integers(0, 99), threads=st.integers(1, 3),
)  # fmt: skip
def test_any_network(method, convs, dense, sample, seed, threads):
    layers = conv_layers(*convs, dense=tuple(dense)) if convs else dense
    try:
        program, source = trained(layers, sample, method, BATCH, 1, seed)
    except ShapeError:
        reject()
    check(program, source, threads=threads)
