"""From a record to a sample: decoded, a part of it chosen, changed as training images are.

What becomes of a picture depends on its record, on the seed of the run and on the epoch, and on
nothing else: whoever makes a sample, in whatever process and order, makes the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bnntrain import native
from bnntrain.data.crops import (
    COLOUR_STREAM,
    CROP_STREAM,
    change_colours,
    draw_box,
    draws_of,
)
from bnntrain.data.decode import PictureError, decode, decode_part
from bnntrain.data.encoded import DamagedRecordError, read_record
from bnntrain.data.preprocessing import Preprocessing

UNCHANGED = -1
"""In place of an epoch: the sample is as it is evaluated."""


@dataclass(frozen=True)
class Changes:
    """Random changes to training pictures, in numbers.

    Attributes
    ----------
    rows, columns : int
        Largest shift.
    edge, mirror : bool
        See `native.Augment`.
    area, aspect : float
        See `crops.draw_box`; an `area` of 0 takes the same part as evaluation.
    colour : float
        See `crops.change_colours`.
    seed : int
        Of the run.
    """

    rows: int = 0
    columns: int = 0
    edge: bool = True
    mirror: bool = False
    area: float = 0.0
    aspect: float = 1.0
    colour: float = 0.0
    seed: int = 0


class Sampler:
    """Makes samples of records.

    Parameters
    ----------
    files : sequence of (int, int)
        Of each split its file descriptor and the offset of its index.
    wanted : Preprocessing
        How a picture becomes a sample that is evaluated.
    changes : Changes
        To samples of training.
    """

    def __init__(
        self, files: list[tuple[int, int]], wanted: Preprocessing, changes: Changes
    ) -> None:
        self._files, self._wanted, self._changes = files, wanted, changes
        self._epoch, self._augment = UNCHANGED, None

    def sample(self, split: int, record: int, epoch: int) -> tuple[np.ndarray, int]:
        """Make one sample.

        Parameters
        ----------
        split : int
            Number of the file.
        record : int
            Number of the record in it.
        epoch : int
            Of training, from 0; `UNCHANGED` for evaluation.

        Returns
        -------
        image : ndarray of int8 [height * width * channels]
            Pixel - 128.
        label : int

        Raises
        ------
        DamagedRecordError
            The record cannot be read or is not what was converted, or Pillow does not take it any
            more.
        """
        data, label = read_record(*self._files[split], record)
        try:
            image = self._decoded(data, record, epoch)
        except PictureError as error:
            raise DamagedRecordError(f"record {record}: {error}") from None
        sample = (image ^ np.uint8(0x80)).view(np.int8).reshape(-1)
        if epoch != UNCHANGED and (augment := self._augment_of(epoch)) is not None:
            augment.change(sample, record)
        return sample, label

    def _decoded(self, data: bytes, record: int, epoch: int) -> np.ndarray:
        changes = self._changes
        if epoch == UNCHANGED:
            return decode(data, self._wanted)
        if changes.area:
            draw = draws_of(changes.seed, CROP_STREAM, epoch, record)
            image = decode_part(
                data, self._wanted,
                lambda size, target: draw_box(size, target, changes.area, changes.aspect, draw),
            )  # fmt: skip
        else:
            image = decode(data, self._wanted)
        if changes.colour:
            draw = draws_of(changes.seed, COLOUR_STREAM, epoch, record)
            image = change_colours(image, changes.colour, draw)
        return image

    def _augment_of(self, epoch: int) -> native.Augment | None:
        """Return the shift and mirror of an epoch; None where there is neither."""
        changes = self._changes
        if not (changes.rows or changes.columns or changes.mirror):
            return None
        if epoch != self._epoch:
            self._epoch = epoch
            self._augment = native.Augment(
                self._wanted.shape, rows=changes.rows, columns=changes.columns, edge=changes.edge,
                mirror=changes.mirror, seed=changes.seed, epoch=epoch,
            )  # fmt: skip
        return self._augment
