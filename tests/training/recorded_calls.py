"""Records the kernel calls of real training steps.

The table of function pointers that the blocks call through is the extension module's own; while
`recorded` runs, every pointer leads to a wrapper that notes the sizes and calls the kernel.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bnntrain.kernels import _native

from bnntrain.operations import Call, sizes_of

ROOT = Path(__file__).resolve().parents[2] / "kernels"
PORTABLE = 0  # of enum bnn_isa
_TYPES = {
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "int": ctypes.c_int,
    "enum": ctypes.c_int,
    "float": ctypes.c_float,
}


def fields() -> list[str]:
    """Return the operations in the order of the table: their portable lines."""
    rooms = re.findall(r'#include "(.*)"', (ROOT / "kernels.inc").read_text())
    lines = "".join((ROOT / room).read_text() for room in rooms)
    return re.findall(r"BNN_KERNEL\((\w+), portable\)", lines)


def signatures() -> dict[str, tuple[list[str], list[type]]]:
    """Return names and types of every operation's parameters, from the rooms' headers."""
    found = {}
    for header in ROOT.glob("*/*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        for op, inside in re.findall(r"typedef void bnn_(\w+)_fn\((.*?)\);", text, re.DOTALL):
            names, types = [], []
            for parameter in inside.split(","):
                words = parameter.replace("*", " * ").split()
                names.append(words[-1])
                types.append(ctypes.c_void_p if "*" in words else _TYPES[words[0]])
            found[op] = names, types
    return found


@contextmanager
def recorded() -> Iterator[Counter[Call]]:
    """Count the calls of the portable kernels, by operation and sizes."""
    library = ctypes.CDLL(_native.__file__)
    table_of, names = library.bnn_kernels_for, fields()
    table_of.restype = ctypes.POINTER(ctypes.c_void_p * len(names))
    table, known = table_of(PORTABLE).contents, signatures()
    calls: Counter[Call] = Counter()
    lock = threading.Lock()

    def wrapper(op: str, address: int) -> object:
        parameters, types = known[op]
        prototype = ctypes.CFUNCTYPE(None, *types)
        kernel, places = prototype(address), [parameters.index(name) for name in sizes_of(op)]

        def call(*arguments: object) -> None:
            with lock:
                calls[Call(op, tuple(arguments[place] for place in places))] += 1
            kernel(*arguments)

        return prototype(call)

    before = list(table)
    wrappers = [wrapper(op, address) for op, address in zip(names, before, strict=True)]
    try:
        for place, wrapped in enumerate(wrappers):
            table[place] = ctypes.cast(wrapped, ctypes.c_void_p).value
        yield calls
    finally:
        for place, address in enumerate(before):
            table[place] = address
