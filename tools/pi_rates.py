"""Cycles of instructions on the cores of Raspberry Pi boards, at measured rates.

Source: rates of 128-bit operations by github.com/ocxtal/insn_bench_aarch64 (Raspberry Pi 3 for the
A53, LX2160A for the A72, Graviton 2's Neoverse N1 for the A76).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


def bound(text: Sequence[str], core: str) -> float:
    """Cycles that a block takes at least at the measured rates of its instructions.

    Parameters
    ----------
    text : sequence of str
        Instructions.
    core : str
        ``A53``, ``A72`` or ``A76``.

    Returns
    -------
    float
    """
    kinds = [_kind(line) for line in text]
    return {"A53": _bound_a53, "A72": _bound_a72, "A76": _bound_a76}[core](kinds)


@dataclass(frozen=True)
class _Kind:
    """What the rates depend on: class of the operation, whether 128 bits wide, registers of it."""

    name: str
    wide: bool = False
    registers: int = 1


def _kind(line: str) -> _Kind:
    name, _, operands = line.partition("\t")
    if not operands:
        name, _, operands = line.partition(" ")
    operands = operands.strip()
    if re.match(r"(ld|st)[rnpu1-4]", name):
        registers = re.findall(r"\b([qdvxws])\d+", operands.split("[")[0]) or ["x"]
        size = registers[0]
        kind = "load" if name.startswith("ld") else "store"
        if size in "qv":
            is_broadcast = re.match(r"ld[1-4]r$", name)
            return _Kind("broadcast" if is_broadcast else kind, True, len(registers))
        return _Kind(kind if size == "d" else "scalar " + kind, False, len(registers))
    destination = operands.split(",")[0]
    if not re.match(r"\{?\s*[vqd]\d+", destination):
        return _Kind("scalar")
    wide = bool(re.search(r"v\d+\.(16b|8h|4s|2d)", destination))
    if name in ("tbl", "tbx"):
        inside = operands[operands.index("{") : operands.index("}")]
        numbers = [int(number) for number in re.findall(r"v(\d+)", inside)]
        count = numbers[1] - numbers[0] + 1 if "-" in inside else len(numbers)
        return _Kind("table", wide, count)
    for kind, pattern in _CLASSES:
        if re.match(pattern, name):
            return _Kind(kind, wide)
    return _Kind("simple", wide)


_CLASSES = (
    ("accumulate pairs", r"[us]adalp|[us]aba"),
    ("multiply", r"[us]ml[as]l|[us]mull"),
    ("multiply whole", r"(mul|mla|mls)$"),
    ("insert", r"s[rl]i$"),
    ("shift", r"[us]addlp|[us]shr|shl|[us]shll|[us]sra|[us]rshr|shrn"),
    ("count", r"(cnt|bsl|bit|bif)$"),
)


def _bound_a53(kinds: Sequence[_Kind]) -> float:
    """One 128-bit operation a cycle; a load of 128 bits takes two, during which none starts, and so
    do two registers that are broadcast to."""
    vector = loads = scalar = 0.0
    for kind in kinds:
        half = 1.0 if kind.wide else 0.5
        if kind.name == "broadcast":
            loads += (kind.registers + 1) // 2
        elif kind.name in ("load", "store"):
            loads += kind.registers * (2 if kind.wide else 1)
        elif kind.name.startswith("scalar"):
            scalar += kind.registers
        elif kind.name == "accumulate pairs":
            vector += 2 * half
        elif kind.name == "table":
            vector += kind.registers * half
        else:
            vector += half
    return vector + loads + max(0.0, scalar - vector) / 2


def _bound_a72(kinds: Sequence[_Kind]) -> float:
    """Three slots of 64 bits a cycle; two vector pipes, each with operations of its own."""
    slots = first = second = either = loads = 0.0
    for kind in kinds:
        slots += kind.registers * (2 if kind.wide else 1) if kind.name != "table" else 0
        if kind.name == "broadcast":
            loads, either = loads + (2 * kind.registers + 1) / 3, either + kind.registers
        elif "load" in kind.name or "store" in kind.name:
            loads += kind.registers
        elif kind.name == "scalar":
            pass
        elif kind.name == "table":
            each = 2 * kind.registers + 1 if kind.wide else kind.registers
            slots, either = slots + each, either + each
        elif kind.name.startswith("multiply"):
            first += 2 if kind.name == "multiply whole" and kind.wide else 1
        elif kind.name in ("accumulate pairs", "shift"):
            second += 1
        elif kind.name == "insert":
            second += 2
        elif kind.name == "count":
            second += 1 if kind.wide else 0.5
        else:
            either += 1
    return max(slots / 3, first, second, (first + second + either) / 2, loads)


def _bound_a76(kinds: Sequence[_Kind]) -> float:
    """Four instructions a cycle, two of them vectors, two of them loads."""
    first = second = either = loads = 0.0
    for kind in kinds:
        if "load" in kind.name or "store" in kind.name or kind.name == "broadcast":
            loads += kind.registers
            either += kind.registers if kind.name == "broadcast" else 0
        elif kind.name == "scalar":
            pass
        elif kind.name == "table":
            either += max(1, kind.registers - 1)
        elif kind.name.startswith("multiply"):
            first += 2 if kind.name == "multiply whole" and kind.wide else 1
        elif kind.name in ("accumulate pairs", "shift", "insert"):
            second += 1
        else:
            either += 1
    return max((first + second + either) / 2, first, second, loads / 2, len(kinds) / 4)
