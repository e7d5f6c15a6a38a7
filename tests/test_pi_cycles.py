"""Measured rates (tools/pi_rates.py) on loops whose cycles are known; parsing (pi_cycles.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from pi_cycles import Block, Instruction
from pi_rates import bound

# A step of an XNOR tile of 4 by 4, 2048 MAC, as the head of kernels/xnor/neon.c counts it.
XNOR = (
    ["ldp\tq0, q1, [x2]"] * 4
    + ["eor\tv1.16b, v2.16b, v3.16b", "cnt\tv1.16b, v1.16b", "add\tv4.16b, v4.16b, v1.16b"] * 16
)
LOOKUP = ["tbl\tv0.16b, {v1.16b}, v2.16b"] * 3


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        (XNOR, {"A53": 64, "A72": 2048 / 53, "A76": 24}),
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
