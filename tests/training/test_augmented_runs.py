"""Runs on augmented images: reproducible, resumable, and refused when the augmentation changes."""

from __future__ import annotations

import os
import signal

import pytest

from bnntrain import api, engine
from bnntrain.errors import BnntrainError, Interrupted

CONFIG = {"train.epochs": 3, "train.batch_size": 80, "train.threads": 1}
AUGMENT = {"data.augment.shift": 0.15, "data.augment.flip": True, "data.augment.fill": "zero"}


class Stopper(engine.Observer):
    """Asks a run to stop after some batches."""

    def __init__(self, after: int) -> None:
        self.left = after

    def batch(self, loss: float) -> None:
        """Count down."""
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run."""
    return api.fit("digits", CONFIG | AUGMENT, tmp_path_factory.mktemp("whole") / "run")


def test_weights_follow_from_the_configuration(tmp_path, whole):
    again = api.fit("digits", CONFIG | AUGMENT | {"train.threads": 2}, tmp_path / "again")
    assert again.summary["weights_sha256"] == whole.summary["weights_sha256"]
    others = [{}, AUGMENT | {"data.augment.fill": "edge"}, AUGMENT | {"data.augment.flip": False},
              {"data.augment.crop_padding": 1}]  # fmt: skip
    runs = [api.fit("digits", CONFIG | other, tmp_path / str(n)) for n, other in enumerate(others)]
    sums = {run.summary["weights_sha256"] for run in [whole, *runs]}
    assert len(sums) == len(others) + 1


@pytest.mark.parametrize("after", [1, 17, 30])
def test_a_resumed_run_ends_the_same(tmp_path, whole, after):
    folder = tmp_path / "run"
    with pytest.raises(Interrupted):
        api.fit("digits", CONFIG | AUGMENT, folder, observer=Stopper(after))
    resumed = api.fit("digits", CONFIG | AUGMENT, folder, resume=True)
    assert resumed.summary["weights_sha256"] == whole.summary["weights_sha256"]
    assert [row["val_loss"] for row in resumed.metrics] == [r["val_loss"] for r in whole.metrics]


def test_another_augmentation_does_not_resume(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Interrupted):
        api.fit("digits", CONFIG | AUGMENT, folder, observer=Stopper(3))
    for other in ({}, AUGMENT | {"data.augment.shift": 0.2}):
        with pytest.raises(BnntrainError, match=r"data\.augment\.shift: 0\.15 there, now 0"):
            api.fit("digits", CONFIG | other, folder, resume=True)


def test_evaluation_sees_images_as_they_are(tmp_path, whole):
    plain = api.evaluate(whole.path, split="train")
    assert plain == api.evaluate(whole.path, split="train")
    assert plain["samples"] == whole.summary["train_samples"]
    # Trained on moved images, the network finds the unmoved ones easier.
    assert plain["train_accuracy"] > whole.metrics[-1]["accuracy"]
