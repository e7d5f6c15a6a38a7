"""A network bound to an arena: what one training step, one evaluation and one reset do."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from bnntrain import kernels
from bnntrain.arena import Arena
from bnntrain.config import Optimizer
from bnntrain.layers import DenseBlock
from bnntrain.method import Method
from bnntrain.plan import Plan
from bnntrain.schedule import power

NORM_BETA1, NORM_BETA2, NORM_EPSILON = 0.9, 0.999, 1e-7
"""Adam of gamma and beta: they are tiny and stay float32 in every method (DESIGN 3.2)."""

_LIMITS = {8: 127, 6: 31}
# What evaluation needs of a trained network, apart from the packed signs of the weights.
_INFERENCE = ("latent", "gamma", "beta", "running_mean", "running_spread")


class Model:
    """A network, its method and its memory.

    Parameters
    ----------
    blocks : sequence of DenseBlock
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
    labels : ndarray of uint8 [batch]
        Class numbers.
    """

    def __init__(
        self,
        blocks: Sequence[DenseBlock],
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
            isa=isa,
        )
        self._beta1 = 1.0 - optimizer.bop_gamma if method.optimizer == "bop" else optimizer.momentum
        self._step = kernels.DenseStep(
            optimizer=method.optimizer,
            latent=method.latent,
            momentum=method.momentum,
            latent_range=method.latent_range,
            beta1=self._beta1,
            beta2=optimizer.beta2,
            limit=_LIMITS[method.gradient_bits],
            current_scales=method.gradient_scale == "current",
        )

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
            # Normal with deviation 1/sqrt(fan-in), scaled with the latent range (DESIGN 7).
            sigma = self.method.latent_range / math.sqrt(block.inputs)
            key = kernels.key(self.seed, kernels.STREAM_INIT, number, 0)
            latent = self.arena.views[f"{block.name}.latent"].reshape(-1)
            kernels.init_latent(latent, range=self.method.latent_range, sigma=sigma, key=key)

    def train_batch(self, rows: int, step: int, learning_rate: float) -> tuple[float, int]:
        """Take one step on the first `rows` samples of the batch buffers.

        Parameters
        ----------
        rows : int
            Samples, at most the planned batch.
        step : int
            Number of the step from 0, over the whole run; with the seed it fixes all randomness.
        learning_rate : float
            Of this step.

        Returns
        -------
        loss : float
            Cross-entropy summed over the samples.
        hits : int
            Samples classified rightly, before the update.
        """
        for block in self.blocks:
            block.forward(rows, True, step == 0)
        result = self.loss(rows, True)
        self._set_step(rows, step, learning_rate)
        for number in range(len(self.blocks) - 1, -1, -1):
            self._set_layer(number, rows, step)
            self.blocks[number].backward(rows, self._step)
        for number, block in enumerate(self.blocks):
            self._set_layer(number, rows, step)
            block.update(self._step)
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

    def _set_step(self, rows: int, step: int, learning_rate: float) -> None:
        time, optimizer = step + 1, self.optimizer
        correction1 = 1.0 / (1.0 - power(self._beta1, time))
        correction2 = 1.0 / (1.0 - power(optimizer.beta2, time))
        sign_rate = learning_rate / self.method.latent_range
        if self.method.optimizer == "sign-momentum":
            sign_rate *= correction1
        self._step.set_rates(learning_rate, correction1, correction2, sign_rate)
        self._step.set_norm(
            learning_rate,
            NORM_BETA1,
            NORM_BETA2,
            1.0 / (1.0 - power(NORM_BETA1, time)),
            1.0 / (1.0 - power(NORM_BETA2, time)),
            NORM_EPSILON,
            1.0 / rows,
        )

    def _set_layer(self, number: int, rows: int, step: int) -> None:
        """Set gradient units and rounding keys of one block.

        A real dW is a sum over the batch of which the optimizer sees the mean. A binarised one
        stands for sgn(dW)/sqrt(fan-in) [Wang21]; Adam's and Bop's momenta are kept in units of that
        attenuation, where float16 does not underflow, and so are the numbers compared with them.
        """
        method, optimizer = self.method, self.optimizer
        attenuation = 1.0 / math.sqrt(self.blocks[number].inputs)
        if method.weight_gradient == "float32":
            scale, unit = 1.0 / rows, 1.0
        elif method.optimizer == "sgd":
            scale, unit = attenuation, 1.0
        else:
            scale, unit = 1.0, attenuation
        dy_key = (
            kernels.key(self.seed, kernels.STREAM_DY, number, step)
            if method.gradient_bits == 6
            else 0
        )
        self._step.set_layer(
            scale,
            optimizer.epsilon / unit,
            optimizer.bop_threshold / unit,
            kernels.key(self.seed, kernels.STREAM_LATENT, number, step),
            dy_key,
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
