"""The tools that tell what meters cost, on a small network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"
two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


def run(tool, *arguments):
    command = [sys.executable, TOOLS / tool, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900)


def test_cost_of_samples_and_of_the_trace():
    done = run(
        "meter_cost.py", "digits", "--seconds", 3, "--memory-interval", 0.03,
        "--energy-interval", 0.03,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert re.match(r"digits, batch \d+, 1 thread: \d+ batches of [\d.]+ ms", head)
    shares = [float(re.search(r"(-?[\d.]+)% \(", row).group(1)) for row in rows]
    assert [row.split()[0] for row in rows] == ["trace,", "memory,", "power,", "together"]
    assert abs(sum(shares[:3]) - shares[3]) < 0.02


def test_too_short_a_time_says_so():
    done = run("meter_cost.py", "digits", "--seconds", 0.2)
    assert done.returncode == 1
    assert "Train for longer" in done.stderr


@two_cores
def test_whole_runs_in_pairs():
    done = run("meter_runs.py", "digits", "--epochs", 1, "--pairs", 2)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert (first, lines[0]) == ("1 pair", "2 pairs")
    names = [re.match(r"  (.*?) +[+-][\d.]+% \(\+- [\d.]+%\)", line).group(1) for line in lines[1:]]
    assert names == ["wall time", "processor time", "epochs"]


@two_cores
def test_a_run_that_fails_is_no_figure():
    done = run("meter_runs.py", "nonsense")
    assert done.returncode == 1
    assert "a run has failed" in done.stderr
    assert "nonsense: no such shipped configuration" in done.stderr
