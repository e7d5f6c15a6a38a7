"""Cases of lookup/ and pool/; a tile of these is at most a word of columns wide."""

from __future__ import annotations

import kernel_oracles as oracle
import numpy as np
from kernel_case import Case, aligned_bytes, case
from kernel_oracles import F32

from bnntrain import kernels

PARTS = ("whole", "low", "high")


def _groups(depth: int) -> int:
    return -(-depth // kernels.LOOKUP_GROUP)


def _part(c: Case) -> tuple[str, int]:
    """Return a part and the largest value that it is made for."""
    part = PARTS[c.seed % 3]
    return part, 31 if part == "whole" else 127


def tables_of(isa: str | None, a: np.ndarray, part: str) -> np.ndarray:
    """Return the tables of a [rows, depth]."""
    tables = aligned_bytes((len(a), _groups(a.shape[1]) * kernels.LOOKUP_TABLE_BYTES))
    kernels.lookup_tables_i8(a, tables, part=part, isa=isa)
    return tables


def panel_of(isa: str | None, bits: np.ndarray) -> np.ndarray:
    """Return the panel of bits [taps, depth, columns], tap after tap."""
    taps, depth, columns = bits.shape
    panel = aligned_bytes((taps, _groups(depth) * kernels.LOOKUP_PANEL_BYTES))
    panel[...] = 0  # an instruction set may use a part of it, and both calls of a check must agree
    for tap in range(taps):
        words = np.zeros((depth, 1), np.uint64) if columns == 0 else oracle.pack(bits[tap])
        kernels.lookup_lay_u1(words, columns, panel[tap], isa=isa)
    return panel.reshape(-1)


@case
def lookup_tables_i8(c: Case) -> None:
    """Seen through a product with random signs, which find every entry of a table."""
    part, limit = _part(c)
    a = c.integers("a", (c.rows, c.depth), np.int8, -limit, limit)
    c.place_lines("tables", (c.rows, _groups(c.depth) * kernels.LOOKUP_TABLE_BYTES), written=True)
    c.options["part"] = part
    bits = c.random.random((1, c.depth, 64)) < 0.5

    def verify(isa: str | None) -> None:
        product = np.zeros((c.rows, 64), np.int32)
        kernels.lookup_gemm_i32(c.operands["tables"], panel_of(isa, bits), product, isa=isa)
        np.testing.assert_array_equal(product, oracle.lookup_part(a, part) @ oracle.signs(bits[0]))

    c.verify = verify


@case
def lookup_lay_u1(c: Case) -> None:
    """Seen through a product with random values; bits past the last column may be set."""
    columns = min(c.columns, 64)
    bits = c.random.random((c.depth, 64)) < 0.5
    c.place("b", oracle.pack(bits))
    c.options["columns"] = columns
    c.place_lines("panel", (_groups(c.depth) * kernels.LOOKUP_PANEL_BYTES,), written=True)
    a = c.random.integers(-31, 31, (c.rows, c.depth), dtype=np.int8, endpoint=True)

    def verify(isa: str | None) -> None:
        product = np.zeros((c.rows, columns), np.int32)
        tables = tables_of(isa, a, "whole")
        kernels.lookup_gemm_i32(tables, c.operands["panel"], product, isa=isa)
        expected = a.astype(np.int64) @ oracle.signs(bits[:, :columns])
        np.testing.assert_array_equal(product, expected)

    c.verify = verify


@case
def lookup_gemm_i32(c: Case) -> None:
    """Several taps, tables in any order, weights, sums added to what is there."""
    part, limit = _part(c)
    taps, columns, groups = 1 + c.seed // 3 % 3, min(c.columns, 64), _groups(c.depth)
    given = c.rows * taps
    if c.seed % 2:
        given = c.rows + 5
        c.place("order", c.random.integers(0, given, c.rows * taps))
    if c.extreme:
        a = c.random.choice(np.array([-limit, limit], np.int8), (given, c.depth))
    else:
        a = c.random.integers(-limit, limit, (given, c.depth), dtype=np.int8, endpoint=True)
    bits = c.random.random((taps, c.depth, columns)) < (0.95 if c.extreme else 0.5)
    weight, add = int(c.random.choice([1, 4, 127])), bool(c.random.integers(2))
    c.place_lines("tables", (given, groups * kernels.LOOKUP_TABLE_BYTES))
    c.place_lines("panel", (taps * groups * kernels.LOOKUP_PANEL_BYTES,))
    tables, panel = c.operands["tables"], c.operands["panel"]

    def prepare(isa: str | None) -> None:
        tables[...] = tables_of(isa, a, part)
        panel[...] = panel_of(isa, bits)

    c.prepare = prepare
    c.prepare(None)
    c.options |= {"taps": taps, "weight": weight, "add": add}
    before = c.integers("c", (c.rows, columns), np.int32, -1000, 1000).astype(np.int64)
    order = c.operands.get("order", np.arange(c.rows * taps)).reshape(c.rows, taps)
    values = oracle.lookup_part(a, part)
    product = sum(values[order[:, tap]] @ oracle.signs(bits[tap]) for tap in range(taps))
    c.output("c", before * add + weight * product, np.int32)


@case
def pool_max_i32(c: Case) -> None:
    """Few different values, of which several are the largest; in an extreme case two."""
    columns = min(c.columns, 64)
    low, high = (-(2**31), 2**31 - 1) if c.extreme else (-2, 2)
    y = c.integers("y", (4 * c.rows, columns), np.int32, low, high)
    flip = c.place("flip", 3 * c.random.integers(0, 2, columns, dtype=np.uint8))
    out, argmax = oracle.pool(y, flip)
    c.output("out", out, np.int32)
    c.output("argmax", oracle.pack(np.pad(argmax, ((0, 0), (0, 64 - columns)))), np.uint64)


@case
def pool_sum_i32(c: Case) -> None:
    """As large as four of them may be."""
    low, high = (-(2**29), 2**29 - 1) if c.extreme else (-999, 999)
    y = c.integers("y", (4 * c.rows, c.columns), np.int32, low, high)
    c.output("out", y.reshape(c.rows, 4, c.columns).sum(axis=1), np.int32)


def _spread(c: Case, values: np.ndarray, dtype: type) -> None:
    chosen = c.bits("argmax", 4 * c.rows, 64)[:, : values.shape[1]]
    c.output("out", np.where(chosen, np.repeat(values, 4, axis=0), 0), dtype)


@case
def pool_spread_i8(c: Case) -> None:
    """Any argmax, none and several of a window as well."""
    _spread(c, c.integers("values", (c.rows, min(c.columns, 64)), np.int8, -128, 127), np.int8)


@case
def pool_spread_f32(c: Case) -> None:
    """As pool_spread_i8."""
    _spread(c, c.reals("values", (c.rows, min(c.columns, 64))), F32)


@case
def narrow_i32_i16(c: Case) -> None:
    """All that fits."""
    c.output("out", c.integers("y", c.tile, np.int32, -(2**15), 2**15 - 1), np.int16)


@case
def widen_i16_i32(c: Case) -> None:
    """Any values."""
    c.output("out", c.integers("y", c.tile, np.int16, -(2**15), 2**15 - 1), np.int32)
