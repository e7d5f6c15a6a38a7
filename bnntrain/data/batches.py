"""The parts of a data set as a run reads them, batch by batch: training, validation and test.

Samples are read by position from the flat files straight into the batch buffer
(`native.BatchReader`); which sample stands at which position is computed, not stored (see
`bnntrain.data.order`).
"""

from __future__ import annotations

import math
import os
from typing import Protocol

from bnntrain import native
from bnntrain.data.flat import Dataset, Split
from bnntrain.data.order import EPOCH_STREAM, SPLIT_STREAM, order_key, split_counts
from bnntrain.data.source import Shape


class Augment(Protocol):
    """Random changes to training images (the section ``data.augment`` of a configuration).

    Attributes
    ----------
    shift : float
        Largest shift as a fraction of height and width.
    crop_padding : int
        Or in pixels: a crop out of a padded image is a shift.
    fill : str
        ``edge`` or ``zero``.
    flip : bool
        Mirror half of the images.
    """

    shift: float
    crop_padding: int
    fill: str
    flip: bool


class BatchReaders:
    """Open readers of a data set's parts.

    Parameters
    ----------
    dataset : Dataset
        Converted data.
    validation_fraction : float
        Share of the training samples that is held out.
    seed : int
        Of the split, and of the order and the changes to images in every epoch.
    augment : Augment, optional
        Changes to the images of `train`; the other parts stay as they are.

    Attributes
    ----------
    train, validation, test : native.BatchReader
        `train` and `validation` share a file and no sample.
    """

    def __init__(
        self,
        dataset: Dataset,
        validation_fraction: float,
        seed: int,
        augment: Augment | None = None,
    ) -> None:
        n_train, n_val = split_counts(dataset.train.count, validation_fraction)
        self._seed = seed
        self._shape = dataset.shape
        self._augment = augment
        self._files: list[int] = []
        key = order_key(seed, SPLIT_STREAM)
        train_file, test_file = self._open(dataset.train), self._open(dataset.test)
        self.train = _reader(train_file, dataset, dataset.train, n_val, n_train, key)
        self.validation = _reader(train_file, dataset, dataset.train, 0, n_val, key)
        self.test = _reader(test_file, dataset, dataset.test, 0, dataset.test.count, None)

    def _open(self, split: Split) -> int:
        self._files.append(split.open())
        return self._files[-1]

    def shuffle(self, epoch: int) -> None:
        """Put the training samples into the order of an epoch, counted from 0, and change them."""
        self.train.shuffle(order_key(self._seed, EPOCH_STREAM, epoch))
        augment = self._augment
        if augment is None:
            return
        rows, columns = largest_shifts(augment, self._shape)
        if rows or columns or augment.flip:
            self.train.augment(
                self._shape,
                rows=rows,
                columns=columns,
                edge=augment.fill == "edge",
                mirror=augment.flip,
                seed=self._seed,
                epoch=epoch,
            )

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.pop())


def largest_shifts(augment: Augment, shape: Shape) -> tuple[int, int]:
    """Return the largest shift in rows and in columns, whole pixels, rounded down.

    A fraction such as 0.29 of 100 counts as 29, though the product of the two floats is below.
    """
    height, width, _ = shape
    rows, columns = (math.floor(augment.shift * size + 1e-9) for size in (height, width))
    return rows + augment.crop_padding, columns + augment.crop_padding


def _reader(
    file: int, dataset: Dataset, split: Split, first: int, count: int, key: int | None
) -> native.BatchReader:
    return native.BatchReader(
        file,
        offset=split.offset,
        image_bytes=split.image_bytes,
        label_bytes=split.label_bytes,
        classes=len(dataset.classes),
        total=split.count,
        first=first,
        count=count,
        split_key=key,
    )
