"""What a packed model's layers have in common: all that is taken from a list of layers.

A layer here is a product with what stands around it, as in training. Tensors, by
``<layer>.<tensor>``, are listed where each kind of layer is: `bnntrain.inference.binary`,
`bnntrain.inference.residual`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bnntrain import kernels
from bnntrain.graph import Fused, Product
from bnntrain.steps import Buffer, Stream, storage_of, window_of

SCALING = ("scale", "shift")
"""Tensors of a layer whose z are real numbers: z = y * scale + shift."""


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes
    ----------
    name : str
        ``<layer>.<tensor>``.
    dtype : str
        ``bit`` (rows packed into 64-bit words) or a NumPy dtype name.
    shape : tuple of int
        Elements.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def storage(self) -> tuple[str, tuple[int, ...]]:
        """NumPy dtype and shape as stored: rows of bits become rows of uint64 words."""
        return storage_of(self.dtype, self.shape)


@dataclass(frozen=True)
class PackedLayer:
    """One layer; subclasses say what it consists of and how it runs.

    Attributes
    ----------
    fused : Fused
        Its operations.
    gradient : str
        Type of gradients that it was trained with, which types of streams follow.
    streams : mapping of str to Stream
        By the name of a tensor that is part of one.
    """

    fused: Fused
    gradient: str
    streams: Mapping[str, Stream]

    @property
    def name(self) -> str:
        """Prefix of its tensors, e.g. ``conv1``: as in checkpoints."""
        return self.fused.name

    @property
    def product(self) -> Product:
        """The operation with weights."""
        return self.fused.product

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.fused.channels

    @property
    def tensors(self) -> list[Tensor]:
        """Its tensors."""
        raise NotImplementedError

    @property
    def is_scaled(self) -> bool:
        """Whether its z are real numbers, by `SCALING`; otherwise they are compared."""
        return True

    def window(self) -> kernels.Window | None:
        """Return the geometry of a convolution; None of any other layer."""
        return window_of(self.fused)

    def lasting(self, last: int) -> list[Buffer]:
        """Return what is made when a network is loaded, and kept until time `last`."""
        return [
            Buffer(tensor.name, "W" if tensor.name.endswith(".weights") else "statistics",
                   self.name, tensor.shape, tensor.dtype, 0, last)
            for tensor in self.tensors
        ]  # fmt: skip

    def activations(self, time: int, batch: int) -> list[Buffer]:
        """Return what is made when the layer runs."""
        raise NotImplementedError

    def scratch_bytes(self, batch: int) -> int:
        """Bytes of scratch that one thread needs."""
        raise NotImplementedError

    def places(self, last: int) -> list[Buffer]:
        """Return where windows lie, and room for the sums of taps where some are skipped."""
        window, name = self.window(), self.name
        if window is None:
            return []
        origins = (window.positions, 2)
        found = [Buffer(f"{name}.origins", "scratch", name, origins, "int32", 0, last)]
        if self.has_tap_sums:
            sums = (window.taps, self.channels)
            found.append(Buffer(f"{name}.tap_sums", "scratch", name, sums, "int32", 0, last))
        return found

    @property
    def has_tap_sums(self) -> bool:
        """Whether some windows skip taps of which signs are multiplied."""
        return False

    def bound(self, views: Mapping[str, np.ndarray], x: np.ndarray | None) -> dict[str, object]:
        """Return the arguments of `kernels.Inference` for this layer, of which `x` comes in."""
        raise NotImplementedError

    def output(self, views: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return what goes out, as the next layer reads it; None where it reads a stream."""
        return None


def stream_buffers(layers: Sequence[PackedLayer], batch: int) -> list[Buffer]:
    """Return a buffer for every stream, in which all of its tensors take turns."""
    gradient, found = layers[0].gradient, []
    for stream in {each.name: each for each in layers[0].streams.values()}.values():
        height, width, channels = stream.tensors[0].size
        uses = [stream.order.forward(each) for each in (*stream.fused, *stream.readers)]
        found.append(Buffer(
            f"{stream.name}.stream", "X", stream.name, (batch * height * width, channels),
            stream.type_of(gradient), min(uses), max(uses),
        ))  # fmt: skip
    return found
