"""What scripts call: train, evaluate, predict, from a configuration or a run folder.

The command line is a thin layer over these functions.

Examples
--------
>>> import bnntrain
>>> run = bnntrain.fit("digits", overrides={"train.epochs": 2})
>>> run.test_accuracy, run.plan.total_bytes, run.metrics[-1]["loss"]
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnntrain import engine, runs
from bnntrain.config import Config, dump_config
from bnntrain.data.catalog import open_dataset
from bnntrain.data.feeds import Feeds
from bnntrain.errors import RunError, UsageError
from bnntrain.model import Model
from bnntrain.plan import Plan
from bnntrain.preparation import Prepared, prepare, prepare_run
from bnntrain.records import RunFolder, load_checkpoint
from bnntrain.signals import stop_on_signals

__all__ = [
    "CHECKPOINTS",
    "SPLITS",
    "Loaded",
    "Prepared",
    "Run",
    "evaluate",
    "fit",
    "load_run",
    "predict",
    "prepare",
    "prepare_run",
]

@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    path : Path
        Its folder.
    config : Config
        Resolved configuration.
    plan : Plan
        Memory plan.
    metrics : list of dict
        Rows of ``metrics.csv``.
    summary : dict
        Content of ``run.json``.
    """

    path: Path
    config: Config
    plan: Plan
    metrics: list[dict[str, float]]
    summary: dict[str, object]

    @property
    def test_accuracy(self) -> float:
        """Test accuracy of the last epoch's weights, percent."""
        return self.summary["test_accuracy"]

    @property
    def best_test_accuracy(self) -> float:
        """Test accuracy of the best epoch's weights (see `load_run`), percent."""
        return self.summary["best_test_accuracy"]


def fit(
    reference: str | os.PathLike[str] | Config | None = None,
    overrides: Mapping[str, object] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool | str | os.PathLike[str] = False,
    memory_limit: int | None = None,
    observer: engine.Observer | None = None,
) -> Run:
    """Train a network.

    Parameters
    ----------
    reference, overrides, memory_limit
        As for `prepare`. No reference takes the configuration of the run that is resumed.
    run_dir : path, optional
        Folder for the records; by default a new one under ``runs/``.
    resume : bool or path
        Continue the run in this folder, or with True the one in `run_dir`, or the newest unfinished
        one of this configuration under ``runs/``. The weights come out as if it had not been
        interrupted. More ``train.epochs`` than before extend a run.
    observer : Observer, optional
        Told about batches and epochs.

    Returns
    -------
    Run

    Raises
    ------
    BnntrainError
        One of its kinds, see `bnntrain.errors`; `Interrupted` after a signal, with a checkpoint
        saved.

    Examples
    --------
    >>> run = bnntrain.fit("digits", {"train.epochs": 10})
    >>> longer = bnntrain.fit(resume=run.path, overrides={"train.epochs": 20})
    """
    observer = observer or engine.Observer()
    given = _given_folder(run_dir, resume)
    if reference is None:
        if not resume or given is None:
            raise UsageError("no configuration. Give one, or the folder of a run to resume")
        reference = RunFolder.open(given).config
    prepared = prepare(reference, overrides, memory_limit)
    config, method, plan = prepared.config, prepared.method, prepared.plan
    with contextlib.ExitStack() as stack:
        folder, is_new = _folder(config, given, bool(resume))
        stack.callback(folder.close)
        if given is None and not is_new:
            observer.note(f"resuming {folder.path}")
        # Data are read and memory is taken first: a run that cannot start leaves no folder behind.
        trainer = engine.Trainer(config, method, plan, folder, observer)
        stack.callback(trainer.close)
        if is_new:
            folder.create(dump_config(config), _plan_record(prepared))
        trainer.restore()
        with stop_on_signals() as stop:
            summary = trainer.run(stop)
        return Run(folder.path, config, plan, folder.read_metrics(), summary)


def _given_folder(run_dir: object, resume: object) -> Path | None:
    """Return the folder that was asked for, by either name."""
    if isinstance(resume, bool):
        return None if run_dir is None else Path(run_dir)
    if run_dir is not None and Path(run_dir) != Path(resume):
        raise UsageError(f"two folders, {resume} to resume and {run_dir}. Give one of them")
    return Path(resume)


def _folder(config: Config, given: Path | None, resume: bool) -> tuple[RunFolder, bool]:
    """Return the folder of the run, and whether it is still to be made; else it is locked."""
    if given is None:
        return (runs.find_to_resume(config), False) if resume else (runs.new_folder(config), True)
    folder = RunFolder(given)
    if not resume or (given.is_dir() and folder.is_vacant()):
        folder.check_vacant()  # that of a run killed before it had begun may be resumed
        return folder, True
    runs.check_unchanged(folder, config)
    folder.lock()
    return folder, False


def _plan_record(prepared: Prepared) -> dict[str, object]:
    plan = prepared.plan
    return {
        "batch_size": plan.batch_size, "method": prepared.method.name,
        "total_bytes": plan.total_bytes, "buffers": plan.to_json(),
    }


