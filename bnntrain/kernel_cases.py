"""Calls of kernels for benchmarks: operands of a typical size, made from the kernel's signature.

An operation needs nothing here unless its typical size, or its binding, is of its own kind.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np

from bnntrain import kernels

Call = Callable[[str], object]

SHAPES = ((1024, 1024, 1024), (100, 256, 784), (100, 1024, 1024))
"""Rows, columns and depth of the products: the square one, and dense layers at batch 100."""

_TYPICAL = {"rows": 100, "columns": 64, "depth": 1024, "classes": 10, "count": 6400, "taps": 1}
"""Sizes that a step has: a tile is one word of channels of a batch."""

_LAYER, _BLOCK = {"rows": 256, "columns": 784}, {"rows": 64, "columns": 256}
_WINDOWS = {"rows": _TYPICAL["rows"] // kernels.POOL_ROWS}
_SIZES: dict[str, dict[str, int]] = {
    **dict.fromkeys(("pack_i8_u1", "pack_i16_u1", "pack_f16_u1", "pack_f32_u1"), _LAYER),
    "transpose_u1": _LAYER,
    "transpose_i8": {"columns": 256},
    # Optimisers see a block of weights.
    **dict.fromkeys(("update_sign_momentum_i8", "update_channel_momentum_i8"), _BLOCK),
    **dict.fromkeys(("update_sign_i8", "update_real"), _BLOCK),
    **dict.fromkeys(("pool_max_i32", "pool_sum_i32"), _WINDOWS),
    **dict.fromkeys(("pool_spread_i8", "pool_spread_f32"), _WINDOWS),
    "lookup_tables_i8": {"depth": 128},
    "adam_f32": {"count": 1024},
}
"""Those of other operations, by what differs."""

_NUMBERS: dict[str, object] = {
    "n": 100, "multiplier": 0.1, "rate": 335544, "minus_beta": -29491, "step": 10413, "key": 1,
    "optimizer": "adam", "range": 1.0, "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999,
    "correction1": 1.0, "correction2": 1.0, "epsilon": 1e-7, "gradient_scale": 1.0, "add": 1,
}  # fmt: skip
"""Values of arguments that are no arrays, where 0 or the default would not do."""

_LOOKED_UP = 31
"""Largest value of a table."""


def _words(rng: np.random.Generator, shape: tuple[int, ...], _op: str) -> np.ndarray:
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


def _int8(rng: np.random.Generator, shape: tuple[int, ...], op: str) -> np.ndarray:
    most = _LOOKED_UP if op.startswith("lookup") else 127
    return rng.integers(-most, most, shape, dtype=np.int8, endpoint=True)


def _whole(rng: np.random.Generator, shape: tuple[int, ...], _op: str) -> np.ndarray:
    return rng.integers(-784, 785, shape, dtype=np.int32)


def _real(rng: np.random.Generator, shape: tuple[int, ...], _op: str) -> np.ndarray:
    return rng.standard_normal(shape) * 0.01


def _flags(rng: np.random.Generator, shape: tuple[int, ...], _op: str) -> np.ndarray:
    """Draw flips, in whole lines, as tables and panels are."""
    values = aligned_bytes(*shape)
    values[...] = rng.integers(0, 2, shape, dtype=np.uint8)
    return values


def _labels(rng: np.random.Generator, shape: tuple[int, ...], _op: str) -> np.ndarray:
    return rng.integers(0, 2, shape)


_VALUES = {
    "uint64": _words, "int8": _int8, "uint8": _flags, "uint16": _labels, "int16": _whole,
    "int32": _whole, "int64": _whole, "float16": _real, "float32": _real, "float64": _real,
}  # fmt: skip


def aligned_bytes(*shape: int) -> np.ndarray:
    """Return bytes that start at an address divisible by 64."""
    octets = np.zeros(math.prod(shape) + 63, "uint8")
    first = -octets.ctypes.data % 64
    return octets[first : first + math.prod(shape)].reshape(shape)


def make_call(op: str, rng: np.random.Generator, sizes: dict[str, int]) -> Call:
    """Return a call of an operation on operands of those sizes; it takes the instruction set."""
    arrays = {
        name: _VALUES[dtype](rng, shape, op).astype(dtype, copy=False)
        for name, (dtype, shape) in kernels.operands(op, sizes).items()
    }
    run = getattr(kernels, op)
    panel = np.empty(kernels.PANEL_BYTES + 64, "uint8")
    given = {"panel": panel, **_NUMBERS, **sizes, **arrays}
    taken = inspect.signature(run).parameters.values()
    # By place where that can be: a call of a small tile takes a microsecond or two.
    first = [given[one.name] for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD]
    named = {
        one.name: given[one.name]
        for one in taken
        if one.kind is one.KEYWORD_ONLY and one.name in given
    }
    return lambda isa: run(*first, **named, isa=isa)


def make_elementwise(op: str, rng: np.random.Generator) -> tuple[Call, int]:
    """Return a call of an operation that is no product, and how many values it works on."""
    sizes = {**_TYPICAL, **_SIZES.get(op, {})}
    own = math.prod(sizes[name] for name in kernels.call_sizes()[op] if name in sizes)
    shapes = [
        math.prod(shape)
        for dtype, shape in kernels.operands(op, sizes).values()
        if dtype not in ("uint8", "uint64")
    ]
    return make_call(op, rng, sizes), max([own, *shapes])


def make_product(
    op: str, rng: np.random.Generator, rows: int, columns: int, depth: int
) -> Call:
    """Return a call of a product: ``rows * columns * depth`` multiply-accumulates."""
    if op == "lookup_gemm_i32":
        return _lookup(rng, rows, columns, depth)
    return make_call(op, rng, {"rows": rows, "columns": columns, "depth": depth})


_Operands = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _lookup_operands(a: np.ndarray, b: np.ndarray, c: np.ndarray, isa: str) -> _Operands:
    """Tables and, per word of columns, panels in the layout of an instruction set, and their c."""
    groups = -(-a.shape[1] // kernels.LOOKUP_GROUP)
    tables = aligned_bytes(len(a), groups * kernels.LOOKUP_TABLE_BYTES)
    kernels.lookup_tables_i8(a, tables, isa=isa)
    operands = []
    for word in range(b.shape[1]):
        panel = aligned_bytes(groups * kernels.LOOKUP_PANEL_BYTES)
        part = c[:, word * kernels.TILE : (word + 1) * kernels.TILE]
        kernels.lookup_lay_u1(b[:, word : word + 1], part.shape[1], panel, isa=isa)
        operands.append((tables, panel, part))
    return operands


def _lookup(rng: np.random.Generator, rows: int, columns: int, depth: int) -> Call:
    a = _int8(rng, (rows, depth), "lookup_gemm_i32")
    b = _words(rng, (depth, -(-columns // kernels.TILE)), "")
    c = np.empty((rows, columns), "int32")
    # Laid out by the first call, which nobody times.
    operands: dict[str, _Operands] = {}

    def call(isa: str) -> None:
        if isa not in operands:
            operands[isa] = _lookup_operands(a, b, c, isa)
        for tables, panel, part in operands[isa]:
            kernels.lookup_gemm_i32(tables, panel, part, isa=isa)

    return call


_OPERATIONS = kernels.call_sizes()
PRODUCTS = tuple(op for op in _OPERATIONS if "gemm" in op)
"""Products: multiply-accumulates are rows * columns * depth."""
ELEMENTWISE = tuple(op for op in _OPERATIONS if "gemm" not in op)
"""All other operations."""
