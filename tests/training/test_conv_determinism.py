"""Convolutional networks: equal configurations give equal bytes.

Where gradients are int8 that holds for all numbers of threads and all instruction sets. Sums of
floats over the batch are taken thread by thread, so that ``standard`` and ``wang2021`` promise it
for equal numbers of threads only.
"""

from __future__ import annotations

import itertools

import pytest
from choices import meeting
from digits_run import AUGMENT, CONV_NETS, conv_net, digits_steps, train_steps

from bnntrain import kernels

STEPS = 5
THREADS = (1, 2, 3)
ISAS = kernels.supported_isas()
INTEGER = {
    f"{bits} bits, {scale} scale, {rounding}": {
        "representation.gradient_bits": bits,
        "representation.gradient_scale": scale,
        "representation.gradient_rounding": rounding,
    }
    for bits, scale, rounding in itertools.product(
        (8, 6), ("current", "delayed"), ("nearest", "stochastic")
    )
} | {
    "augmented": AUGMENT,
    "l1": {"representation.norm": "l1"},
    "l1-binary, stored mask": {"representation.norm": "l1-binary", "representation.mask": "bit"},
    "stored dW": {"representation.weight_gradient": "float32"},
    "adam": {"train.optimizer.name": "adam"},
    "sign": {"train.optimizer.name": "sign"},
    "37 rows": {"train.batch_size": 37},
}
REAL = {
    "standard": {"method": "standard"},
    "standard, augmented": {"method": "standard"} | AUGMENT,
    "wang2021": {"method": "wang2021"},
    "wang2021, augmented": {"method": "wang2021"} | AUGMENT,
    "float16 gradient": {"representation.gradient": "float16"},
    "standard with l1": {"method": "standard", "representation.norm": "l1"},
}


def state(net, overrides, isa, threads):
    """Digest of everything that persists after a few steps."""
    return train_steps("digits", conv_net(net) | overrides, STEPS, isa, threads).state_sha256


@pytest.fixture(scope="module")
def first():
    """States of portable kernels by case and threads, made when first asked for."""
    found = {}

    def get(net, case, threads=1):
        key = net, case, threads
        if key not in found:
            found[key] = state(net, (INTEGER | REAL)[case], "portable", threads)
        return found[key]

    return get


@pytest.mark.parametrize(
    ("net", "case", "isa", "threads"), meeting(3, list(CONV_NETS), list(INTEGER), ISAS, THREADS)
)
def test_threads_and_instruction_sets_do_not_show(net, case, isa, threads, first):
    assert state(net, INTEGER[case], isa, threads) == first(net, case)


@pytest.mark.parametrize(
    ("net", "case", "isa", "threads"), meeting(3, list(CONV_NETS), list(REAL), ISAS, THREADS)
)
def test_instruction_sets_do_not_show_in_floats(net, case, isa, threads, first):
    assert state(net, REAL[case], isa, threads) == first(net, case, threads)


@pytest.mark.parametrize("net", CONV_NETS)
def test_cases_differ(net, first):
    cases = [*INTEGER, *REAL]
    assert len({first(net, case) for case in cases}) == len(cases)


def test_seeds_differ(first):
    other = state("same", INTEGER["augmented"] | {"train.seed": 1}, None, 1)
    assert other != first("same", "augmented")


@pytest.mark.parametrize("net", CONV_NETS)
@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
def test_they_learn(net, method):
    # Equal bytes of a network that does not learn would say little.
    losses = digits_steps(60, method=method, rate=2e-3, **conv_net(net)).losses
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


# The real thing -----------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.usefixtures("cifar10")
def test_cnv_on_cifar10():
    # Augmented, as the shipped configuration has it.
    vector = [isa for isa in ISAS if isa != "portable"]
    sums = {
        train_steps("cnv_cifar10", {}, 12, isa, threads).weights_sha256
        for isa, threads in zip(itertools.cycle(vector), THREADS, strict=False)
    }
    assert len(sums) == min(1, len(vector))
    sums = {train_steps("cnv_cifar10", {}, 2, isa, 2).weights_sha256 for isa in ISAS}
    assert len(sums) == 1


@pytest.mark.usefixtures("cifar10")
@pytest.mark.parametrize("method", ["standard", "wang2021"])
def test_cnv_on_cifar10_in_floats(method):
    overrides = {"method": method, "train.batch_size": 20}
    for threads in (1, 2):
        sums = {
            train_steps("cnv_cifar10", overrides, 2, isa, threads).weights_sha256 for isa in ISAS
        }
        assert len(sums) == 1
