"""A network bound to an arena: what one training step does."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bnntrain import kernels
from bnntrain.arena import Arena
from bnntrain.config import Optimizer
from bnntrain.plan import Plan
from bnntrain.steps import GRADIENT_LIMITS, SECOND, Step

if TYPE_CHECKING:
    from bnntrain.native import Trace

NORM_BETA1, NORM_BETA2, NORM_EPSILON = 0.9, 0.999, 1e-7
"""Adam of gamma, beta, and all that real layers have: it is little, and real in every method."""

# What evaluation needs of a trained network, apart from the packed signs of the weights.
_INFERENCE = ("latent", "bias", "gamma", "beta", "running_mean", "running_spread", "amax")


class Program:
    """The passes of a network on the memory of its plan.

    Parameters
    ----------
    steps : sequence of Step
        The network.
    plan : Plan
        Memory plan of `steps`.
    optimizer : Optimizer
        Decays and thresholds of the update rule.
    label_smoothing : float
        Share of the target that is spread over all classes.
    seed : int
        Of initial weights and stochastic rounding.
    isa : str
        Instruction set of the kernels.

    Attributes
    ----------
    x : ndarray of int8 [batch, inputs]
        Where a batch is read to: pixel - 128.
    labels : ndarray of uint16 [batch]
        Class numbers.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        plan: Plan,
        optimizer: Optimizer,
        label_smoothing: float,
        seed: int,
        isa: str,
    ) -> None:
        self.steps, self.plan, self.seed = list(steps), plan, seed
        self.optimizer = optimizer
        self.arena = Arena(plan)
        views = self.arena.views
        self.x, self.labels = views["batch.x"], views["batch.labels"]
        self.blocks = [step.bind(views, isa, plan.threads) for step in self.steps]
        last = self.steps[-1]
        scales = views.get(f"{last.name}.scales")  # a head has none
        self.logits = views[f"{last.name}.logits"]
        self.loss = kernels.Loss(
            logits=self.logits,
            labels=self.labels,
            smoothing=label_smoothing,
            gradient=views[f"{last.name}.gradient"],
            type=last.loss_gradient,
            scale=None if scales is None else scales[0],
            threads=plan.threads,
            isa=isa,
        )
        self.updates = [
            _update_of(step, number, optimizer, seed) for number, step in enumerate(self.steps)
        ]
        self.native = kernels.Program(
            blocks=self.blocks, updates=self.updates, loss=self.loss,
            backward=self.steps[0].order.backward_places,
        )

    @property
    def classes(self) -> int:
        """Outputs of the last step."""
        return self.steps[-1].outputs

    def initialise(self) -> None:
        """Draw weights, set gamma to 1 and beta, moments and statistics to 0."""
        for name, view in self.arena.persistent().items():
            view[...] = 1 if _tensor_of(name) in ("gamma", "running_spread") else 0
        for number, step in enumerate(self.steps):
            key = kernels.key(self.seed, kernels.STREAM_INIT, number, 0)
            latent = self.arena.views[f"{step.name}.latent"].reshape(-1)
            kernels.init_latent(
                latent, range=step.latent_range, sigma=step.initial_scale / math.sqrt(step.fan_in),
                key=key,
            )  # fmt: skip

    def train_batch(
        self, rows: int, step: int, learning_rate: float, trace: Trace | None = None
    ) -> tuple[float, int]:
        """Take one step on the first `rows` samples of the batch buffers.

        Parameters
        ----------
        rows : int
            Samples, at most the planned batch.
        step : int
            Number of the step from 0, over the whole run; with the seed it fixes all randomness.
        learning_rate : float
            Of this step.
        trace : Trace, optional
            Told when the phases ``forward``, ``backward`` and ``update`` begin.

        Returns
        -------
        loss : float
            Cross-entropy summed over the samples.
        correct : int
            Samples classified rightly, before the update.
        """
        return self.native.train(rows, step, learning_rate, trace)

    def profile(self, on: bool) -> np.ndarray:
        """Measure the seconds of each zone of each step from now on, or stop.

        Returns
        -------
        ndarray of float64 [steps, len(kernels.ZONES)]
            Where they are added to; zeros at first.
        """
        seconds = np.zeros((len(self.blocks), len(kernels.ZONES)))
        self.native.profile(seconds if on else None)
        return seconds

    def is_finite(self) -> bool:
        """Whether batch norm's parameters and statistics are numbers, which any NaN would reach."""
        return all(
            np.isfinite(view).all()
            for name, view in self.inference_state().items()
            if not name.endswith(".latent")
        )

    def inference_state(self) -> dict[str, np.ndarray]:
        """Views of what evaluation depends on, by buffer name."""
        views = self.arena.persistent()
        return {name: view for name, view in views.items() if _tensor_of(name) in _INFERENCE}

    def weights_sha256(self) -> str:
        """Hash names, types, shapes and bytes of `inference_state`, in the order of the steps."""
        digest = hashlib.sha256()
        for name, view in self.inference_state().items():
            digest.update(f"{name} {view.dtype} {view.shape}\n".encode())
            digest.update(view)
        return digest.hexdigest()


def _tensor_of(name: str) -> str:
    """Return what a buffer holds, whichever norm of a step it belongs to."""
    return name.split(".")[-1].removeprefix(SECOND)


_REAL_RULE = {
    "optimizer": "adam", "momentum": "float32", "beta1": NORM_BETA1, "beta2": NORM_BETA2,
    "epsilon": NORM_EPSILON, "threshold": 0.0, "gradient_scale": None,
}  # fmt: skip


def _rule_of(step: Step, optimizer: Optimizer) -> dict[str, object]:
    """Return how the weights of a step move.

    A real dW is a sum over the batch of which the optimizer sees the mean. A binarised one stands
    for sgn(dW)/sqrt(fan-in) [Wang21]; Adam's and Bop's moments are kept in units of that
    attenuation, where float16 does not underflow, and so are the numbers compared with them.
    """
    method = step.method
    if step.has_real_weights:
        return _REAL_RULE
    attenuation = 1.0 / math.sqrt(step.fan_in)
    if method.weight_gradient in ("float32", "integer"):
        scale, unit = None, 1.0
    elif method.optimizer == "sgd":
        scale, unit = attenuation, 1.0
    else:
        scale, unit = 1.0, attenuation
    is_bop = method.optimizer == "bop"
    return {
        "optimizer": method.optimizer,
        "momentum": method.momentum,
        "beta1": 1.0 - optimizer.bop_gamma if is_bop else optimizer.momentum,
        "beta2": optimizer.beta2,
        "epsilon": optimizer.epsilon / unit,
        "threshold": optimizer.bop_threshold / unit,
        "gradient_scale": scale,
    }


def _update_of(step: Step, number: int, optimizer: Optimizer, seed: int) -> kernels.BlockStep:
    """Make the update parameters of a step, gradient units among them."""
    method = step.method
    return kernels.BlockStep(
        **_rule_of(step, optimizer),
        latent=step.latent,
        latent_range=step.latent_range,
        norm_beta1=NORM_BETA1,
        norm_beta2=NORM_BETA2,
        norm_epsilon=NORM_EPSILON,
        limit=GRADIENT_LIMITS[method.gradient_bits],
        current_scales=method.gradient_scale == "current",
        stochastic=method.gradient_rounding == "stochastic",
        seed=seed,
        layer=number,
    )
