"""Learning-rate schedules: against libm, against their definitions, and through a checkpoint."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.config import Schedule
from bnntrain.schedule import LearningRate, cosine, power

EPOCHS, STEPS = 10, 7


def rates(peak=1.0, epochs=EPOCHS, steps=STEPS, **options):
    """Rates of all steps of a run."""
    rate = LearningRate(peak, Schedule(**options), epochs, steps)
    return [rate.at(step) for step in range(epochs * steps)]


@given(st.floats(0, math.pi))
def test_cosine_is_that_of_libm(x):
    assert abs(cosine(x) - math.cos(x)) < 1e-12


def test_cosine_at_its_ends():
    assert cosine(0.0) == 1.0
    assert abs(cosine(3.141592653589793) + 1.0) < 1e-15


def test_cosine_falls():
    values = [cosine(math.pi * i / 1000) for i in range(1001)]
    assert values == sorted(values, reverse=True)


@given(st.floats(0.5, 1.0), st.integers(0, 100_000))
def test_power_is_that_of_libm(base, exponent):
    assert power(base, exponent) == pytest.approx(base**exponent, rel=1e-11, abs=1e-300)


def test_power_is_a_product():
    assert [power(0.5, n) for n in range(5)] == [1.0, 0.5, 0.25, 0.125, 0.0625]
    assert power(0.0, 0) == 1.0


def test_constant():
    assert set(rates(peak=0.003)) == {0.003}


def test_step_falls_every_few_epochs():
    found = rates(peak=0.8, kind="step", every_epochs=3, factor=0.5)
    assert found == [0.8 * 0.5 ** (step // STEPS // 3) for step in range(EPOCHS * STEPS)]


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_cosine_schedule(final):
    found, total = rates(peak=2e-3, kind="cosine", final=final), EPOCHS * STEPS
    for step, rate in enumerate(found):
        share = (1 + math.cos(math.pi * step / total)) / 2
        assert rate == pytest.approx(2e-3 * (final + (1 - final) * share), rel=1e-12, abs=1e-16)
    assert found[0] == 2e-3
    assert all(rate > 0 for rate in found)


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_linear_schedule(final):
    found, total = rates(peak=2e-3, kind="linear", final=final), EPOCHS * STEPS
    wanted = [2e-3 * (1 - (1 - final) * step / total) for step in range(total)]
    assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("kind", ["constant", "step", "plateau", "cosine", "linear"])
@pytest.mark.parametrize("warmup", [0.5, 1.0, 2.5])
def test_warm_up_rises_in_equal_steps_to_the_peak(kind, warmup):
    found, length = rates(kind=kind, warmup_epochs=warmup), warmup * STEPS
    rising = found[: math.ceil(length)]
    assert rising == pytest.approx([(step + 1) / (length + 1) for step in range(len(rising))])
    assert max(found) <= 1.0
    assert found[math.ceil(length)] == pytest.approx(1.0, abs=0.01)


def test_cosine_after_a_warm_up_starts_at_its_peak():
    found = rates(kind="cosine", warmup_epochs=2.0)
    assert found[2 * STEPS] == 1.0
    assert found[2 * STEPS :] == sorted(found[2 * STEPS :], reverse=True)


def test_a_warm_up_longer_than_the_run():
    found = rates(kind="cosine", warmup_epochs=100.0)
    assert found == sorted(found)
    assert found[-1] < 0.2


schedules = st.builds(
    Schedule,
    kind=st.sampled_from(["constant", "step", "plateau", "cosine", "linear"]),
    warmup_epochs=st.floats(0, 20),
    every_epochs=st.integers(1, 8),
    patience=st.integers(1, 4),
    factor=st.floats(0.01, 0.99),
    final=st.floats(0, 1),
)


@given(schedules, st.floats(1e-6, 1.0), st.integers(1, 12), st.integers(1, 9))
def test_rates_stay_between_zero_and_the_peak(schedule, peak, epochs, steps):
    rate = LearningRate(peak, schedule, epochs, steps)
    found = [rate.at(step) for step in range(epochs * steps)]
    assert all(0 <= value <= peak * (1 + 1e-12) for value in found)
    after = found[math.ceil(schedule.warmup_epochs * steps) :]
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(after))


def plateau(**options):
    """A plateau schedule with rate 1."""
    return LearningRate(1.0, Schedule(kind="plateau", **options), 100, 1)


def reductions(rate, accuracies):
    """Rate after each epoch."""
    found = []
    for accuracy in accuracies:
        rate.end_epoch(accuracy)
        found.append(rate.at(50))
    return found


def test_plateau_reduces_after_its_patience():
    found = reductions(plateau(patience=2, factor=0.5), [10, 20, 20, 15, 21, 21, 20, 19, 18])
    # Equal is not better; a reduction starts the count again, an improvement too.
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_plateau_counts_an_accuracy_of_zero_as_a_first_best():
    assert reductions(plateau(patience=1, factor=0.5), [0.0, 0.0]) == [1, 0.5]


def test_other_kinds_do_not_react_to_accuracy():
    rate = LearningRate(1.0, Schedule(kind="constant", patience=1), 10, 1)
    assert reductions(rate, [5, 4, 3, 2]) == [1, 1, 1, 1]


@given(st.integers(1, 4), st.lists(st.floats(0, 100), min_size=1, max_size=30), st.integers(0, 30))
def test_plateau_state_survives_a_checkpoint(patience, accuracies, at):
    whole = plateau(patience=patience, factor=0.3)
    wanted = reductions(whole, accuracies)
    first = plateau(patience=patience, factor=0.3)
    found = reductions(first, accuracies[:at])
    second = plateau(patience=patience, factor=0.3)
    # A checkpoint holds the state as JSON.
    second.restore(json.loads(json.dumps(first.state())))
    found += reductions(second, accuracies[at:])
    assert found == wanted
    assert second.state() == whole.state()
