"""Runs of many epochs that tests interrupt, and how they have to come out in the end."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from robustness_kit import TINY, TINY_CONV, Place, Result, call

STEPS = 25
"""Of an epoch: 1293 training samples in batches of 50."""


def _long(text: str, epochs: int) -> str:
    return text.replace("epochs: 2", f"epochs: {epochs}, schedule: cosine")


EPOCHS, CONV_EPOCHS = 60, 8
CONFIG, CONV_CONFIG = _long(TINY, EPOCHS), _long(TINY_CONV, CONV_EPOCHS)
FIT = ("fit", "tiny.yaml", "--run-dir", "run")
RECORDS = "/bnntrain/records/"
_FILES = {
    "config.yaml", "plan.json", "run.json", "metrics.csv", "memory.dat", "log.txt",
    "checkpoint/last.npz", "checkpoint/previous.npz", "checkpoint/best.npz",
}  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """The run that nothing happened to.

    Attributes
    ----------
    summary : dict
        Its ``run.json``.
    best : bytes
        Its ``best.npz``.
    calls : dict of str to int
        Calls of built-in functions that were made by source files whose path contains the key.
    """

    summary: dict
    best: bytes
    calls: dict[str, int]

    @property
    def epochs(self) -> int:
        """How many it has."""
        return self.summary["epochs"]


def at(place: Place, *moments: str, arguments: tuple[str, ...] = FIT) -> Result:
    """Run the command in a process of its own to which something happens at these moments."""
    return place.fork(*arguments, moments=moments)


def run_reference(place: Place, config: str = CONFIG) -> Reference:
    """Train without interruption."""
    place.write("tiny.yaml", config)
    calls = {}
    for part in ("/bnntrain/", RECORDS):
        arguments = ("fit", "tiny.yaml", "--run-dir", f"run{len(calls)}", "-q")
        done = at(place, f"c_call::{part}:0:count", arguments=arguments)
        assert done.code == 0, done.err
        calls[part] = int(done.err)
    run = place.work / "run0"
    summary = json.loads((run / "run.json").read_text())
    return Reference(summary, (run / "checkpoint/best.npz").read_bytes(), calls)


def assert_resumes(
    place: Place, reference: Reference, name: str = "run", options: tuple[str, ...] = ()
) -> None:
    """Assert that --resume completes the run as if nothing had happened."""
    # A run that was killed before it made its folder begins anew.
    again = ("--resume",) if (place.work / name).exists() else ()
    result = call("fit", "tiny.yaml", "--run-dir", name, *again, "--json", "-q", *options)
    assert result.code == 0, result.err
    assert result.err == ""
    summary, run = json.loads(result.out), place.work / name
    for key in ("weights_sha256", "test_accuracy", "best_test_accuracy", "best_val_accuracy"):
        assert summary[key] == reference.summary[key], key
    assert summary == json.loads((run / "run.json").read_text())
    assert summary["status"] == "finished"
    assert (run / "checkpoint/best.npz").read_bytes() == reference.best
    lines = (run / "metrics.csv").read_text().splitlines()
    epochs = map(str, range(1, reference.epochs + 1))
    assert [line.split(",")[0] for line in lines] == ["epoch", *epochs]
    assert {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} == _FILES
    assert not place.unfinished()


def progress_of(place: Place, name: str = "run") -> dict:
    """Return where the last checkpoint stands."""
    with np.load(place.work / name / "checkpoint/last.npz") as archive:
        return json.loads(archive["state"].tobytes())["progress"]
