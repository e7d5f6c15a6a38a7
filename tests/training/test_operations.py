"""The counted operations of a step are the calls of a real one, to the last."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from harness import conv_layers, make_config, make_program
from recorded_calls import fields, recorded, signatures

from bnntrain import kernels
from bnntrain.errors import UsageError
from bnntrain.graph import POOLS
from bnntrain.operations import Call, Traffic, count_operations, sizes_of

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
}  # fmt: skip


def program_of(layers, sample, options, threads=1):
    """Return a model on the portable kernels, with random data in its batch."""
    program = make_program(make_config(layers, **options), sample, threads=threads, isa="portable")
    rng = np.random.default_rng(0)
    program.x[...] = rng.integers(-128, 128, program.x.shape)
    program.labels[...] = rng.integers(0, program.classes, program.labels.shape)
    return program


def counted(program):
    """Sum the counted calls of all passes."""
    return sum((one.calls for one in count_operations(program.steps, program.plan)), Counter())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_counted_operations_are_the_calls_of_a_step(network, threads):
    program = program_of(*NETWORKS[network], threads=threads)
    batch = len(program.x)
    program.train_batch(batch, 0, 1e-3)  # the run's first step also measures scales
    with recorded() as calls:
        program.train_batch(batch, 1, 1e-3)
    assert counted(program) == calls


@pytest.mark.parametrize("network", NETWORKS)
def test_passes_are_the_phases_whose_time_is_measured(network):
    program = program_of(*NETWORKS[network])
    batch = len(program.x)
    program.train_batch(batch, 0, 1e-3)
    for block in program.steps:
        block.set_profiling(True)
    program.train_batch(batch, 1, 1e-3)
    measured = {
        (block.name, phase)
        for block in program.steps
        for phase, seconds in zip(kernels.PHASES, block.profile.tolist(), strict=True)
        if seconds > 0
    }
    passes = count_operations(program.steps, program.plan)
    names = {(one.layer, one.name) for one in passes if one.calls}
    # Patches are gathered by code of the block itself.
    gathered = {(block.name, "gather") for block in program.steps if block.kind == "conv"}
    assert measured == names - {("all", "loss")} | gathered


def test_every_operation_has_the_sizes_that_its_call_names():
    known = signatures()
    for op in fields():
        if op not in ("update_real", "gemm_f32"):
            assert set(sizes_of(op)) <= set(known[op][0]), op


def test_work_of_calls():
    assert Call("xnor_gemm_u1_i32", (2, 3, 64)).macs == 2 * 3 * 64
    assert Call("gemm_i8_u1_i32", (2, 3, 5, 1)).macs == 2 * 3 * 5
    assert Call("lookup_gemm_i32", (2, 3, 9, 4, 1)).macs == 2 * 3 * 9 * 4 * 16
    assert Call("binarise_i32_u1", (2, 3)).macs == 0
    assert Call("binarise_i32_u1", (2, 3)).work == 6


def test_products_of_a_dense_network_are_three_and_a_recompute():
    program = program_of([64, 16], 100, {"batch": 16})
    macs = sum(call.macs * times for call, times in counted(program).items())
    first, last = 16 * 100 * 64, 16 * 64 * 16
    assert macs == 3 * first + 4 * last  # no dX of the first block


def test_arrays_that_fit_a_cache_cost_no_traffic():
    (one, *_) = count_operations((program := program_of([64, 10], 100, {})).steps, program.plan)
    one.traffic = [Traffic(1000, 5000), Traffic(100, 900)]
    assert one.bytes_beyond(500) == 5000
    assert one.bytes_beyond(1000) == 0


def test_other_methods_are_refused():
    program = program_of([64, 10], 100, {"method": "wang2021"})
    with pytest.raises(UsageError, match="Give 'efficient'"):
        count_operations(program.steps, program.plan)
