"""Cases of norm/."""

from __future__ import annotations

import kernel_oracles as oracle
import numpy as np
from kernel_case import Case, case
from kernel_oracles import F32

SAFE = 2**17 - 1


def _y(c: Case, name: str = "y") -> np.ndarray:
    return c.integers(name, c.tile, np.int32, -SAFE, SAFE)


def _levels(c: Case) -> tuple[np.ndarray, np.ndarray]:
    return (
        c.integers("threshold", (c.columns,), np.int32, -SAFE, SAFE),
        c.place("flip", c.random.integers(0, 2, c.columns, dtype=np.uint8)),
    )


def _interval(c: Case) -> tuple[np.ndarray, np.ndarray]:
    """Intervals around 0, open-ended ones and empty ones."""
    low = c.place("low", c.random.choice([-(2**31), -SAFE // 2, -1, 1], c.columns).astype(np.int32))
    high = c.place(
        "high", c.random.choice([2**31 - 1, SAFE // 2, 1, 0], c.columns).astype(np.int32)
    )
    return low, high


def _affine(c: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors that put a good part of the results within int8."""
    return (
        c.reals("a", (c.columns,)),
        c.reals("b", (c.columns,), 1e-3),
        c.reals("c0", (c.columns,), 5.0),
    )


@case
def norm_sums_i32(c: Case) -> None:
    """Added to what is there."""
    y = _y(c).astype(np.int64)
    total = c.integers("sum", (c.columns,), np.int64, -(2**40), 2**40)
    squares = c.integers("sum_squares", (c.columns,), np.int64, 0, 2**50)
    c.output("sum", total + y.sum(axis=0), np.int64)
    c.output("sum_squares", squares + (y * y).sum(axis=0), np.int64)


@case
def norm_deviation_i32(c: Case) -> None:
    """Batches of which the tile is a part."""
    y = _y(c).astype(np.int64)
    n = int(c.random.integers(1, 100_000))
    total = c.integers("sum", (c.columns,), np.int64, -SAFE * n, SAFE * n)
    deviation = c.integers("deviation", (c.columns,), np.int64, 0, 2**50)
    c.options["n"] = n
    c.output("deviation", deviation + np.abs(n * y - total).sum(axis=0), np.int64)


@case
def norm_magnitude_i32(c: Case) -> None:
    """Terms in float32, rows in order in float64."""
    y = _y(c)
    scale, shift = c.reals("scale", (c.columns,), 1e-4), c.reals("shift", (c.columns,))
    magnitude = np.abs(c.reals("magnitude", (c.columns,), 10.0, np.float64))
    for row in np.abs(y.astype(F32) * scale + shift):
        magnitude = magnitude + row
    np.abs(c.operands["magnitude"], out=c.operands["magnitude"])
    c.output("magnitude", magnitude, np.float64)


@case
def binarise_i32_u1(c: Case) -> None:
    """Values on the threshold as well."""
    y = _y(c)
    threshold, flip = _levels(c)
    c.touch("y", y, threshold)
    c.output("bits", oracle.pack((y < threshold) ^ flip.astype(bool)), np.uint64)


@case
def within_i32_u1(c: Case) -> None:
    """Values on both ends as well."""
    y = _y(c)
    low, high = _interval(c)
    c.touch("y", y, low)
    c.touch("y", y, high)
    c.output("bits", oracle.pack((low <= y) & (y <= high)), np.uint64)


@case
def normalise_i32_f32(c: Case) -> None:
    """Two roundings per value."""
    y = _y(c)
    scale, shift = c.reals("scale", (c.columns,), 1e-4), c.reals("shift", (c.columns,))
    c.output("z", y.astype(F32) * scale + shift, F32)


@case
def sign_tile_i32(c: Case) -> None:
    """As binarise_i32_u1."""
    y = _y(c)
    threshold, flip = _levels(c)
    c.touch("y", y, threshold)
    c.output("y", oracle.signs((y < threshold) ^ flip.astype(bool)), np.int32)


@case
def norm_cancel_i8(c: Case) -> None:
    """Products up to their bound; see also test_wide_sums.py."""
    y = _y(c)
    low, high = _interval(c)
    c.touch("y", y, high)
    np.clip(y, -SAFE, SAFE, out=y)
    c.operands["y"][...] = y
    g = c.integers("g", c.tile, np.int8, -128, 127)
    passed = np.where((low <= y) & (y <= high), g, 0).astype(np.int64)
    sum_g = c.integers("sum_g", (c.columns,), np.int64, -(2**40), 2**40)
    sum_gy = c.integers("sum_gy", (c.columns,), np.int64, -(2**50), 2**50)
    c.output("g", passed, np.int8)
    c.output("sum_g", sum_g + passed.sum(axis=0), np.int64)
    c.output("sum_gy", sum_gy + (passed * y).sum(axis=0), np.int64)


@case
def norm_measure_i8(c: Case) -> None:
    """From a start that wins in some seeds."""
    t = _y(c, "t")
    a, b, c0 = _affine(c)
    g = c.integers("g", c.tile, np.int8, -128, 127)
    start = F32(c.random.choice([0.0, 100.0, 1e6]))
    c.options["largest"] = float(start)
    c.returned = float(np.max(np.abs(oracle.affine(t, g, a, b, c0)), initial=start))


@case
def norm_affine_i8(c: Case) -> None:
    """Both limits, both kinds of rounding, indices that wrap around."""
    t = _y(c, "t")
    a, b, c0 = _affine(c)
    g = c.integers("g", c.tile, np.int8, -128, 127)
    limit = int(c.random.choice([127, 31]))
    key = int(c.random.choice([0, 1, 2**63 + 12345]))
    index = int(c.random.choice([0, 1000, 2**32 - 5]))
    v = oracle.affine(t, g, a, b, c0)
    c.options |= {"limit": limit, "key": key, "index": index, "largest": 0.25}
    c.returned = float(np.max(np.abs(v), initial=F32(0.25)))
    rounded = oracle.round_to_int8(v, limit)
    if key:
        u = oracle.dither_bytes(c.tile, c.stride("g"), index, key)
        rounded = oracle.round_by_bytes(v, u, limit)
    c.output("g", rounded, np.int8)


@case
def requantise_i32_i8(c: Case) -> None:
    """Exact halves at some seeds, saturation at others; both kinds of rounding."""
    v = c.integers("v", c.tile, np.int32, -(2**24), 2**24)
    c.options["multiplier"] = multiplier = float(F32(c.random.choice([2.0**-17, 2.0**-18, 1e-5])))
    key = int(c.random.choice([0, 1, 2**63 + 12345]))
    index = int(c.random.choice([0, 1000, 2**32 - 5]))
    c.options |= {"key": key, "index": index}
    scaled = v.astype(F32) * F32(multiplier)
    c.output("q", np.zeros(c.tile, np.int8), np.int8)
    rounded = oracle.round_to_int8(scaled)
    if key:
        u = oracle.dither_bytes(c.tile, c.stride("q"), index, key)
        rounded = oracle.round_by_bytes(scaled, u)
    c.output("q", rounded, np.int8)


@case
def largest_i32(c: Case) -> None:
    """From a start that wins in some seeds."""
    v = c.integers("v", c.tile, np.int32, -(2**31) + 1, 2**31 - 1)
    c.options["largest"] = start = int(c.random.choice([0, 2**31 - 1]))
    c.returned = int(np.max(np.abs(v.astype(np.int64)), initial=start))


@case
def mask_i8(c: Case) -> None:
    """Any bytes."""
    bits = c.bits("bits", *c.tile)
    c.output("g", np.where(bits, c.integers("g", c.tile, np.int8, -128, 127), 0), np.int8)


@case
def norm_cancel_f32(c: Case) -> None:
    """Values on the ends as well."""
    y = _y(c)
    low, high = _interval(c)
    c.touch("y", y, low)
    c.output("g", np.where((low <= y) & (y <= high), c.reals("g", c.tile), 0), F32)


@case
def mask_f32(c: Case) -> None:
    """Any numbers."""
    bits = c.bits("bits", *c.tile)
    c.output("g", np.where(bits, c.reals("g", c.tile), 0), F32)


@case
def norm_sums_f32(c: Case) -> None:
    """Rows in order in float64."""
    t, g = _y(c, "t"), c.reals("g", c.tile)
    sum_g = c.reals("sum_g", (c.columns,), 1.0, np.float64)
    sum_gt = c.reals("sum_gt", (c.columns,), 1.0, np.float64)
    for gradient, factor in zip(g.astype(np.float64), t.astype(np.float64), strict=True):
        sum_g, sum_gt = sum_g + gradient, sum_gt + gradient * factor
    c.output("sum_g", sum_g, np.float64)
    c.output("sum_gt", sum_gt, np.float64)


@case
def norm_affine_f32(c: Case) -> None:
    """In the order written."""
    t, g = _y(c, "t"), c.reals("g", c.tile)
    c.output("g", oracle.affine(t, g, *_affine(c)), F32)
