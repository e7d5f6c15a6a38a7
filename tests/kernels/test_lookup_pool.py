"""What the products by look-up refuse, their longest sums, and pooling in place."""

from __future__ import annotations

import cases_lookup_pool  # noqa: F401  entered by import
import numpy as np
import pytest
from kernel_case import LAYOUTS, Case, aligned_bytes, each_isa

from bnntrain import kernels


@each_isa("lookup_gemm_i32")
@pytest.mark.parametrize(("taps", "depth"), [(1, 2048), (1, 2049), (9, 240), (140, 16), (3, 4111)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_longest_narrow_sums(isa: str, taps: int, depth: int, sign: int) -> None:
    """Every look-up at its bound, in both directions."""
    trial = Case("lookup_gemm_i32", 3, 40, depth, seed=0)
    a = np.full((3 * taps, depth), 31 * sign, np.int8)
    a[:, 0] = 30 * sign
    tables = aligned_bytes((len(a), -(-depth // 16) * 64))
    kernels.lookup_tables_i8(a, tables, isa=isa)
    panel = aligned_bytes((taps, -(-depth // 16) * 256))
    for tap in range(taps):
        kernels.lookup_lay_u1(np.full((depth, 1), 2, np.uint64), 40, panel[tap], isa=isa)
    c = trial.operands["c"]
    kernels.lookup_gemm_i32(tables, panel.reshape(-1), c, taps=taps, weight=4, isa=isa)
    total = 4 * sign * taps * (31 * depth - 1)
    assert (c[:, 1] == -total).all()
    assert (np.delete(c, 1, axis=1) == total).all()


@each_isa("lookup_tables_i8")
@pytest.mark.parametrize("depth", [1, 4, 15, 16, 17, 48])
def test_a_product_of_nothing_but_parity(isa: str, depth: int) -> None:
    """Rows whose tables are odd and even in every order."""
    a = (np.random.default_rng(depth).random((64, depth)) < 0.5).astype(np.int8)
    bits = np.random.default_rng(1).random((depth, 64)) < 0.5
    words = np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    groups = -(-depth // 16)
    tables, panel = aligned_bytes((64, 64 * groups)), aligned_bytes((256 * groups,))
    kernels.lookup_tables_i8(a, tables, isa=isa)
    kernels.lookup_lay_u1(words, 64, panel, isa=isa)
    c = np.zeros((64, 64), np.int32)
    kernels.lookup_gemm_i32(tables, panel, c, isa=isa)
    np.testing.assert_array_equal(c, a.astype(int) @ (1 - 2 * bits.astype(int)))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("weight", 0, "weight: expected an integer in 1 ... 127, got 0"),
        ("weight", 128, "weight: expected an integer in 0 ... 127"),
        ("taps", -1, "taps: expected an integer in 0"),
        ("taps", 2**31 - 1, "tables: expected"),
        ("taps", 2, "tables: expected"),
    ],
)
def test_options_out_of_range(option: str, value: int, message: str) -> None:
    trial = Case("lookup_gemm_i32", seed=0)
    trial.options[option] = value
    with pytest.raises(ValueError, match=message):
        trial.run(None)


def test_sums_that_might_not_fit_are_refused() -> None:
    tables, panel = aligned_bytes((0, 64 * 64)), aligned_bytes((1000 * 64 * 256,))
    c = np.zeros((0, 1), np.int32)
    kernels.lookup_gemm_i32(tables, panel, c, taps=1000, weight=67)
    with pytest.raises(ValueError, match="tables: expected fewer than 1000 taps of 64 groups"):
        kernels.lookup_gemm_i32(tables, panel, c, taps=1000, weight=68)


@pytest.mark.parametrize("row", [-1, 8])
def test_an_order_past_the_tables_is_refused(row: int) -> None:
    trial = Case("lookup_gemm_i32", rows=3, seed=1)
    trial.operands["order"][-1] = row
    with pytest.raises(ValueError, match=f"order: expected rows of tables below 8, got {row}"):
        trial.run(None)


@pytest.mark.parametrize(
    ("op", "name"),
    [
        ("lookup_tables_i8", "tables"),
        ("lookup_lay_u1", "panel"),
        ("lookup_gemm_i32", "tables"),
        ("lookup_gemm_i32", "panel"),
    ],
)
def test_lines_that_do_not_start_at_64_bytes_are_refused(op: str, name: str) -> None:
    trial = Case(op, seed=3)
    array = trial.operands[name]
    moved = aligned_bytes((array.size + 16,))[16:].reshape(array.shape)
    trial.operands[name] = moved
    with pytest.raises(ValueError, match=f"^{name}: expected rows at addresses divisible by 64"):
        trial.run(None)


def test_an_unknown_part_is_refused() -> None:
    trial = Case("lookup_tables_i8")
    trial.options["part"] = "middle"
    with pytest.raises(ValueError, match="part: expected one of whole, low, high, got 'middle'"):
        trial.run(None)


@pytest.mark.parametrize("op", ["pool_max_i32", "pool_spread_i8", "pool_spread_f32"])
def test_more_than_a_word_of_columns_is_refused(op: str) -> None:
    trial = Case(op, columns=64)
    for name, array in trial.operands.items():
        if name != "argmax":
            trial.operands[name] = np.repeat(array, 2, axis=-1)
    with pytest.raises(ValueError, match="expected at most 64 columns, got 128"):
        trial.run(None)


@each_isa("pool_max_i32")
@pytest.mark.parametrize("columns", [1, 7, 8, 16, 63, 64])
def test_pooling_in_place(isa: str, columns: int) -> None:
    trial = Case("pool_max_i32", 9, columns, layout=LAYOUTS["strided"], seed=columns)
    y = trial.operands["y"]
    wanted = np.concatenate([trial.expected["out"], y[9:]])
    kernels.pool_max_i32(y, trial.operands["flip"], y[:9], trial.operands["argmax"], isa=isa)
    np.testing.assert_array_equal(y[:9], wanted[:9])
    np.testing.assert_array_equal(y[9:], wanted[9:])
    np.testing.assert_array_equal(trial.operands["argmax"], trial.expected["argmax"])


@each_isa("pool_sum_i32")
@pytest.mark.parametrize("columns", [1, 7, 8, 16, 63, 64, 65])
def test_summing_in_place(isa: str, columns: int) -> None:
    trial = Case("pool_sum_i32", 9, columns, layout=LAYOUTS["strided"], seed=columns)
    y = trial.operands["y"]
    wanted = np.concatenate([trial.expected["out"], y[9:]])
    kernels.pool_sum_i32(y, y[:9], isa=isa)
    np.testing.assert_array_equal(y, wanted)
