"""Resident memory of fresh processes: at rest, and over a whole epoch of training.

The kernel's own high-water mark counts every page, data reading and evaluation included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from digits_run import CONV_NETS, conv_net

from bnntrain.preparation import prepare

MIB = 1 << 20
RESTING_LIMIT = 45 * MIB
GROWTH_LIMIT = 2 * MIB
"""What training may take besides its arena."""

REST = """
import sys
from bnntrain import api
from bnntrain.meters import rss_bytes
prepared = api.prepare("mlp_mnist_quick", {"data.dataset": sys.argv[1]})
print(rss_bytes())
"""
CONVERT = """
import sys
from bnntrain.data.catalog import open_dataset
open_dataset(sys.argv[1])
"""
FIT = """
import json, sys
from bnntrain import api
run = api.fit(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
print(json.dumps(run.summary))
"""
# As much of an epoch as there is time for, and the checkpoint that Ctrl-C saves.
FIT_IN_PART = """
import contextlib, os, signal, sys
from bnntrain import engine, errors
class Stopper(engine.Observer):
    left = 6
    def batch(self, loss):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGINT)
import json
from bnntrain import api
with contextlib.suppress(errors.Interrupted):
    api.fit(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], observer=Stopper())
print(open(os.path.join(sys.argv[3], "run.json")).read())
"""
METHODS = ("standard", "wang2021", "efficient")

needs_linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(),
    reason="no /proc: resident memory is not measured here",
)
needs_mnist = pytest.mark.skipif(
    not os.environ.get("BNNTRAIN_DATA"), reason="BNNTRAIN_DATA is not set: no folder with MNIST"
)


def run_python(script: str, *arguments: str) -> str:
    """Run a script in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_growth(config: str, overrides: dict, folder, script: str = FIT) -> dict:
    """Train in a process that finds its data converted; compare its peak with the arena."""
    run_python(CONVERT, overrides["data.dataset"])
    summary = json.loads(run_python(script, config, json.dumps(overrides), str(folder / "run")))
    assert summary["arena_bytes"] == prepare(config, overrides).plan.total_bytes
    if not summary["rss_peak_exact"]:
        pytest.skip("the kernel does not let a process reset its high-water mark")
    growth = summary["rss_peak_bytes"] - summary["rss_before_bytes"]
    assert growth <= summary["arena_bytes"] + GROWTH_LIMIT
    assert summary["rss_before_bytes"] <= RESTING_LIMIT
    return summary


@needs_linux
def test_a_resting_process_is_small():
    assert int(run_python(REST, "digits")) <= RESTING_LIMIT


@needs_linux
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_training_on_digits_takes_its_arena_and_no_more(method, threads, tmp_path):
    # Four hidden layers of 256 and a batch of 400: the arena is megabytes, not rounding.
    overrides = {
        "data.dataset": "digits",
        "train.batch_size": 400,
        "train.epochs": 3,
        "train.threads": threads,
        "method": method,
    }
    check_growth("mlp_mnist_quick", overrides, tmp_path)


@needs_linux
@needs_mnist
@pytest.mark.parametrize("method", ["standard", "efficient"])
def test_an_epoch_of_mnist_takes_its_arena_and_no_more(method, tmp_path):
    overrides = {"data.dataset": "mnist", "train.epochs": 1, "train.threads": 1, "method": method}
    check_growth("mlp_mnist_quick", overrides, tmp_path)


@needs_linux
@pytest.mark.parametrize(("net", "threads"), list(zip(CONV_NETS, (1, 2, 3), strict=True)))
@pytest.mark.parametrize("method", METHODS)
def test_convolutions_on_digits_take_their_arena_and_no_more(method, net, threads, tmp_path):
    overrides = {
        "data.dataset": "digits",
        "data.augment.shift": 0.15,
        "train.batch_size": 1200,
        "train.epochs": 2,
        "train.threads": threads,
        "method": method,
    }
    summary = check_growth("digits", overrides | conv_net(net), tmp_path)
    assert summary["arena_bytes"] > MIB


@needs_linux
@pytest.mark.usefixtures("cifar10")
@pytest.mark.parametrize("method", ["standard", "efficient"])
def test_cnv_on_cifar10_takes_its_arena_and_no_more(method, tmp_path):
    overrides = {"data.dataset": "cifar10", "train.threads": 2, "method": method}
    summary = check_growth("cnv_cifar10", overrides, tmp_path, FIT_IN_PART)
    assert (summary["status"], summary["batch_size"]) == ("interrupted", 100)
