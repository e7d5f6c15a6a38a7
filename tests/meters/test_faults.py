"""What goes wrong in mid-run on the simulated chip: it is reported, and no total is falsified."""

from __future__ import annotations

import pytest
from bench import Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator import CALIBRATION, CONFIGURATION, CURRENT, RESET_CONFIGURATION
from waveforms import Constant, Pulse, Square, energy

from bnntrain.meters.ina219 import configuration
from bnntrain.meters.power_csv import read_rows

SETTINGS = [(r, g, a) for r in (16, 32) for g in (1, 2, 4, 8) for a in (1, 4, 128)]


@pytest.fixture
def bench(monkeypatch):
    return lambda *arguments, **options: Bench(monkeypatch, *arguments, **options)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_reset_can_always_be_told(setting):
    assert configuration(*setting) != RESET_CONFIGURATION


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_range_reads_the_same_power(bench, setting):
    bus_range, gain, averaging = setting
    board = bench(
        Constant(0.3), Constant(5.0), bus_range=bus_range, gain=gain, averaging=averaging
    )
    power = board.source.read()
    assert power.volts == pytest.approx(5.0, abs=0.004)
    assert power.amps == pytest.approx(0.3, abs=2e-4)
    assert power.watts == power.volts * power.amps


def test_resets_are_counted_and_repaired(bench):
    board = bench(Constant(0.8))
    events = {t: lambda _: board.chip.reset() for t in (2.013, 7.4, 7.42, 15.0)}
    record, start, end = board.record(20, 0.02, events)
    assert record.resets in (3, 4)  # two of them may come between the same two samples
    assert record.lost_samples >= record.resets
    assert board.chip.registers[CONFIGURATION] == configuration(32, 8, 64)
    assert record.joules == pytest.approx(energy(Constant(0.8), Constant(5), start, end), rel=0.01)
    assert record.available
    assert any("began anew" in text for text in record.warnings)


@settings(max_examples=40)
@given(at=st.lists(st.floats(0.1, 9.5), max_size=6), transactions=st.integers(0, 4))
def test_no_sample_after_a_reset_is_wrong(at, transactions, tmp_path_factory):
    """Whenever it happens, within a reading too."""
    path = tmp_path_factory.mktemp("reset") / "power.csv"
    with pytest.MonkeyPatch.context() as monkeypatch:
        board = Bench(monkeypatch, Constant(0.8))
        read = board.chip.read

        def read_and_reset(register):
            word = read(register)
            if waiting and board.chip.transactions >= waiting[0]:
                waiting.pop(0)
                board.chip.reset()
            return word

        waiting = []
        board.chip.read = read_and_reset
        due = {t: lambda _: waiting.append(board.chip.transactions + transactions) for t in at}
        record, start, end = board.record(10, 0.05, due, path)
    watts = [row.power.watts for row in read_rows(path)]
    assert watts == pytest.approx([4.0] * len(watts), rel=0.002)
    assert record.joules == pytest.approx(4.0 * (end - start), rel=0.01)


def test_the_chips_own_current_register_is_not_needed(bench):
    board = bench(Constant(0.8))
    assert board.chip.registers[CALIBRATION] == 0
    assert board.source.read().watts == pytest.approx(4.0, rel=0.002)
    assert board.chip.registers[CURRENT] == 0


def test_a_configuration_changed_by_another_program_is_a_reset(bench):
    board = bench(Constant(0.8), gain=8)
    events = {3.0: lambda _: board.chip.write(CONFIGURATION, configuration(16, 1, 1))}
    record, _, _ = board.record(10, 0.05, events)
    assert (record.resets, record.over_range) == (1, 0)
    assert record.joules == pytest.approx(40, rel=0.01)


def test_a_single_missing_acknowledgement_is_tried_again(bench):
    board = bench(Constant(0.8))
    events = {t / 10: lambda _: board.chip.be_deaf(1) for t in range(1, 90)}
    record, _, _ = board.record(10, 0.05, events)
    assert record.lost_samples == 0
    assert record.joules == pytest.approx(40, rel=0.01)


def test_a_burst_of_missing_acknowledgements_loses_samples_and_no_energy(bench):
    board = bench(Square(0.3, 1.2, 0.5))
    events = {t: lambda _: board.chip.be_deaf(30) for t in (5.0, 11.0, 30.0, 44.0)}
    record, start, end = board.record(60, 0.02, events)
    assert record.lost_samples >= 4 * 8
    assert record.available
    truth = energy(board.chip.amps, board.chip.volts, start, end)
    assert record.joules == pytest.approx(truth, rel=0.01)
    assert record.to_json()["lost_samples"] == record.lost_samples


