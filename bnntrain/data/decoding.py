"""How many processes decode the pictures of a run, and what is between them and the training."""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.data.decoder_protocol import Room
from bnntrain.data.source import Shape, image_bytes_of

# Another process is started when so many batches in a row were waited for so large a share.
_PATIENCE = 16
_NOTICED = 0.05


@dataclass(frozen=True)
class Decoding:
    """Who decodes encoded records.

    Attributes
    ----------
    batch_size : int
        Samples that are decoded ahead, at most.
    workers : int
        Processes that begin; 0 decodes in the process that trains.
    most_workers : int
        As many there may become while training waits for pictures.
    buffer_bytes : int
        Memory that a batch takes between them and the training; 0 without any.
    """

    batch_size: int
    workers: int
    most_workers: int
    buffer_bytes: int

    def to_json(self) -> dict[str, int]:
        """Return it as ``plan --json`` and ``run.json`` have it."""
        return {
            "workers": self.workers, "most_workers": self.most_workers,
            "buffer_bytes": self.buffer_bytes,
        }  # fmt: skip


def plan_decoding(
    records: str, shape: Shape, batch_size: int, workers: int | None, threads: int, processors: int
) -> Decoding | None:
    """Return who decodes, None where records are pixels.

    Parameters
    ----------
    records : str
        ``pixels`` or ``encoded``.
    shape : tuple of int
        Height, width, channels of a sample.
    batch_size : int
        Samples of a batch.
    workers : int or None
        As configured. None: one, and others as long as they help, on the processors that `threads`
        leave; on a single processor none.
    threads, processors : int
        What trains, and how many can run at a time.
    """
    if records != "encoded":
        return None
    first = most = workers
    if workers is None:
        first, most = min(1, processors - 1), max(min(1, processors - 1), processors - threads)
    room = Room(batch_size, image_bytes_of(shape))
    return Decoding(batch_size, first, most, room.bytes if most else 0)


class Demand:
    """Whether one more process would help, from what is waited for."""

    def __init__(self) -> None:
        self._late = 0

    def add(self, waited: float, between: float) -> bool:
        """Take the seconds that a batch was waited for, and those since the one before it.

        Returns
        -------
        bool
            Whether to start another one.
        """
        is_late = waited > _NOTICED * (waited + between)
        self._late = self._late + 1 if is_late else 0
        if self._late < _PATIENCE:
            return False
        self._late = 0
        return True
