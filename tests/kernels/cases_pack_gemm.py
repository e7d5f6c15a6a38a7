"""Cases of pack/, xnor/ and grad/."""

from __future__ import annotations

import kernel_oracles as oracle
import numpy as np
from kernel_case import Case, case
from kernel_oracles import F32


def _pack(c: Case, values: np.ndarray) -> None:
    c.place("values", values)
    with np.errstate(invalid="ignore"):
        c.output("bits", oracle.pack(values < 0), np.uint64)


@case
def pack_i8_u1(c: Case) -> None:
    """Values around the sign change, and the extremes."""
    _pack(c, c.random.choice(np.array([-128, -127, -1, 0, 1, 127], np.int8), c.tile))


@case
def pack_i16_u1(c: Case) -> None:
    """A low byte without a sign bit under a negative high byte, and the reverse."""
    _pack(c, c.random.choice(np.array([-32768, -256, -1, 0, 1, 128, 255, 32767], np.int16), c.tile))


SPECIAL_REALS = [-np.inf, -1.0, -6e-8, -0.0, 0.0, 6e-8, 1.0, np.inf, np.nan]


@case
def pack_f16_u1(c: Case) -> None:
    """Specials; every second NaN carries a sign."""
    values = c.random.choice(np.array(SPECIAL_REALS, np.float16), c.tile)
    _pack(c, np.where(c.random.random(c.tile) < 0.5, values, np.copysign(values, np.float16(-1))))


@case
def pack_f32_u1(c: Case) -> None:
    """The same in float32, with its smallest subnormal."""
    values = c.random.choice(np.array([*SPECIAL_REALS, 1e-45, -1e-45], F32), c.tile)
    _pack(c, np.where(c.random.random(c.tile) < 0.5, values, np.copysign(values, F32(-1))))


@case
def transpose_u1(c: Case) -> None:
    """Bits past the last column may be set and must not show."""
    bits = c.random.random((c.rows, 64 * oracle.words(c.columns))) < 0.5
    c.place("bits", oracle.pack(bits))
    c.options["columns"] = c.columns
    c.output("out", oracle.pack(bits[:, : c.columns].T), np.uint64)


@case
def transpose_i8(c: Case) -> None:
    """Any values."""
    c.output("out", c.integers("values", c.tile, np.int8, -128, 127).T, np.int8)


@case
def xnor_gemm_u1_i32(c: Case) -> None:
    """Signs by signs."""
    a, b = c.bits("a", c.rows, c.depth), c.bits("b", c.columns, c.depth)
    c.options["depth"] = c.depth
    c.output("y", oracle.signs(a) @ oracle.signs(b).T, np.int32)


@case
def gemm_i8_u1_i32(c: Case) -> None:
    """Bytes by signs; -128 included."""
    a = c.integers("a", (c.rows, c.depth), np.int8, -128, 127)
    b = c.bits("b", c.depth, c.columns)
    c.output("c", a.astype(np.int64) @ oracle.signs(b), np.int32)


@case
def gemm_i8_i8_i32(c: Case) -> None:
    """Bytes by bytes; -128 times -128 included."""
    a = c.integers("a", (c.rows, c.depth), np.int8, -128, 127)
    b = c.integers("b", (c.depth, c.columns), np.int8, -128, 127)
    c.output("c", a.astype(np.int64) @ b.astype(np.int64), np.int32)


@case
def gemm_f32(c: Case) -> None:
    """Depth in order, every product and sum rounded to float32."""
    transposed = bool(c.seed % 2)
    a = c.reals("a", (c.depth, c.rows) if transposed else (c.rows, c.depth))
    b = c.reals("b", (c.depth, c.columns))
    c.options["transposed"] = transposed
    total = np.zeros(c.tile, F32)
    for k in range(c.depth):
        total += (a[k][:, None] if transposed else a[:, k, None]) * b[k]
    c.output("c", total, F32)
