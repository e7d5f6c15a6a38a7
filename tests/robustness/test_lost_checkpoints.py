"""Checkpoints that a disk has lost: the one before is gone on from, and one line says so."""

from __future__ import annotations

import contextlib
import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from long_run import EPOCHS, FIT, STEPS, assert_resumes, at, progress_of
from robustness_kit import call

from bnntrain.errors import RunError
from bnntrain.records import load_checkpoint, save_checkpoint

RESUME = (*FIT, "--resume", "--json", "-q")


def empty(content: bytes) -> bytes:
    """What is left of a file whose size was never written."""
    return b""


def zeroed(content: bytes) -> bytes:
    """What is left of one whose content was never written."""
    return bytes(len(content))


def zero_end(content: bytes) -> bytes:
    """The last pages were not written."""
    return content[: len(content) // 2] + bytes(len(content) - len(content) // 2)


def zero_begin(content: bytes) -> bytes:
    """The first page was not written."""
    return bytes(512) + content[512:]


def cut(content: bytes) -> bytes:
    """The file ends early."""
    return content[: len(content) * 2 // 3]


LOSSES = (empty, zeroed, zero_end, zero_begin, cut)


@pytest.mark.parametrize("loss", [*LOSSES, None])
def test_a_lost_checkpoint_costs_no_more_than_what_came_after_the_one_before(
    home, reference, loss
):
    at(home, f"call:train_batch::{7 * STEPS + 4}:SIGKILL")
    last = home.work / "run/checkpoint/last.npz"
    if loss is None:
        last.unlink()
    else:
        last.write_bytes(loss(last.read_bytes()))
    result = call(*RESUME)
    assert result.code == 0, result.err
    assert result.err.count("\n") == 1
    assert result.err.startswith("Warning: run/checkpoint/last.npz: ")
    assert "Going on from the checkpoint before it, previous.npz" in result.err
    summary = json.loads(result.out)
    for key in ("weights_sha256", "best_test_accuracy", "best_epoch", "best_val_accuracy"):
        assert summary[key] == reference.summary[key]
    assert_resumes(home, reference)


def test_links_in_a_circle_are_a_lost_checkpoint(home, reference):
    at(home, f"call:train_batch::{7 * STEPS + 4}:SIGKILL")
    last = home.work / "run/checkpoint/last.npz"
    last.unlink()
    last.symlink_to("last.npz")
    result = call(*RESUME)
    assert result.err.startswith("Warning: run/checkpoint/last.npz: cannot be read (Too many")
    assert json.loads(result.out)["weights_sha256"] == reference.summary["weights_sha256"]
    assert_resumes(home, reference)


@pytest.mark.parametrize("loss", [empty, zeroed])
def test_lost_records_stop_nothing_and_are_named(home, reference, loss):
    at(home, f"call:train_batch::{7 * STEPS + 4}:SIGKILL")
    for name in ("run.json", "metrics.csv"):
        path = home.work / "run" / name
        path.write_bytes(loss(path.read_bytes()))
    result = call(*RESUME)
    assert result.err.splitlines() == [
        "Warning: run/run.json: is missing or empty. It is written anew",
        "Warning: run/metrics.csv: rows of 0 of 7 epochs: the others are lost. The weights are not "
        "affected",
    ]
    assert json.loads(result.out)["weights_sha256"] == reference.summary["weights_sha256"]


def test_the_one_before_is_an_epoch_older_and_survives_a_damaged_last_one(home, reference):
    at(home, f"call:train_batch::{7 * STEPS + 4}:SIGKILL")
    folder = home.work / "run/checkpoint"
    before = (folder / "previous.npz").read_bytes()
    assert progress_of(home)["epoch"] == 7
    (folder / "last.npz").write_bytes(b"")
    # Killed again before anything is saved: the damaged one has not taken the place of the good.
    at(home, "call:train_batch::3:SIGKILL", arguments=(*FIT, "--resume"))
    assert (folder / "previous.npz").read_bytes() == before
    with np.load(folder / "previous.npz") as archive:
        assert json.loads(archive["state"].tobytes())["progress"]["epoch"] == 6
    # What is saved now takes the damaged one's place.
    assert at(home, "call:train_batch::3:SIGINT", arguments=(*FIT, "--resume")).code == 130
    assert (folder / "previous.npz").read_bytes() == before
    assert (progress_of(home)["epoch"], progress_of(home)["step"]) == (6, 3)
    assert_resumes(home, reference)


@settings(
    max_examples=60, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data())
def test_no_cut_and_no_zeroed_stretch_is_taken_for_good(data, tmp_path):
    path, arrays = tmp_path / "last.npz", {"latent": np.arange(1, 400, dtype=np.int16)}
    save_checkpoint(path, arrays, {"epoch": 3})
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    stop = data.draw(st.integers(start + 1, len(content)))
    damaged = content[:start] + bytes(stop - start) + content[stop:]
    path.write_bytes(content[:start] if data.draw(st.booleans()) else damaged)
    found = {"latent": np.zeros(399, np.int16)}
    with contextlib.suppress(RunError):
        assert load_checkpoint(path, found) == {"epoch": 3}
        assert (found["latent"] == arrays["latent"]).all()


def test_no_second_names_on_the_disk(home, reference, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)  # as FAT does
    result = call(*FIT, "--json", "-q")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["weights_sha256"] == reference.summary["weights_sha256"]
    assert (home.work / "run/checkpoint/previous.npz").exists()
    assert_resumes(home, reference)


@pytest.mark.parametrize("step", [7 * STEPS, 7 * STEPS + 4])
@pytest.mark.parametrize("loss", [zeroed, None])
def test_a_lost_best_epoch_is_chosen_anew(home, reference, loss, step):
    at(home, f"call:train_batch::{step}:SIGINT")
    best = home.work / "run/checkpoint/best.npz"
    if loss is None:
        best.unlink()
    else:
        best.write_bytes(loss(best.read_bytes()))
    result = call(*RESUME)
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert result.err.startswith("Warning: run/checkpoint/best.npz: ")
    assert "The best epoch is chosen among those from here on" in result.err
    summary = json.loads(result.out)
    assert summary["weights_sha256"] == reference.summary["weights_sha256"]
    assert 7 <= summary["best_epoch"] <= EPOCHS
    found = json.loads(call("evaluate", "run", "--checkpoint", "best", "--json").out)
    assert found["epoch"] == summary["best_epoch"]
    assert found["test_accuracy"] == summary["best_test_accuracy"]


def test_a_finished_run_without_its_best_epoch(run_folder, place):
    (run_folder / "checkpoint/best.npz").unlink()
    result = call("fit", "--resume", "run", "--json", "-q")
    assert result.err.startswith("Warning: run/checkpoint/best.npz: no such checkpoint")
    summary = json.loads(result.out)
    assert (summary["best_epoch"], summary["best_test_accuracy"]) == (2, summary["test_accuracy"])
    assert summary == json.loads((run_folder / "run.json").read_text())
    again = call("fit", "--resume", "run", "--json", "-q")
    assert (again.err, json.loads(again.out)) == ("", summary)
