"""Where a run stands."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from bnntrain.records.best import Best

# Batch times of which the median is taken: enough for a stable one, and bounded memory.
_TIMED_BATCHES = 1024
# Fields by their names in a checkpoint.
_STORED = {
    "epoch": "epoch", "step": "step", "loss": "loss", "hits": "correct", "seconds": "seconds",
    "seconds_total": "seconds_total", "best_accuracy": "best_accuracy",
}  # fmt: skip


@dataclass
class Progress:
    """What a checkpoint holds beside the arena and the state of the learning rate.

    Attributes
    ----------
    epoch, step : int
        Epochs that have ended; steps of the next one that have been taken.
    loss, correct, seconds : float, int, float
        Sums over these steps.
    seconds_total : float
        Time of the batches of the epochs that have ended.
    seconds_wall : float
        Time that former processes took for all of it, up to the checkpoint that was gone on from.
    best_accuracy : float
        Highest validation accuracy so far, percent.
    best : Best or None
        The chosen epoch; None is of a checkpoint that knew of no such choice.
    batch_seconds : deque of float
        Times of the latest batches; not saved.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    seconds_total: float = 0.0
    seconds_wall: float = 0.0
    best_accuracy: float = -1.0
    best: Best | None = field(default_factory=Best)
    batch_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_TIMED_BATCHES))
    _started: float | None = None

    def start_clock(self) -> None:
        """Begin to count the time of this process."""
        self._started = time.perf_counter()

    @property
    def wall(self) -> float:
        """Seconds that the run has taken so far, evaluations and checkpoints included."""
        own = 0.0 if self._started is None else time.perf_counter() - self._started
        return self.seconds_wall + own

    def state(self) -> dict[str, object]:
        """Return what goes into a checkpoint."""
        saved = {stored: getattr(self, name) for stored, name in _STORED.items()}
        return saved | {"seconds_wall": self.wall, "best": self.best.state()}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a checkpoint's `state`."""
        for stored, name in _STORED.items():
            setattr(self, name, type(getattr(self, name))(state[stored]))
        # Neither is in a checkpoint that was made before there were such fields.
        self.seconds_wall = float(state.get("seconds_wall", self.seconds_total + self.seconds))
        self.best = Best.restored(state["best"]) if "best" in state else None
