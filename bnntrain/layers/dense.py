"""A binary dense block: product with packed weights, batch norm, and, but for the last block, sign.

Forward, per output channel: y = X sgn(W)^T exactly; z = gamma (y - mu) / sigma + beta;
X_next = sgn(z). Backward: g is cancelled where abs(z) > 1 (straight-through estimator of
Courbariaux & Bengio), turned into dY by batch norm's exact gradient, and multiplied by sgn(W) and
by X.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.layers.block import Block
from bnntrain.layers.buffers import Buffer


class DenseBlock(Block):
    """A fully connected block of a network, see `Block`."""

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        t, method, found = self.times, self.method, []
        shape = (batch, self.outputs)
        if self.is_last:
            found.append(self._buffer("logits", "dX/Y", shape, "float32", t.forward, t.loss))
        else:
            last = self._retained_until()
            found.append(self._buffer("X_out", "X", shape, method.activation, t.forward, last))
            if method.mask == "bit":
                found.append(self._buffer("mask", "masks", shape, "bit", t.forward, t.backward))
        return [*found, *self._sign_buffers(batch, self.inputs)]

    def _gradient_buffers(self, batch: int, threads: int) -> list[Buffer]:
        t, method = self.times, self.method
        # Comes from the block above (or the loss) and is turned into dY in place.
        first = t.loss if self.is_last else t.backward - 1
        shape = (batch, self.outputs)
        found = [self._buffer("gradient", "dX/Y", shape, method.gradient, first, t.backward)]
        if method.gradient == "int8":
            transposed = (self.outputs, batch)
            found.append(
                self._buffer("dY_transposed", "dY", transposed, "int8", t.backward, t.backward)
            )
        return found

    def scratch_bytes(self, batch: int, threads: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.dense_scratch_bytes(self.outputs, batch, self.method.gradient)

    def bind(
        self, views: Mapping[str, np.ndarray], below: Block | None, isa: str, threads: int
    ) -> None:
        """Connect to the arena, see `Block.bind`."""
        batch = views["batch.x"].shape[0]
        arrays = self._shared_arrays(views, below)
        for tensor in ("gradient", "dY_transposed"):
            arrays[tensor] = views.get(f"{self.name}.{tensor}")
        if below is None:
            arrays["x_int8"] = views["batch.x"]
        else:
            retained = below.output(views).reshape(batch, -1)
            arrays["x_bits" if retained.dtype == np.uint64 else "x_real"] = retained
            incoming = below.incoming(views).reshape(-1)
            arrays["dX"] = incoming[: batch * self.inputs].reshape(batch, self.inputs)
        if self.is_last:
            arrays["out_real"] = views[f"{self.name}.logits"]
        else:
            out = views[f"{self.name}.X_out"]
            arrays["out_bits" if out.dtype == np.uint64 else "out_real"] = out
        self.native = kernels.Dense(
            inputs=self.inputs,
            outputs=self.outputs,
            batch=batch,
            **self._representations(),
            arrays=arrays,
            scratch=views["scratch"],
            threads=threads,
            isa=isa,
        )
