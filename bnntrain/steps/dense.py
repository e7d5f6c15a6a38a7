"""A dense step: product with packed weights, batch norm, and, but for the last one, sign.

Forward, per output channel: y = X sgn(W)^T exactly; z = gamma (y - mu) / sigma + beta;
X_next = sgn(z). Backward: g is cancelled where abs(z) > 1 (straight-through estimator of
Courbariaux & Bengio), turned into dY by batch norm's exact gradient, and multiplied by sgn(W) and
by X.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.steps.buffers import Buffer
from bnntrain.steps.step import Step


class DenseStep(Step):
    """A fully connected step of a network, see `Step`."""

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        method, shape, found = self.method, (batch, self.outputs), []
        if self.is_last:
            uses = self.forward, self.order.loss
            found.append(self._buffer("logits", "dX/Y", shape, "float32", *uses))
        else:
            uses = self._output_uses()
            found.append(self._buffer("X_out", "X", shape, method.activation, *uses))
            if method.mask == "bit":
                uses = self.forward, self.backward
                found.append(self._buffer("mask", "masks", shape, "bit", *uses))
        return [*found, *self._sign_buffers(batch, self.inputs)]

    def _gradient_buffers(self, batch: int, threads: int) -> list[Buffer]:
        # What arrives is turned into dY in place.
        uses = (*self.order.gradient_writes(self.fused.output), self.backward)
        shape, dtype = (batch, self.outputs), self.method.gradient
        found = [self._buffer("gradient", "dX/Y", shape, dtype, *uses)]
        if dtype == "int8":
            shape = shape[::-1]
            found.append(self._buffer("dY_transposed", "dY", shape, "int8", self.backward))
        return found

    def scratch_bytes(self, batch: int, threads: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.dense_scratch_bytes(self.outputs, batch, self.method.gradient)

    def bind(self, views: Mapping[str, np.ndarray], isa: str, threads: int) -> kernels.Block:
        """Connect to the arena, see `Step.bind`."""
        batch = views["batch.x"].shape[0]
        arrays = self._shared_arrays(views)
        for tensor in ("gradient", "dY_transposed"):
            arrays[tensor] = views.get(f"{self.name}.{tensor}")
        if self.producer is not None:
            incoming = self.producer.incoming(views).reshape(-1)
            arrays["dX"] = incoming[: batch * self.inputs].reshape(batch, self.inputs)
        return kernels.Dense(
            inputs=self.inputs,
            outputs=self.outputs,
            batch=batch,
            **self._representations(),
            arrays=arrays,
            scratch=views["scratch"],
            threads=threads,
            isa=isa,
        )

    def _input_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        batch = views["batch.x"].shape[0]
        arrays = super()._input_arrays(views)
        return {name: view.reshape(batch, -1) for name, view in arrays.items()}
