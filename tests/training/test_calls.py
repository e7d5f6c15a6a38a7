"""The counted calls of a step are those of a real one, to the last."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from harness import conv_layers, fill_batch, make_config, make_program
from recorded_calls import recorded
from residual_kit import METHODS, STEMS, half, layers_of, same

from bnntrain import kernels
from bnntrain.calls import Call, Pass, Traffic, count_calls
from bnntrain.graph import POOLS

NETWORKS = {
    "dense": ([70, 130, 10], 200, {"batch": 9}),
    "wide batch": ([20, 5], 65, {"batch": 67}),
    "products in pieces": ([1040, 1030, 10], 65, {"batch": 5}),
    "dense of 8 bits": ([70, 130, 10], 200, {"batch": 9, "gradient_bits": 8}),
    "8 bits": (
        conv_layers({"channels": 70}, {"channels": 66}), (6, 5, 3), {"gradient_bits": 8, "batch": 3}
    ),
    "two words": (
        conv_layers({"channels": 130}, {"channels": 70, "kernel": 5, "pool": "before_norm"}),
        (9, 9, 3), {"batch": 5},
    ),
    "strides": (
        conv_layers(
            {"channels": 64, "stride": 2}, {"channels": 8, "padding": "valid", "pool": "after_sign"}
        ),
        (15, 14, 2), {"batch": 7},
    ),
    "sign": ([66, 10], 64, {"batch": 4, "optimizer": {"name": "sign"}}),
    "sign-momentum": (
        conv_layers({"channels": 9}, {"channels": 130}), (8, 8, 1),
        {"batch": 30, "optimizer": {"name": "sign-momentum"}},
    ),
} | {
    pool: (
        conv_layers({"channels": 20, "pool": pool}, {"channels": 70, "pool": pool}, dense=(12, 4)),
        (17, 18, 3), {"batch": 4},
    )
    for pool in POOLS
} | {
    f"{pool}, {method}": (
        conv_layers({"channels": 20, "pool": pool}, {"channels": 70, "pool": pool}, dense=(12, 4)),
        (9, 8, 3), {"batch": 4, "method": method},
    )
    for pool in POOLS
    for method in ("standard", "wang2021")
} | {
    "measured scales": ([70, 130, 10], 200, {"batch": 9, "gradient_scale": "current"}),
    "stored masks": (
        conv_layers({"channels": 9}, {"channels": 66, "pool": "after_sign"}), (6, 6, 2),
        {"batch": 3, "mask": "bit"},
    ),
    "bits of dW": (
        [70, 130, 10], 100, {"batch": 9, "weight_gradient": "bit", "optimizer": {"name": "bop"}}
    ),
} | {
    f"residual, {method}": (
        layers_of({"channels": 70}, same(70), half(80), relu=True), (8, 6, 3),
        {"batch": 4, "method": method},
    )
    for method in METHODS
} | {
    f"stem, {method}": (
        layers_of({"channels": 66, "kernel": 7, "stride": 2}, same(66), behind=STEMS[-1]),
        (18, 14, 3), {"batch": 4, "method": method},
    )
    for method in METHODS
}  # fmt: skip


def program_of(layers, sample, options, threads=1, isa="portable"):
    """Return a program."""
    return make_program(make_config(layers, **options), sample, threads=threads, isa=isa)


def step(program, number):
    """Take a step on random data; the former one's lie where other buffers have been since."""
    fill_batch(program, np.random.default_rng(number))
    program.train_batch(len(program.x), number, 1e-3)


def counted(layers, sample, options, threads=1):
    """Count a step of such a program: its passes."""
    return count_calls(program_of(layers, sample, options, threads, kernels.COUNTING))


def together(passes):
    """Sum the calls of all passes."""
    return sum((one.calls for one in passes), Counter())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_counted_calls_are_those_of_a_step(network, threads):
    program = program_of(*NETWORKS[network], threads=threads)
    step(program, 0)  # the run's first step also measures scales
    with recorded() as calls:
        step(program, 1)
    assert together(counted(*NETWORKS[network], threads=threads)) == calls


