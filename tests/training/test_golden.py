"""Ten steps of each method on the shipped digits against what they gave when they were released.

When the numbers may change, and how, is said in make_golden.py.
"""

from __future__ import annotations

import json

import pytest
from digits_run import digits_steps
from make_golden import GOLDEN, METHODS

from bnntrain import kernels

RECORDED = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("isa", kernels.supported_isas())
@pytest.mark.parametrize("method", METHODS)
def test_ten_steps(method, isa):
    got, wanted = digits_steps(isa=isa, method=method), RECORDED[method]
    assert got.losses == pytest.approx(wanted["losses"], rel=1e-5)
    assert got.hits == wanted["hits"]
    # Sums are exact or in a fixed order and nothing is contracted, so that even the methods that
    # compute in floats give the same bytes everywhere.
    assert got.weights_sha256 == wanted["weights_sha256"]


@pytest.mark.parametrize("method", METHODS)
def test_ten_steps_learn(method):
    losses = RECORDED[method]["losses"]
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])
