"""Learning-rate schedules, in arithmetic that gives the same rate on every machine.

A rate that differs in its last bit between two C libraries would end the promise of identical
weights, so cosine and powers are computed here from additions and multiplications alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.config import Schedule

_PI = 3.141592653589793


def cosine(x: float) -> float:
    """Cosine of 0 <= x <= pi, absolute error below 1e-12, from plain multiplications."""
    half = x / 2
    square = half * half
    # sin(half) by its Taylor series: half <= pi/2, so that twelve terms reach 1e-15.
    term = sine = half
    for n in range(1, 12):
        term = -term * square / ((2 * n) * (2 * n + 1))
        sine += term
    return 1.0 - 2.0 * sine * sine


def power(base: float, exponent: int) -> float:
    """``base ** exponent`` for an exponent >= 0, by squaring."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


@dataclass
class LearningRate:
    """The learning rate of every step.

    Attributes
    ----------
    peak : float
        Rate that the schedule multiplies.
    schedule : Schedule
        Its kind and numbers.
    epochs, steps_per_epoch : int
        Length of the run.
    reduction : float
        Product of the plateau's reductions so far; with `best` and `waited` the only state, saved
        in checkpoints.
    best : float
        Best validation accuracy so far, percent.
    waited : int
        Epochs since.
    """

    peak: float
    schedule: Schedule
    epochs: int
    steps_per_epoch: int
    reduction: float = 1.0
    best: float = -1.0
    waited: int = 0

    def at(self, step: int) -> float:
        """Return the rate of step `step`, counted from 0 over the whole run."""
        schedule = self.schedule
        warmup = schedule.warmup_epochs * self.steps_per_epoch
        if step < warmup:
            return self.peak * (step + 1) / (warmup + 1)
        match schedule.kind:
            case "step":
                return self.peak * power(
                    schedule.factor, step // self.steps_per_epoch // schedule.every_epochs
                )
            case "plateau":
                return self.peak * self.reduction
            case "cosine" | "linear":
                progress = (step - warmup) / max(self.epochs * self.steps_per_epoch - warmup, 1)
                is_linear = schedule.kind == "linear"
                share = 1.0 - progress if is_linear else (1.0 + cosine(_PI * progress)) / 2
                return self.peak * (schedule.final + (1.0 - schedule.final) * share)
        return self.peak

    def end_epoch(self, accuracy: float) -> None:
        """Tell the plateau schedule an epoch's validation accuracy (percent)."""
        if accuracy > self.best:
            self.best, self.waited = accuracy, 0
            return
        self.waited += 1
        if self.schedule.kind == "plateau" and self.waited >= self.schedule.patience:
            self.reduction *= self.schedule.factor
            self.waited = 0

    def state(self) -> dict[str, float]:
        """Return what a checkpoint has to keep."""
        return {"reduction": self.reduction, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        """Continue from a checkpoint's `state`."""
        self.reduction, self.best = float(state["reduction"]), float(state["best"])
        self.waited = int(state["waited"])
