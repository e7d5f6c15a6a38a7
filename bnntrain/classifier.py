"""A trained network, loaded once: it classifies images and is evaluated."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnntrain.data.arrays import ArrayFaultError
from bnntrain.data.preprocessing import PictureOptions, Preprocessing
from bnntrain.errors import UsageError
from bnntrain.isa import selected_isa
from bnntrain.limits import available_threads
from bnntrain.packed import Head, Network, Source, open_source
from bnntrain.paths import RunLike, run_path
from bnntrain.samples import Images, stacks_of

SPLITS = ("test", "validation", "train")


@dataclass
class Classifier:
    """A trained network, ready to classify; `load` makes it.

    Attributes
    ----------
    path : Path
        Folder of the run, or file of the packed model.
    network : Network
        With the checkpoint's weights, packed.
    source : Source
        Where they came from.

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
    network: Network
    source: Source

    @property
    def head(self) -> Head:
        """What is known of the network beside its weights."""
        return self.network.head

    @property
    def checkpoint(self) -> str:
        """``last`` or ``best``."""
        return self.head.checkpoint

    @property
    def epoch(self) -> int:
        """Epochs that the weights were trained for."""
        return self.head.epoch

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the scores."""
        return list(self.head.classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of a sample."""
        return self.head.shape

    @property
    def preprocessing(self) -> Preprocessing:
        """How images of another size become samples: as in training."""
        return self.head.preprocessing

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
        empty = np.empty((0, len(self.head.classes)), np.float32)
        return np.concatenate([empty, *rows])

    def evaluate(
        self, split: str = "test",
        data: str | os.PathLike[str] | tuple[Images, object] | None = None,
    ) -> dict[str, object]:
        """Return accuracy and loss on a part of the data it was trained on, or on other images.

        Parameters
        ----------
        split : str
            ``test``, ``validation`` or ``train``: the splits of the run.
        data : name, path, or tuple of images and labels, optional
            The data set, where it is called otherwise here than in training. Or other images, as
            for `predict`, and their class numbers, integers [n].

        Returns
        -------
        dict
            ``<split>_accuracy`` (percent) and ``<split>_loss`` (mean cross-entropy), of other
            images ``accuracy`` and ``loss``; ``samples``, ``checkpoint``, ``epoch``; of a split
            also ``data_changed``: which parts of the data, of ``train`` and ``test``, are others
            than when the run was made.

        Raises
        ------
        UsageError, DataError, RunError
            No such split, no samples in it, data that do not fit the network, or a split that is
            no longer the run's (see `check_data`).
        """
        if data is None or isinstance(data, str | os.PathLike):
            (result, changed), prefix = self._evaluate_split(split, data), f"{split}_"
            others = {"data_changed": changed}
        else:
            result, prefix, others = self._evaluate_images(data), "", {}
        return {
            f"{prefix}accuracy": result["accuracy"], f"{prefix}loss": result["loss"],
            "samples": result["samples"], "checkpoint": self.checkpoint, "epoch": self.epoch,
            **others,
        }

    def _evaluate_split(
        self, split: str, name: str | os.PathLike[str] | None
    ) -> tuple[dict[str, float], list[str]]:
        # Of size, and classifying does without.
        from bnntrain.changes import check_data
        from bnntrain.data.batches import BatchReaders
        from bnntrain.data.catalog import open_dataset
        from bnntrain.data.decoding import plan_decoding
        from bnntrain.evaluation import read

        if split not in SPLITS:
            raise UsageError(f"no split '{split}'. Give one of {', '.join(SPLITS)}")
        data = self.head.data
        with self.source.naming_the_data() if name is None else contextlib.nullcontext():
            name = data.dataset if name is None else os.fspath(name)
            dataset = open_dataset(name, PictureOptions.of(data))
        plan = self.network.plan
        decoding = plan_decoding(
            data.records, dataset.shape, plan.batch_size, data.workers, plan.threads,
            available_threads(),
        )  # fmt: skip
        readers = BatchReaders(
            dataset, data.validation_fraction, self.head.seed, decoding=decoding
        )
        try:
            reader = getattr(readers, split)
            if not reader.count:
                raise UsageError(
                    f"this run has no {split} samples (data.validation_fraction is 0). "
                    "Give another --split"
                )
            changed = check_data(self.path, self.head, dataset, split)
            path = (dataset.test if split == "test" else dataset.train).path

            def fill(first: int, rows: int) -> None:
                read(reader, first, self.network, rows, path)

            return self.network.evaluate(reader.count, self.head.batch_size, fill), changed
        finally:
            readers.close()

    def _evaluate_images(self, data: object) -> dict[str, float]:
        from bnntrain.data.array_source import as_array, read_labels_of

        if not isinstance(data, tuple | list) or len(data) != 2:
            raise UsageError("data is not (images, labels). Give data=(x, y)")
        images, given = data
        samples = np.concatenate(
            [np.empty((0, *self.shape), np.uint8), *stacks_of(images, self.preprocessing)]
        )
        if not len(samples):
            raise UsageError("data: no images to evaluate on. Give at least one")
        try:
            labels = read_labels_of(as_array(given), len(samples), len(self.head.classes), "")
        except ArrayFaultError as error:
            raise UsageError("data", str(error)) from None

        def fill(first: int, rows: int) -> None:
            self._put(samples[first : first + rows])
            self.network.labels[:rows] = labels[first : first + rows]

        return self.network.evaluate(len(samples), self.head.batch_size, fill)


    def _batches(self, stacks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield samples in batches of the model's size: single pictures are put together."""
        size, waiting, count = self.network.plan.batch_size, [], 0
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
        return self.network.scores(self._put(samples))

    def _put(self, samples: np.ndarray) -> int:
        """Write samples where the model reads a batch; return how many."""
        rows = len(samples)
        flat = samples.reshape(rows, math.prod(self.shape))
        np.bitwise_xor(flat, 0x80, out=self.network.x[:rows].view(np.uint8))
        return rows


def load(run: RunLike, checkpoint: str | None = None) -> Classifier:
    """Load a trained network.

    Parameters
    ----------
    run : path or Run
        Folder that `fit` made, what `fit` returned, or a file that `export` wrote.
    checkpoint : str, optional
        Of a run: ``last``, which is the default, or ``best``: the latest epoch whose validation
        accuracy ties with the highest, see `bnntrain.records.Best`. A packed model has one.

    Returns
    -------
    Classifier

    Raises
    ------
    RunError
        Neither a run folder nor a packed model, or a checkpoint or file that is missing or
        damaged.
    UsageError
        Neither a path nor a run, or no such checkpoint.
    """
    source = open_source(run_path(run), checkpoint)
    threads = source.threads or available_threads()
    return Classifier(source.path, Network(source, threads, selected_isa()), source)
