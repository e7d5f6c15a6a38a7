"""Layers that read signs or pixels and give signs or scores: dense and convolution.

Tensors:

* ``weights``: packed signs, ``bit`` [O, I], of a convolution [O * taps, channels], but of one that
  reads pixels [O, taps * channels]
* ``threshold`` (int32 [O]) and ``flip`` (uint8 [O]): bit = (y < threshold) xor flip
* ``choice`` (int32 [O]), where pooling stands behind the sign: the threshold it chooses by
* ``scale``, ``shift`` (float32 [O]), of the last layer in their place
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.graph import FusedBinary
from bnntrain.inference.layers import SCALING, PackedLayer, Tensor
from bnntrain.steps import WORD_BITS, Buffer

ROWS = "weight_rows"
"""Packed signs of the first layer's weights as they are stored, before they are transposed."""

SCORES = "logits"

_OWN = (
    "weights", "threshold", "choice", "flip", "scale", "shift", "origins", "tap_sums", "out",
    "flat",
)  # fmt: skip


class PackedBinary(PackedLayer):
    """A dense layer or a convolution."""

    fused: FusedBinary

    @property
    def is_first(self) -> bool:
        """Whether it reads pixels."""
        return self.fused.reads_pixels

    @property
    def is_scaled(self) -> bool:
        """Whether it gives scores."""
        return not self.fused.is_binarised

    @property
    def largest(self) -> int:
        """Largest magnitude of its products."""
        return self.fused.largest

    @property
    def is_flattened(self) -> bool:
        """Whether positions have to move together for who reads its signs."""
        return self.fused.is_flattened and bool(self.channels % WORD_BITS)

    @property
    def lines(self) -> tuple[int, int]:
        """Rows and columns of its packed signs."""
        return self.fused.sign_lines

    @property
    def has_tap_sums(self) -> bool:
        """Whether some windows skip taps of which signs are multiplied."""
        window = self.window()
        return window is not None and window.skips and not self.is_first

    @property
    def tensors(self) -> list[Tensor]:
        """Its tensors, see the module."""
        channels = (self.channels,)
        found = [Tensor(f"{self.name}.weights", "bit", self.lines)]
        if self.is_scaled:
            reals = (Tensor(f"{self.name}.{name}", "float32", channels) for name in SCALING)
            return [*found, *reals]
        found.append(Tensor(f"{self.name}.threshold", "int32", channels))
        if self.fused.pool == "after_sign":
            found.append(Tensor(f"{self.name}.choice", "int32", channels))
        return [*found, Tensor(f"{self.name}.flip", "uint8", channels)]

    def window(self) -> kernels.Window | None:
        """Return the geometry of a convolution; None of a dense layer."""
        return None if self.fused.kind == "dense" else super().window()

    def lasting(self, last: int) -> list[Buffer]:
        """Return what is made when a network is loaded."""
        name, found = self.name, super().lasting(last)
        if self.is_first:
            found[0] = Buffer(f"{name}.weights", "W", name, self.lines[::-1], "bit", 0, last)
            found.append(Buffer(f"{name}.{ROWS}", "W", name, self.lines, "bit", 0, 0))
        return found + self.places(last)

    def activations(self, time: int, batch: int) -> list[Buffer]:
        """Return what it gives out, and where a dense layer follows also in its order."""
        name, (height, width, channels) = self.name, self.fused.result
        if self.is_scaled:
            return [Buffer(SCORES, "X", name, (batch, channels), "float32", time, time + 1)]
        out = (batch * height * width, channels)
        until = time if self.is_flattened else time + 1
        found = [Buffer(f"{name}.out", "X", name, out, "bit", time, until)]
        if self.is_flattened:
            flat = (batch, self.fused.output.values)
            found.append(Buffer(f"{name}.flat", "X", name, flat, "bit", time, time + 1))
        return found

    def scratch_bytes(self, batch: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.inference_scratch_bytes(
            self.product.fan_in, batch, self.is_first, self.window()
        )

    def bound(self, views: Mapping[str, np.ndarray], x: np.ndarray | None) -> dict[str, object]:
        """Return the arguments of `kernels.Inference` for this layer."""
        own = {tensor: views.get(f"{self.name}.{tensor}") for tensor in _OWN}
        if self.is_scaled:
            own["out"] = views[SCORES]
        if own["choice"] is not None and np.array_equal(own["choice"], own["threshold"]):
            own["choice"] = None
        return {
            "kind": self.fused.kind, "window": self.window(), "x": x,
            "inputs": self.product.fan_in, "outputs": self.channels, **own,
        }  # fmt: skip

    def output(self, views: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return what goes out, as the next layer reads it."""
        if self.is_scaled:
            return views[SCORES]
        if self.is_flattened:
            return views[f"{self.name}.flat"]
        out = views[f"{self.name}.out"]
        return out.reshape(len(views["batch.x"]), -1) if self.fused.is_flattened else out
