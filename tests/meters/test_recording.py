"""Both meters together: figures by batch, baselines, and meters that fail."""

from __future__ import annotations

import threading
import time

import pytest

from bnntrain.config import Meters
from bnntrain.meters import memory_readers, sources
from bnntrain.meters.phases import STEP_PHASES
from bnntrain.meters.power import MeterError, MeterLost, Power
from bnntrain.meters.recording import Recording, earlier_sections, ignore

WATTS = 5.0


class Constant:
    """A source of the same power for ever, or until it is lost."""

    label, kind = "constant", "replay"

    def __init__(self) -> None:
        self.is_closed = self.is_lost = False
        self.readings = threading.Semaphore(0)

    def read(self) -> Power:
        """Return the power."""
        self.readings.release()
        if self.is_lost:
            raise MeterLost("unplugged. Plug it in")
        return Power(WATTS)

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    def wait(self, count: int) -> None:
        """Wait until it was asked that often from now on."""
        while self.readings.acquire(blocking=False):
            pass
        for _ in range(count):
            assert self.readings.acquire(timeout=30)


@pytest.fixture
def source(monkeypatch):
    """What `open_source` gives."""
    constant = Constant()
    monkeypatch.setattr(sources, "open_source", lambda meters: constant)
    return constant


@pytest.fixture
def record(tmp_path):
    """Make and start a recording; its warnings are in `warned`."""

    def start(**options) -> Recording:
        warned = []
        recording = Recording(Meters(**options), tmp_path, warned.append)
        recording.warned = warned
        recording.start()
        return recording

    return start


def batch(recording, source=None) -> None:
    """Go through one batch, in each phase of which the meter is read."""
    for phase in STEP_PHASES:
        recording.begin_phase(phase)
        if source is not None:
            source.wait(2)
    recording.begin_phase("other")


def test_joules_by_batch_image_and_epoch(record, source):
    recording = record(energy="replay", interval=0.001)
    recording.begin_epoch()
    for _ in range(3):
        batch(recording, source)
    recording.begin_phase("evaluate")
    source.wait(3)
    epoch = recording.training_joules()
    recording.end_epoch()
    sections = recording.stop(3, 50)
    energy = sections["energy"]
    assert energy["available"]
    seconds = sum(energy["phases"][phase]["seconds"] for phase in STEP_PHASES)
    assert energy["j_per_batch"] == pytest.approx(WATTS * seconds / 3)
    assert energy["j_per_image"] == pytest.approx(energy["j_per_batch"] / 50)
    assert energy["net_j_per_batch"] is None
    assert epoch == pytest.approx(3 * energy["j_per_batch"])
    assert source.is_closed
    assert not recording.warned
    assert sections["memory"]["available"]


def test_what_is_above_a_baseline(record, source):
    recording = record(energy="replay", interval=0.001, idle=0.05)
    assert recording.has_idle
    never = threading.Event()
    recording.idle_before(never)
    batch(recording, source)
    recording.idle_after(never)
    energy = recording.stop(1, 10)["energy"]
    assert energy["idle_watts_before"] == pytest.approx(WATTS)
    assert energy["net_joules"] == pytest.approx(0, abs=1e-9)
    assert energy["net_j_per_batch"] == pytest.approx(0, abs=1e-9)
    assert energy["j_per_batch"] > 0


def test_a_baseline_ends_when_the_run_is_asked_to_stop(record, source):
    recording = record(energy="replay", idle=3600)
    stop = threading.Event()
    stop.set()
    recording.idle_before(stop)
    recording.stop(0, 10)


def test_the_rest_of_an_epoch_is_no_epoch(record, source):
    recording = record(energy="replay", interval=0.001)
    recording.begin_epoch(is_whole=False)
    for _ in range(10):
        batch(recording, source)
    recording.begin_phase("evaluate")
    source.wait(3)
    assert recording.training_joules() is None
    recording.stop(10, 10)


def test_too_few_samples_give_no_figure_of_an_epoch(record, source):
    recording = record(energy="replay", interval=3600)
    recording.begin_epoch()
    batch(recording)
    assert recording.training_joules() is None
    recording.stop(1, 10)


