"""Measured rates (tools/pi_rates.py) on loops whose cycles are known; parsing (pi_cycles.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from pi_blocks import arguments_of, samples_of
from pi_cycles import CORES, Block, Instruction
from pi_model import LIMITS
from pi_rates import bound

from bnntrain import api

ROOT = Path(__file__).resolve().parents[1]
LOAD = "ldr\tq0, [x2]"
BROADCAST = "ld4r\t{v4.16b, v5.16b, v6.16b, v7.16b}, [x1]"
LOOKUP = ["tbl\tv0.16b, {v1.16b}, v2.16b"] * 3
ADD, SDOT = "add\tv4.16b, v4.16b, v1.16b", "sdot\tv0.4s, v1.16b, v2.16b"

# Products by file: cores, MAC and instructions of what its head counts.
LOOPS = {
    "xnor/neon.c": (
        "xnor_gemm_u1_i32", CORES, 2048,
        [LOAD] * 4 + [BROADCAST]
        + ["eor\tv1.16b, v2.16b, v3.16b", "cnt\tv1.16b, v1.16b", ADD] * 16,
    ),
    "lookup/neon.c": (
        "lookup_gemm_i32", ("A53", "A72"), 1024,
        [LOAD] * 8 + ["and\tv1.16b, v2.16b, v3.16b", "ushr\tv1.16b, v2.16b, #0x4"] * 4
        + LOOKUP[:1] * 16 + [ADD] * 8 + ["saddw\tv0.8h, v0.8h, v1.8b"] * 16,
    ),
    "lookup/neondot.c": (
        "lookup_gemm_i32", ("A76",), 1024,
        [LOAD] * 12 + ["tbl\tv0.16b, {v1.16b, v2.16b}, v3.16b", "sadalp\tv0.8h, v1.16b"] * 16,
    ),
    "grad/neon.c": (
        "gemm_i8_u1_i32", ("A53", "A72"), 128,
        [LOAD] * 2 + [BROADCAST] + ["smlal\tv0.8h, v1.8b, v2.8b"] * 16,
    ),
    "grad/neon_bytes.c": (
        "gemm_i8_i8_i32", ("A53", "A72"), 768,
        [LOAD] * 28 + ["smull\tv0.8h, v1.8b, v2.8b"] * 96 + ["sadalp\tv0.4s, v1.8h"] * 12,
    ),
    "grad/neondot.c": ("gemm_i8_i8_i32", ("A76",), 256, [LOAD] * 5 + [SDOT] * 16),
}  # fmt: skip


@pytest.mark.parametrize("file", LOOPS)
def test_the_limits_of_inner_loops_are_those_of_their_heads(file):
    op, cores, macs, loop = LOOPS[file]
    head = (ROOT / "kernels" / file).read_text().partition("*/")[0]
    for core in cores:
        limit = LIMITS[op][tuple(CORES).index(core)]
        assert macs / bound(loop, core) == pytest.approx(limit, rel=0.01), core
        assert f" {limit:g} " in head.partition("The limit")[2], core


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        (["ld1r\t{v4.16b}, [x1]"], {"A53": 1, "A72": 1, "A76": 0.5}),
        ([BROADCAST], {"A53": 2, "A72": 3, "A76": 2}),
        (LOOKUP, {"A53": 3, "A72": 4.5, "A76": 1.5}),
        (["tbl\tv0.16b, {v1.16b, v2.16b}, v3.16b"], {"A53": 2, "A76": 0.5}),
        (["sadalp\tv0.4s, v1.8h"], {"A53": 2, "A72": 1, "A76": 1}),
        (["sdot\tv0.4s, v1.16b, v2.16b"] * 2, {"A76": 1}),
        (["smlal\tv0.8h, v1.8b, v2.8b"] * 2, {"A53": 2, "A72": 2, "A76": 2}),
        (["add\tx0, x0, #0x1", "b.ne\t.Lthere"], {"A53": 1, "A76": 0.5}),
    ],
)
def test_bounds_of_known_loops(text, cycles):
    for core, expected in cycles.items():
        assert bound(text, core) == pytest.approx(expected, rel=0.04), core


def test_a_block_that_branches_to_its_beginning_is_a_loop():
    lines = [Instruction(0x400, "add\tx0, x0, #0x1"), Instruction(0x404, "b.ne\t400 <f+0x10>")]
    assert Block(lines, 5, "f").is_loop
    assert Block(lines, 5, "f").executed == 10
    assert not Block(lines[1:], 5, "f").is_loop
    assert lines[1].is_branch
    assert lines[1].target == 0x400


SAME = {"conv": {"channels": 64}}
STEM = {"conv": {"channels": 64, "kernel": 7, "stride": 2, "weights": "real"}}
POINTWISE = {"conv": {"channels": 70, "kernel": 1, "weights": "real"}}
HALF = {"conv": {"channels": 70, "stride": 2}}
RESIDUAL = [
    STEM, "batch_norm", "relu", {"max_pool": {"size": 3, "stride": 2, "padding": "same"}},
    "batch_norm",
    {"residual": {"layers": ["sign", SAME, "batch_norm"]}},
    {
        "residual": {
            "shortcut": ["avg_pool", POINTWISE, "batch_norm"],
            "layers": ["sign", HALF, "batch_norm"],
        }
    },
    "global_avg_pool", {"dense": {"units": 10, "weights": "real"}},
]  # fmt: skip


def test_steps_of_residual_networks_are_described_to_the_driver():
    # On 32x32 images of three colours: 16x16 behind the convolution, 8x8 behind the pool.
    overrides = {"model": {"layers": RESIDUAL}, "train.batch_size": 6, "train.threads": 2}
    prepared = api.prepare("cifar_smoke", overrides)
    stem, same, shortcut, half, head = [
        arguments_of(step, prepared.plan) for step in prepared.steps
    ]
    shared = (6, 2)  # images, threads
    assert stem == ("stem", 32, 32, 3, 7, 2, 2, 2, 16, 16, 0, 64, *shared, 8, 8, 0, 0, 1, 1)
    assert same[:14] == ("residual", 8, 8, 64, 3, 1, 1, 1, 8, 8, 0, 64, *shared)
    # Not the first, with a limit, not flattened, with taps outside. The shortcut begins the
    # gradient that the others add to.
    assert (same[14], *same[17:]) == (0, 31, 0, 1, 1)
    assert shortcut[0] == "real_conv"
    assert shortcut[1:14] == (4, 4, 64, 1, 1, 0, 0, 4, 4, 0, 70, *shared)
    assert shortcut[14:] == (8, 8, 2, 0)
    assert half[:14] == ("residual", 8, 8, 64, 3, 2, 0, 0, 4, 4, 0, 70, *shared)
    assert half[-1] == 1
    assert head == ("head", 70, 10, *shared, 16, 0)


def test_a_stem_is_emulated_on_a_few_images():
    overrides = {"model": {"layers": RESIDUAL}, "train.batch_size": 6, "train.threads": 2}
    prepared = api.prepare("cifar_smoke", overrides)
    stem, *others = prepared.steps
    few = samples_of(stem, prepared.plan)
    images = [sizes[12] for sizes, _ in few]
    assert max(images) < 6
    assert sum(weight for _, weight in few) == pytest.approx(1)
    assert sum(weight * n for (_, weight), n in zip(few, images, strict=True)) == pytest.approx(6)
    for other in others:
        assert samples_of(other, prepared.plan) == [(arguments_of(other, prepared.plan), 1.0)]


@pytest.mark.parametrize("tool", ["pi_model.py", "compare_peers.py"])
def test_tools_say_how_they_are_used(tool):
    path = Path(__file__).resolve().parents[1] / "tools" / tool
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
