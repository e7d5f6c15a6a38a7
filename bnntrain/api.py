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
import itertools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bnntrain import engine
from bnntrain.config import Config, config_digest, dump_config, load_config
from bnntrain.data.arrays import ArrayFaultError, as_samples
from bnntrain.data.catalog import open_dataset
from bnntrain.data.feeds import Feeds
from bnntrain.data.flat import Dataset
from bnntrain.errors import RunError, UsageError
from bnntrain.model import Model
from bnntrain.plan import Plan
from bnntrain.preparation import Prepared, prepare, prepare_run
from bnntrain.records import RunFolder, load_checkpoint

__all__ = [
    "CHECKPOINTS",
    "RUNS",
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

RUNS = "runs"
"""Folder of runs that are given no other, in the working directory."""


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
        """Test accuracy of the weights with the best validation accuracy, percent."""
        return self.summary["best_test_accuracy"]


def default_run_dir(config: Config, resume: bool) -> Path:
    """Name a run after its configuration: the next free name; with `resume`, the last one taken."""
    base = Path(RUNS) / f"{config.name}-{config.method}-seed{config.train.seed}"
    numbered = (base.with_name(f"{base.name}-{n}") for n in itertools.count(2))
    names = itertools.chain([base], numbered)
    taken = list(itertools.takewhile(lambda name: not RunFolder(name).is_vacant(), names))
    if resume and taken:
        return taken[-1]
    return base if not taken else base.with_name(f"{base.name}-{len(taken) + 1}")


def fit(
    reference: str | os.PathLike[str] | Config,
    overrides: Mapping[str, object] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    memory_limit: int | None = None,
    observer: engine.Observer | None = None,
) -> Run:
    """Train a network.

    Parameters
    ----------
    reference, overrides, memory_limit
        As for `prepare`.
    run_dir : path, optional
        Folder for the records; by default a new one under ``runs/``.
    resume : bool
        Continue the run in `run_dir`; the weights come out as if it had not been interrupted.
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
    """
    prepared = prepare(reference, overrides, memory_limit)
    config, method, plan = prepared.config, prepared.method, prepared.plan
    path = Path(run_dir) if run_dir is not None else default_run_dir(config, resume)
    with contextlib.ExitStack() as stack:
        folder = RunFolder(path)
        stack.callback(folder.close)
        is_new = not resume or folder.is_vacant()
        if is_new:
            folder.check_vacant()
        else:
            _check_unchanged(folder, config)
            folder.lock()
        # Data are read and memory is taken first: a run that cannot start leaves no folder behind.
        trainer = engine.Trainer(config, method, plan, folder, observer or engine.Observer())
        stack.callback(trainer.close)
        if is_new:
            folder.create(dump_config(config), _plan_record(prepared))
        trainer.restore()
        with engine.stop_on_signals() as stop:
            summary = trainer.run(stop)
        return Run(path, config, plan, folder.read_metrics(), summary)


def _plan_record(prepared: Prepared) -> dict[str, object]:
    plan = prepared.plan
    return {
        "batch_size": plan.batch_size, "method": prepared.method.name,
        "total_bytes": plan.total_bytes, "buffers": plan.to_json(),
    }


def _check_unchanged(folder: RunFolder, config: Config) -> None:
    """Refuse to resume with a configuration that leads to other weights; name what differs."""
    path = RunFolder.open(folder.path).path / "config.yaml"
    former = load_config(path)
    if config_digest(former) == config_digest(config):
        return
    there, here = (dict(_leaves(msgspec.to_builtins(each))) for each in (former, config))
    apart = {"name", "source", "model.name", "train.threads"}
    key = next(
        key for key in {**there, **here}
        if key not in apart and not key.startswith("meters.") and there.get(key) != here.get(key)
    )
    change = f"{there.get(key)} there, now {here.get(key)}"
    if key == "model.layers":
        change = "another list there"
    raise RunError(path, f"{key}: {change}. Resume without changing options")


def _leaves(values: Mapping[str, object], section: str = "") -> Iterator[tuple[str, object]]:
    """Yield dotted keys and values."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{section}{name}.")
        else:
            yield f"{section}{name}", value


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


CHECKPOINTS = ("best", "last")


def load_run(run_dir: str | os.PathLike[str], checkpoint: str = "best") -> Loaded:
    """Load the network of a run folder.

    Parameters
    ----------
    run_dir : path
        Folder that `fit` made.
    checkpoint : str
        ``best`` (highest validation accuracy) or ``last``.

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
    state = load_checkpoint(path, model.inference_state())
    try:
        epoch = int(state["epoch"] if checkpoint == "best" else state["progress"]["epoch"])
    except (KeyError, TypeError, ValueError):
        message = f"is no '{checkpoint}' checkpoint. Put back a copy, or start a new run"
        raise RunError(path, message) from None
    return Loaded(prepared, model, epoch)


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
        ``last`` or ``best``.
    split : str
        ``test``, ``validation`` or ``train``.

    Returns
    -------
    dict
        ``<split>_accuracy`` (percent), ``<split>_loss`` (mean cross-entropy), ``samples``,
        ``checkpoint``, ``epoch``, ``data_changed``: which parts of the data, of ``train`` and
        ``test``, are others than when the run was made.

    Raises
    ------
    RunError
        The data have other classes or images of another size now; or the training part, of which
        ``train`` and ``validation`` are, has changed at all.
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
        changed = _check_data(Path(run_dir), loaded.prepared, dataset, split)
        source = dataset.test if split == "test" else dataset.train
        result = engine.evaluate(loaded.model, feed, source.path)
    finally:
        feeds.close()
    return {
        f"{split}_accuracy": result["accuracy"], f"{split}_loss": result["loss"],
        "samples": result["samples"], "checkpoint": checkpoint, "epoch": loaded.epoch,
        "data_changed": changed,
    }


def _check_data(run_dir: Path, prepared: Prepared, dataset: Dataset, split: str) -> list[str]:
    """Return which parts of a run's data have changed; refuse what makes a figure meaningless."""
    remedy = "Put the former data back"
    name = prepared.config.data.dataset
    if dataset.shape != prepared.shape:
        raise RunError(run_dir, f"was trained on other images than {name} has now. {remedy}")
    if dataset.classes != prepared.classes:
        raise RunError(run_dir, f"was trained on other classes than {name} has now. {remedy}")
    recorded = _recorded_crcs(RunFolder.open(run_dir))
    now = {"train": dataset.train.records_crc, "test": dataset.test.records_crc}
    changed = [part for part, crc in now.items() if recorded.get(part, crc) != crc]
    if split != "test" and "train" in changed:
        message = f"was trained on other data: {name} has changed since, its {split} part too"
        raise RunError(run_dir, f"{message}. {remedy}, or give --split test")
    return changed


def _recorded_crcs(folder: RunFolder) -> dict[str, int]:
    """Return the CRC-32 of the parts of the data that a run was made with, as far as known."""
    recorded = folder.read_summary().get("data_crc32")
    if isinstance(recorded, dict):
        return recorded
    # Runs of earlier versions have the training part's in their checkpoint.
    crc = load_checkpoint(folder.last, {}).get("data") if folder.last.is_file() else None
    return {} if crc is None else {"train": crc}


def predict(
    run_dir: str | os.PathLike[str], images: np.ndarray, checkpoint: str = "best"
) -> np.ndarray:
    """Classify images.

    Parameters
    ----------
    run_dir : path
        Folder that `fit` made.
    images : ndarray of uint8 [n, height, width, channels]
        Of the size that the network was trained on; also [n, height, width] where it has one
        channel, and [n, height * width * channels].
    checkpoint : str
        ``best`` or ``last``.

    Returns
    -------
    ndarray of float32 [n, classes]
        Softmax scores.

    Raises
    ------
    UsageError
        Images of another type or size.
    """
    loaded = load_run(run_dir, checkpoint)
    model, shape = loaded.model, loaded.prepared.shape
    try:
        flat = as_samples(images, shape).reshape(len(images), math.prod(shape))
    except ArrayFaultError as error:
        raise UsageError(str(error)) from None
    scores = np.empty((len(images), model.classes), dtype=np.float32)
    for first in range(0, len(flat), len(model.x)):
        rows = min(len(model.x), len(flat) - first)
        np.bitwise_xor(flat[first : first + rows], 0x80, out=model.x[:rows].view(np.uint8))
        scores[first : first + rows] = model.scores(rows)
    return scores
