#!/usr/bin/env python3
"""Whole runs with both meters beside runs without, in pairs.

    tools/meter_runs.py mlp_mnist_quick --epochs 14 --pairs 20

The two runs of a pair go at the same time, each on a core of its own: what disturbs one is likely
to disturb the other. Then they change places; a pair's figure is the geometric mean of both ratios.
Ratios of whole runs, the program's start included, are few; those of epochs, each with the epoch
that the other run was in, are many, and the trimmed mean of them says more.
`--null` compares runs without meters with each other: what chance does.
`tools/meter_cost.py` needs less time for a closer figure, of the training alone.
"""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click
from meter_statistics import trimmed

OFF = ("--no-memory",)
RECORDING = "t,watts\n0,5\n1000000,5\n"


class Times(NamedTuple):
    """Seconds of a run: by the clock, of processors, and of its epochs' training."""

    wall: float
    processor: float
    epochs: list[float]


def start(core: int, folder: Path, arguments: tuple[str, ...]) -> subprocess.Popen:
    """Start a run on a core."""
    return subprocess.Popen(
        [sys.executable, "-m", "bnntrain", "fit", *arguments, "-q", "--run-dir", folder],
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )


def both(cores: list[int], kinds: list[tuple[str, ...]]) -> list[Times]:
    """Return the times of two runs that go at the same time."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(core) for core in cores]
        begin, found = time.monotonic(), {}
        running = [start(*each) for each in zip(cores, folders, kinds, strict=True)]
        for _ in running:
            process, status, used = os.wait3(0)
            found[process] = (time.monotonic() - begin, used.ru_utime + used.ru_stime, status)
        if any(status for _, _, status in found.values()):
            raise click.ClickException("a run has failed")
        return [
            Times(*found[process.pid][:2], seconds_of_epochs(folder / "metrics.csv"))
            for process, folder in zip(running, folders, strict=True)
        ]


def seconds_of_epochs(path: Path) -> list[float]:
    """Return what the epochs of a run took."""
    with path.open() as file:
        return [float(row["seconds"]) for row in csv.DictReader(file)]


def pair(plain: tuple[str, ...], other: tuple[str, ...], cores: list[int]) -> list[list[float]]:
    """Return logarithms of `other` over `plain`: of wall time, of processor time, of epochs."""
    a = both(cores, [plain, other])
    b = both(cores, [other, plain])

    def mean(*four: float) -> float:
        return math.log(four[1] / four[0] * four[2] / four[3]) / 2

    runs = (*a, *b)
    walls, processors = ([getattr(run, name) for run in runs] for name in ("wall", "processor"))
    epochs = list(map(mean, *(run.epochs for run in runs)))
    return [[mean(*walls)], [mean(*processors)], epochs]


@click.command(context_settings={"show_default": True})
@click.argument("config", default="mlp_mnist_quick")
@click.option("--epochs", default=14)
@click.option("--pairs", default=20)
@click.option("--null", is_flag=True, help="No meters at all.")
def main(config: str, epochs: int, pairs: int, null: bool) -> None:
    """Run `CONFIG` with and without meters, and print by how much the times differ."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise click.ClickException("needs two cores")
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as recording:
        recording.write(RECORDING)
        recording.flush()
        common = (config, "--epochs", str(epochs), "--threads", "1")
        on = ("--memory", "--energy", "replay", "-s", f"meters.file={recording.name}")
        found: dict[str, list[float]] = {"wall time": [], "processor time": [], "epochs": []}
        for number in range(1, pairs + 1):
            logs = pair((*common, *OFF), (*common, *(OFF if null else on)), cores)
            for values, more in zip(found.values(), logs, strict=True):
                values += more
            click.echo(f"{number} pairs" if number > 1 else "1 pair")
            for name, values in found.items():
                if len(values) > 1:
                    value, error = trimmed(values)
                    click.echo(f"  {name:15} {value:+.2%} (+- {error:.2%})")


if __name__ == "__main__":
    main()
