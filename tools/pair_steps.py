#!/usr/bin/env python3
"""Training steps of two installations of bnntrain, in turn.

    tools/pair_steps.py OTHER/.venv/bin/python mlp_mnist_quick:100 cnv_cifar10_quick:100

Two processes train the same network with the same threads, one with the bnntrain of this Python and
one with the other's. They take turns of some tens of milliseconds: what disturbs a turn is likely
to disturb the next, too. Where a process' pages lie decides on some per cent of its speed, so both
are started several times. A figure is the mean over the starts of the trimmed mean of the ratios of
neighbours.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from meter_statistics import trimmed

TURN_S = 0.05
WARM_UP_TURNS = 4
# Threads that wait for work look for it: OpenMP's for some milliseconds after a turn, which would
# take a core from the other process.
PAUSE_S = 0.02

STEPS = Path(__file__).parent / "steps.py"
"""What both processes run."""


class Worker:
    """A process that takes training steps when it is told to."""

    def __init__(self, python: str, network: str, threads: int) -> None:
        config, _, batch = network.partition(":")
        self.process = subprocess.Popen(
            [python, "-P", str(STEPS), config, batch, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def seconds(self, steps: int) -> float:
        """Return the seconds that some steps take."""
        time.sleep(PAUSE_S)
        print(steps, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise click.ClickException("a process has ended")
        return float(answer)


@contextmanager
def workers(pythons: tuple[str, str], network: str, threads: int) -> Iterator[list[Worker]]:
    """Start both processes; end them."""
    both = [Worker(python, network, threads) for python in pythons]
    try:
        yield both
    finally:
        for each in both:
            each.process.kill()
            each.process.wait()


def ratios(both: list[Worker], turns: int) -> tuple[list[float], float]:
    """Return the logarithms of ours over the other's, pair by pair, and our seconds of a step."""
    for each in both:
        each.seconds(2)
    steps = max(1, round(TURN_S / min(each.seconds(1) for each in both)))
    for _ in range(WARM_UP_TURNS):
        for each in both:
            each.seconds(steps)
    logs, ours = [], []
    for number in range(turns):
        order = both if number % 2 else both[::-1]
        found = {id(each): each.seconds(steps) for each in order}
        logs.append(math.log(found[id(both[0])] / found[id(both[1])]))
        ours.append(found[id(both[0])] / steps)
    return logs, sorted(ours)[len(ours) // 2]


@click.command(context_settings={"show_default": True})
@click.argument("other")
@click.argument("networks", nargs=-1, required=True)
@click.option("--threads", "counts", default=[1, 2], multiple=True)
@click.option("--turns", default=40)
@click.option("--starts", default=6)
def main(
    other: str, networks: tuple[str, ...], counts: tuple[int, ...], turns: int, starts: int
) -> None:
    """Print the time of a step here over that of Python OTHER's bnntrain, for CONFIG:BATCH ..."""
    for network in networks:
        for threads in counts:
            found = []
            for _ in range(starts):
                with workers((sys.executable, other), network, threads) as both:
                    logs, seconds = ratios(both, turns)
                found.append((trimmed(logs)[0], seconds))
            values = [value for value, _ in found]
            error = statistics.stdev(values) / math.sqrt(starts) if starts > 1 else math.nan
            fastest = min(seconds for _, seconds in found)
            click.echo(
                f"{network:28} threads {threads}: {statistics.fmean(values):+.2%} "
                f"(+- {error:.2%}), {fastest * 1e3:.3f} ms"
            )


if __name__ == "__main__":
    main()
