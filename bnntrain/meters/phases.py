"""The phases of a run: their names, as program and engine begin them, and the sums of one."""

from __future__ import annotations

from dataclasses import dataclass

STEP_PHASES = ("load", "forward", "backward", "update")
"""What a batch goes through."""

OTHER = "other"
"""What is between all others."""

IDLE_BEFORE, IDLE_AFTER = "idle_before", "idle_after"
IDLE = (IDLE_BEFORE, IDLE_AFTER)
"""Phases of the baseline: they count neither as the run's energy nor as its time."""

PHASES = (IDLE_BEFORE, *STEP_PHASES, "evaluate", "checkpoint", OTHER, IDLE_AFTER)
"""All, in the order in which they are shown."""


@dataclass
class Phase:
    """Sums of one phase.

    Attributes
    ----------
    seconds, joules : float
        Measured time and energy.
    samples : int
        Readings taken in it.
    stays : int
        How often it was entered.
    """

    seconds: float = 0.0
    joules: float = 0.0
    samples: int = 0
    stays: int = 0

    @property
    def watts(self) -> float | None:
        """Mean power."""
        return self.joules / self.seconds if self.seconds else None