def test_a_long_silence_counts_neither_as_time_nor_as_energy(bench):
    board = bench(Constant(0.8))
    deaf = {4.0: lambda _: board.chip.be_deaf(10**6), 7.0: lambda _: board.chip.be_deaf(0)}
    record, _, _ = board.record(10, 0.05, deaf)
    assert record.available
    assert record.seconds == pytest.approx(7, abs=0.2)
    assert record.watts == pytest.approx(4.0, rel=0.01)
    assert any("s without samples are not counted" in text for text in record.warnings)


def test_a_chip_that_is_unplugged_is_given_up_after_five_seconds(bench, tmp_path):
    board = bench(Constant(0.8))
    path = tmp_path / "power.csv"
    record, _, _ = board.record(60, 0.05, {12.0: lambda _: board.chip.unplug()}, path)
    got = record.to_json()
    assert got["available"] is False
    assert got["net_joules"] is None
    assert "no sample for 5.0 s" in got["reason"]
    assert "no answer from 0x40" in got["reason"]
    assert 16.8 < float(got["reason"].split()[2]) < 17.5
    assert got["seconds"] == pytest.approx(12, abs=0.1)
    assert list(read_rows(path))[-1].t == pytest.approx(12, abs=0.1)


def test_power_beyond_the_range_is_told_and_left_out(bench):
    """160 mV over 0.1 ohm are 1.6 A: the pulse of 2.5 A cannot be measured."""
    board = bench(Pulse(0.5, 2.5, 0, 0), gain=4, averaging=16)
    begin = board.clock()
    board.chip.amps.start, board.chip.amps.end = begin + 4, begin + 5
    record, _, _ = board.record(10, 0.02)
    assert record.over_range > 40
    assert record.seconds == pytest.approx(9, abs=0.1)
    assert record.watts == pytest.approx(2.5, rel=0.01)
    assert record.available
    (text,) = [each for each in record.warnings if "beyond the meter's range" in each]
    assert "meters.gain" in text


def test_bus_voltage_beyond_the_range(bench):
    board = bench(Constant(0.2), Constant(19.0), bus_range=16)
    record, _, _ = board.record(5, 0.05)
    assert record.samples == 0
    assert record.over_range > 90
    assert record.joules is None
    assert record.available is False


def test_swapped_terminals_are_told(bench):
    record, _, _ = bench(Constant(-0.8)).record(5)
    assert "VIN+ and VIN- of the meter are swapped" in record.reason
    got = record.to_json()
    assert (got["available"], got["joules"]) == (False, None)
    assert got["phases"]["other"]["joules"] is None


def test_a_negative_baseline_makes_no_net_energy(bench):
    """Less than nothing before the run would make its energy above idle larger than all of it."""
    board = bench(Pulse(-0.3, 0.8, 3.0, 60.0))
    names = {0.01: "idle_before", 3.1: "forward"}
    events = {at: lambda meter, name=name: meter.begin_phase(name) for at, name in names.items()}
    record, _, _ = board.record(10, events=events)
    got = record.to_json()
    assert "negative (other, idle_before)" in got["reason"]
    assert (got["available"], got["net_joules"], got["idle_watts_before"]) == (False, None, None)


@pytest.mark.parametrize(("amps", "volts"), [(0.0, 5.0), (0.8, 0.0)])
def test_nothing_at_all_is_no_figure(bench, amps, volts):
    """No load behind the meter; or the shunt in the minus wire, where the bus has no voltage."""
    record, _, _ = bench(Constant(amps), Constant(volts)).record(5)
    assert record.reason.startswith("the power is 0 W all the time")
    assert (record.available, record.to_json()["joules"], record.watts) == (False, None, None)


def test_averaging_slower_than_sampling_is_told(bench):
    record, _, _ = bench(Constant(0.8), averaging=128).record(5, 0.02)
    assert any("new value every 0.0702 s" in text for text in record.warnings)


def test_short_phases_are_told(bench):
    board = bench(Constant(0.8))
    events = {}
    for number in range(100):
        events[1 + number * 0.03] = lambda meter: meter.begin_phase("forward")
        events[1.01 + number * 0.03] = lambda meter: meter.begin_phase("backward")
    events[5.0] = lambda meter: meter.begin_phase("update")
    events[5.2] = lambda meter: meter.begin_phase("evaluate")
    record, _, _ = board.record(8, 0.05, events)
    text = " ".join(record.warnings)
    assert "shorter than 2 samples at a time: forward, backward." in text
    assert "fewer than 10 samples: update (" in text
    assert record.phases["forward"].seconds == pytest.approx(1.0, abs=0.02)
