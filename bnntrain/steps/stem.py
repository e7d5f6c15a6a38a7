"""How networks for large images begin: real convolution, batch norm, overlapping max-pool.

See `kernels/stem/stem.h`; ReLU before the pool and a second batch norm behind it are optional.

Source: docs/methods.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.steps.buffers import SECOND, Buffer
from bnntrain.steps.real import RealConvStep

_OWN = ("pooled", "pooled_again", "affine")


class StemStep(RealConvStep):
    """A stem, see `Step`."""

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        height, width, channels = self.fused.output.size
        dtype = "int16" if self.types.multiplied == "int8" else "float32"
        shape = batch * height * width, channels
        return [
            *super()._activation_buffers(batch),
            self._buffer("pooled", "scratch", shape, dtype, self.forward),
            self._buffer("pooled_again", "scratch", shape, dtype, self.backward),
            self._buffer("affine", "scratch", (6, channels), "float64", self.backward),
        ]

    def _norm_buffers(self) -> list[Buffer]:
        found = super()._norm_buffers()
        return [*found, *self._norm_of(SECOND)] if self.fused.has_second_norm else found

    def scratch_bytes(self, batch: int, threads: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.stem_scratch_bytes(
            self.window, self.channels, self.fused.output.size[1], gradient=self.method.gradient
        )

    def bind(self, views: Mapping[str, np.ndarray], isa: str, threads: int) -> kernels.Block:
        """Connect to the arena, see `Step.bind`."""
        arrays = self._real_arrays(views)
        for tensor in _OWN:
            arrays[tensor] = views.get(f"{self.name}.{tensor}")
        prefix = f"{self.name}."
        arrays |= {
            name.removeprefix(prefix): view for name, view in views.items()
            if name.startswith(prefix + SECOND)
        }  # fmt: skip
        return kernels.Stem(
            pooling=(*self.fused.output.size[:2], *self.fused.pool_padding),
            relu=self.fused.has_relu, has_second=self.fused.has_second_norm, window=self.window,
            outputs=self.channels, batch=views["batch.x"].shape[0], norm=self.method.norm,
            latent=self.latent, gradient=self.method.gradient, arrays=arrays,
            scratch=views["scratch"], threads=threads, isa=isa,
        )  # fmt: skip
