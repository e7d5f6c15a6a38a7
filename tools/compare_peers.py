#!/usr/bin/env python3
"""Time a training step beside other frameworks, in turn, in one run.

Machines drift; a ratio of medians from alternating runs does not. Every round runs each program
once, one after the other, each in a process of its own with one thread.

    tools/compare_peers.py --peers FOLDER --python PYTHON [--config mlp_mnist_quick] [--rounds 5]
    tools/compare_peers.py ... --config cnv_cifar10_quick --model cnv --batch 100 --steps 20

FOLDER holds ``torch_bnn.py`` and ``larq_bnn.py``, which take ``--model --batch --threads --steps``
and print a JSON line with ``s_per_step``; PYTHON is an interpreter that has PyTorch and Larq. Our
side is ``bnntrain bench --step CONFIG --json``, data reading included; theirs trains on one batch
in memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

PEERS = ("torch_bnn.py", "larq_bnn.py")


def main() -> None:
    """Run the rounds and print the medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--python", required=True, help="interpreter with the frameworks")
    parser.add_argument("--config", default="mlp_mnist_quick")
    parser.add_argument("--model", default="mlp", choices=("mlp", "cnv", "binarynet"))
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="timed steps a round")
    parser.add_argument("--warmup", type=int, default=10, help="their untimed steps before them")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"bnntrain": []} | {peer: [] for peer in PEERS}
    for _ in range(options.rounds):
        seconds["bnntrain"].append(_ours(options))
        for peer in PEERS:
            seconds[peer].append(_theirs(options, peer))
        print(
            "  ".join(f"{name} {1e3 * times[-1]:.3f} ms" for name, times in seconds.items()),
            flush=True,
        )
    ours = statistics.median(seconds["bnntrain"])
    for name, times in seconds.items():
        pairs = [theirs / mine for theirs, mine in zip(times, seconds["bnntrain"], strict=True)]
        print(
            f"{name:<14} median {1e3 * statistics.median(times):8.3f} ms, "
            f"{statistics.median(times) / ours:6.2f} times ours (round by round "
            f"{min(pairs):.2f} to {max(pairs):.2f})"
        )


def _run(command: list[str]) -> dict[str, object]:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    # Frameworks may log before their line of JSON; ours is JSON throughout.
    text = done.stdout if done.stdout.startswith("{") else done.stdout.strip().splitlines()[-1]
    return json.loads(text)


def _ours(options: argparse.Namespace) -> float:
    return _run(
        [
            sys.executable,
            "-P",
            "-m",
            "bnntrain",
            "bench",
            "--step",
            options.config,
            "--batch-size",
            str(options.batch),
            "--threads",
            "1",
            "--steps",
            str(2 * options.steps),
            "--json",
        ]
    )["seconds_per_batch"]


def _theirs(options: argparse.Namespace, peer: str) -> float:
    return _run(
        [
            options.python,
            str(options.peers / peer),
            "--model",
            options.model,
            "--batch",
            str(options.batch),
            "--threads",
            "1",
            "--steps",
            str(options.steps),
            "--warmup",
            str(options.warmup),
        ]
    )["s_per_step"]


if __name__ == "__main__":
    main()
