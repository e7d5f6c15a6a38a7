"""Energy of known waveforms, by the real driver and meter on the simulated chip."""

from __future__ import annotations

import math

import pytest
from bench import Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from waveforms import Constant, Pulse, Ramp, Square, energy

WITHIN = 0.01


@pytest.fixture
def bench(monkeypatch):
    return lambda *arguments, **options: Bench(monkeypatch, *arguments, **options)


def check(board, seconds, interval_s):
    record, start, end = board.record(seconds, interval_s)
    truth = energy(board.chip.amps, board.chip.volts, start, end)
    assert record.available
    assert record.joules == pytest.approx(truth, rel=WITHIN)
    assert record.seconds == pytest.approx(seconds, abs=0.002)
    assert record.samples == pytest.approx(seconds / interval_s, abs=3)
    assert record.lost_samples == record.over_range == record.resets == 0
    return record


RATES = {10: 128, 20: 64, 50: 32, 100: 8}
"""Samples a second, and conversions that are averaged so as to fill the time between them."""


@pytest.mark.parametrize("rate", RATES)
def test_constant(bench, rate):
    check(bench(Constant(0.8)), 30, 1 / rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("slope", [0.02, -0.02])
def test_ramp(bench, rate, slope):
    check(bench(Ramp(1.0, slope)), 30, 1 / rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hertz", [1000, 333, 100, 37, 1, 0.1])
def test_square(bench, rate, hertz):
    check(bench(Square(0.3, 1.2, hertz), averaging=RATES[rate]), 60, 1 / rate)


@pytest.mark.parametrize("rate", RATES)
def test_square_in_step_with_the_samples(bench, rate):
    """One period for every sample: an even grid would be off by up to a quarter, for ever."""
    board = bench(Square(0.3, 1.2, rate), averaging=RATES[rate])
    record, start, end = board.record(240, 1 / rate)
    truth = energy(board.chip.amps, board.chip.volts, start, end)
    assert record.joules == pytest.approx(truth, rel=2 * WITHIN)


@pytest.mark.parametrize("averaging", [1, 8, 128])
def test_averaging(bench, averaging):
    interval_s = 0.1 if averaging == 128 else 0.02
    check(bench(Square(0.3, 1.2, 0.37), averaging=averaging), 60, interval_s)


def test_bus_voltage_that_sags_with_the_load(bench):
    board = bench(Square(0.2, 1.0, 0.5), Square(5.1, 4.9, 0.5))
    record, start, end = board.record(60, 0.02)
    truth = energy(board.chip.amps, board.chip.volts, start, end, pieces=60_000)
    assert record.joules == pytest.approx(truth, rel=WITHIN)


@settings(max_examples=30)
@given(
    base=st.floats(0.1, 1.5),
    step=st.floats(-0.09, 1.0),
    hertz=st.floats(0.05, 4),
    duty=st.floats(0.2, 0.8),
    rate=st.sampled_from([20, 50, 100]),
)
def test_any_slow_square(base, step, hertz, duty, rate):
    with pytest.MonkeyPatch.context() as monkeypatch:
        board = Bench(monkeypatch, Square(base, base + step, hertz, duty), averaging=RATES[rate])
        record, start, end = board.record(40, 1 / rate)
    truth = energy(board.chip.amps, board.chip.volts, start, end)
    # An edge lies anywhere between two samples, which are random points of their intervals: each
    # adds an error of that spread, and chance has four deviations of their sum.
    edges, volts, spread = 2 * hertz * 40, 5.0, math.sqrt(2 / 12) / rate
    chance = abs(step) * volts * spread * math.sqrt(edges)
    assert record.joules == pytest.approx(truth, rel=0, abs=WITHIN * truth + 4 * chance)


def test_phases_share_the_energy_at_their_edges(bench):
    """3 s at 0.5 A, 4 s at 2 A, 3 s at 0.5 A: phases begin where the current changes."""
    board = bench(Pulse(0.5, 2.0, 0, 0), averaging=4)
    begin = board.clock()
    board.chip.amps.start, board.chip.amps.end = begin + 3, begin + 7
    events = {
        0.0: lambda meter: meter.begin_phase("load"),
        3.0: lambda meter: meter.begin_phase("forward"),
        7.0: lambda meter: meter.begin_phase("checkpoint"),
    }
    record, _, _ = board.record(10, 0.02, events)
    for name, seconds, watts in (("load", 3, 2.5), ("forward", 4, 10.0), ("checkpoint", 3, 2.5)):
        phase = record.phases[name]
        assert phase.seconds == pytest.approx(seconds, abs=0.03), name
        assert phase.joules == pytest.approx(seconds * watts, rel=0.03), name
    whole = record.to_json()
    phases = whole["phases"].values()
    assert sum(each["joules"] for each in phases) == pytest.approx(whole["joules"])
    assert sum(each["samples"] for each in phases) == whole["samples"]


def test_net_energy_is_that_above_the_baseline(bench):
    board = bench(Pulse(0.6, 1.6, 0, 0))
    begin = board.clock()
    board.chip.amps.start, board.chip.amps.end = begin + 10, begin + 30
    events = {
        0.0: lambda meter: meter.begin_phase("idle_before"),
        10.0: lambda meter: meter.begin_phase("forward"),
        30.0: lambda meter: meter.begin_phase("idle_after"),
    }
    record, _, _ = board.record(40, 0.05, events)
    got = record.to_json()
    assert got["idle_watts_before"] == pytest.approx(3.0, rel=WITHIN)
    assert got["idle_watts_after"] == pytest.approx(3.0, rel=2 * WITHIN)
    assert got["drift_watts"] == pytest.approx(0, abs=0.05)
    assert got["joules"] == pytest.approx(160, rel=WITHIN)
    assert got["net_joules"] == pytest.approx(100, rel=WITHIN)
    assert got["seconds"] == pytest.approx(20, abs=0.1)


def test_idle_that_drifts_is_told(bench):
    board = bench(Ramp(0.5, 0.01))
    events = {
        0.0: lambda meter: meter.begin_phase("idle_before"),
        10.0: lambda meter: meter.begin_phase("forward"),
        30.0: lambda meter: meter.begin_phase("idle_after"),
    }
    record, _, _ = board.record(40, 0.05, events)
    assert record.drift_watts == pytest.approx(0.01 * 30 * 5, rel=0.02)
    assert any("idle power moved by +1.5" in text for text in record.warnings)
