#!/usr/bin/env python3
"""What the meters cost a training run, told by which batches a sample fell into.

Whole runs with and without meters differ by several per cent on a machine that others use too.
Batches of one run are milliseconds apart: those in which a meter took a sample last longer than
their neighbours by what the sample costs, whoever pays for it: the sampling thread, the training
thread that waits for the interpreter's lock, caches that have to be filled again. Every other
batch has no trace, to tell what that costs where it is called: between kernels that have used the
caches.

    tools/meter_cost.py mlp_mnist_quick --seconds 60
    taskset -c 0 tools/meter_cost.py ...       # one core, so that nothing runs beside the training

A sample that lies across two batches is counted in the second. The meter of power is a recording
that is played (`replay`); a real one adds what its bus takes.
"""

from __future__ import annotations

import math
import tempfile
import time
from functools import partial
from pathlib import Path

import click
import numpy as np
from meter_statistics import trimmed

from bnntrain import api, engine
from bnntrain.cli.options import SECONDS
from bnntrain.config import Config
from bnntrain.evaluation import read
from bnntrain.meters.energy import EnergyMeter
from bnntrain.meters.memory import MemoryMeter
from bnntrain.meters.memory_readers import open_reader
from bnntrain.meters.phases import OTHER
from bnntrain.meters.power import Power
from bnntrain.meters.recording import ignore
from bnntrain.meters.replay import Replay
from bnntrain.native import Trace
from bnntrain.records import RunFolder

WINDOW = 20  # batches on either side that a batch is compared with
FEWEST = 10  # batches that have a mean


class Counted:
    """A source that counts its readings."""

    def __init__(self, path: Path) -> None:
        self.source, self.readings = Replay(path), 0
        self.label, self.kind = self.source.label, self.source.kind

    def read(self) -> Power:
        """Return the power now."""
        self.readings += 1
        return self.source.read()

    def close(self) -> None:
        """Close the source."""
        self.source.close()


class Meters:
    """Both meters at their default intervals, or at others, writing their files into a folder."""

    def __init__(self, config: Config, folder: Path, memory_s: float, energy_s: float) -> None:
        recording = folder / "replayed.csv"
        recording.write_text("t,watts\n0,5\n1000000,5\n")
        self.source = Counted(recording)
        self.trace = trace = Trace(OTHER)
        self.begin_phase = trace.begin
        opened = partial(open_reader, config.meters)
        self.memory = MemoryMeter(memory_s, folder / "memory.dat", trace, opened)
        self.energy = EnergyMeter(self.source, energy_s, folder / "power.csv", trace=trace)
        self.memory.start()
        self.energy.start()

    def samples(self) -> tuple[int, int]:
        """Return how many there were so far, of memory and of power."""
        return self.memory.record.samples, self.source.readings

    def stop(self) -> None:
        """Stop both."""
        self.memory.stop()
        self.energy.stop()


def train(trainer: engine.Trainer, meters: Meters, seconds: float) -> np.ndarray:
    """Return of each batch seconds, samples of memory and of power, whether it was traced."""
    size, reader = trainer.plan.batch_size, trainer.readers.train
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        step = len(found)
        is_traced = step % 2
        begin_phase, trace = (meters.begin_phase, meters.trace) if is_traced else (ignore, None)
        before, start = meters.samples(), time.perf_counter()
        begin_phase("load")
        first = step % trainer.steps * size
        read(reader, first, trainer.program, size, trainer.dataset.train.path)
        trainer.program.train_batch(size, step, 1e-3, trace)
        begin_phase("other")
        elapsed, after = time.perf_counter() - start, meters.samples()
        found.append((elapsed, after[0] - before[0], after[1] - before[1], is_traced))
    return np.array(found)


def differences(batches: np.ndarray) -> np.ndarray:
    """Return by how much each batch is longer than its neighbours that had nothing to do."""
    seconds, plain = batches[:, 0], (batches[:, 1:] == 0).all(axis=1)
    found = np.full(len(seconds), np.nan)
    for number in range(WINDOW, len(seconds) - WINDOW):
        near = slice(number - WINDOW, number + WINDOW + 1)
        found[number] = seconds[number] - np.median(seconds[near][plain[near]])
    return found


def mean_of(longer: np.ndarray) -> tuple[float, float]:
    """Return mean and standard error of some of the differences."""
    known = longer[~np.isnan(longer)]
    if len(known) < FEWEST:
        raise click.ClickException(f"only {len(known)} batches of a kind. Train for longer")
    return trimmed(known)


def costs(batches: np.ndarray) -> list[tuple[float, float]]:
    """Return what the trace, a sample of memory and one of power add to a batch: seconds, error."""
    longer = differences(batches)
    counts = batches[:, 1:]
    base, base_error = mean_of(longer[(counts == 0).all(axis=1)])
    found = []
    for wanted in ((0, 0, 1), (1, 0, 0), (0, 1, 0)):
        mean, error = mean_of(longer[(counts == wanted).all(axis=1)])
        found.append((mean - base, math.hypot(error, base_error)))
    return found


@click.command(context_settings={"show_default": True})
@click.argument("config", default="mlp_mnist_quick")
@click.option("--seconds", type=SECONDS, default=60.0, help="Time to train for.")
@click.option("--threads", default=1)
@click.option("--memory-interval", type=SECONDS, default=0.1)
@click.option("--energy-interval", type=SECONDS, default=0.05)
@click.option("-s", "--set", "settings", multiple=True, help="key=value of the configuration.")
def main(
    config: str, seconds: float, threads: int, memory_interval: float, energy_interval: float,
    settings: tuple[str, ...],
) -> None:  # fmt: skip
    """Train for a while with both meters, and print what they cost."""
    overrides = {"train.threads": threads, **dict(each.split("=", 1) for each in settings)}
    prepared = api.prepare(config, overrides)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trainer = engine.Trainer(prepared, RunFolder(folder / "run"), engine.Observer())
        trainer.program.initialise()
        trainer.readers.shuffle(0)
        meters = Meters(prepared.config, folder, memory_interval, energy_interval)
        batches = train(trainer, meters, seconds)
        meters.stop()
        trainer.close()
    title = f"{config}, batch {prepared.plan.batch_size}, {threads} thread{'s' * (threads != 1)}"
    report(title, batches, memory_interval, energy_interval)


def report(title: str, batches: np.ndarray, memory_s: float, energy_s: float) -> None:
    """Print the table."""
    batch_s = float(np.median(batches[:, 0]))
    print(f"{title}: {len(batches)} batches of {1e3 * batch_s:.3f} ms")
    shares, errors = [], []
    for what, interval, (cost, error) in zip(
        ("trace, every batch", f"memory, every {memory_s:g} s", f"power, every {energy_s:g} s"),
        (batch_s, memory_s, energy_s), costs(batches), strict=True,
    ):  # fmt: skip
        shares.append(cost / interval)
        errors.append(error / interval)
        spent = f"{1e6 * cost:.0f} us (+- {1e6 * error:.0f})"
        print(f"  {what:22} {spent:20} {shares[-1]:6.2%} (+- {errors[-1]:.2%})")
    print(f"  {'together':43} {sum(shares):6.2%} (+- {math.hypot(*errors):.2%})")


if __name__ == "__main__":
    main()
