"""Sums at the ends of what they may hold: exact on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from cases_lookup_pool import panel_of, tables_of
from kernel_case import each_isa

from bnntrain import kernels

PIXELS = 2**23
"""The largest |y|: of 65,536 pixels of -128."""


@each_isa("norm_sums_i32")
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_y(isa: str, sign: int) -> None:
    y = np.full((1000, 70), sign * PIXELS, np.int32)
    total, squares = np.zeros(70, np.int64), np.zeros(70, np.int64)
    kernels.norm_sums_i32(y, total, squares, isa=isa)
    assert (total == sign * 1000 * PIXELS).all()
    assert (squares == 1000 * PIXELS**2).all()


@each_isa("stream_sums_i16")
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_gradient_of_a_stream(isa: str, sign: int) -> None:
    y, g = np.full((1000, 70), sign * PIXELS, np.int32), np.full((1000, 70), -(2**15), np.int16)
    total, products = np.zeros(70, np.int64), np.zeros(70, np.int64)
    kernels.stream_sums_i16(y, g, total, products, isa=isa)
    assert (total == -1000 * 2**15).all()
    assert (products == -sign * 1000 * 2**38).all()


@each_isa("norm_cancel_i8")
@pytest.mark.parametrize("largest", [2**17 - 1, 2**17, 2**17 + 1, 2**20, PIXELS])
@pytest.mark.parametrize("rows", [1, 2, 119, 121, 500])
def test_gradients_times_the_largest_y(isa: str, largest: int, rows: int) -> None:
    """An interval that is wide in one column only, in all, and in none."""
    random = np.random.default_rng(rows)
    y = np.full((rows, 40), largest, np.int32)
    y[:, 20:] = random.integers(-largest, largest + 1, (rows, 20))
    g = np.full((rows, 40), 127, np.int8)
    g[:, 10:] = random.integers(-127, 128, (rows, 30))
    low, high = np.full(40, -(2**31), np.int32), np.full(40, 2**31 - 1, np.int32)
    low[5:30], high[5:30] = -largest, largest
    low[30:], high[30:] = -1000, 2000
    passed = np.where((low <= y) & (y <= high), g, 0)
    total, product = np.ones(40, np.int64), np.full(40, 2**50, np.int64)
    kernels.norm_cancel_i8(y, low, high, g, total, product, isa=isa)
    np.testing.assert_array_equal(g, passed)
    np.testing.assert_array_equal(total - 1, passed.sum(axis=0, dtype=np.int64))
    np.testing.assert_array_equal(
        product - 2**50, (passed.astype(np.int64) * y).sum(axis=0, dtype=np.int64)
    )


@each_isa("lookup_gemm_i32")
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_sum_that_ends_at_the_limit_of_int32(isa: str, sign: int) -> None:
    """dW of 69,273,666 positions of 31: the last 256 of them."""
    depth, limit = 256, 31
    positions = (2**31 - 1) // limit
    start = limit * (positions - depth)
    a = np.full((2, depth), sign * limit, np.int8)
    c = np.full((2, 64), sign * start, np.int32)
    tables = tables_of(isa, a, "whole")
    positive = np.zeros((1, depth, 64), bool)
    kernels.lookup_gemm_i32(tables, panel_of(isa, positive), c, add=True, isa=isa)
    assert (c.astype(np.int64) == sign * limit * positions).all()
    kernels.lookup_gemm_i32(tables, panel_of(isa, ~positive), c, add=True, isa=isa)
    assert (c == sign * start).all()
