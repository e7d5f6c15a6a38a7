"""Runs with several threads beside what else a program does: forks, threads, other runs."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import bnntrain

OVERRIDES = {"train.epochs": 2, "train.threads": 2, "meters.memory": False}
# Only a hang takes so long.
LIMIT_S = 300


def train(folder: Path) -> str:
    """Train the digits with two threads and return the weights' digest."""
    return bnntrain.fit("digits", OVERRIDES, run_dir=folder).summary["weights_sha256"]


def child_of(method: str, folder: Path) -> multiprocessing.Process:
    """Return a process that will do the same; every child can import what it runs."""
    context = multiprocessing.get_context(method)
    return context.Process(target=bnntrain.fit, args=("digits", OVERRIDES, folder))


def digest_in(folder: Path) -> str:
    """Read what a child has left."""
    return json.loads((folder / "run.json").read_text())["weights_sha256"]


@pytest.fixture
def expected(tmp_path):
    """The digest of a run of this process, whose pool of threads is there from now on."""
    return train(tmp_path / "first")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_every_kind_trains(method, expected, tmp_path):
    child = child_of(method, tmp_path / "child")
    child.start()
    child.join(LIMIT_S)
    hung = child.is_alive()
    child.kill()
    child.join()
    assert not hung
    assert child.exitcode == 0
    assert digest_in(tmp_path / "child") == expected
    assert train(tmp_path / "again") == expected


def test_children_that_are_forked_while_others_train(expected, tmp_path):
    beside = [threading.Thread(target=train, args=(tmp_path / f"beside{i}",)) for i in range(2)]
    for each in beside:
        each.start()
    folders = [tmp_path / f"child{i}" for i in range(3)]
    children = [child_of("fork", folder) for folder in folders]
    for each in children:
        each.start()
    for each in (*children, *beside):
        each.join(LIMIT_S)
        assert not each.is_alive()
    assert [each.exitcode for each in children] == [0] * 3
    assert {digest_in(folder) for folder in folders} == {expected}


def test_threads_of_a_program_train_side_by_side(expected, tmp_path):
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda i=i: answers.append(train(tmp_path / f"run{i}")))
        for i in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(LIMIT_S)
    assert answers == [expected] * 4


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_variables_of_openmp_mean_nothing(variable, tmp_path):
    program = Path(sys.executable).with_name("bnntrain")
    done = subprocess.run(
        [program, "fit", "digits", "--epochs", "1", "--threads", "3", "--run-dir", "run", "--json"],
        env={**os.environ, variable: "1"}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["threads"] == 3
