"""A residual convolution step: signs of a stream, convolution, batch norm, a sum with a stream.

As `bnntrain.steps.conv`, but that what it reads and writes are real: it packs signs and the
straight-through mask of the stream by itself, adds z to the stream, and its dX to the stream's
gradient, which is where its own gradient comes from (`kernels/block/residual.h`).

Source: docs/methods.md; Liu et al., arXiv 1808.00278; Bethge et al., arXiv 1906.08637.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain.steps.buffers import Buffer
from bnntrain.steps.conv import ConvStep
from bnntrain.steps.streams import retains_stream


class ResidualStep(ConvStep):
    """A residual convolution step of a network, see `Step`."""

    shares_gradient = False

    @property
    def _keeps_y(self) -> bool:
        """Whether y of a pass is kept for the next one.

        It is as large as the stream that it goes into. Where that is the largest of all, or where
        two streams are there at once, room for y would make the whole arena larger.
        """
        is_small = 2 * self.outgoing_stream.values <= self.largest_stream
        return self.kept_bytes() > 0 and is_small and self.fused.is_identity

    @property
    def _mask(self) -> str:
        return "none"  # there is no sign behind what goes into a stream

    @property
    def _reads_real(self) -> bool:
        return retains_stream(self.method)

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        rows, columns = batch * self.window.inputs, self.fused.input.size[2]
        found = [*self._sign_buffers(rows, columns), *self._static_buffers()]
        if retains_stream(self.method):
            return found
        uses = self.forward, self.backward
        return [
            self._buffer("X", "X", (rows, columns), "bit", *uses),
            self._buffer("mask", "masks", (rows, columns), "bit", *uses),
            *found,
        ]

    def _gradient_buffers(self, batch: int, threads: int) -> list[Buffer]:
        shape = batch * self.window.norm_positions, self.channels
        dtype, found = self.method.gradient, super()._gradient_buffers(batch, threads)
        found.append(self._buffer("dY", "dY", shape, dtype, self.backward))
        if self._keeps_y:
            for tensor, when in (("y", self.forward), ("y_again", self.backward)):
                found.append(self._buffer(tensor, "dX/Y", shape, "int16", when))
        return found

    def _scale_buffers(self) -> list[Buffer]:
        return [self._persistent("dY_scale", "statistics", (2,), "float32")]

    def keeps_y(self, sizes: Mapping[str, int], batch: int) -> tuple[bool, bool]:
        """Whether y is kept in both passes, see `ConvStep.keeps_y`."""
        return f"{self.name}.y" in sizes, f"{self.name}.y_again" in sizes

    # What it is bound to ------------------------------------------------------------------------

    def _shared_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | None]:
        arrays = self._own_arrays(views)
        source, target = self.incoming_stream, self.outgoing_stream
        read = views[source.place(self.fused.input, self.method)]
        if retains_stream(self.method):
            arrays["x_real"] = read
        else:
            arrays["x_bits"], arrays["stream_mask"] = views[f"{self.name}.X"], arrays.pop("mask")
        arrays |= {
            "mask": None,
            "stream_in": read,
            "stream_addend": views[target.place(self.fused.addend, self.method)],
            "stream_out": views[target.place(self.fused.output, self.method)],
            "stream_d_out": views[target.gradient],
            "stream_d_in": views[source.gradient],
            "g_scale": views.get(target.scale),
            "dX_scale": views.get(source.scale),
            "dY_scale": views.get(f"{self.name}.dY_scale"),
        }
        return arrays

    def _gradient_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | None]:
        return {
            "gradient": views[f"{self.name}.dY"].reshape(-1),
            "y_forward": views.get(f"{self.name}.y"),
            "y_backward": views.get(f"{self.name}.y_again"),
        }

    def _binding(self) -> dict[str, object]:
        return {"adds": not self.incoming_stream.begins_gradient(self.fused)}
