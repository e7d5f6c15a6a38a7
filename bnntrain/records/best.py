"""The choice of the best epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# By their names in a checkpoint.
_STORED = {"epoch": "epoch", "hits": "correct", "highest": "highest"}


def is_tie(highest: int, correct: int, count: int) -> bool:
    """Whether `correct` of `count` samples are as good as the `highest` number of them.

    They are within one standard error of the highest share, sqrt(p (1 - p) / count), and at least
    within one sample, since the error of a perfect share is zero. In whole numbers, so that every
    machine chooses alike.

    Source: the rule of one standard error, Breiman et al., Classification and Regression Trees,
    1984, section 3.4.3.
    """
    apart = highest - correct
    return apart <= 1 or apart * apart * count <= highest * (count - highest)


@dataclass
class Best:
    """The latest epoch among those whose validation accuracy ties with the highest.

    Where there is no validation split all epochs tie, and the last one is chosen.

    Attributes
    ----------
    epoch : int
        The chosen one, from 1; 0 before there is one.
    correct, highest : int
        Validation samples that it classified correctly, and the most of any that was considered.
    """

    epoch: int = 0
    correct: int = 0
    highest: int = 0

    def offer(self, epoch: int, correct: int, count: int) -> bool:
        """Consider the next epoch; return whether it is chosen."""
        self.highest = max(correct, self.highest)
        is_chosen = is_tie(self.highest, correct, count)
        if is_chosen:
            self.epoch, self.correct = epoch, correct
        return is_chosen

    def state(self) -> dict[str, int]:
        """Return what a checkpoint keeps."""
        return {stored: getattr(self, name) for stored, name in _STORED.items()}

    @classmethod
    def restored(cls, state: Mapping[str, int]) -> Best:
        """Return what `state` gave."""
        return cls(**{name: int(state[stored]) for stored, name in _STORED.items()})
