"""The parts of a data set as a run reads them, batch by batch: training, validation and test.

Samples of pixels are read by position from the flat files straight into the batch buffer
(`native.BatchReader`), encoded ones are decoded into it (`encoded_batches`); which sample stands at
which position is computed, not stored (see `bnntrain.data.order`).
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Protocol

from bnntrain import native
from bnntrain.data.flat import Dataset, Split
from bnntrain.data.order import (
    EPOCH_STREAM,
    SPLIT_STREAM,
    order_key,
    split_counts,
    training_indices,
    validation_indices,
)
from bnntrain.data.source import Shape

if TYPE_CHECKING:
    from bnntrain.data.decoding import Decoding
    from bnntrain.data.encoded import EncodedSplit
    from bnntrain.data.own_decoder import OwnDecoder
    from bnntrain.data.sampler import Changes
    from bnntrain.data.workers import Workers


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
    crop_area : float or None
        Least share of the area of the part that is taken of an encoded picture; None takes the one
        that evaluation takes.
    crop_aspect : float
        How much wider or narrower than a sample that part may be.
    colour : float
        Largest change of brightness, contrast and saturation.
    """

    shift: float
    crop_padding: int
    fill: str
    flip: bool
    crop_area: float | None
    crop_aspect: float
    colour: float


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
    decoding : Decoding, optional
        Who decodes encoded records; by default this process.

    Attributes
    ----------
    train, validation, test : native.BatchReader or EncodedReader
        `train` and `validation` share a file and no sample.
    """

    def __init__(
        self,
        dataset: Dataset,
        validation_fraction: float,
        seed: int,
        augment: Augment | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        n_train, n_val = split_counts(dataset.train.count, validation_fraction)
        self._seed = seed
        self._shape = dataset.shape
        self._augment = augment
        self._files: list[int] = []
        self._decoder: Workers | OwnDecoder | None = None
        self._is_encoded = dataset.records == "encoded"
        try:
            train_file, test_file = self._open(dataset.train), self._open(dataset.test)
            if self._is_encoded:
                self._decode(dataset, n_train, n_val, decoding)
                return
        except BaseException:
            self.close()
            raise
        key = order_key(seed, SPLIT_STREAM)
        self.train = _reader(train_file, dataset, dataset.train, n_val, n_train, key)
        self.validation = _reader(train_file, dataset, dataset.train, 0, n_val, key)
        self.test = _reader(test_file, dataset, dataset.test, 0, dataset.test.count, None)

    def _decode(
        self, dataset: Dataset, n_train: int, n_val: int, decoding: Decoding | None
    ) -> None:
        from bnntrain.data.encoded_batches import EncodedReader  # records of pixels need none of it

        splits, seed = (dataset.train, dataset.test), self._seed
        changes = changes_of(self._augment, self._shape, seed)
        if decoding is None or not decoding.workers:
            from bnntrain.data.own_decoder import OwnDecoder

            self._decoder = OwnDecoder(splits, self._files, changes)
        else:
            from bnntrain.data.workers import Workers

            self._decoder = Workers(splits, self._files, changes, decoding)
        total = n_train + n_val
        self.train = EncodedReader(
            self._decoder, 0, n_train,
            lambda positions, epoch: training_indices(positions, total, n_val, seed, epoch), True,
        )  # fmt: skip
        self.validation = EncodedReader(
            self._decoder, 0, n_val,
            lambda positions, _: validation_indices(positions, total, seed),
        )  # fmt: skip
        self.test = EncodedReader(
            self._decoder, 1, dataset.test.count, lambda positions, _: positions
        )

    @property
    def workers(self) -> int:
        """Processes that decode now."""
        return self._decoder.workers if self._decoder else 0

    @property
    def waited(self) -> float:
        """Seconds that training batches were waited for; 0 for pixels, which are only read."""
        return self.train.waited if self._is_encoded else 0.0

    def _open(self, split: Split | EncodedSplit) -> int:
        self._files.append(split.open())
        return self._files[-1]

    def shuffle(self, epoch: int) -> None:
        """Put the training samples into the order of an epoch, counted from 0, and change them."""
        if self._is_encoded:
            self.train.epoch = epoch
            return
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
        """Close the files, and end the processes that decode."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None
        while self._files:
            os.close(self._files.pop())


def changes_of(augment: Augment | None, shape: Shape, seed: int) -> Changes:
    """Return the changes to encoded records in numbers."""
    from bnntrain.data.sampler import Changes

    if augment is None:
        return Changes(seed=seed)
    rows, columns = largest_shifts(augment, shape)
    return Changes(
        rows, columns, augment.fill == "edge", augment.flip, augment.crop_area or 0.0,
        augment.crop_aspect, augment.colour, seed,
    )  # fmt: skip


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
