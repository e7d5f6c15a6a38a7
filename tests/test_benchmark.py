"""Benchmarks: every kernel has a case, the limits are above nought, a profiled step adds up."""

import json
import subprocess
import sys

import numpy as np
import pytest

from bnntrain import api, kernels
from bnntrain.benchmark import bench_step
from bnntrain.kernel_cases import ELEMENTWISE, PRODUCTS


def test_every_operation_has_exactly_one_case():
    operations = {op for op, _ in kernels.implementations()}
    assert operations == set(PRODUCTS) | set(ELEMENTWISE)
    assert not set(PRODUCTS) & set(ELEMENTWISE)


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_an_elementwise_case_runs_on_every_instruction_set(op):
    call, values = ELEMENTWISE[op](np.random.default_rng(0))
    for name, isa in kernels.implementations():
        if name == op and isa in kernels.supported_isas():
            call(isa)
    assert values > 0


@pytest.mark.parametrize("isa", kernels.supported_isas())
def test_limits_are_known_for_the_vector_instruction_sets(isa):
    limits = {op: kernels.product_limit(op, isa, 1000) for op in PRODUCTS}
    if isa == "portable":
        assert set(limits.values()) == {None}
    else:
        assert all(limit > 0 for limit in limits.values())
    assert kernels.product_limit("pack_i8_u1", isa, 1000) is None


def test_a_limit_needs_an_instruction_set_of_this_machine():
    with pytest.raises(ValueError, match="isa"):
        kernels.product_limit("gemm_f32", "mmx", 10)


@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
def test_a_profiled_step_names_every_phase_and_adds_up(method):
    prepared = api.prepare("digits", {"method": method, "train.threads": 1})
    result = bench_step(prepared, steps=6, warmup=1)
    assert result["method"] == method
    assert result["batch_size"] == 50
    assert 0 <= result["outside_kernels_share"] < 1
    found = {(row["op"], row["layer"]) for row in result["kernels"]}
    assert {("read", "all"), ("loss", "all")} <= found
    for layer in ("dense1", "dense2", "dense3"):
        assert {op for op, name in found if name == layer} >= {
            "forward",
            "recompute",
            "weight_gradient",
            "update",
        }
    # The first block hands no gradient on.
    assert {name for op, name in found if op == "input_gradient"} == {"dense2", "dense3"}
    for row in result["kernels"]:
        assert (row["gmac_per_s"] is not None) == (row["op"] in kernels.PRODUCT_PHASES)


def bnntrain(*arguments):
    return subprocess.run(
        [sys.executable, "-P", "-m", "bnntrain", *arguments], capture_output=True, text=True
    )


def test_bench_prints_the_documented_json():
    done = bnntrain("bench", "--op", "gemm_i8_u1_i32", "--isa", "portable", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows
    assert all(
        set(row) == {"op", "isa", "threads", "shape", "gmac_per_s", "limit_gmac_per_s"}
        for row in rows
    )
    assert {row["isa"] for row in rows} == {"portable"}


def test_bench_step_prints_the_documented_json():
    done = bnntrain("bench", "--step", "digits", "--steps", "4", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {
        "seconds_per_batch",
        "batch_size",
        "method",
        "isa",
        "threads",
        "kernels",
        "outside_kernels_share",
    }


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--op", "gem"], "--op"),
        (["--isa", "sse9"], "--isa"),
        (["--epochs", "3"], "--step CONFIG"),
        (["--step", "nosuch"], "nosuch"),
        (["--steps", "0"], "--steps"),
    ],
)
def test_bench_refuses_what_it_does_not_know(arguments, fragment):
    done = bnntrain("bench", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert fragment in done.stderr
