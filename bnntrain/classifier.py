"""A trained network, loaded once: it classifies images and is evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnntrain.changes import check_data
from bnntrain.compatibility import naming_the_key
from bnntrain.data.array_source import as_array, read_labels_of
from bnntrain.data.arrays import ArrayFaultError
from bnntrain.data.catalog import open_dataset
from bnntrain.data.feeds import Feeds
from bnntrain.data.preprocessing import PictureOptions, Preprocessing
from bnntrain.errors import RunError, UsageError
from bnntrain.evaluation import evaluate, make_program
from bnntrain.preparation import Prepared, RunLike, prepare_run, run_path, selected_isa
from bnntrain.program import Program
from bnntrain.records import RunFolder, load_checkpoint
from bnntrain.samples import Images, stacks_of

CHECKPOINTS = ("last", "best")
SPLITS = ("test", "validation", "train")


@dataclass
class Classifier:
    """A trained network, ready to classify; `load` makes it.

    Attributes
    ----------
    path : Path
        Folder of the run.
    prepared : Prepared
        Configuration, method and plan.
    program : Program
        With the checkpoint's weights.
    checkpoint : str
        ``last`` or ``best``.
    epoch : int
        Epochs that the weights were trained for.

    Notes
    -----
    One thread at a time: all calls share the memory of one batch.

    Examples
    --------
    >>> model = bnntrain.load("runs/a")
    >>> scores = model.predict(["cat.jpg", "dog.jpg"])
    >>> [model.classes[label] for label in scores.argmax(axis=1)]
    >>> model.evaluate()["test_accuracy"], model.evaluate(data=(x, y))["accuracy"]
    """

    path: Path
    prepared: Prepared
    program: Program
    checkpoint: str
    epoch: int

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the scores."""
        return list(self.prepared.classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of a sample."""
        return self.prepared.shape

    @property
    def preprocessing(self) -> Preprocessing:
        """How images of another size become samples: as in training."""
        return self.prepared.preprocessing

    def predict(self, images: Images) -> np.ndarray:
        """Classify images.

        Parameters
        ----------
        images : array, path, PIL.Image.Image, or iterable of them
            Arrays are of uint8, [n, height, width, channels], [n, height, width] or a single image;
            a path is that of a picture, of an ``.npy`` file, or of a folder of them, which come in
            the order of their names. What is not of the network's size is brought there as in
            training. An iterable is read a batch at a time.

        Returns
        -------
        ndarray of float32 [n, classes]
            Softmax scores, a row for each image in the order given; they add up to 1.

        Raises
        ------
        UsageError, DataError
            Images of another type, or that cannot be read or converted.
        """
        rows = [self._scores(part) for part in self._batches(stacks_of(images, self.preprocessing))]
        empty = np.empty((0, self.program.classes), np.float32)
        return np.concatenate([empty, *rows])

    def evaluate(
        self, split: str = "test", data: tuple[Images, object] | None = None
    ) -> dict[str, object]:
        """Return accuracy and loss on a part of the run's own data, or on other images.

        Parameters
        ----------
        split : str
            ``test``, ``validation`` or ``train``: the splits of the run.
        data : tuple of images and labels, optional
            Other images, as for `predict`, and their class numbers, integers [n].

        Returns
        -------
        dict
            ``<split>_accuracy`` (percent) and ``<split>_loss`` (mean cross-entropy), with `data`
            ``accuracy`` and ``loss``; ``samples``, ``checkpoint``, ``epoch``; of a split also
            ``data_changed``: which parts of the data, of ``train`` and ``test``, are others than
            when the run was made.

        Raises
        ------
        UsageError, DataError, RunError
            No such split, no samples in it, data that do not fit the network, or a split that is
            no longer the run's (see `check_data`).
        """
        if data is None:
            (result, changed), prefix = self._evaluate_split(split), f"{split}_"
            others = {"data_changed": changed}
        else:
            result, prefix, others = self._evaluate_images(data), "", {}
        return {
            f"{prefix}accuracy": result["accuracy"], f"{prefix}loss": result["loss"],
            "samples": result["samples"], "checkpoint": self.checkpoint, "epoch": self.epoch,
            **others,
        }

    def _evaluate_split(self, split: str) -> tuple[dict[str, float], list[str]]:
        if split not in SPLITS:
            raise UsageError(f"no split '{split}'. Give one of {', '.join(SPLITS)}")
        config = self.prepared.config
        with naming_the_key(config):
            dataset = open_dataset(config.data.dataset, PictureOptions.of(config.data))
        feeds = Feeds(dataset, config.data.validation_fraction, config.train.seed)
        try:
            feed = getattr(feeds, split)
            if not feed.count:
                raise UsageError(
                    f"this run has no {split} samples (data.validation_fraction is 0). "
                    "Give another --split"
                )
            changed = check_data(self.path, self.prepared, dataset, split)
            source = dataset.test if split == "test" else dataset.train
            return evaluate(self.program, feed, source.path), changed
        finally:
            feeds.close()

    def _evaluate_images(self, data: object) -> dict[str, float]:
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise UsageError("data is not (images, labels). Give data=(x, y)")
        images, given = data
        samples = np.concatenate(
            [np.empty((0, *self.shape), np.uint8), *stacks_of(images, self.preprocessing)]
        )
        if not len(samples):
            raise UsageError("data: no images to evaluate on. Give at least one")
        try:
            labels = read_labels_of(as_array(given), len(samples), self.program.classes, "")
        except ArrayFaultError as error:
            raise UsageError("data", str(error)) from None
        loss, hits = 0.0, 0
        for first in range(0, len(samples), len(self.program.x)):
            rows = self._put(samples[first : first + len(self.program.x)])
            self.program.labels[:rows] = labels[first : first + rows]
            batch_loss, batch_hits = self.program.evaluate_batch(rows)
            loss, hits = loss + batch_loss, hits + batch_hits
        count = len(samples)
        return {"loss": loss / count, "accuracy": 100.0 * hits / count, "samples": count}

    def _batches(self, stacks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield samples in batches of the program's size: single pictures are put together."""
        size, waiting, count = len(self.program.x), [], 0
        for stack in stacks:
            for first in range(0, len(stack), size):
                waiting.append(stack[first : first + size])
                count += len(waiting[-1])
                if count >= size:
                    joined = np.concatenate(waiting)
                    yield joined[:size]
                    waiting, count = [joined[size:]], len(joined) - size
        if count:
            yield np.concatenate(waiting)

    def _scores(self, samples: np.ndarray) -> np.ndarray:
        return self.program.scores(self._put(samples))

    def _put(self, samples: np.ndarray) -> int:
        """Write samples where the program reads a batch; return how many."""
        rows = len(samples)
        flat = samples.reshape(rows, math.prod(self.shape))
        np.bitwise_xor(flat, 0x80, out=self.program.x[:rows].view(np.uint8))
        return rows


def load(run: RunLike, checkpoint: str = "last") -> Classifier:
    """Load the network of a run.

    Parameters
    ----------
    run : path or Run
        Folder that `fit` made, or what `fit` returned.
    checkpoint : str
        ``last``, or ``best``: the latest epoch whose validation accuracy ties with the highest, see
        `bnntrain.records.Best`.

    Returns
    -------
    Classifier

    Raises
    ------
    RunError
        Not a run folder, or its checkpoint is missing or damaged.
    UsageError
        Neither a path nor a run, or no such checkpoint.
    """
    if checkpoint not in CHECKPOINTS:
        raise UsageError(f"no checkpoint '{checkpoint}'. Give one of {', '.join(CHECKPOINTS)}")
    folder = RunFolder.open(run_path(run))
    path = folder.best if checkpoint == "best" else folder.last
    if not path.is_file():
        message = "no such checkpoint: no epoch has ended yet. Train with 'fit --resume'"
        raise RunError(path, message)
    prepared = prepare_run(folder.path)
    program = make_program(prepared, selected_isa())
    state = _read_weights(folder, path, program)
    try:
        epoch = int(state["epoch"] if checkpoint == "best" else state["progress"]["epoch"])
    except (KeyError, TypeError, ValueError):
        message = f"is no '{checkpoint}' checkpoint. Put back a copy, or start a new run"
        raise RunError(path, message) from None
    return Classifier(folder.path, prepared, program, checkpoint, epoch)


def _read_weights(folder: RunFolder, path: Path, program: Program) -> dict[str, object]:
    """Read a checkpoint's weights; of a damaged one say what it can be replaced by."""
    try:
        return load_checkpoint(path, program.inference_state())
    except RunError as error:
        if not (error.is_damage and folder.previous.exists()):
            raise
        what = error.message.partition(". ")[0]
        remedy = f"'bnntrain fit --resume {folder.path}' mends it, or put back a copy"
        raise RunError(path, f"{what}. {remedy}", is_damage=True) from None