def test_a_meter_that_cannot_be_opened(record, monkeypatch):
    def fail(meters):
        raise MeterError("/dev/i2c-1", "no such bus. Switch I2C on")

    monkeypatch.setattr(sources, "open_source", fail)
    recording = record(energy="ina219", idle=3600)
    assert recording.warned == [
        "no energy is recorded: /dev/i2c-1: no such bus. Switch I2C on. Training goes on"
    ]
    assert not recording.has_idle
    energy = recording.stop(5, 10)["energy"]
    assert (energy["available"], energy["kind"]) == (False, "ina219")
    assert energy["reason"] == "/dev/i2c-1: no such bus. Switch I2C on"
    assert energy["j_per_batch"] is None


def test_a_meter_with_a_fault_of_its_own(record, monkeypatch):
    def fail(meters):
        raise ZeroDivisionError("no shunt")

    monkeypatch.setattr(sources, "open_source", fail)
    recording = record(energy="ina219")
    assert len(recording.warned) == 1
    assert "no shunt" in recording.stop(5, 10)["energy"]["reason"]


def test_a_meter_that_is_lost_is_reported_once(record, source):
    recording = record(energy="replay", interval=0.001)
    recording.begin_epoch()
    batch(recording, source)
    source.is_lost = True
    deadline = time.monotonic() + 30
    while not recording.warned and time.monotonic() < deadline:
        recording.end_epoch()
    recording.end_epoch()
    energy = recording.stop(1, 10)["energy"]
    (line,) = recording.warned
    assert "unplugged. Plug it in. Training goes on" in line
    assert not energy["available"]
    assert energy["j_per_batch"] is None


def test_neither_meter(record, tmp_path):
    recording = record(memory=False)
    assert recording.begin_phase is ignore
    recording.begin_epoch()
    batch(recording)
    recording.end_epoch()
    sections = recording.stop(1, 10)
    assert sections["memory"]["reason"] == "switched off: meters.memory is false"
    assert not sections["energy"]["available"]
    assert list(tmp_path.iterdir()) == []


def test_where_no_memory_is_told_of(record, monkeypatch, tmp_path):
    monkeypatch.setattr(memory_readers, "_STATM", tmp_path / "none")
    recording = record()
    (line,) = recording.warned
    assert line.startswith("no memory is recorded: the system does not tell")
    assert not recording.stop(1, 10)["memory"]["available"]


def test_closing_is_silent_and_may_be_repeated(record, source, tmp_path):
    (tmp_path / "memory.dat").symlink_to("/dev/full")
    recording = record(energy="replay")
    assert len(recording.warned) == 1
    recording.close()
    recording.close()
    assert len(recording.warned) == 1
    assert source.is_closed


def test_figures_of_earlier_processes_are_kept_in_order():
    def section(value, available=True, earlier=()):
        return {"available": available, "joules": value, "earlier": list(earlier)}

    one = earlier_sections({"energy": section(1), "memory": section(7, available=False)})
    assert one["memory"] == []
    assert [each["joules"] for each in one["energy"]] == [1]
    two = earlier_sections({"energy": section(2, earlier=one["energy"])})
    assert [each["joules"] for each in two["energy"]] == [1, 2]
    killed = earlier_sections({"energy": section(0, available=False, earlier=two["energy"])})
    assert [each["joules"] for each in killed["energy"]] == [1, 2]
    assert earlier_sections({}) == earlier_sections({"memory": None, "energy": 3})


@pytest.mark.parametrize("options", [{}, {"energy": "replay", "interval": 0.01}])
def test_events_do_not_pile_up(record, source, options):
    """Without a meter that adds them up, and with one that is lost in mid-run."""
    recording = record(**options)
    recording.begin_epoch()
    if options:
        batch(recording, source)
        source.is_lost = True
        while not recording._energy.failure:
            source.readings.acquire(timeout=0.01)
    for _ in range(1000):
        batch(recording)
    assert recording._trace.waiting == 0
    recording.stop(1000, 10)
