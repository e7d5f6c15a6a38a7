"""The panel that products keep between calls, and the depths that they refuse."""

from __future__ import annotations

import cases_pack_gemm  # noqa: F401  entered by import
import kernel_oracles as oracle
import numpy as np
import pytest
from kernel_case import Case, supported

from bnntrain import kernels

REUSING = [(op, isa) for op in ("gemm_i8_u1_i32", "gemm_i8_i8_i32") for isa in supported(op)]


@pytest.mark.parametrize(
    "size", [(5, 64, 512), (1, 1, 1), (6, 63, 511), (5, 65, 300), (5, 64, 513), (4, 130, 1030)]
)
@pytest.mark.parametrize(("op", "isa"), REUSING)
def test_reuse_gives_the_same_for_other_rows(op: str, isa: str, size: tuple[int, int, int]) -> None:
    """Also where b is larger than a panel and the promise is ignored."""
    first, second = Case(op, *size, seed=1), Case(op, *size, seed=2)
    panel = np.zeros(kernels.PANEL_BYTES + 63, np.uint8)
    first.options["panel"] = panel
    first.check(isa)
    b = first.operands["b"]
    signs = oracle.signs(oracle.unpack(b, size[1])) if b.dtype == np.uint64 else b.astype(np.int64)
    second.operands["b"][...] = b
    second.options |= {"panel": panel, "reuse": True}
    second.expected["c"] = (second.operands["a"].astype(np.int64) @ signs).astype(np.int32)
    second.check(isa)


def test_depth_of_xnor_is_bounded() -> None:
    y, bits = np.empty((0, 0), np.int32), np.empty((0, 2**25), np.uint64)
    with pytest.raises(ValueError, match="depth: expected an integer in 0"):
        kernels.xnor_gemm_u1_i32(bits, bits, 2**31, y)
    with pytest.raises(ValueError, match="depth: expected an integer in 0"):
        kernels.xnor_gemm_u1_i32(bits, bits, -1, y)


@pytest.mark.parametrize(
    ("op", "dtype", "depth"),
    [("gemm_i8_u1_i32", np.uint64, 2**24), ("gemm_i8_i8_i32", np.int8, 2**17)],
)
def test_depth_of_integer_sums_is_bounded(op: str, dtype: type, depth: int) -> None:
    a, b, c = np.empty((0, depth), np.int8), np.empty((depth, 0), dtype), np.empty((0, 0), np.int32)
    with pytest.raises(ValueError, match=f"a: expected a depth of at most {depth - 1}"):
        getattr(kernels, op)(a, b, c)
    getattr(kernels, op)(a[:, 1:].copy(), b[1:], c)


@pytest.mark.parametrize("isa", supported("gemm_i8_i8_i32"))
def test_the_largest_sums_fit(isa: str) -> None:
    depth = 2**17 - 1
    a, b = np.full((1, depth), -128, np.int8), np.full((depth, 3), -128, np.int8)
    c = np.zeros((1, 3), np.int32)
    kernels.gemm_i8_i8_i32(a, b, c, isa=isa)
    assert c.tolist() == [[depth * 128 * 128] * 3]


def test_a_short_panel_is_refused() -> None:
    trial = Case("xnor_gemm_u1_i32")
    trial.options["panel"] = np.zeros(kernels.PANEL_BYTES - 1, np.uint8)
    with pytest.raises(ValueError, match="panel: expected 32768 bytes"):
        trial.run(None)
