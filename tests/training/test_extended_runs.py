"""Runs that are made longer, and the choice of the best epoch."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_resume import Stopper, outcome

from bnntrain import api, checkpoints
from bnntrain.cli.fit import report
from bnntrain.errors import Interrupted, RunError
from bnntrain.records import Best, save_checkpoint
from bnntrain.records.best import is_tie

SCHEDULES = {
    "constant": {"train.schedule.kind": "constant"},
    "step": {"train.schedule.kind": "step", "train.schedule.every_epochs": 2},
    "plateau": {"train.schedule.kind": "plateau", "train.schedule.patience": 1},
    "cosine": {"train.schedule.kind": "cosine"},
    "linear": {"train.schedule.kind": "linear"},
}


def given_to(schedule, epochs):
    """The digits configuration, cut to a few epochs."""
    few = {"train.epochs": epochs, "train.batch_size": 80, "train.threads": 1}
    return few | SCHEDULES[schedule]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_longer_run(schedule, tmp_path):
    api.fit("digits", given_to(schedule, 3), tmp_path / "run")
    longer = api.fit(resume=tmp_path / "run", overrides={"train.epochs": 5})
    assert [row["epoch"] for row in longer.metrics] == [1, 2, 3, 4, 5]
    extended = {"epoch": 3, "step": 0, "epochs_before": 3, "epochs": 5}
    assert longer.summary["extended"] == [extended]
    whole = api.fit("digits", given_to(schedule, 5), tmp_path / "whole")
    is_equal = longer.summary["weights_sha256"] == whole.summary["weights_sha256"]
    # One that ends after five epochs has been another one from the first step.
    assert is_equal == (schedule not in ("cosine", "linear"))
    if is_equal:
        assert outcome(tmp_path / "run")[3] == outcome(tmp_path / "whole")[3]
    assert api.fit(resume=tmp_path / "run").summary == longer.summary


@pytest.mark.parametrize("stops", [[1], [17, 3], [40]])
def test_an_extension_that_is_interrupted_comes_to_the_same(stops, tmp_path):
    for name in ("one", "other"):
        with pytest.raises(Interrupted):
            api.fit("digits", given_to("cosine", 3), tmp_path / name, observer=Stopper(30, True))
        longer = {"train.epochs": 6}
        for after in stops if name == "other" else []:
            with pytest.raises(Interrupted):
                api.fit(resume=tmp_path / name, overrides=longer, observer=Stopper(after, True))
            longer = None  # the folder's own configuration has the new length
        api.fit(resume=tmp_path / name, overrides=longer)
    assert outcome(tmp_path / "one") == outcome(tmp_path / "other")


@pytest.mark.parametrize("saves", [0, 1, 2])
def test_an_extension_that_is_killed_as_it_begins(saves, tmp_path, monkeypatch):
    for name in ("one", "other"):
        api.fit("digits", given_to("cosine", 2), tmp_path / name)
    api.fit(resume=tmp_path / "one", overrides={"train.epochs": 4})
    left, save = [saves], checkpoints.save_checkpoint

    def killed(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        save(*arguments)

    monkeypatch.setattr(checkpoints, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        api.fit(resume=tmp_path / "other", overrides={"train.epochs": 4})
    monkeypatch.undo()
    assert "epochs: 4" in (tmp_path / "other" / "config.yaml").read_text()
    api.fit(resume=tmp_path / "other")
    assert outcome(tmp_path / "one") == outcome(tmp_path / "other")


def test_a_run_becomes_no_shorter(tmp_path):
    api.fit("digits", given_to("cosine", 2), tmp_path / "run")
    with pytest.raises(RunError, match="can become longer, not shorter"):
        api.fit(resume=tmp_path / "run", overrides={"train.epochs": 1})


def rewrite(path, change):
    """Change the JSON state of a checkpoint."""
    with np.load(path) as archive:
        arrays = dict(archive)
    state = json.loads(arrays.pop("state").tobytes())
    change(state)
    save_checkpoint(path, arrays, state)


def make_old(state):
    """Leave what former versions wrote."""
    for name in ("epochs", "extended"):
        del state[name]
    for name in ("best", "seconds_wall"):
        del state["progress"][name]


def test_checkpoints_of_former_versions_are_gone_on_from(tmp_path):
    for name in ("run", "whole"):
        with pytest.raises(Interrupted):
            api.fit("digits", given_to("cosine", 4), tmp_path / name, observer=Stopper(35, True))
    rewrite(tmp_path / "run/checkpoint/last.npz", make_old)
    again = api.fit(resume=tmp_path / "run")
    whole = api.fit(resume=tmp_path / "whole")
    assert again.summary["weights_sha256"] == whole.summary["weights_sha256"]
    assert again.summary["best_val_accuracy"] == whole.summary["best_val_accuracy"]
    rewrite(tmp_path / "run/checkpoint/last.npz", make_old)
    longer = api.fit(resume=tmp_path / "run", overrides={"train.epochs": 5})
    assert longer.summary["epochs_done"] == 5


# The best epoch ---------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 24), min_size=1, max_size=30))
def test_the_best_is_the_latest_that_ties_with_the_highest(correct):
    best = Best()
    for epoch, each in enumerate(correct, 1):
        is_chosen = best.offer(epoch, each, 24)
        assert is_chosen == (best.epoch == epoch)
    wanted = max(epoch for epoch, each in enumerate(correct, 1) if is_tie(max(correct), each, 24))
    assert (best.epoch, best.correct, best.highest) == (wanted, correct[wanted - 1], max(correct))
    assert Best.restored(json.loads(json.dumps(best.state()))) == best


@pytest.mark.parametrize(
    ("highest", "correct", "count", "tie"),
    [
        (20, 19, 24, True),  # one standard error of 20 in 24 is 1.8 pictures
        (20, 18, 24, False),
        (24, 23, 24, True),  # the error of a perfect share is zero: one picture is none
        (24, 22, 24, False),
        (5880, 5870, 6000, True),  # 10.8 pictures
        (5880, 5869, 6000, False),
        (7, 7, 7, True),
    ],
)
def test_what_ties(highest, correct, count, tie):
    assert is_tie(highest, correct, count) == tie


def test_without_a_validation_split_the_best_is_the_last(tmp_path):
    run = api.fit("digits", given_to("cosine", 3) | {"data.validation_fraction": 0}, tmp_path / "a")
    summary = run.summary
    assert summary["best_epoch"] == 3
    assert summary["best_val_accuracy"] is summary["best_epoch_val_accuracy"] is None
    assert summary["best_test_accuracy"] == summary["test_accuracy"]
    assert api.evaluate(run.path, "best")["epoch"] == 3
    assert "test accuracy" in report(run)
    assert "best" not in report(run)
