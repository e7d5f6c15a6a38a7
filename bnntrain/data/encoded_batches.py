"""The parts of encoded records as a run reads them, in the same order as records of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bnntrain.data.decoder_protocol import Request
from bnntrain.data.sampler import UNCHANGED

if TYPE_CHECKING:
    from bnntrain.data.own_decoder import OwnDecoder
    from bnntrain.data.workers import Workers

Order = Callable[[np.ndarray, int], np.ndarray]
"""Numbers of the records at some positions of an epoch."""


class EncodedReader:
    """Reads one part, from a batch to the next.

    Parameters
    ----------
    decoder : OwnDecoder or Workers
        Makes the samples.
    split : int
        Number of the file.
    count : int
        Samples of this part.
    order : callable
        Where they are.
    is_trained : bool
        Whether samples are changed at random, and batches smaller than others left out.

    Attributes
    ----------
    epoch : int
        Of training; `UNCHANGED` before the first, and where nothing is changed.
    waited : float
        Seconds that were waited for pictures, in all.
    """

    def __init__(
        self, decoder: OwnDecoder | Workers, split: int, count: int, order: Order,
        is_trained: bool = False,
    ) -> None:
        self.count, self.epoch, self.waited = count, UNCHANGED, 0.0
        self._decoder, self._split, self._order = decoder, split, order
        self._is_trained = is_trained

    def read(self, first: int, x: np.ndarray, labels: np.ndarray) -> None:
        """Read positions `first` ... into x and labels, as `native.BatchReader.read`.

        Raises
        ------
        ValueError
            Positions outside this part.
        DataError
            Records are damaged.
        WorkerError
            A process that decodes has ended.
        """
        rows = len(x)
        if first + rows > self.count:
            raise ValueError(f"first: positions {first} to {first + rows} of {self.count}")
        following = first + rows
        left = self.count - following
        ahead = rows if left >= rows else 0 if self._is_trained else left
        self.waited += self._decoder.read(
            self._request(first, rows), self._request(following, ahead) if ahead else None,
            x, labels,
        )  # fmt: skip

    def _request(self, first: int, rows: int) -> Request:
        positions = np.arange(first, first + rows)
        records = self._order(positions, max(self.epoch, 0)).astype("<u4").tobytes()
        return Request(self._split, self.epoch, records)