@pytest.mark.parametrize("network", NETWORKS)
def test_passes_are_the_zones_whose_time_is_measured(network):
    program = program_of(*NETWORKS[network])
    step(program, 0)
    seconds = program.profile(True)
    step(program, 1)
    measured = {
        (one.name, zone)
        for one, row in zip(program.steps, seconds.tolist(), strict=True)
        for zone, spent in zip(kernels.ZONES, row, strict=True)
        if spent > 0
    }
    passes = counted(*NETWORKS[network])
    names = {(one.layer, one.name) for one in passes}
    # Code of the step itself gathers patches, stores a dW of signs and lays out real gradients;
    # what has real weights adds up and normalises by itself.
    zones = ("gather", "update", "tables")
    own = {
        (one.name, zone) for one in program.steps
        for zone in (kernels.ZONES if one.has_real_weights else zones)
    }  # fmt: skip
    assert names - {("all", "loss")} <= measured <= names | own


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_called_outside_of_blocks_is_the_loss(network):
    (loss,) = (one for one in counted(*NETWORKS[network]) if one.layer == "all")
    ops = {call.op for call in loss.calls}
    assert loss.name == "loss"
    assert "softmax_f32" in ops
    assert ops <= {"softmax_f32", "quantise_f32_i8", "convert_f32_f16"}


@pytest.mark.parametrize("network", ["dense", "before_norm", "after_sign", "residual, efficient"])
def test_shares_of_threads_are_the_step_and_the_first_is_the_largest(network):
    alone, shared = (counted(*NETWORKS[network], threads=threads) for threads in (1, 3))
    assert {share for one in shared for share in one.shares} == {0, 1, 2}
    assert sum(one.macs for one in alone) == sum(one.macs for one in shared)
    for one in shared:
        macs = {
            share: sum(call.macs * times for call, times in calls.items())
            for share, calls in one.shares.items()
        }
        assert max(macs.values()) == macs[0]


def test_counting_leaves_no_trace():
    """Real steps are the same after a step was counted, and count nothing themselves."""
    layers, sample, options = NETWORKS["dense"]
    program, other = program_of(layers, sample, options), program_of(layers, sample, options)
    step(program, 0)
    first, again = counted(layers, sample, options), counted(layers, sample, options)
    assert first == again
    step(other, 0)
    assert program.weights_sha256() == other.weights_sha256()


def test_counting_kernels_are_no_instruction_set():
    assert kernels.COUNTING not in kernels.supported_isas()
    with pytest.raises(ValueError, match="isa"):
        kernels.isa_includes(kernels.COUNTING, "portable")


def test_multiplications_of_calls():
    def macs(op, **sizes):
        return Call(op, tuple(sizes.get(name, 1) for name in kernels.call_sizes()[op])).macs

    assert macs("xnor_gemm_u1_i32", rows=2, columns=3, depth=64) == 2 * 3 * 64
    assert macs("gemm_i8_u1_i32", rows=2, columns=3, depth=5, reuse=0) == 2 * 3 * 5
    assert macs("gemm_f32", rows=2, columns=3, depth=5) == 2 * 3 * 5
    assert macs("lookup_gemm_i32", rows=2, columns=3, taps=9, groups=4, add=0) == 2 * 3 * 9 * 4 * 16
    assert macs("binarise_i32_u1", rows=2, columns=3) == 0


@pytest.mark.parametrize("method", ["efficient", "standard", "wang2021"])
def test_products_of_a_dense_network_are_three_and_a_recompute(method):
    macs = sum(one.macs for one in counted([64, 16], 100, {"batch": 16, "method": method}))
    first, last = 16 * 100 * 64, 16 * 64 * 16
    assert macs == 3 * first + 4 * last  # no dX of the first block


def moved(passes, layer, name, cache):
    """Return the bytes that a pass moves past a cache."""
    return sum(
        one.bytes_beyond(cache) for one in passes if (one.layer, one.name) == (layer, name)
    )


def test_bytes_that_a_cache_does_not_hold_are_those_of_the_arrays_that_are_gone_over():
    """A dense block of two tiles: weights go by once, the input once a tile."""
    batch, inputs, outputs = 32, 4096, 128
    passes = counted([4096, outputs, 10], 64, {"batch": batch})
    bits = batch * inputs // 8
    assert moved(passes, "dense2", "pack", 0) >= 2 * inputs * outputs
    # X for both tiles, and the signs of the weights.
    assert moved(passes, "dense2", "forward", 0) == 2 * bits + inputs * outputs // 8
    # A cache of X and of the signs holds either; the pass goes over nothing larger.
    assert moved(passes, "dense2", "forward", 2 * inputs * outputs // 8) == 0
    assert moved(passes, "dense2", "forward", bits) == inputs * outputs // 8
    # Latent weights and moments, read and written, are larger than that.
    assert moved(passes, "dense2", "update", inputs * outputs // 2) == 4 * inputs * outputs


def test_arrays_that_fit_a_cache_cost_no_traffic():
    one = Pass("dense1", "update", traffic=[Traffic(1000, 5000), Traffic(100, 900)])
    assert one.bytes_beyond(500) == 5000
    assert one.bytes_beyond(1000) == 0
