"""Writes what follows from the kernels' signatures.

    python3 kernels/common/generate.py FOLDER

writes `OUTPUTS` into a folder, where the build has them included: the dispatch table as Cython
declares it, the operations' bindings to Python, the counting kernels, and trials for programs in C.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bindings import bindings_pyx
from signatures import Parameter, Signature, read_signatures
from trials import trials_inc


def table_pxi(signatures: list[Signature]) -> str:
    """Write the dispatch table as Cython declares it."""
    lines = ['cdef extern from "dispatch/dispatch.h" nogil:', "    struct bnn_kernels:"]
    for one in signatures:
        words = [_cython(parameter) for parameter in one.parameters]
        lines.append(f"        void (*{one.op})({', '.join(words)}) noexcept nogil")
    return "\n".join(lines) + "\n"


def _cython(parameter: Parameter) -> str:
    type_ = re.sub(r"\b(struct|enum) ", "", parameter.type)
    return f"{type_}{'' if type_.endswith('*') else ' '}{parameter.name}"


def counting_inc(signatures: list[Signature]) -> str:
    """Write the counting kernels, their table and the names of their sizes."""
    parts = ["enum counted {", *(f"    OP_{one.op}," for one in signatures), "    OPERATIONS", "};"]
    parts += [_counting_kernel(one) for one in signatures]
    parts.append("static const struct operation operations[OPERATIONS] = {")
    for one in signatures:
        names = ", ".join(f'"{name}"' for name in one.sizes)
        parts.append(f'    {{"{one.op}", {len(one.sizes)}, {{{names}}}}},')
    parts += ["};", "static const struct bnn_kernels counting = {"]
    parts += [f"    .{one.op} = count_{one.op}," for one in signatures]
    return "\n".join([*parts, "};"]) + "\n"


def _counting_kernel(signature: Signature) -> str:
    parameters = ", ".join(
        f"{one.type}{'' if one.type.endswith('*') else ' '}{one.name}"
        for one in signature.parameters
    )
    lines = [f"static void count_{signature.op}({parameters})", "{"]
    sizes = ", ".join(f"(uint64_t){name}" for name in signature.sizes)
    lines.append(f"    note_call(OP_{signature.op}, (const uint64_t[SIZES]){{{sizes}}});")
    for number, one in enumerate(signature.arrays):
        lines.append(f"    {_touch(signature.op, number, one)};")
    lines += [f"    leave_one({one.name});" for one in signature.parameters if one.is_result]
    return "\n".join([*lines, "}"])


def _touch(op: str, number: int, one: Parameter) -> str:
    """Write what notes that a call goes over an array."""
    rows, width = one.shape if len(one.shape) == 2 else ("1", one.shape[0])
    if one.type.count("*") == 2:
        return f"touch_rows(OP_{op}, {number}, (const void *const *){one.name}, {rows}, {width})"
    row = f"bnn_words({width}) * 8" if one.is_bits else f"({width}) * {one.item}"
    step = f"{one.stride} * {one.item}" if one.stride else row
    times = 2 if one.updated else 1
    touch = f"touch(OP_{op}, {number}, {one.name}, {rows}, {row}, {step}, {times})"
    if len(one.shape) == 1 and one.is_written and not one.updated:
        return f"{touch}, leave_zeros({one.name}, {row})"
    return touch


OUTPUTS = {
    "kernel_table.pxi": table_pxi,
    "bindings.pyx": bindings_pyx,
    "counting_kernels.inc": counting_inc,
    "trials.inc": trials_inc,
}
"""Files that are written, and what writes them."""


def write(folder: Path) -> list[Path]:
    """Write `OUTPUTS` into a folder; files that would stay the same are left alone."""
    signatures = read_signatures()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text_of in OUTPUTS.items():
        path, text = folder / name, text_of(signatures)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        written.append(path)
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
