"""Records the kernel calls of real training steps.

The table of function pointers that the blocks call through is the extension module's own; while
`recorded` runs, every pointer leads to a wrapper that notes the sizes and calls the kernel.
"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bnntrain.kernels import _native
from signatures import Parameter, Signature, read_signatures

from bnntrain.calls import Call

PORTABLE = 0  # of enum bnn_isa
_TYPES = {
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "int": ctypes.c_int,
    "float": ctypes.c_float,
}


def _type_of(parameter: Parameter) -> type:
    if parameter.is_pointer:
        return ctypes.c_void_p
    return ctypes.c_int if parameter.type.startswith("enum") else _TYPES[parameter.type]


@contextmanager
def recorded() -> Iterator[Counter[Call]]:
    """Count the calls of the portable kernels, by operation and sizes."""
    library, signatures = ctypes.CDLL(_native.__file__), read_signatures()
    table_of = library.bnn_kernels_for
    table_of.restype = ctypes.POINTER(ctypes.c_void_p * len(signatures))
    table = table_of(PORTABLE).contents
    calls: Counter[Call] = Counter()
    lock = threading.Lock()

    def wrapper(signature: Signature, address: int) -> object:
        prototype = ctypes.CFUNCTYPE(None, *map(_type_of, signature.parameters))
        kernel = prototype(address)
        places = [i for i, one in enumerate(signature.parameters) if one.is_size]

        def call(*arguments: object) -> None:
            with lock:
                calls[Call(signature.op, tuple(arguments[place] for place in places))] += 1
            kernel(*arguments)

        return prototype(call)

    before = list(table)
    wrappers = [wrapper(one, address) for one, address in zip(signatures, before, strict=True)]
    try:
        for place, wrapped in enumerate(wrappers):
            table[place] = ctypes.cast(wrapped, ctypes.c_void_p).value
        yield calls
    finally:
        for place, address in enumerate(before):
            table[place] = address
