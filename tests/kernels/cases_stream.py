"""Cases of stream/: y up to what pixels make, streams and gradients to both ends of int16."""

from __future__ import annotations

import kernel_oracles as oracle
import numpy as np
from kernel_case import Case, case
from kernel_oracles import F32

ONE, LIMIT, MOST = 512, 16383, 2**15 - 1
"""Units of the stream in 1, what one addition is limited to, and what the sum is."""
PIXELS = 2**23


def _numbers(c: Case, name: str) -> np.ndarray:
    """Place a stream or a gradient: all of int16, the value without an opposite as well."""
    return c.integers(name, c.tile, np.int16, -MOST - 1, MOST)


def _added(c: Case, name: str, before: np.ndarray, values: np.ndarray) -> None:
    """Expect values in an operand, in half of the seeds with what was there on top."""
    c.options["add"] = add = int(c.random.integers(2))
    c.output(name, np.clip(values + add * before.astype(np.int64), -MOST, MOST), np.int16)


def _random_bytes(c: Case, name: str) -> np.ndarray | None:
    """Choose key and index, also one that wraps around; return the bytes of an operand, or None."""
    key = int(c.random.choice([0, 1, 2**63 + 12345]))
    index = int(c.random.choice([0, 1000, 2**32 - 5]))
    c.options |= {"key": key, "index": index}
    return oracle.dither_bytes(c.tile, c.stride(name), index, key) if key else None


def _affine(c: Case) -> np.ndarray:
    """Place the operands of v, a good part of which is within int8; return v."""
    y = c.integers("y", c.tile, np.int32, -PIXELS, PIXELS)
    g = _numbers(c, "g")
    a = c.reals("a", (c.columns,), 2.0**-9)
    return oracle.affine(
        y, g, a, c.reals("b", (c.columns,), 1e-5), c.reals("c0", (c.columns,), 5.0)
    )


@case
def stream_add_i16(c: Case) -> None:
    """Exact halves at some seeds, and at others sums that leave both limits."""
    y = c.integers("y", c.tile, np.int32, -PIXELS, PIXELS)
    if c.seed % 3 == 0:
        scale = c.place("scale", np.full(c.columns, 0.5 / ONE, F32))
        y %= 2 * LIMIT
        c.operands["y"][...] = y
    else:
        scale = c.reals("scale", (c.columns,), [1e-5, 2e-6][c.seed % 2])
    shift = c.reals("shift", (c.columns,), c.seed % 2)
    z = y.astype(F32) * scale + shift
    whole = np.rint(np.clip(z * F32(ONE), F32(-LIMIT), F32(LIMIT))).astype(np.int64)
    _added(c, "r", _numbers(c, "r"), whole)


@case
def stream_within_i16_u1(c: Case) -> None:
    """Both ends, and what is just outside of them."""
    r = _numbers(c, "r")
    for level in (ONE, -ONE, ONE + 1, -ONE - 1):
        c.touch("r", r, np.full(c.columns, level, np.int16))
    c.output("bits", oracle.pack(np.abs(r.astype(np.int64)) <= ONE), np.uint64)


@case
def stream_sums_i16(c: Case) -> None:
    """Added to what is there; the largest products of both signs."""
    y = c.integers("y", c.tile, np.int32, -PIXELS, PIXELS).astype(np.int64)
    g = _numbers(c, "g").astype(np.int64)
    sum_g = c.integers("sum_g", (c.columns,), np.int64, -(2**40), 2**40)
    sum_gy = c.integers("sum_gy", (c.columns,), np.int64, -(2**60), 2**60)
    c.output("sum_g", sum_g + g.sum(axis=0), np.int64)
    c.output("sum_gy", sum_gy + (g * y).sum(axis=0), np.int64)


@case
def stream_measure_i16(c: Case) -> None:
    """From a start that wins in some seeds."""
    v = _affine(c)
    start = F32(c.random.choice([0.0, 100.0, 1e6]))
    c.options["largest"] = float(start)
    c.returned = float(np.max(np.abs(v), initial=start))


@case
def stream_affine_i16(c: Case) -> None:
    """Both limits, both kinds of rounding, indices that wrap around."""
    v = _affine(c)
    limit = int(c.random.choice([127, 31]))
    c.options |= {"limit": limit, "largest": 0.25}
    c.returned = float(np.max(np.abs(v), initial=F32(0.25)))
    c.output("q", np.zeros(c.tile, np.int8), np.int8)
    u = _random_bytes(c, "q")
    rounded = oracle.round_to_int8(v, limit)
    c.output("q", rounded if u is None else oracle.round_by_bytes(v, u, limit), np.int8)


@case
def stream_gradient_i16(c: Case) -> None:
    """Exact halves, values past the limit, any mask; both kinds of rounding."""
    multiplier, most = [(0.5, 2**15), (2.0**-10, 2**24), (1e-5, 2**31 - 1)][c.seed % 3]
    y = c.integers("y", c.tile, np.int32, -most, most)
    c.options["multiplier"] = float(F32(multiplier))
    bits = c.bits("bits", *c.tile)
    v = np.clip(y.astype(F32) * F32(multiplier), F32(-LIMIT), F32(LIMIT))
    before = _numbers(c, "g")
    u = _random_bytes(c, "g")
    rounded = np.rint(v) if u is None else oracle.round_by_bytes(v, u, LIMIT, np.int64)
    _added(c, "g", before, np.where(bits, rounded, 0).astype(np.int64))
    start = int(c.random.choice([0, 300, 2**31 - 1]))
    c.options["largest"] = start
    c.returned = int(np.max(np.abs(c.expected["g"].astype(np.int64)), initial=start))
