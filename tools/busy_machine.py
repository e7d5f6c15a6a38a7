#!/usr/bin/env python3
"""Runs that share a machine: two at once against one after the other, and one beside busy loops.

    tools/busy_machine.py mlp_mnist_quick --epochs 2 --threads 2
    tools/busy_machine.py digits --epochs 20 --program OTHER/.venv/bin/bnntrain

Threads that wait without leaving their core would make these times many times longer.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

BUSY = [sys.executable, "-c", "while True: pass"]


def run(program: Path, arguments: list[str], count: int) -> float:
    """Return the seconds until `count` runs that start together have ended."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        runs = [
            subprocess.Popen(
                [program, "fit", *arguments, "-q", "--run-dir", f"{folder}/{number}"],
                stdout=subprocess.DEVNULL,
            )
            for number in range(count)
        ]
        codes = [each.wait() for each in runs]
        if any(codes):
            raise click.ClickException("a run has failed")
        return time.monotonic() - begin


def beside(busy: int, program: Path, arguments: list[str]) -> float:
    """Return the seconds of a run beside loops that do nothing."""
    loops = [subprocess.Popen(BUSY) for _ in range(busy)]
    try:
        return run(program, arguments, 1)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@click.command(context_settings={"show_default": True})
@click.argument("config")
@click.option("--epochs", default=2)
@click.option("--threads", default=2)
@click.option("--rounds", default=5)
@click.option("--program", default=Path(sys.executable).with_name("bnntrain"),
              type=click.Path(exists=True, path_type=Path))
def main(config: str, epochs: int, threads: int, rounds: int, program: Path) -> None:
    """Time runs of CONFIG, medians of rounds."""
    arguments = [config, "--epochs", str(epochs), "--threads", str(threads)]
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        alone = run(program, arguments, 1)
        for name, seconds in {
            "one run": alone,
            "two, one after the other": alone + run(program, arguments, 1),
            "two at once": run(program, arguments, 2),
            "one beside one busy loop": beside(1, program, arguments),
            "one beside two busy loops": beside(2, program, arguments),
        }.items():
            times.setdefault(name, []).append(seconds)
    for name, values in times.items():
        click.echo(f"{name:27} {statistics.median(values):7.2f} s  "
                   f"({min(values):.2f} to {max(values):.2f})")
    pairs = zip(times["two at once"], times["two, one after the other"], strict=True)
    ratio = statistics.median(at_once / in_turn for at_once, in_turn in pairs)
    click.echo(f"{'at once / after each other':27} {ratio:7.2f}")


if __name__ == "__main__":
    main()
