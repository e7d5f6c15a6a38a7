"""Bindings of operations to Python, written from their signatures.

Arguments are named as in the header, without what follows from the arrays: strides, and sizes that
an array has. Every array is checked as `common/buffer.pxi` says; arrays that share a stride must
have the same. A folder's own ``.pyx`` may have a ``cdef int check_<op>(...)`` of arguments by their
names where more must hold, or the whole ``def <op>`` where arguments are not those of the header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from signatures import KERNELS, Parameter, Signature, SignatureError

DTYPES = {
    "int8_t": "int8",
    "uint8_t": "uint8",
    "int16_t": "int16",
    "uint16_t": "float16",
    "bnn_label": "uint16",
    "int32_t": "int32",
    "int64_t": "int64",
    "uint64_t": "uint64",
    "float": "float32",
    "double": "float64",
}
"""NumPy's names of the elements of arrays; plain 16 bits without a sign are those of a float16."""

_DEFAULTS = {"limit": "127", "key": "0", "index": "0"}
_WHOLE = {
    "int": (0, 2**31 - 1),
    "int16_t": (-(2**15), 2**15 - 1),
    "int32_t": (-(2**31), 2**31 - 1),
    "uint32_t": (0, 2**32 - 1),
    "int64_t": (-(2**63), 2**63 - 1),
    "uint64_t": (0, 2**64 - 1),
    "size_t": (0, 2**31 - 1),
}
"""Numbers that an argument may be, by its C type."""


def bindings_pyx(signatures: list[Signature]) -> str:
    """Write the bindings of all operations that no folder binds itself."""
    own = "".join(path.read_text() for path in sorted(KERNELS.glob("*/*.pyx")))
    checks = {
        op: [one.split()[-1].lstrip("*") for one in inside.split(",")]
        for op, inside in re.findall(r"^cdef int check_(\w+)\((.*?)\)", own, re.MULTILINE)
    }
    bound = set(re.findall(r"^def (\w+)\(", own, re.MULTILINE))
    found = [
        _Binding(one, checks.get(one.op)).text() for one in signatures if one.op not in bound
    ]
    lines = ["# Written by generate.py from the folders' headers.", *_operands_function(signatures)]
    return "\n".join(lines) + "\n" + "".join(found)


def _operands_function(signatures: list[Signature]) -> list[str]:
    """Write what tells the arrays of every operation."""
    lines = ["", "", "def operands(str op, dict sizes):"]
    lines += ['    """Return dtype and shape of the arrays of an operation, for given sizes."""']
    for one in signatures:
        parts = ", ".join(_operand(array, one.sizes) for array in one.arrays)
        lines += [f"    if op == '{one.op}':", f"        return {{{parts}}}"]
    return [*lines, "    raise KeyError(op)"]


def _operand(one: Parameter, sizes: list[str]) -> str:
    texts = [re.sub(r"[a-z_]+", lambda m: _given(m[0], sizes), text) for text in one.shape]
    if one.is_bits:
        texts[-1] = f"bnn_words({texts[-1]})"
    dtype = DTYPES.get(re.sub(r"const |[ *]", "", one.type), "float32")
    return f"'{one.name}': ('{dtype}', ({', '.join(texts)},))"


def _given(name: str, sizes: list[str]) -> str:
    return f"sizes['{name}']" if name in sizes else name


