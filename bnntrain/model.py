"""A network bound to an arena: what one training step, one evaluation and one reset do."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np

from bnntrain import kernels
from bnntrain.arena import Arena
from bnntrain.config import Optimizer
from bnntrain.layers import GRADIENT_LIMITS, Block
from bnntrain.method import Method
from bnntrain.plan import Plan

NORM_BETA1, NORM_BETA2, NORM_EPSILON = 0.9, 0.999, 1e-7
"""Adam of gamma and beta: they are tiny and stay float32 in every method."""

INIT_SCALE = 0.3
"""Deviation of initial weights in units of 1/sqrt(fan-in), whatever the range: a weight that starts
within a step or two of zero changes sign with the first gradients, and a whole network of such
weights forgets how it was drawn (docs/accuracy.md)."""

# What evaluation needs of a trained network, apart from the packed signs of the weights.
_INFERENCE = ("latent", "gamma", "beta", "running_mean", "running_spread")


def _unmarked(_phase: str) -> None:
    """Take no notice of a phase."""


class Model:
    """A network, its method and its memory.

    Parameters
    ----------
    blocks : sequence of Block
        The network, built with `method`.
    method : Method
        Representations.
    plan : Plan
        Memory plan of `blocks`.
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
        blocks: Sequence[Block],
        method: Method,
        plan: Plan,
        optimizer: Optimizer,
        label_smoothing: float,
        seed: int,
        isa: str,
    ) -> None:
        self.blocks, self.method, self.plan, self.seed = list(blocks), method, plan, seed
        self.optimizer = optimizer
        self.arena = Arena(plan)
        views = self.arena.views
        self.x, self.labels = views["batch.x"], views["batch.labels"]
        for below, block in zip([None, *self.blocks], self.blocks, strict=False):
            block.bind(views, below, isa, plan.threads)
        last = self.blocks[-1]
        scales = views.get(f"{last.name}.scales")
        self.logits = views[f"{last.name}.logits"]
        self.loss = kernels.Loss(
            logits=self.logits,
            labels=self.labels,
            smoothing=label_smoothing,
            gradient=views[f"{last.name}.gradient"],
            type=method.gradient,
            scale=None if scales is None else scales[0],
            threads=plan.threads,
            isa=isa,
        )
        self.steps = [self._step_of(number) for number in range(len(self.blocks))]

    @property
    def classes(self) -> int:
        """Outputs of the last block."""
        return self.blocks[-1].outputs

    def initialise(self) -> None:
        """Draw weights, set gamma to 1 and beta, momenta and statistics to 0."""
        for number, block in enumerate(self.blocks):
            for name, view in self.arena.persistent().items():
                if name.startswith(f"{block.name}."):
                    view[...] = 1 if name.endswith((".gamma", ".running_spread")) else 0
            sigma = INIT_SCALE / math.sqrt(block.fan_in)
            key = kernels.key(self.seed, kernels.STREAM_INIT, number, 0)
            latent = self.arena.views[f"{block.name}.latent"].reshape(-1)
            kernels.init_latent(latent, range=self.method.latent_range, sigma=sigma, key=key)

    def train_batch(
        self,
        rows: int,
        step: int,
        learning_rate: float,
        mark: Callable[[str], None] = _unmarked,
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
        mark : callable
            Told the name of each phase as it begins: ``forward``, ``backward``, ``update``.

        Returns
        -------
        loss : float
            Cross-entropy summed over the samples.
        hits : int
            Samples classified rightly, before the update.
        """
        mark("forward")
        for block in self.blocks:
            block.forward(rows, True, step == 0)
        result = self.loss(rows, True)
        mark("backward")
        for block, of_block in zip(reversed(self.blocks), reversed(self.steps), strict=True):
            of_block.set(step, learning_rate, rows)
            block.backward(rows, of_block)
        mark("update")
        for block, of_block in zip(self.blocks, self.steps, strict=True):
            block.update(of_block)
        return result

    def evaluate_batch(self, rows: int) -> tuple[float, int]:
        """Return summed loss and hits of the first `rows` samples, with the running statistics."""
        for block in self.blocks:
            block.forward(rows, False)
        return self.loss(rows, False)

    def scores(self, rows: int) -> np.ndarray:
        """Return the softmax scores (float32 [rows, classes]) of the first `rows` samples."""
        for block in self.blocks:
            block.forward(rows, False)
        shifted = np.exp(self.logits[:rows] - self.logits[:rows].max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def _step_of(self, number: int) -> kernels.DenseStep:
        """Make the step parameters of a block, gradient units among them.

        A real dW is a sum over the batch of which the optimizer sees the mean. A binarised one
        stands for sgn(dW)/sqrt(fan-in) [Wang21]; Adam's and Bop's momenta are kept in units of that
        attenuation, where float16 does not underflow, and so are the numbers compared with them.
        """
        method, optimizer = self.method, self.optimizer
        attenuation = 1.0 / math.sqrt(self.blocks[number].fan_in)
        if method.weight_gradient in ("float32", "integer"):
            scale, unit = None, 1.0
        elif method.optimizer == "sgd":
            scale, unit = attenuation, 1.0
        else:
            scale, unit = 1.0, attenuation
        return kernels.DenseStep(
            optimizer=method.optimizer,
            latent=method.latent,
            momentum=method.momentum,
            latent_range=method.latent_range,
            beta1=1.0 - optimizer.bop_gamma if method.optimizer == "bop" else optimizer.momentum,
            beta2=optimizer.beta2,
            epsilon=optimizer.epsilon / unit,
            threshold=optimizer.bop_threshold / unit,
            gradient_scale=scale,
            norm_beta1=NORM_BETA1,
            norm_beta2=NORM_BETA2,
            norm_epsilon=NORM_EPSILON,
            limit=GRADIENT_LIMITS[method.gradient_bits],
            current_scales=method.gradient_scale == "current",
            stochastic=method.gradient_rounding == "stochastic",
            seed=self.seed,
            layer=number,
        )

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
        return {name: view for name, view in views.items() if name.split(".")[-1] in _INFERENCE}

    def weights_sha256(self) -> str:
        """Hash names, types, shapes and bytes of `inference_state`, in the order of the blocks."""
        digest = hashlib.sha256()
        for name, view in self.inference_state().items():
            digest.update(f"{name} {view.dtype} {view.shape}\n".encode())
            digest.update(view)
        return digest.hexdigest()
