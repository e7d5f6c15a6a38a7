"""Signatures of the kernels, from the headers of their rooms, for what is written from them.

    python3 kernels/common/signatures.py FOLDER

writes `OUTPUTS` into a folder, where the build has them included: the dispatch table as Cython
declares it, and the counting kernels. Runs on plain Python, without the extension module.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[1]

_TYPEDEF = re.compile(r"typedef void bnn_(\w+)_fn\((.*?)\);", re.DOTALL)
_SHAPE = re.compile(r"\bBNN_(SHAPE|UPDATED|TYPED)\((.*?)\)\s*$", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class SignatureError(Exception):
    """A header that breaks the conventions of `kernels/README.md`, in one line."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel.

    Attributes
    ----------
    name : str
        Its name in the header.
    type : str
        C type, stars included.
    shape : tuple of str
        C expressions: elements of a vector, or rows and columns; empty for what is no array.
    updated : bool
        An array that is read as well as written.
    item : str
        C expression for the bytes of an element.
    stride : str
        Name of the parameter that has the elements from row to row; empty where rows follow one
        another.
    """

    name: str
    type: str
    shape: tuple[str, ...] = ()
    updated: bool = False
    item: str = ""
    stride: str = ""

    @property
    def is_pointer(self) -> bool:
        """Whether it is an address."""
        return "*" in self.type

    @property
    def is_written(self) -> bool:
        """Whether the kernel writes to it."""
        return self.is_pointer and not self.type.startswith("const")

    @property
    def is_bits(self) -> bool:
        """Whether it points to packed signs, whose columns are bits."""
        return self.is_pointer and "uint64_t" in self.type

    @property
    def is_size(self) -> bool:
        """Whether it says how large a call is, or which way of several it goes."""
        if self.type in ("int", "size_t"):
            return "stride" not in self.name
        return self.type.startswith("enum")

    @property
    def is_result(self) -> bool:
        """Whether it points to a single value that a call leaves."""
        return self.is_written and not self.shape and self.type != "void *"


@dataclass(frozen=True)
class Signature:
    """An operation: its name, its parameters in order."""

    op: str
    parameters: tuple[Parameter, ...]

    @property
    def sizes(self) -> list[str]:
        """Names of the parameters that are sizes."""
        return [one.name for one in self.parameters if one.is_size]

    @property
    def arrays(self) -> list[Parameter]:
        """Parameters that are arrays."""
        return [one for one in self.parameters if one.shape]


def read_signatures(kernels: Path = KERNELS) -> list[Signature]:
    """Read the signatures of all operations.

    Parameters
    ----------
    kernels : Path
        The folder of the rooms.

    Returns
    -------
    list of Signature
        In the order of `kernels.inc`.

    Raises
    ------
    SignatureError
        An operation without a header's signature, or a parameter of no known form.
    """
    found = {}
    for header in sorted(kernels.glob("*/*.h")):
        for op, inside in _TYPEDEF.findall(_COMMENT.sub("", header.read_text())):
            found[op] = inside
    signatures = []
    for op in _operations(kernels):
        if op not in found:
            raise SignatureError(f"{op}: no header has a bnn_{op}_fn")
        signatures.append(Signature(op, _parameters(op, found[op])))
    return signatures


def _operations(kernels: Path) -> list[str]:
    """Names of the portable lines, which every operation has one of."""
    rooms = re.findall(r'#include "(.*)"', (kernels / "kernels.inc").read_text())
    lines = "".join((kernels / room).read_text() for room in rooms)
    return re.findall(r"BNN_KERNEL\((\w+), portable\)", lines)


def _split(inside: str) -> list[str]:
    """Cut at commas that stand in no brackets."""
    parts, depth = [""], 0
    for letter in " ".join(inside.split()):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _parameters(op: str, inside: str) -> tuple[Parameter, ...]:
    declared = []
    for text in _split(inside):
        shape, kind = (), ""
        if marked := _SHAPE.search(text):
            kind, shape = marked[1], tuple(_split(marked[2]))
            text = text[: marked.start()].strip()
        parts = re.fullmatch(r"(.*?[\s*])(\w+)", text)
        if not parts:
            raise SignatureError(f"{op}: cannot read the parameter '{text}'")
        declared.append((parts[2], parts[1].strip(), kind, shape))
    return tuple(_parameter(op, declared, place) for place in range(len(declared)))


def _parameter(op: str, declared: list[tuple], place: int) -> Parameter:
    name, type_, kind, shape = declared[place]
    if not kind:
        if type_.startswith("const") and "struct" not in type_:
            raise SignatureError(f"{op}: {name} has no BNN_SHAPE")
        return Parameter(name, type_)
    item = f"sizeof *{name}"
    if kind == "TYPED":
        item, *shape = f"bnn_type_bytes({shape[0]})", *shape[1:]
    if not 1 <= len(shape) <= 2:
        raise SignatureError(f"{op}: {name} has {len(shape)} dimensions")
    stride = _stride(declared, place) if len(shape) == 2 else ""
    return Parameter(name, type_, tuple(shape), kind != "SHAPE", item, stride)


def _stride(declared: list[tuple], place: int) -> str:
    """Name of the next stride, unless a matrix stands before it that has none of its own."""
    for name, type_, _, _ in declared[place + 1 :]:
        if "*" not in type_ and "stride" in name:
            return name
    return ""


def table_pxi(signatures: list[Signature]) -> str:
    """Write the dispatch table as Cython declares it."""
    lines = ['cdef extern from "common/dispatch.h" nogil:', "    struct bnn_kernels:"]
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


OUTPUTS = {"kernel_table.pxi": table_pxi, "counting_kernels.inc": counting_inc}
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
