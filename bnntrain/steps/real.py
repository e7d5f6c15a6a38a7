"""Steps with real weights: convolutions that begin a stream, and the head that ends a network.

Their few weights are held as floats and moved by Adam in every method, as soon as their gradient
is known; which operands are multiplied follows the type of gradients (`steps.streams`).

Source: docs/methods.md; `kernels/real_conv/real_conv.h`, `kernels/head/head.h`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.graph import Fused
from bnntrain.steps.buffers import Buffer
from bnntrain.steps.step import Step
from bnntrain.steps.streams import Types, types_of
from bnntrain.steps.window import window_of


class RealStep(Step):
    """What steps with real weights have in common."""

    has_real_weights = True

    @property
    def types(self) -> Types:
        """How its operands are held."""
        return types_of(self.method)

    @property
    def latent_range(self) -> float:
        """Largest magnitude of a latent weight: that of float16, which none gets near."""
        return 65504.0

    @property
    def initial_scale(self) -> float:
        """Deviation of initial weights in units of 1/sqrt(fan-in), as of a uniform draw."""
        return 0.58

    @property
    def latent(self) -> str:
        """Type of the latent weights."""
        return self.types.latent

    def _weight_buffers(self) -> list[Buffer]:
        shape = self.channels, self.fan_in
        return [
            self._persistent("latent", "W", shape, self.latent),
            self._persistent("momentum1", "momenta", shape, "float32"),
            self._persistent("momentum2", "momenta", shape, "float32"),
        ]

    def _stream_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | None]:
        source, target, arrays = self.incoming_stream, self.outgoing_stream, {}
        if source is not None:
            arrays["stream_in"] = views[source.place(self.fused.input, self.method)]
            arrays["stream_d_in"] = views[source.gradient]
            arrays["dX_scale"] = views.get(source.scale)
        if target is not None:
            arrays["stream_out"] = views[target.place(self.fused.output, self.method)]
            arrays["stream_d_out"] = views[target.gradient]
            arrays["g_scale"] = views.get(target.scale)
        return arrays


class RealConvStep(RealStep):
    """A real convolution and its batch norm, see `Step`."""

    def __init__(self, fused: Fused, *further: object) -> None:
        super().__init__(fused, *further)
        self.window = window_of(fused)

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        found = self.outgoing_stream.buffers(self.method, batch)
        positions = (self.window.positions, 2)
        found.append(self._constant("origins", positions, "int32"))
        if self.incoming_stream is not None:
            shape = batch * self.window.inputs, self.product.input.size[2]
            uses = self.forward, self.backward
            found.append(self._buffer("X", "X", shape, self.types.multiplied, *uses))
            if self.types.multiplied == "int8":
                found.append(self._persistent("amax", "statistics", (2,), "float32"))
        return found

    def _gradient_buffers(self, batch: int, threads: int) -> list[Buffer]:
        return []

    def _weight_buffers(self) -> list[Buffer]:
        shape, dtype, found = (self.channels, self.fan_in), self.types.multiplied, []
        for when, end in ((self.forward, ""), (self.backward, "_again")):
            found.append(self._buffer(f"W_rows{end}", "W", shape, dtype, when))
            found.append(self._buffer(f"W_columns{end}", "W", shape[::-1], dtype, when))
            if dtype == "int8":
                found.append(self._buffer(f"W_unit{end}", "W", shape[:1], "float32", when))
        return [*super()._weight_buffers(), *found]

    def _scale_buffers(self) -> list[Buffer]:
        return [self._persistent("dY_scale", "statistics", (2,), "float32")]

    def scratch_bytes(self, batch: int, threads: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.real_conv_scratch_bytes(
            self.window, self.channels, gradient=self.method.gradient,
            reads_stream=self.incoming_stream is not None,
        )  # fmt: skip

    def bind(self, views: Mapping[str, np.ndarray], isa: str, threads: int) -> kernels.Block:
        """Connect to the arena, see `Step.bind`."""
        source, stream = self.incoming_stream, None
        if source is not None:
            stream = (*self.fused.input.size[:2], self.fused.pooled)
        arrays = self._real_arrays(views)
        return kernels.RealConv(
            window=self.window, outputs=self.channels, batch=views["batch.x"].shape[0],
            norm=self.method.norm, latent=self.latent, gradient=self.method.gradient, stream=stream,
            adds=source is not None and not source.begins_gradient(self.fused), arrays=arrays,
            scratch=views["scratch"], threads=threads, isa=isa,
        )  # fmt: skip


    def _real_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | None]:
        """Return the buffers of a real convolution, its windows found."""
        arrays = self._own_arrays(views) | self._stream_arrays(views)
        for tensor in _REAL_CONV:
            arrays[tensor] = views.get(f"{self.name}.{tensor}")
        if self.incoming_stream is None:
            arrays["x_int8"] = views["batch.x"]
        self.window.origins(arrays["origins"])
        return arrays


_REAL_CONV = (
    "X", "amax", "origins", "W_rows", "W_rows_again", "W_columns", "W_columns_again", "W_unit",
    "W_unit_again", "dY_scale",
)  # fmt: skip


class HeadStep(RealStep):
    """Global average pooling and a real dense layer, see `Step`."""

    @property
    def loss_gradient(self) -> str:
        """Type of the gradient that the loss hands to it: its products are float32."""
        return "float32"

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        logits, uses = (batch, self.channels), (self.forward, self.backward)
        return [
            self._buffer("logits", "dX/Y", logits, "float32", self.forward, self.order.loss),
            self._buffer("features", "X", (batch, self.fan_in), "float32", *uses),
        ]

    def _gradient_buffers(self, batch: int, threads: int) -> list[Buffer]:
        uses = self.order.loss, self.backward
        return [self._buffer("gradient", "dX/Y", (batch, self.channels), "float32", *uses)]

    def _weight_buffers(self) -> list[Buffer]:
        shape, found = (self.channels, self.fan_in), super()._weight_buffers()
        found.append(self._buffer("W_turned", "W", shape[::-1], "float32", self.forward))
        if self.latent != "float32":
            found.append(self._buffer("W", "W", shape, "float32", self.forward))
            found.append(self._buffer("W_again", "W", shape, "float32", self.backward))
        return found

    def _norm_buffers(self) -> list[Buffer]:
        """Return the bias and what moves it: there is no norm."""
        shape = (self.channels,)
        found = [
            self._persistent(tensor, "statistics", shape, "float32")
            for tensor in ("bias", "bias_adam1", "bias_adam2")
        ]
        uses = self.backward, self.order.end
        return [*found, self._buffer("d_bias", "statistics", shape, "float32", *uses)]

    def scratch_bytes(self, batch: int, threads: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.head_scratch_bytes(self.fan_in)

    def bind(self, views: Mapping[str, np.ndarray], isa: str, threads: int) -> kernels.Block:
        """Connect to the arena, see `Step.bind`."""
        arrays = self._own_arrays(views) | self._stream_arrays(views)
        for tensor in _HEAD:
            arrays[tensor] = views.get(f"{self.name}.{tensor}")
        height, width, channels = self.fused.input.size
        return kernels.Head(
            inputs=channels, outputs=self.channels, positions=height * width,
            batch=views["batch.x"].shape[0], latent=self.latent, gradient=self.method.gradient,
            relu=self.fused.has_relu, arrays=arrays, scratch=views["scratch"], threads=threads,
            isa=isa,
        )  # fmt: skip


_HEAD = (
    "features", "W_turned", "W", "W_again", "bias", "bias_adam1", "bias_adam2", "d_bias", "logits",
    "gradient",
)  # fmt: skip
