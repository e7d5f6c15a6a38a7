"""What scripts call: train, load, evaluate, predict, export, from a configuration or a run.

The command line is a thin layer over these functions.

Examples
--------
>>> import bnntrain
>>> run = bnntrain.fit("digits", overrides={"train.epochs": 2})
>>> run.test_accuracy, run.plan.total_bytes, run.metrics[-1]["loss"]
"""

from __future__ import annotations

import os

import numpy as np

from bnntrain.classifier import SPLITS, Classifier, load
from bnntrain.exports import Exported, export
from bnntrain.packed import CHECKPOINTS
from bnntrain.paths import RunLike
from bnntrain.preparation import Prepared, prepare, prepare_run
from bnntrain.samples import Images
from bnntrain.training import Run, fit

__all__ = [
    "CHECKPOINTS",
    "SPLITS",
    "Classifier",
    "Exported",
    "Prepared",
    "Run",
    "evaluate",
    "export",
    "fit",
    "load",
    "predict",
    "prepare",
    "prepare_run",
]


def evaluate(
    run: RunLike, checkpoint: str | None = None, split: str = "test",
    data: str | os.PathLike[str] | tuple[Images, object] | None = None,
) -> dict[str, object]:
    """Evaluate a run's network on one part of its data, or on other images.

    Loads the weights anew each time; `load` does so once.

    Parameters
    ----------
    run, checkpoint
        As for `load`.
    split, data
        As for `Classifier.evaluate`.

    Returns
    -------
    dict
        See `Classifier.evaluate`.
    """
    return load(run, checkpoint).evaluate(split, data)


def predict(run: RunLike, images: Images, checkpoint: str | None = None) -> np.ndarray:
    """Classify images.

    Loads the weights anew each time; `load` does so once.

    Parameters
    ----------
    run, checkpoint
        As for `load`.
    images
        As for `Classifier.predict`.

    Returns
    -------
    ndarray of float32 [n, classes]
        Softmax scores.
    """
    return load(run, checkpoint).predict(images)
