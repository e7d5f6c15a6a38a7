"""The published memory formula against the published totals."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bnntrain.accounting import (
    MEASURED,
    measured_batch,
    printed_totals,
    published_bytes,
)
from bnntrain.compatibility import with_classes
from bnntrain.config import load_config
from bnntrain.graph import Published, build_graph

MIB = 1 << 20


def layer(inputs: int, outputs: int, weights: int, pooled: bool, channels: int) -> Published:
    """One weighted layer with its batch norm and pooling."""
    masked = outputs if pooled else 0
    return Published(inputs, max(inputs, outputs), channels, masked, weights)


def dense_chain(*sizes: int) -> list[Published]:
    return [layer(a, b, a * b, False, b) for a, b in pairwise(sizes)]


def conv_net(convolutions, dense, border: int) -> list[Published]:
    """Build 3x3 convolutions (channels, pooled) on 32x32x3, then dense layers.

    `border` is what a convolution takes off each dimension: 0 with zero padding, 2 without.
    """
    layers, channels, size = [], 3, 32
    for filters, pooled in convolutions:
        inputs = channels * size**2
        size -= border
        layers.append(
            layer(inputs, filters * size**2, 9 * channels * filters, pooled, filters)
        )
        channels, size = filters, size // 2 if pooled else size
    return layers + dense_chain(channels * size**2, *dense)


MLP = dense_chain(784, 256, 256, 256, 256, 10)
CNV = conv_net(
    [(64, False), (64, True), (128, False), (128, True), (256, False), (256, False)],
    [512, 512, 10],
    border=2,
)
BINARYNET = conv_net(
    [(128, False), (128, True), (256, False), (256, True), (512, False), (512, True)],
    [1024, 1024, 10],
    border=0,
)
NAMED = {
    "mlp": (MLP, (28, 28, 1)),
    "cnv": (CNV, (32, 32, 3)),
    "binarynet": (BINARYNET, (32, 32, 3)),
}


@pytest.mark.parametrize(
    ("layers", "batch", "moments", "standard_mib", "low_memory_mib"),
    [
        pytest.param(MLP, 100, 2, 7.41, 2.66, id="MLP"),
        pytest.param(CNV, 100, 2, 129.09, 32.92, id="CNV"),
        pytest.param(BINARYNET, 100, 2, 512.85, 138.15, id="BinaryNet"),
        pytest.param(BINARYNET, 100, 1, 459.36, 111.40, id="BinaryNet, one momentum"),
        pytest.param(BINARYNET, 100, 0, 405.87, 84.66, id="BinaryNet, no momentum"),
        pytest.param(BINARYNET, 40, 2, 333.55, 104.42, id="BinaryNet, batch 40"),
        pytest.param(BINARYNET, 1, 2, 217.01, 82.50, id="BinaryNet, batch 1"),
    ],
)
def test_totals(layers, batch, moments, standard_mib, low_memory_mib):
    for low_memory, total_mib in ((False, standard_mib), (True, low_memory_mib)):
        roles = published_bytes(layers, batch, low_memory, moments)
        assert round(sum(roles.values()) / MIB, 2) == total_mib


def test_rows_of_binarynet_and_their_types():
    expected_mib = {
        "X": (111.33, 3.48), "dX/Y": (50.0, 25.0), "mu, sigma": (0.03, 0.01), "dY": (50.0, 25.0),
        "W": (53.49, 26.74), "dW": (53.49, 1.67), "beta, dbeta": (0.03, 0.01),
        "momenta": (106.98, 53.49), "pooling masks": (87.50, 2.73),
    }  # fmt: skip
    for column, low_memory in enumerate((False, True)):
        roles = published_bytes(BINARYNET, 100, low_memory)
        rounded = {role: round(size / MIB, 2) for role, size in roles.items()}
        assert rounded == {role: row[column] for role, row in expected_mib.items()}


def test_bytes_are_whole_and_bits_round_up():
    roles = published_bytes(dense_chain(3, 3), batch=1, low_memory=True)
    assert all(isinstance(size, int) for size in roles.values())
    assert (roles["X"], roles["dW"], roles["pooling masks"]) == (1, 2, 0)


@pytest.mark.parametrize("name", NAMED)
def test_shipped_models_are_the_published_ones(name):
    layers, shape = NAMED[name]
    found = build_graph(load_config("digits", {"model": name}).model.layers, shape).published
    totals = [
        published_bytes(sizes, batch, low_memory, moments)
        for sizes in (layers, found)
        for batch in (1, 40, 100)
        for low_memory in (False, True)
        for moments in (0, 1, 2)
    ]
    assert totals[: len(totals) // 2] == totals[len(totals) // 2 :]
    masked = [[part.masked for part in parts if part.masked] for parts in (layers, found)]
    assert masked[0] == masked[1]


@pytest.mark.parametrize("name", NAMED)
def test_printed_totals_belong_to_one_network_and_batch(name):
    layers, _ = NAMED[name]
    row = printed_totals(name, layers, 100)
    printed = {"mlp": (7.40, 2.65), "cnv": (134.05, 32.16), "binarynet": (512.81, 138.15)}[name]
    assert (row.standard_mib, row.low_memory_mib) == printed
    assert printed_totals(name, layers, 99) is None
    assert printed_totals("other", layers, 100) is None
    assert printed_totals(name, layers[:-1], 100) is None
    for other in set(NAMED) - {name}:
        assert printed_totals(name, NAMED[other][0], 100) is None
    # The formula's distance from what is printed, as this file's subject states it.
    for low_memory, total in zip((False, True), printed, strict=True):
        mib = sum(published_bytes(layers, 100, low_memory).values()) / MIB
        assert abs(mib - total) < (0.04 * total if name == "cnv" else 0.045)


# Per image of 224x224: the sample, the inputs of sixteen binary convolutions, what three shortcuts
# pool, and the means; the stem's output, which is pooled too.
SAMPLE = 224 * 224 * 3
STAGES = [side * side * channels for side, channels in ((56, 64), (28, 128), (14, 256), (7, 512))]
BINARY = sum(4 * values for values in STAGES) + STAGES[0] + STAGES[1] + STAGES[2] - sum(STAGES[1:])
POOLED, MEANS, STEM = sum(STAGES[:3]), 512, 112 * 112 * 64
BINARY_WEIGHTS = 9 * sum(4 * a * a for a in (64, 128, 256, 512)) - 9 * sum(
    2 * a * a for a in (64, 128, 256)
)
WEIGHTS = BINARY_WEIGHTS + 49 * 3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1000


@pytest.mark.parametrize(("name", "norms"), [("resnete18", 4864), ("bireal18", 4800)])
def test_residual_networks_for_imagenet(name, norms):
    config = with_classes(load_config("digits", {"model": name}), 1000)
    parts = build_graph(config.model.layers, (224, 224, 3)).published
    batch, gib = 4096, 1 << 30
    totals = []
    for low_memory in (False, True):
        bits, one = (16, 1) if low_memory else (32, 32)
        expected = {
            "X": batch * (32 * SAMPLE + one * BINARY + bits * (POOLED + MEANS)),
            "dX/Y": batch * bits * STEM,
            "mu, sigma": 2 * norms * bits,
            "dY": batch * bits * STEM,
            "W": WEIGHTS * bits,
            "dW": WEIGHTS * one,
            "beta, dbeta": 2 * norms * bits,
            "momenta": 2 * WEIGHTS * bits,
            "pooling masks": batch * one * STEM,
        }
        found = published_bytes(parts, batch, low_memory)
        assert {role: 8 * size for role, size in found.items()} == expected
        totals.append(round(sum(found.values()) / gib, 2))
    assert totals == [70.24, 18.48]
    row = printed_totals(name, parts, batch)
    assert row.text == "70.11 and 18.54 GiB"
    assert printed_totals(name, parts, 100) is None
    assert printed_totals(name, parts[:-1], batch) is None


def test_what_was_measured_stands_beside_the_same_network_and_batch_only():
    mlp = dense_chain(784, 256, 256, 256, 256, 10)
    assert measured_batch("mlp", mlp, 200) == MEASURED["mlp"]
    assert MEASURED["mlp"].joules == 1.42
    assert measured_batch("mlp", mlp, 100) is None
    assert measured_batch("mlp", mlp[1:], 200) is None
    assert measured_batch("other", mlp, 200) is None
