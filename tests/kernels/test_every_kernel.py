"""Every implementation of every operation against NumPy and against the portable one."""

from __future__ import annotations

import cases_lookup_pool  # noqa: F401  entered by import
import cases_norm  # noqa: F401
import cases_pack_gemm  # noqa: F401
import cases_stream  # noqa: F401
import cases_update_real  # noqa: F401
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_case import CASES, LAYOUTS, Case, Layout, supported

from bnntrain import kernels

PAIRS = [(op, isa) for op in CASES for isa in supported(op)]

# Rows straddle the row blocks; columns and depths a word, a vector, a panel (512 or 4096 bits).
SIZES = [
    (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1), (2, 3, 5), (4, 16, 64), (5, 63, 65), (3, 64, 63),
    (7, 65, 64), (16, 127, 128), (17, 128, 127), (33, 129, 129), (64, 32, 511), (65, 64, 512),
    (66, 31, 513), (3, 130, 1030), (2, 65, 4096), (9, 66, 4097), (9, 16, 33),
]  # fmt: skip


def test_there_is_a_case_for_every_operation() -> None:
    assert set(CASES) == {op for op, _ in kernels.implementations()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("op", "isa"), PAIRS)
def test_against_numpy(op: str, isa: str, size: tuple[int, int, int], layout: str) -> None:
    Case(op, *size, layout=LAYOUTS[layout], seed=SIZES.index(size)).check(isa)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("op", "isa"), PAIRS)
def test_extreme_values(op: str, isa: str, seed: int) -> None:
    """Every narrow accumulator at its bound, over several panels."""
    Case(op, 6, 70, 2100, layout=LAYOUTS["unaligned"], seed=seed, extreme=True).check(isa)


@pytest.mark.parametrize(("op", "isa"), PAIRS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rows=st.integers(0, 40),
    columns=st.integers(0, 200),
    depth=st.integers(0, 200),
    layout=st.builds(Layout, st.integers(0, 40), st.integers(0, 9), st.integers(0, 3)),
    seed=st.integers(0, 10**6),
    extreme=st.booleans(),
)
def test_any_shape(
    op: str, isa: str, rows: int, columns: int, depth: int, layout: Layout, seed: int, extreme: bool
) -> None:
    Case(op, rows, columns, depth, layout, seed, extreme).check(isa)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("op", "isa"), [pair for pair in PAIRS if pair[1] != "portable"])
def test_same_bits_as_portable(op: str, isa: str, seed: int) -> None:
    ours, portable = (Case(op, 13, 77, 190, LAYOUTS["strided"], seed) for _ in range(2))
    assert ours.run(isa) == portable.run("portable")
    for name, array in ours.operands.items():
        if name in ours.private:
            continue
        assert array.tobytes() == portable.operands[name].tobytes(), name


@pytest.mark.parametrize("op", ["xnor_gemm_u1_i32", "gemm_i8_u1_i32", "gemm_i8_i8_i32"])
def test_a_call_is_repeatable_with_one_panel(op: str) -> None:
    """What one call leaves in the panel must not show in the next."""
    panel = np.full(kernels.PANEL_BYTES + 63, 0xA5, np.uint8)
    for isa in supported(op):
        for size in [(5, 130, 1030), (3, 20, 40), (4, 64, 512)]:
            trial = Case(op, *size)
            trial.options["panel"] = panel
            trial.check(isa)
