"""Samples of encoded records that the process which trains makes itself, when they are needed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from bnntrain.data.decoder_protocol import Request
from bnntrain.data.encoded import DamagedRecordError, EncodedSplit, damaged
from bnntrain.data.sampler import Changes, Sampler


class OwnDecoder:
    """Makes samples when they are asked for, in this process.

    Parameters
    ----------
    splits : sequence of EncodedSplit
        Their files, by number.
    files : sequence of int
        File descriptors of these; they stay the caller's.
    changes : Changes
        To training samples.

    Attributes
    ----------
    workers : int
        Other processes.
    """

    workers = 0

    def __init__(
        self, splits: Sequence[EncodedSplit], files: Sequence[int], changes: Changes
    ) -> None:
        self._splits = splits
        pairs = [(fd, split.offset) for fd, split in zip(files, splits, strict=True)]
        self._sampler = Sampler(pairs, splits[0].wanted, changes)

    def read(
        self, request: Request, _following: Request | None, x: np.ndarray, labels: np.ndarray
    ) -> float:
        """Make the samples of a request.

        Parameters
        ----------
        request, following : Request
            What is wanted, and what will be wanted next, as far as known.
        x : ndarray of int8 [rows, height * width * channels]
            Is overwritten.
        labels : ndarray of uint16 [rows]
            Is overwritten.

        Returns
        -------
        float
            Seconds that were waited for pictures.

        Raises
        ------
        DataError
            Records are damaged.
        """
        start = time.perf_counter()
        records = np.frombuffer(request.records, "<u4").tolist()
        try:
            for row, record in enumerate(records):
                x[row], labels[row] = self._sampler.sample(request.split, record, request.epoch)
        except DamagedRecordError as error:
            raise damaged(self._splits[request.split].path, error) from None
        return time.perf_counter() - start

    def close(self) -> None:
        """Nothing is left to be closed."""
