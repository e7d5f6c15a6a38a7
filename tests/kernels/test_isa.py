"""Instruction sets: what there is, and which one is taken."""

from __future__ import annotations

import cases_pack_gemm  # noqa: F401  entered by import
import pytest
from kernel_case import Case

from bnntrain import kernels

# By family of processors, the portable one in each.
FAMILIES = (["avx512", "avx2", "portable"], ["neondot", "neon", "portable"])


def _in_order(isas: list[str]) -> bool:
    """Whether these are sets of one family, best first."""
    return any(isas == [isa for isa in family if isa in isas] for family in FAMILIES)


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernels.ISA_VARIABLE, raising=False)


def test_supported_sets_are_known_and_best_first() -> None:
    found = kernels.supported_isas()
    assert _in_order(found)
    assert found[-1] == "portable"


def test_every_operation_has_one_portable_implementation_and_it_stands_last() -> None:
    by_op: dict[str, list[str]] = {}
    for op, isa in kernels.implementations():
        by_op.setdefault(op, []).append(isa)
    for op, isas in by_op.items():
        assert _in_order(isas), op
        assert isas[-1] == "portable", op


def test_each_set_includes_the_ones_behind_it() -> None:
    for family in FAMILIES:
        for i, isa in enumerate(family):
            for j, other in enumerate(family):
                assert kernels.isa_includes(isa, other) == (j >= i)


def test_families_share_nothing_but_the_portable_set() -> None:
    one, other = (family[:-1] for family in FAMILIES)
    for a in one:
        for b in other:
            assert not kernels.isa_includes(a, b)
            assert not kernels.isa_includes(b, a)


def test_best_is_selected() -> None:
    assert kernels.selected_isa() == kernels.supported_isas()[0]


def test_the_variable_selects(monkeypatch: pytest.MonkeyPatch) -> None:
    for isa in kernels.supported_isas():
        monkeypatch.setenv(kernels.ISA_VARIABLE, isa)
        assert kernels.selected_isa() == isa
        Case("xnor_gemm_u1_i32").check(None)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.ISA_VARIABLE, "")
    assert kernels.selected_isa() == kernels.supported_isas()[0]


@pytest.mark.parametrize("name", ["sve", "AVX2", "portable "])
def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(kernels.ISA_VARIABLE, name)
    supported = ", ".join(kernels.supported_isas())
    message = f"^BNNTRAIN_ISA: this machine cannot run '{name}'. It supports: {supported}$"
    for call in (kernels.selected_isa, lambda: Case("xnor_gemm_u1_i32").run(None)):
        with pytest.raises(ValueError, match=message):
            call()


def test_an_argument_goes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.ISA_VARIABLE, "nonsense")
    Case("xnor_gemm_u1_i32").check("portable")


@pytest.mark.parametrize("isa", ["sve", "", 3])
def test_an_unknown_argument_is_refused(isa: object) -> None:
    with pytest.raises(ValueError, match=r"^isa: "):
        Case("xnor_gemm_u1_i32").run(isa)


def test_unknown_names_do_not_compare() -> None:
    with pytest.raises(ValueError, match=r"^other: this machine cannot run 'sve'"):
        kernels.isa_includes("portable", "sve")
