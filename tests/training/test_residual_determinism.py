"""Residual networks: equal configurations give equal bytes.

Where gradients are int8 that holds for all numbers of threads and all instruction sets;
``standard`` and ``wang2021`` promise it for equal numbers of threads, as in test_conv_determinism.
"""

from __future__ import annotations

import numpy as np
import pytest
from choices import meeting
from digits_run import AUGMENT, RESIDUAL_RATE, conv_net, digits_steps, train_steps
from harness import fill_batch, make_config, persistent_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from residual_kit import METHODS, STEMS, half, layers_of, program_of, same
from test_conv_determinism import INTEGER

from bnntrain import kernels

STEPS = 4
ISAS, THREADS = kernels.supported_isas(), (1, 2, 3, 4)
REAL = {
    "standard": {"method": "standard"},
    "wang2021": {"method": "wang2021"},
    "wang2021, augmented": {"method": "wang2021"} | AUGMENT,
    "float16 gradient": {"representation.gradient": "float16"},
    "standard with l1": {"method": "standard", "representation.norm": "l1"},
    "standard, 37 rows": {"method": "standard", "train.batch_size": 37},
}
NAMES = (
    "6 bits, delayed scale, stochastic", "6 bits, current scale, nearest",
    "8 bits, delayed scale, nearest", "8 bits, current scale, stochastic",
    "augmented", "l1", "stored dW", "37 rows",
)  # fmt: skip
WHOLE = {name: INTEGER[name] for name in NAMES}
WHOLE["l1-binary"] = {"representation.norm": "l1-binary"}
WHOLE["pooled stem with l1"] = conv_net("stem") | {"representation.norm": "l1"}
REAL["pooled stem with l1, standard"] = WHOLE["pooled stem with l1"] | {"method": "standard"}


def state(overrides, isa, threads):
    """Digest of everything that persists after a few steps."""
    given = conv_net("residual") | {"train.batch_size": 40} | overrides
    return train_steps("digits", given, STEPS, isa, threads).state_sha256


@pytest.fixture(scope="module")
def first():
    """States of portable kernels by case and threads, made when first asked for."""
    found = {}

    def get(case, threads=1):
        key = case, threads
        if key not in found:
            found[key] = state((WHOLE | REAL)[case], "portable", threads)
        return found[key]

    return get


@pytest.mark.parametrize(("case", "isa", "threads"), meeting(2, list(WHOLE), ISAS, THREADS))
def test_threads_and_instruction_sets_do_not_show(case, isa, threads, first):
    assert state(WHOLE[case], isa, threads) == first(case)


@pytest.mark.parametrize(("case", "isa", "threads"), meeting(2, list(REAL), ISAS, THREADS))
def test_instruction_sets_do_not_show_in_floats(case, isa, threads, first):
    assert state(REAL[case], isa, threads) == first(case, threads)


def test_cases_differ(first):
    cases = [*WHOLE, *REAL]
    assert len({first(case) for case in cases}) == len(cases)


@pytest.mark.parametrize("case", ["6 bits, delayed scale, stochastic", "standard", "wang2021"])
def test_repeats_and_seeds(case, first):
    again = (WHOLE | REAL)[case]
    assert state(again, None, 1) == first(case)
    assert state(again | {"train.seed": 1}, None, 1) != first(case)


@pytest.mark.parametrize("method", METHODS)
def test_they_learn(method):
    # Equal bytes of a network that does not learn would say little.
    losses = digits_steps(40, method=method, rate=RESIDUAL_RATE, **conv_net("residual")).losses
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])


# Any network --------------------------------------------------------------------------------------

CHANNELS = st.sampled_from([1, 5, 20, 63, 64, 65, 70])
BLOCKS = st.lists(
    st.one_of(
        st.builds(same, CHANNELS, st.sampled_from([1, 2, 3, 5])),
        st.builds(half, CHANNELS, st.sampled_from([1, 2, 3])),
    ),
    max_size=3,
)
CONVS = st.fixed_dictionaries(
    {"channels": CHANNELS, "kernel": st.sampled_from([1, 3, 7]), "stride": st.sampled_from([1, 2])}
)


def trained(config, threads=1, isa=None, steps=range(3), rows=None, state=None):
    """Train some steps on data that depend on the step alone; return the program."""
    program = program_of(config, (32, 32, 2), threads, isa)
    if state is not None:
        for name, view in program.arena.persistent().items():
            view[...] = state[name]
    for step in steps:
        fill_batch(program, np.random.default_rng(step))
        program.train_batch(rows or config.train.batch_size, step, 2e-3)
    return program


@settings(max_examples=30)
@given(
    stem=CONVS,
    behind=st.sampled_from(STEMS),
    blocks=BLOCKS,
    relu=st.booleans(),
    method=st.sampled_from(METHODS),
    threads=st.integers(1, 4),
    isa=st.sampled_from(ISAS),
    batch=st.integers(1, 5),
    missing=st.integers(0, 2),
)
def test_any_network_gives_equal_bytes_and_goes_on_as_it_was(
    stem, behind, blocks, relu, method, threads, isa, batch, missing
):
    # 32 = 2^5: a stem, its pool and three blocks halve even sizes.
    config = make_config(layers_of(stem, *blocks, relu=relu, behind=behind), method, batch)
    rows = max(1, batch - missing)
    wanted = trained(config, threads if method != "efficient" else 1, "portable", rows=rows)
    assert wanted.is_finite()
    wanted = persistent_bytes(wanted)
    assert persistent_bytes(trained(config, threads, isa, rows=rows)) == wanted
    # What persists is all that a checkpoint has.
    half_way = trained(config, threads, isa, range(2), rows)
    state = {name: view.copy() for name, view in half_way.arena.persistent().items()}
    rest = trained(config, threads, isa, range(2, 3), rows, state)
    assert persistent_bytes(rest) == wanted
