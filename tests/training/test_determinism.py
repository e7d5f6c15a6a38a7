"""Equal configurations give equal bytes, whatever the threads and the instruction set."""

from __future__ import annotations

import pytest
from digits_run import digits_steps

from bnntrain import kernels

STEPS = 6
EIGHT_BITS = {"representation__gradient_bits": 8}
CURRENT = {"representation__gradient_scale": "current"}
CASES = {
    "standard": {"method": "standard"},
    "wang2021": {"method": "wang2021"},
    "efficient": {"method": "efficient"},
    "current scale": CURRENT,
    "8 bits": EIGHT_BITS,
    "8 bits, current scale": EIGHT_BITS | CURRENT,
    "l1": {"representation__norm": "l1"},
    "l1-binary": {"representation__norm": "l1-binary", "representation__mask": "bit"},
    "float16 gradient, int16 latent": EIGHT_BITS
    | {"representation__gradient": "float16", "representation__latent": "int16"},
    "adam on int8 latents": {"train__optimizer__name": "adam"},
    "sign": {"train__optimizer__name": "sign"},
    "standard with bop": {"method": "standard", "train__optimizer__name": "bop"},
}


@pytest.fixture(scope="module")
def portable():
    """State of every case after a few steps on one thread of portable kernels."""
    return {
        name: digits_steps(STEPS, "portable", 1, **case).state_sha256
        for name, case in CASES.items()
    }


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("isa", kernels.supported_isas())
@pytest.mark.parametrize("name", CASES)
def test_threads_and_instruction_sets_do_not_show(name, isa, threads, portable):
    assert digits_steps(STEPS, isa, threads, **CASES[name]).state_sha256 == portable[name]


@pytest.mark.parametrize("name", CASES)
def test_repeats_and_seeds(name, portable):
    again = digits_steps(STEPS, **CASES[name]).state_sha256
    other = digits_steps(STEPS, train__seed=1, **CASES[name]).state_sha256
    assert again == portable[name]
    assert other != portable[name]


def test_cases_differ(portable):
    # The first step measures a delayed scale too: later ones do not.
    assert len(set(portable.values())) == len(CASES)


def test_batch_of_odd_size():
    # 37 rows and 3 threads: every tile has a remainder.
    wanted = digits_steps(STEPS, "portable", 1, train__batch_size=37).state_sha256
    for isa in kernels.supported_isas():
        assert digits_steps(STEPS, isa, 3, train__batch_size=37).state_sha256 == wanted
