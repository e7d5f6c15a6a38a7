#!/usr/bin/env python3
"""Training steps of two installations of bnntrain, in turn.

    tools/pair_steps.py OTHER/.venv/bin/bnntrain mlp_mnist_quick:100 cnv_cifar10_quick:100

A round measures every network, and every number of threads, with one program and then with the
other, in an order that changes from round to round; a figure is the trimmed mean of the rounds'
ratios. More rounds make its standard error smaller.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import click
from meter_statistics import trimmed

OURS = Path(sys.executable).with_name("bnntrain")


def seconds(program: Path, network: str, threads: int, steps: int) -> float:
    """Return the median seconds of a step."""
    config, _, batch = network.partition(":")
    command = [program, "bench", "--step", config, "--threads", threads, "--steps", steps, "--json"]
    command += ["--batch-size", batch] if batch else []
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(done.stderr.strip())
    return json.loads(done.stdout)["seconds_per_batch"]


@click.command(context_settings={"show_default": True})
@click.argument("other", type=click.Path(exists=True, path_type=Path))
@click.argument("networks", nargs=-1, required=True)
@click.option("--threads", "counts", default=[1, 2], multiple=True)
@click.option("--rounds", default=10)
@click.option("--steps", default=100)
def main(
    other: Path, networks: tuple[str, ...], counts: tuple[int, ...], rounds: int, steps: int
) -> None:
    """Print the time of a step here over that of the program OTHER, for CONFIG:BATCH ..."""
    cases = [(network, threads) for network in networks for threads in counts]
    logs: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases:
            order = [OURS, other] if number % 2 else [other, OURS]
            found = {program: seconds(program, *case, steps) for program in order}
            logs[case].append(math.log(found[OURS] / found[other]))
            click.echo(f"round {number + 1}: {case[0]}, {case[1]}: "
                       f"{found[OURS] * 1e3:.3f} ms, other {found[other] * 1e3:.3f}", err=True)
    for (network, threads), values in logs.items():
        value, error = trimmed(values) if len(values) > 1 else (values[0], math.nan)
        click.echo(f"{network:28} threads {threads}: {value:+.2%} (+- {error:.2%})")


if __name__ == "__main__":
    main()
