"""What the arithmetic of products reaches: known for every vector instruction set."""

import pytest

from bnntrain import kernels
from bnntrain.kernel_cases import PRODUCTS
from bnntrain.native import clock_hz, product_limit


@pytest.mark.parametrize("isa", kernels.supported_isas())
def test_limits_are_known_for_the_vector_instruction_sets(isa):
    limits = {op: product_limit(op, isa, 1000) for op in PRODUCTS}
    if isa == "portable":
        assert set(limits.values()) == {None}
    else:
        assert all(limit > 0 for limit in limits.values())
    assert product_limit("pack_i8_u1", isa, 1000) is None


def test_a_limit_needs_an_instruction_set_of_this_machine():
    with pytest.raises(ValueError, match="isa"):
        product_limit("gemm_f32", "mmx", 10)


def test_a_clock_ticks():
    assert clock_hz(100_000) > 0
