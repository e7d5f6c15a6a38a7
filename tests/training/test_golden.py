"""Ten steps of every network and method on the shipped digits against what they once gave.

When the numbers may change, and how, is said in make_golden.py.
"""

from __future__ import annotations

import json

import pytest
from digits_run import digits_steps
from make_golden import GOLDEN, golden_cases

from bnntrain import kernels

RECORDED, CASES = json.loads(GOLDEN.read_text()), golden_cases()


@pytest.mark.parametrize("isa", kernels.supported_isas())
@pytest.mark.parametrize("name", CASES)
def test_ten_steps(name, isa):
    got, wanted = digits_steps(isa=isa, **CASES[name]), RECORDED[name]
    assert got.losses == pytest.approx(wanted["losses"], rel=1e-5)
    assert got.correct == wanted["hits"]
    # Sums are exact or, on one thread, in a fixed order, and nothing is contracted, so that even
    # the methods that compute in floats give the same bytes everywhere.
    assert got.weights_sha256 == wanted["weights_sha256"]
    # Ten steps learn: recorded anew by mistake, a broken step would be the same bytes too.
    assert sum(got.losses[-3:]) < 0.8 * sum(got.losses[:3])
