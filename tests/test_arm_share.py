"""Shares of the cases of a test (tools/arm_share.py), by which emulated processors divide them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from arm_share import kept


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 12, 13])
@pytest.mark.parametrize("share", [1, 3, 4])
def test_every_share_has_something_and_together_they_are_all(count, share):
    names = [f"test[{number}]" for number in range(count)]
    shares = [kept(names, first, share) for first in range(share)]
    assert all(any(flags) for flags in shares)
    assert all(any(flags) for flags in zip(*shares, strict=True))
    assert max(map(sum, shares)) <= -(-count // share)


def test_what_one_processor_alone_has_is_kept():
    names = ["test[gemm-neondot-1]", "test[gemm-neon-1]", "test[gemm-portable-1]"] * 2
    assert kept(names, 1, 3) == [True, True, False, True, True, False]
