"""Instructions beyond plain Armv8-A (tools/arm_code.py), in listings as objdump writes them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import arm_code
from arm_code import find, is_beyond, reached

LISTING = """
kernels/grad/neondot.o:     file format elf64-littleaarch64

0000000000000000 <lay>:
   0:	ld1	{v0.16b}, [x0]

0000000000000010 <tile>:
  10:	sdot	v4.4s, v0.16b, v1.4b[0]
  14:	add	v4.8h, v4.8h, v5.8h
  18:	udot	v4.4s, v0.16b, v1.16b
"""
LOG = """
IN: tile
0x00000010:  4e809401  .byte    0x01, 0x94, 0x80, 0x4e
0x00000014:  4e658484  add      v4.8h, v4.8h, v5.8h
"""


@pytest.mark.parametrize(
    ("mnemonic", "operands", "beyond"),
    [
        ("sdot", "v1.4s, v0.16b, v0.16b", True),
        ("udot", "v1.2s, v0.8b, v2.4b[1]", True),
        ("smmla", "v1.4s, v0.16b, v0.16b", True),
        ("fadd", "v0.8h, v1.8h, v2.8h", True),
        ("fmul", "h0, h1, h2", True),
        ("scvtf", "v0.4h, v1.4h", True),
        ("fmla", "v0.4s, v1.4s, v2.4s", False),
        ("fcvtl", "v0.4s, v1.4h", False),
        ("fcvt", "s0, h1", False),
        ("fcvtn2", "v0.8h, v1.4s", False),
        ("fcvtzs", "v0.8h, v1.8h", True),
        ("add", "v0.8h, v1.8h, v2.8h", False),
        ("ldr", "h0, [x1]", False),
    ],
)
def test_what_a_cortex_a53_lacks(mnemonic, operands, beyond):
    assert is_beyond(mnemonic, operands) is beyond


def test_a_listing_and_a_log_of_what_was_reached():
    found = find(LISTING.splitlines())
    assert [(each.function, each.mnemonic) for each in found] == [
        ("tile", "sdot"), ("tile", "udot"),
    ]  # fmt: skip
    assert reached(LOG.splitlines(), found) == {0x10}


def test_only_the_objects_of_neondot_may_have_them(monkeypatch):
    monkeypatch.setattr(arm_code, "disassemble", lambda path: LISTING.splitlines())
    assert arm_code.check_objects([Path("kernels/grad/neondot.o")]) == {"tile"}
    with pytest.raises(SystemExit, match=r"neon\.o: not for every ARM: tile"):
        arm_code.check_objects([Path("kernels/grad/neondot.o"), Path("kernels/grad/neon.o")])
    with pytest.raises(SystemExit, match="no dot product anywhere"):
        arm_code.check_objects([])
    assert len(arm_code.check_linked(Path("it.so"), {"tile", "lay"})) == 2
    with pytest.raises(SystemExit, match=r"it\.so: not for every ARM: tile"):
        arm_code.check_linked(Path("it.so"), {"lay"})