@dataclass
class _Binding:
    """One operation's binding."""

    signature: Signature
    check: list[str] | None
    known: set[str] = field(default_factory=set)
    given: list[str] = field(default_factory=list)

    def text(self) -> str:
        body = self._acquire()
        head = [f"\n\ndef {self.signature.op}({', '.join(self._arguments())}):"]
        lines = [*self._docstring(), "cdef const bnn_kernels *kernels_ = kernels_for(isa)"]
        lines += [self._take(one) for one in self.signature.parameters if self._is_taken(one)]
        lines += [line for one in self._steps for line in self._take_step(one)]
        lines += [*body, *self._check_strides()]
        if self.check is not None:
            values = ", ".join(self._value(name) for name in self.check)
            lines.append(f"check_{self.signature.op}({values})")
        if self._has_panel:
            lines.append("room_ = panel_or_new(panel)")
            lines.append("cdef void *panel_ = panel_address(room_)")
        passed = ", ".join(self._pass(one) for one in self.signature.parameters)
        lines += ["with nogil:", f"    kernels_.{self.signature.op}({passed})"]
        lines += [f"return {one.name}_" for one in self.signature.parameters if one.is_result]
        return "\n".join([*head, *(f"    {line}" if line else "" for line in lines)]) + "\n"

    @property
    def _has_panel(self) -> bool:
        return any(one.is_panel for one in self.signature.parameters)

    @property
    def _steps(self) -> list[Parameter]:
        return [one for one in self.signature.parameters if one.struct]

    def _is_taken(self, one: Parameter) -> bool:
        """Whether a parameter is a number that an argument of its own gives."""
        if one.is_result or one.name in self.given:
            return True
        if one.is_pointer or "stride" in one.name or one.name == "reuse":
            return False
        return one.name not in self.known

    # Arguments ------------------------------------------------------------------------------

    def _arguments(self) -> list[str]:
        first, named = [], []
        for one in self.signature.parameters:
            if one.shape:
                first.append(one.name)
            elif one.struct:
                named += [f"{name}=0" for name, _ in _fields(one)]
            elif one.is_result:
                named.append(f"{one.name}=0")
            elif self._is_taken(one) and one.name in _DEFAULTS:
                named.append(f"{one.name}={_DEFAULTS[one.name]}")
            elif self._is_taken(one):
                first.append(one.name)
        if self._has_panel:
            named += ["panel=None"]
        if any(one.name == "reuse" for one in self.signature.parameters):
            named += ["bint reuse=False"]
        names = [name.partition("=")[0] for name in named if "=" not in name]
        defaults = [name for name in named if "=" in name]
        return [*first, "*", *names, *defaults, "isa=None"]

    def _docstring(self) -> list[str]:
        where = f"kernels/{self.signature.header}"
        lines = [f'"""Call {self.signature.op} of {where}.', "", "Parameters", "----------"]
        for one in self.signature.arrays:
            shape = ", ".join(self._shape_words(one))
            lines += [f"{one.name} : {self._dtype(one)} [{shape}]", f"    {_use(one)}"]
        lines += ["isa : str, optional", "    Instruction set; see the module.", ""]
        raised = "    An operand does not fit or a number is out of range."
        return [*lines, "Raises", "------", "ValueError", raised, '"""']

    def _shape_words(self, one: Parameter) -> list[str]:
        *rows, width = one.shape
        return [*rows, f"words({width})" if one.is_bits else width]

    @staticmethod
    def _dtype(one: Parameter) -> str:
        return DTYPES[re.sub(r"const |[ *]", "", one.type)]

    # Body -----------------------------------------------------------------------------------

    def _take(self, one: Parameter) -> str:
        """Write how a number becomes a C value."""
        type_ = re.sub(r"[ *]", "", one.type) if one.is_result else one.type
        if type_ in ("float", "double"):
            return f"cdef {type_} {one.name}_ = {one.name}"
        low, high = _WHOLE[type_]
        number = f"number({one.name}, {low}, {high}, '{one.name}')"
        return f"cdef {type_} {one.name}_ = <{type_}>{number}"

    def _take_step(self, one: Parameter) -> list[str]:
        lines = [f"cdef {one.struct} {one.name}_of_step"]
        for name, type_ in _fields(one):
            value = name
            if type_ != "float":
                low, high = _WHOLE[type_]
                value = f"<{type_}>number({name}, {low}, {high}, '{name}')"
            lines.append(f"{one.name}_of_step.{name} = {value}")
        return lines

    def _acquire(self) -> list[str]:
        """Write the checks of the arrays, those first that others are measured by."""
        waiting, lines = list(self.signature.arrays), []
        while waiting:
            one = next((one for one in waiting if self._can_measure(one)), None)
            if one is None:
                width = waiting[0].shape[-1]
                self.given.append(width)
                self.known.add(width)
                continue
            waiting.remove(one)
            lines += self._acquire_one(one)
        return lines

    def _can_measure(self, one: Parameter) -> bool:
        """Whether each dimension is known, or is a size that it gives."""
        sizes = set(self.signature.sizes)
        for place, text in enumerate(one.shape):
            names = set(re.findall(r"\w+", text)) & sizes
            is_bits = one.is_bits and place == len(one.shape) - 1
            if not names <= self.known and (is_bits or text not in sizes):
                return False
        return True

    def _acquire_one(self, one: Parameter) -> list[str]:
        dims, new = [], []
        for place, text in enumerate(one.shape):
            if text in self.signature.sizes and text not in self.known:
                self.known.add(text)
                new.append((text, "rows" if place == 0 and len(one.shape) == 2 else "columns"))
                dims.append("None")
                continue
            value = re.sub(r"[a-z_]+", lambda m: self._size(m[0]), text)
            is_bits = one.is_bits and place == len(one.shape) - 1
            dims.append(f"bnn_words({value})" if is_bits else value)
        take = "rows_of" if len(one.shape) == 2 else "vector_of"
        shape = f"({', '.join(dims)},)"
        lines = [
            f"cdef matrix {one.name}_ = "
            f"{take}({one.name}, '{self._dtype(one)}', {shape}, {one.is_written}, '{one.name}')"
        ]
        return lines + [f"cdef size_t {size}_ = {one.name}_.{side}" for size, side in new]

    def _size(self, name: str) -> str:
        return f"{name}_" if name in self.signature.sizes else name

    def _check_strides(self) -> list[str]:
        first: dict[str, str] = {}
        lines = []
        for one in self.signature.arrays:
            if not one.stride:
                continue
            if one.stride in first:
                of = first[one.stride]
                lines.append(f"check_stride(&{of}_, '{of}', &{one.name}_, '{one.name}')")
            first.setdefault(one.stride, one.name)
        return lines

    def _value(self, name: str) -> str:
        """Write an argument of a check: an array as a matrix, a number of a step or a number."""
        if any(one.name == name and one.shape for one in self.signature.parameters):
            return f"&{name}_"
        for step in self._steps:
            if name in dict(_fields(step)):
                return f"{step.name}_of_step.{name}"
        return f"{name}_"

    def _pass(self, one: Parameter) -> str:
        if one.shape:
            return f"<{re.sub('struct ', '', one.type)}>{one.name}_.data"
        if one.struct:
            return f"&{one.name}_of_step"
        if one.is_result:
            return f"&{one.name}_"
        if one.name == "reuse":
            return "reuse and panel is not None"
        if "stride" in one.name:
            owner = next(array for array in self.signature.arrays if array.stride == one.name)
            return f"{owner.name}_.stride"
        return f"{one.name}_"


def _use(one: Parameter) -> str:
    return "Changed in place." if one.updated else "Written." if one.is_written else "Read."


def _fields(step: Parameter) -> list[tuple[str, str]]:
    """Return names and C types of the members of a step, from the headers."""
    for header in sorted(KERNELS.glob("*/*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        if found := re.search(rf"struct {step.struct} \{{(.*?)\}};", text, re.DOTALL):
            return [
                (name.strip(), type_)
                for type_, names in re.findall(r"(\w+) ([\w, ]+);", found[1])
                for name in names.split(",")
            ]
    raise SignatureError(f"no header has a struct {step.struct}")
