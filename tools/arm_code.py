#!/usr/bin/env python3
"""Finds the instructions in compiled kernels that a Cortex-A53 or A72 does not have.

Those are the dot products and the arithmetic in float16 of Armv8.2-A. They may stand in functions
of ``kernels/*/neondot.c`` alone, which are called where the processor reports them.

    tools/arm_code.py OBJECT... [--linked FILE] [--reached LOG]

With ``--linked`` the same is asked of the program or extension that was linked from the objects;
with ``--reached`` the log of ``qemu-aarch64-static -d in_asm`` tells how many of its instructions
an emulated processor came to.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# What may stand only there, by the names of objects (kernels/grad/neondot.o).
ALLOWED = "neondot"
_FUNCTION = re.compile(r"^([0-9a-f]+) <(.+)>:$")
_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(\S+)\s*(.*)$")
_REACHED = re.compile(r"^0x([0-9a-f]+):")
_DOT = re.compile(r"[su]dot|usdot|sudot|u?smmla|ummla|bf(dot|mmla|mlal[bt])")
_HALF = re.compile(r"\bh\d+\b|\bv\d+\.[48]h\b")
# Plain Armv8-A converts between float16 and float32 or float64, and no more.
_CONVERSIONS = ("fcvt", "fcvtl", "fcvtl2", "fcvtn", "fcvtn2")


@dataclass(frozen=True)
class Found:
    """An instruction beyond plain Armv8-A: address, function, mnemonic."""

    address: int
    function: str
    mnemonic: str


def is_beyond(mnemonic: str, operands: str) -> bool:
    """Whether an instruction is a dot product or arithmetic in float16."""
    if _DOT.fullmatch(mnemonic):
        return True
    is_float = mnemonic.startswith(("f", "scvtf", "ucvtf")) and mnemonic not in _CONVERSIONS
    return is_float and _HALF.search(operands) is not None


def find(listing: Iterable[str]) -> list[Found]:
    """Return such instructions of a disassembly by objdump, in its order."""
    function, found = "", []
    for line in listing:
        head, instruction = _FUNCTION.match(line), _INSTRUCTION.match(line)
        if head:
            function = head[2]
        elif instruction and is_beyond(instruction[2], instruction[3]):
            found.append(Found(int(instruction[1], 16), function, instruction[2]))
    return found


def disassemble(path: Path) -> list[str]:
    """Return the lines that objdump prints of a file."""
    command = ["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def reached(log: Iterable[str], found: Iterable[Found]) -> set[int]:
    """Return the addresses of those instructions that an emulator's log of code names."""
    wanted = {each.address for each in found}
    lines = (_REACHED.match(line) for line in log)
    return {int(line[1], 16) for line in lines if line} & wanted


def check_objects(objects: Iterable[Path]) -> set[str]:
    """Return the functions that have such instructions; end the program if others have."""
    functions: set[str] = set()
    for path in objects:
        found = {each.function for each in find(disassemble(path))}
        if ALLOWED in path.name:
            functions |= found
        elif found:
            sys.exit(f"{path}: not for every ARM: {', '.join(sorted(found))}")
    if not functions:
        sys.exit("no dot product anywhere: were objects of neondot.c given?")
    return functions


def check_linked(path: Path, functions: set[str]) -> list[Found]:
    """Return what a linked file has; end the program if it is in other functions than those."""
    found = find(disassemble(path))
    others = {each.function for each in found} - functions
    if others or not found:
        sys.exit(f"{path}: not for every ARM: {', '.join(sorted(others)) or 'no dot product'}")
    return found


def main() -> None:
    """Check what the command line names, and print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("objects", nargs="+", type=Path, metavar="OBJECT")
    parser.add_argument("--linked", type=Path, metavar="FILE", help="what was linked from them")
    parser.add_argument("--reached", type=Path, metavar="LOG", help="print the number reached")
    options = parser.parse_args()
    if options.reached and not options.linked:
        parser.error("--reached tells of the file that --linked names")
    functions = check_objects(options.objects)
    found = check_linked(options.linked, functions) if options.linked else []
    if options.reached:
        with options.reached.open(errors="replace") as log:
            print(len(reached(log, found)))
    else:
        print(f"{len(options.objects)} objects: dot products in", *sorted(functions))


if __name__ == "__main__":
    main()
