"""Layers that read or write a stream.

Tensors:

* of a residual convolution ``weights``: packed signs, ``bit`` [O * taps, channels]
* of a real convolution ``weights``: [taps * I, O], int8 or float32 as it was trained, and where it
  reads a stream in int8 ``amax`` (float32 [2]): the running amax of its inputs' sums, and the sum
  that is 1 in int8
* of both ``scale``, ``shift`` (float32 [O])
* of a stem those of a real convolution, and ``second_scale``, ``second_shift`` of a second norm
* of the head ``weights`` (float32 [I, O]) and ``bias`` (float32 [O])
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.graph import FusedHead, FusedRealConv, FusedResidual, FusedStem
from bnntrain.graph import Tensor as Value
from bnntrain.inference.binary import SCORES
from bnntrain.inference.layers import SCALING, PackedLayer, Tensor
from bnntrain.steps import SECOND, TYPES, Buffer, Types

Views = Mapping[str, np.ndarray]


class StreamLayer(PackedLayer):
    """What layers that read or write a stream have in common."""

    @property
    def types(self) -> Types:
        """How its operands are held."""
        return TYPES[self.gradient]

    def _scaling(self) -> list[Tensor]:
        return [Tensor(f"{self.name}.{name}", "float32", (self.channels,)) for name in SCALING]

    def _stream(self, views: Views, value: Value) -> np.ndarray | None:
        stream = self.streams.get(value.name)
        return None if stream is None else views[f"{stream.name}.stream"]

    def _own(self, views: Views) -> dict[str, object]:
        tensors = ("weights", *SCALING, "amax", "bias", "origins", "tap_sums")
        own = {tensor: views.get(f"{self.name}.{tensor}") for tensor in tensors}
        return {
            "kind": self.fused.kind, "type": self.types.stream, "x": views.get(f"{self.name}.x"),
            "inputs": self.product.fan_in, "outputs": self.channels,
            "stream": self._stream(views, self.fused.input),
            "out": self._stream(views, self.fused.output), **own,
        }  # fmt: skip

    def lasting(self, last: int) -> list[Buffer]:
        """Return what is made when a network is loaded."""
        return super().lasting(last) + self.places(last)


class PackedResidual(StreamLayer):
    """A residual convolution."""

    fused: FusedResidual

    @property
    def lines(self) -> tuple[int, int]:
        """Rows and columns of its packed signs."""
        return self.fused.sign_lines

    @property
    def has_tap_sums(self) -> bool:
        """Whether some windows skip taps of which signs are multiplied."""
        return self.window().skips

    @property
    def tensors(self) -> list[Tensor]:
        """Its tensors, see the module."""
        return [Tensor(f"{self.name}.weights", "bit", self.lines), *self._scaling()]

    def activations(self, time: int, batch: int) -> list[Buffer]:
        """Return the signs of the stream that it reads."""
        height, width, channels = self.fused.input.size
        shape = (batch * height * width, channels)
        return [Buffer(f"{self.name}.x", "X", self.name, shape, "bit", time, time)]

    def scratch_bytes(self, batch: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.inference_scratch_bytes(
            self.product.fan_in, batch, False, self.window(), "residual"
        )

    def bound(self, views: Views, x: np.ndarray | None) -> dict[str, object]:
        """Return the arguments of `kernels.Inference` for this layer."""
        addend = self._stream(views, self.fused.addend)
        return {**self._own(views), "window": self.window(), "addend": addend}


class PackedRealConv(StreamLayer):
    """A real convolution."""

    fused: FusedRealConv

    @property
    def reads_stream(self) -> bool:
        """Whether it reads a stream, and not pixels."""
        return not self.fused.reads_pixels

    @property
    def tensors(self) -> list[Tensor]:
        """Its tensors, see the module."""
        shape, dtype = (self.product.fan_in, self.channels), self.types.multiplied
        found = [Tensor(f"{self.name}.weights", dtype, shape), *self._scaling()]
        if self.reads_stream and dtype == "int8":
            found.append(Tensor(f"{self.name}.amax", "float32", (2,)))
        return found

    def activations(self, time: int, batch: int) -> list[Buffer]:
        """Return what it makes of a stream, to multiply it."""
        if not self.reads_stream:
            return []
        height, width, channels = self.product.input.size
        shape, dtype = (batch * height * width, channels), self.types.multiplied
        return [Buffer(f"{self.name}.x", "X", self.name, shape, dtype, time, time)]

    def scratch_bytes(self, batch: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.real_conv_scratch_bytes(
            self.window(), self.channels, gradient=self.gradient, reads_stream=self.reads_stream
        )

    def bound(self, views: Views, x: np.ndarray | None) -> dict[str, object]:
        """Return the arguments of `kernels.Inference` for this layer."""
        own = self._own(views) | {"window": self.window()}
        if not self.reads_stream:
            return own | {"x": x}
        return own | {"stream_size": (*self.fused.input.size[:2], self.fused.pooled)}


class PackedStem(PackedRealConv):
    """A stem."""

    fused: FusedStem

    @property
    def tensors(self) -> list[Tensor]:
        """Its tensors, see the module."""
        found = super().tensors
        if self.fused.has_second_norm:
            shape = (self.channels,)
            found += [Tensor(f"{self.name}.{SECOND}{name}", "float32", shape) for name in SCALING]
        return found

    def lasting(self, last: int) -> list[Buffer]:
        """Return what is made when a network is loaded."""
        shape = (self.channels,)
        return super().lasting(last) + [
            Buffer(f"{self.name}.{tensor}", "statistics", self.name, shape, "float64", 0, last)
            for tensor in ("mean", "inverse")
        ]

    def activations(self, time: int, batch: int) -> list[Buffer]:
        """Return the pooled products."""
        height, width, channels = self.fused.output.size
        dtype = "int16" if self.types.multiplied == "int8" else "float32"
        shape = (batch * height * width, channels)
        return [Buffer(f"{self.name}.pooled", "X", self.name, shape, dtype, time, time)]

    def scratch_bytes(self, batch: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.stem_scratch_bytes(
            self.window(), self.channels, self.fused.output.size[1], gradient=self.gradient
        )

    def bound(self, views: Views, x: np.ndarray | None) -> dict[str, object]:
        """Return the arguments of `kernels.Inference` for this layer."""
        tensors = ("pooled", "mean", "inverse", *(SECOND + name for name in SCALING))
        own = {tensor: views.get(f"{self.name}.{tensor}") for tensor in tensors}
        own["mean"][...], own["inverse"][...] = 0, 1
        pooling = (*self.fused.output.size[:2], *self.fused.pool_padding)
        return super().bound(views, x) | own | {"pooling": pooling, "relu": self.fused.has_relu}


class PackedHead(StreamLayer):
    """Global average pooling and a real dense layer."""

    fused: FusedHead

    @property
    def tensors(self) -> list[Tensor]:
        """Its tensors, see the module."""
        shape = (self.product.fan_in, self.channels)
        return [
            Tensor(f"{self.name}.weights", "float32", shape),
            Tensor(f"{self.name}.bias", "float32", shape[1:]),
        ]

    def window(self) -> None:
        """Return None: it is no convolution."""
        return

    def activations(self, time: int, batch: int) -> list[Buffer]:
        """Return features and scores."""
        shape, scores = (batch, self.product.fan_in), (batch, self.channels)
        return [
            Buffer(f"{self.name}.x", "X", self.name, shape, "float32", time, time),
            Buffer(SCORES, "X", self.name, scores, "float32", time, time + 1),
        ]

    def scratch_bytes(self, batch: int) -> int:
        """Bytes of scratch that one thread needs."""
        return 0

    def bound(self, views: Views, x: np.ndarray | None) -> dict[str, object]:
        """Return the arguments of `kernels.Inference` for this layer."""
        height, width, _ = self.fused.input.size
        size = {"positions": height * width, "relu": self.fused.has_relu}
        return {**self._own(views), **size, "out": views[SCORES]}
