"""A run that was stopped, at any step and any number of times, ends as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from digits_run import AUGMENT, conv_net
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bnntrain import api, engine
from bnntrain.errors import Interrupted, RunError
from bnntrain.records import RunFolder

EPOCHS, STEPS_PER_EPOCH = 4, 16
PLATEAU = {
    "train.schedule.kind": "plateau",
    "train.schedule.patience": 1,
    "train.schedule.factor": 0.25,
    "train.schedule.warmup_epochs": 0.5,
}
CASES = {
    "standard": {"method": "standard"},
    "wang2021": {"method": "wang2021"},
    "efficient": {"method": "efficient"},
    "plateau": PLATEAU | {"train.learning_rate": 0.01, "train.epochs": 9},
    "8 bits": {"representation.gradient_bits": 8},
    "conv, standard": conv_net("same") | {"method": "standard"},
    "conv, wang2021": conv_net("valid") | {"method": "wang2021"},
    "conv, efficient": conv_net("mixed") | AUGMENT,
    "residual, efficient": conv_net("residual"),
}
# Differ between equal runs: they are measured.
MEASURED = ("seconds", "images_per_second", "rss_peak_mib")


class CrashError(Exception):
    """Stands for a process that ends without a word."""


class Stopper(engine.Observer):
    """Ends a run after some batches: politely by a signal, or by an exception."""

    def __init__(self, after: int, politely: bool) -> None:
        self.left, self.politely = after, politely

    def batch(self, loss: float) -> None:
        """Count down."""
        self.left -= 1
        if self.left:
            return
        if not self.politely:
            raise CrashError
        os.kill(os.getpid(), signal.SIGTERM)


def overrides(case):
    """The digits configuration, cut to 64 steps, with a case's own."""
    return {
        "train.epochs": EPOCHS,
        "train.batch_size": 80,
        "train.threads": 1,
        "train.schedule.kind": "cosine",
        **CASES[case],
    }


def outcome(folder):
    """What must not depend on interruptions: weights, moments, schedule, metrics, accuracy."""
    summary = json.loads((folder / "run.json").read_text())
    with np.load(folder / "checkpoint" / "last.npz") as last:
        arrays = {name: last[name].tobytes() for name in last.files if name != "state"}
        state = json.loads(last["state"].tobytes())
    with np.load(folder / "checkpoint" / "best.npz") as best:
        arrays |= {f"best {name}": best[name].tobytes() for name in best.files}
    metrics = [
        {name: value for name, value in row.items() if name not in MEASURED}
        for row in RunFolder(folder).read_metrics()
    ]
    kept = (
        "status",
        "weights_sha256",
        "test_accuracy",
        "test_loss",
        "best_test_accuracy",
        "epochs_done",
    )
    return {name: summary[name] for name in kept}, arrays, state["rate"], metrics


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Outcome of every case in one go, made when first asked for."""
    found = {}

    def get(case):
        if case not in found:
            folder = tmp_path_factory.mktemp("whole") / "run"
            run = api.fit("digits", overrides(case), folder)
            found[case] = outcome(folder), run
        return found[case]

    return get


def fit_with_stops(case, folder, stops):
    """Fit, stopping after each count of batches that `stops` gives, and resuming."""
    for after, politely in stops:
        try:
            stopper = Stopper(after, politely)
            api.fit("digits", overrides(case), folder, folder.exists(), observer=stopper)
        except (Interrupted, CrashError):
            continue
        return
    api.fit("digits", overrides(case), folder, folder.exists())


STOPS = st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=4)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(stops=STOPS)
def test_stopped_and_resumed_equals_uninterrupted(case, uninterrupted, stops):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "run")
        fit_with_stops(case, folder, stops)
        assert outcome(folder) == uninterrupted(case)[0]


@pytest.mark.parametrize(
    "after",
    [1, STEPS_PER_EPOCH - 1, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 1, EPOCHS * STEPS_PER_EPOCH],
)
@pytest.mark.parametrize("politely", [True, False])
def test_stops_around_the_end_of_an_epoch(after, politely, uninterrupted, tmp_path):
    fit_with_stops("efficient", tmp_path / "run", [(after, politely)] * 2)
    assert outcome(tmp_path / "run") == uninterrupted("efficient")[0]


def test_a_stop_after_every_few_steps(uninterrupted, tmp_path):
    fit_with_stops("efficient", tmp_path / "run", [(3, True)] * 30)
    assert outcome(tmp_path / "run") == uninterrupted("efficient")[0]


def test_the_plateau_case_reduces_its_rate(uninterrupted):
    run = uninterrupted("plateau")[1]
    assert run.metrics[-1]["lr"] < run.config.train.learning_rate


def test_an_interrupted_run_says_so(tmp_path):
    with pytest.raises(Interrupted, match="--resume"):
        api.fit("digits", overrides("efficient"), tmp_path / "run", observer=Stopper(20, True))
    summary = json.loads((tmp_path / "run" / "run.json").read_text())
    assert summary["status"] == "interrupted"
    assert summary["epochs_done"] == 1


def test_resuming_a_finished_run_changes_nothing(uninterrupted):
    wanted, run = uninterrupted("efficient")
    again = api.fit("digits", overrides("efficient"), run.path, resume=True)
    assert again.summary["weights_sha256"] == run.summary["weights_sha256"]
    assert outcome(run.path) == wanted


@pytest.mark.parametrize("case", ["efficient", "conv, efficient"])
def test_threads_may_change_on_resume_and_seeds_may_not(case, uninterrupted, tmp_path):
    folder, given = tmp_path / "run", overrides(case)
    with pytest.raises(Interrupted):
        api.fit("digits", given, folder, observer=Stopper(21, True))
    with pytest.raises(RunError, match="seed"):
        api.fit("digits", given | {"train.seed": 1}, folder, resume=True)
    api.fit("digits", given | {"train.threads": 2}, folder, resume=True)
    assert outcome(folder) == uninterrupted(case)[0]


def test_seeds_differ_in_weights_and_split(uninterrupted, tmp_path):
    other = api.fit("digits", overrides("efficient") | {"train.seed": 1}, tmp_path / "run")
    assert (
        other.summary["weights_sha256"] != uninterrupted("efficient")[1].summary["weights_sha256"]
    )