@dataclass
class Loaded:
    """A trained network, ready to classify.

    Attributes
    ----------
    prepared : Prepared
        Configuration, method and plan.
    model : Model
        With the checkpoint's weights.
    epoch : int
        Epochs that the weights were trained for.
    """

    prepared: Prepared
    model: Model
    epoch: int

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Classify images (see `predict`)."""
        model, shape = self.model, self.prepared.shape
        if images.dtype != np.uint8 or images[:1].size != math.prod(shape) * len(images[:1]):
            raise UsageError(
                f"images of type {images.dtype} and shape {images.shape[1:]}, but the network "
                f"takes uint8 {'x'.join(map(str, shape))}. Resize or convert them first"
            )
        flat = images.reshape(len(images), -1)
        scores = np.empty((len(images), model.classes), dtype=np.float32)
        for first in range(0, len(flat), len(model.x)):
            rows = min(len(model.x), len(flat) - first)
            np.bitwise_xor(flat[first : first + rows], 0x80, out=model.x[:rows].view(np.uint8))
            scores[first : first + rows] = model.scores(rows)
        return scores


CHECKPOINTS = ("last", "best")


def load_run(run_dir: str | os.PathLike[str], checkpoint: str = "last") -> Loaded:
    """Load the network of a run folder.

    Parameters
    ----------
    run_dir : path
        Folder that `fit` made.
    checkpoint : str
        ``last``, or ``best``: the latest epoch whose validation accuracy ties with the highest, see
        `bnntrain.records.Best`.

    Raises
    ------
    RunError
        Not a run folder, or its checkpoint is missing or damaged.
    """
    if checkpoint not in CHECKPOINTS:
        raise UsageError(f"no checkpoint '{checkpoint}'. Give one of {', '.join(CHECKPOINTS)}")
    folder = RunFolder.open(Path(run_dir))
    path = folder.best if checkpoint == "best" else folder.last
    if not path.is_file():
        message = "no such checkpoint: no epoch has ended yet. Train with 'fit --resume'"
        raise RunError(path, message)
    prepared = prepare_run(run_dir)
    config = prepared.config
    model = engine.make_model(
        config, prepared.method, prepared.plan, prepared.shape, engine.selected_isa()
    )
    state = _load(folder, path, model)
    try:
        epoch = int(state["epoch"] if checkpoint == "best" else state["progress"]["epoch"])
    except (KeyError, TypeError, ValueError):
        message = f"is no '{checkpoint}' checkpoint. Put back a copy, or start a new run"
        raise RunError(path, message) from None
    return Loaded(prepared, model, epoch)


def _load(folder: RunFolder, path: Path, model: Model) -> dict[str, object]:
    """Read a checkpoint's weights; of a damaged one say what it can be replaced by."""
    try:
        return load_checkpoint(path, model.inference_state())
    except RunError as error:
        if not (error.is_damage and folder.previous.exists()):
            raise
        what = error.message.partition(". ")[0]
        remedy = f"'bnntrain fit --resume {folder.path}' mends it, or put back a copy"
        raise RunError(path, f"{what}. {remedy}", is_damage=True) from None


SPLITS = ("test", "validation", "train")


def evaluate(
    run_dir: str | os.PathLike[str], checkpoint: str = "last", split: str = "test"
) -> dict[str, object]:
    """Evaluate a run's network on one part of its data.

    Parameters
    ----------
    run_dir : path
        Folder that `fit` made.
    checkpoint : str
        As for `load_run`.
    split : str
        ``test``, ``validation`` or ``train``.

    Returns
    -------
    dict
        ``<split>_accuracy`` (percent), ``<split>_loss`` (mean cross-entropy), ``samples``,
        ``checkpoint``, ``epoch``.
    """
    if split not in SPLITS:
        raise UsageError(f"no split '{split}'. Give one of {', '.join(SPLITS)}")
    loaded = load_run(run_dir, checkpoint)
    config = loaded.prepared.config
    dataset = open_dataset(config.data.dataset)
    feeds = Feeds(dataset, config.data.validation_fraction, config.train.seed)
    try:
        feed = getattr(feeds, split)
        if not feed.count:
            raise UsageError(
                f"this run has no {split} samples (data.validation_fraction is 0). "
                "Give another --split"
            )
        if dataset.shape != loaded.prepared.shape:
            message = f"was trained on other images than {config.data.dataset} has now"
            raise RunError(run_dir, f"{message}. Put the former data back")
        source = dataset.test if split == "test" else dataset.train
        result = engine.evaluate(loaded.model, feed, source.path)
    finally:
        feeds.close()
    return {
        f"{split}_accuracy": result["accuracy"], f"{split}_loss": result["loss"],
        "samples": result["samples"], "checkpoint": checkpoint, "epoch": loaded.epoch,
    }


def predict(
    run_dir: str | os.PathLike[str], images: np.ndarray, checkpoint: str = "last"
) -> np.ndarray:
    """Classify images.

    Parameters
    ----------
    run_dir : path
        Folder that `fit` made.
    images : ndarray of uint8 [n, height, width, channels] or [n, height, width]
        Of the size that the network was trained on.
    checkpoint : str
        As for `load_run`.

    Returns
    -------
    ndarray of float32 [n, classes]
        Softmax scores.

    Raises
    ------
    UsageError
        Images of another type or size.
    """
    return load_run(run_dir, checkpoint).scores(images)
