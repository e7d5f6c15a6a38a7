"""Signatures of the kernels, from the headers of their folders, for what is written from them.

Runs on plain Python, without the extension module.
"""

from __future__ import annotations

import re
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
    def struct(self) -> str:
        """Name of the struct of numbers that it points to; empty for all others."""
        found = re.search(r"struct (\w+)", self.type)
        return found[1] if found else ""

    @property
    def is_size(self) -> bool:
        """Whether it says how large a call is, or which way of several it goes."""
        if self.type in ("int", "size_t"):
            return "stride" not in self.name
        return self.type.startswith("enum")

    @property
    def is_panel(self) -> bool:
        """Whether it is scratch of a product."""
        return self.type == "void *" and not self.shape

    @property
    def is_result(self) -> bool:
        """Whether it points to a single value that a call leaves."""
        return self.is_written and not self.shape and not self.is_panel


@dataclass(frozen=True)
class Signature:
    """An operation: its name, its parameters in order, and the header that has it."""

    op: str
    parameters: tuple[Parameter, ...]
    header: str

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
        The kernels' own folder.

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
            found[op] = inside, header.relative_to(kernels).as_posix()
    signatures = []
    for op in _operations(kernels):
        if op not in found:
            raise SignatureError(f"{op}: no header has a bnn_{op}_fn")
        inside, header = found[op]
        signatures.append(Signature(op, _parameters(op, inside), header))
    return signatures


def _operations(kernels: Path) -> list[str]:
    """Names of the portable lines, which every operation has one of."""
    folders = re.findall(r'#include "(.*)"', (kernels / "kernels.inc").read_text())
    lines = "".join((kernels / folder).read_text() for folder in folders)
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
    # Addresses of rows, which lie anywhere, have no stride.
    stride = _stride(declared, place) if len(shape) == 2 and type_.count("*") == 1 else ""
    return Parameter(name, type_, tuple(shape), kind != "SHAPE", item, stride)


def _stride(declared: list[tuple], place: int) -> str:
    """Name of the next stride, unless a matrix stands before it that has none of its own."""
    for name, type_, _, _ in declared[place + 1 :]:
        if "*" not in type_ and "stride" in name:
            return name
    return ""
