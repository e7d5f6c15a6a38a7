"""Where a run stands."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

# Batch times of which the median is taken: enough for a stable one, and bounded memory.
_TIMED_BATCHES = 1024


@dataclass
class Progress:
    """What a checkpoint holds beside the arena and the state of the learning rate.

    Attributes
    ----------
    epoch, step : int
        Epochs that have ended; steps of the next one that have been taken.
    loss, hits, seconds : float, int, float
        Sums over these steps.
    seconds_total : float
        Time of the epochs that have ended.
    best_accuracy : float
        Highest validation accuracy so far, percent.
    batch_seconds : deque of float
        Times of the latest batches; not saved.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    hits: int = 0
    seconds: float = 0.0
    seconds_total: float = 0.0
    best_accuracy: float = -1.0
    batch_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_TIMED_BATCHES))

    _SAVED = ("epoch", "step", "loss", "hits", "seconds", "seconds_total", "best_accuracy")

    def state(self) -> dict[str, float]:
        """Return what goes into a checkpoint."""
        return {name: getattr(self, name) for name in self._SAVED}

    def restore(self, state: Mapping[str, float]) -> None:
        """Continue from a checkpoint's `state`."""
        for name in self._SAVED:
            setattr(self, name, type(getattr(self, name))(state[name]))
