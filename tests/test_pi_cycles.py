"""Measured rates (tools/pi_rates.py) on loops whose cycles are known; parsing (pi_cycles.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from pi_cycles import CORES, Block, Instruction
from pi_model import LIMITS
from pi_rates import bound

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


@pytest.mark.parametrize("tool", ["pi_model.py", "compare_peers.py"])
def test_tools_say_how_they_are_used(tool):
    path = Path(__file__).resolve().parents[1] / "tools" / tool
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
