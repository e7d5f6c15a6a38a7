"""A binary convolution block: convolution, batch norm and sign, and a max-pool among them.

As `bnntrain.layers.dense`, with y = X * sgn(W) over height and width (NHWC). Three things keep it
small. Activations are signs, a bit each. y of a batch never exists in 32 bits: passes over it
multiply again, or read a 16-bit copy where one fits into bytes that are not used then. And all
gradients share one region, `GRADIENT`, in which each block turns g into dY and dY into dX in place.

Source: docs/methods.md; Wang et al., arXiv 2102.04270.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bnntrain import kernels
from bnntrain.layers.block import GRADIENT_LIMITS, Block
from bnntrain.layers.buffers import Buffer, Times
from bnntrain.layers.shapes import BlockShape
from bnntrain.method import Method

GRADIENT, KEPT_Y = "conv.gradient", "conv.y"
"""Buffers that all convolution blocks of a network share."""

_BYTES = {"int8": 1, "float16": 2, "float32": 4}
_LARGEST_INT16 = 32767
_LARGEST_PIXEL = 128


class ConvBlock(Block):
    """A convolution block of a network, see `Block`."""

    def __init__(self, name: str, shape: BlockShape, times: Times, method: Method) -> None:
        super().__init__(name, shape, times, method)
        height, width, channels = shape.input
        self.window = kernels.Window(
            height=height, width=width, channels=channels, kernel=shape.kernel,
            stride=shape.stride, pad_top=shape.pad_top, pad_left=shape.pad_left,
            out_height=shape.product[0], out_width=shape.product[1], pool=shape.pool,
        )  # fmt: skip

    # What it needs ------------------------------------------------------------------------------

    @property
    def norm_values(self) -> int:
        """Values per sample that batch norm sees, as many as dY takes room for."""
        return self.window.norm_positions * self.channels

    @property
    def gradient_values(self) -> int:
        """Values per sample of the largest of g, dY and dX."""
        return max(self.norm_values, 0 if self.is_first else self.inputs)

    @property
    def _limit(self) -> int:
        return GRADIENT_LIMITS[self.method.gradient_bits]

    @property
    def _lines(self) -> tuple[int, int]:
        if self.is_first:
            return super()._lines
        return self.channels * self.shape.taps, self.shape.input[2]

    @property
    def _is_flattened(self) -> bool:
        """Whether a dense block follows for which positions have to move together."""
        return self.method.activation == "bit" and self.shape.flattened and bool(self.channels % 64)

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        t, method = self.times, self.method
        shape = (batch * self.window.out_positions, self.channels)
        last = t.forward if self._is_flattened else self._retained_until()
        found = [self._buffer("X_out", "X", shape, method.activation, t.forward, last)]
        if self._is_flattened:
            flat = (batch, self.outputs)
            last = self._retained_until()
            found.append(self._buffer("X_flat", "X", flat, "bit", t.forward, last))
        if method.mask == "bit":
            found.append(self._buffer("mask", "masks", shape, "bit", t.forward, t.backward))
        rows = batch * self.window.inputs
        return [*found, *self._sign_buffers(rows, self.shape.input[2]), *self._static_buffers()]

    def _static_buffers(self) -> list[Buffer]:
        """Return the tables of places, which are computed once."""
        window = self.window
        shapes = {"sites": (window.positions, 2)}
        if not self.is_first:
            shapes["neighbours"] = (window.inputs, window.taps)
        return [
            self._buffer(tensor, "scratch", shape, "int32", 0, self.times.end)
            for tensor, shape in shapes.items()
        ]

    def _gradient_buffers(self, batch: int, threads: int) -> list[Buffer]:
        t, window, sizes = self.times, self.window, self._sizes(threads)
        now = (t.backward, t.backward)
        found = []
        if self.shape.pool == "before_norm":
            shape = (batch * window.positions, self.channels)
            found.append(self._buffer("choice", "masks", shape, "bit", *now))
        elif self.shape.pool != "none":
            shape = (sizes["group"] * window.windows, self.channels)
            found.append(self._buffer("window_gradient", "dY", shape, self.method.gradient, *now))
        if self.is_first:
            return found
        if window.skips:
            shape = (window.taps, self.channels)
            for tensor, when in (("tap_sums", t.forward), ("tap_sums_again", t.backward)):
                found.append(self._buffer(tensor, "scratch", shape, "int32", when, when))
        found.append(self._buffer("tables", "scratch", (sizes["tables"],), "uint8", *now))
        if sizes["lookup"]:
            found.append(self._buffer("lookup", "W", (sizes["lookup"],), "uint8", *now))
        return found

    def _sizes(self, threads: int) -> dict[str, int]:
        return self.window.sizes(
            self.channels, gradient=self.method.gradient, limit=self._limit, first=self.is_first,
            threads=threads,
        )  # fmt: skip

    def scratch_bytes(self, batch: int, threads: int) -> int:
        """Bytes of scratch that one thread needs."""
        return self._sizes(threads)["scratch"]

    def kept_bytes(self) -> int:
        """Bytes per sample of y in 16 bits; 0 where it does not fit them."""
        largest = self.fan_in * (_LARGEST_PIXEL if self.is_first else 1)
        return 2 * self.norm_values if largest <= _LARGEST_INT16 else 0

    def group(self, threads: int) -> int:
        """Images whose gradients are worked on together."""
        return self._sizes(threads)["group"]

    def keeps_y(self, sizes: Mapping[str, int], batch: int) -> tuple[bool, bool]:
        """Whether the forward and the backward pass find room for y in 16 bits.

        Parameters
        ----------
        sizes : mapping of str to int
            Bytes of the plan's buffers by name.
        batch : int
            Samples per step.
        """
        item = _BYTES[self.method.gradient]
        forward = self._first_byte(sizes.get(KEPT_Y, 0), 0, batch)
        backward = self._first_byte(sizes[GRADIENT], batch * self.norm_values * item, batch)
        return forward is not None, backward is not None

    # What it does -------------------------------------------------------------------------------

    def bind(
        self, views: Mapping[str, np.ndarray], below: Block | None, isa: str, threads: int
    ) -> None:
        """Connect to the arena, see `Block.bind`."""
        batch, region = views["batch.x"].shape[0], views[GRADIENT]
        arrays = self._shared_arrays(views, below)
        own = ("sites", "neighbours", "tap_sums", "tap_sums_again", "choice", "window_gradient")
        for tensor in (*own, "tables", "lookup"):
            arrays[tensor] = views.get(f"{self.name}.{tensor}")
        if below is None:
            arrays["x_int8"] = views["batch.x"]
        else:
            retained = below.output(views)
            arrays["x_bits" if retained.dtype == np.uint64 else "x_real"] = retained
        out = views[f"{self.name}.X_out"]
        arrays["out_bits" if out.dtype == np.uint64 else "out_real"] = out
        arrays["out_flat"] = views.get(f"{self.name}.X_flat")
        arrays["gradient"] = region
        arrays["y_forward"] = self._kept(views.get(KEPT_Y), 0, batch)
        # In the backward pass y may stand behind dY until dX takes the room of both.
        arrays["y_backward"] = self._kept(region, batch * self.norm_values, batch)
        self.window.sites(arrays["sites"])
        if not self.is_first:
            self.window.neighbours(arrays["neighbours"])
        self.native = kernels.Conv(
            window=self.window,
            outputs=self.channels,
            batch=batch,
            limit=self._limit,
            **self._representations(),
            arrays=arrays,
            scratch=views["scratch"],
            threads=threads,
            isa=isa,
        )

    def _kept(self, room: np.ndarray | None, start: int, batch: int) -> np.ndarray | None:
        """Return the part of a buffer from element `start` on that y fits into, or None."""
        if room is None:
            return None
        raw = room.view(np.uint8)
        first = self._first_byte(raw.size, start * room.itemsize, batch)
        if first is None:
            return None
        size = batch * self.kept_bytes()
        return raw[first : first + size].view(np.int16).reshape(-1, self.channels)

    def _first_byte(self, room: int, start: int, batch: int) -> int | None:
        """Return where y lies in `room` bytes of which `start` are taken; None if it does not."""
        size, first = batch * self.kept_bytes(), -(-start // 64) * 64
        return first if size and first + size <= room else None

    def output(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return X_out as the next block retains it."""
        return views[f"{self.name}.{'X_flat' if self._is_flattened else 'X_out'}"]

    def incoming(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the region that all gradients of convolution blocks share."""
        return views[GRADIENT]


def shared_buffers(blocks: Sequence[Block], batch: int) -> list[Buffer]:
    """Return the buffers that the convolution blocks of a network share.

    Parameters
    ----------
    blocks : sequence of Block
        The network.
    batch : int
        Samples per step.

    Returns
    -------
    list of Buffer
        The gradients' region, and, of the same size at most, room for y in the forward pass. Which
        block's y fits is decided here: those whose 16-bit copy is no larger than the region.
    """
    convs = [block for block in blocks if isinstance(block, ConvBlock)]
    if not convs:
        return []
    dtype = convs[0].method.gradient
    values = batch * max(block.gradient_values for block in convs)
    first, last = convs[0].times, convs[-1].times
    # dX of the block above the last convolution is the first that arrives.
    found = [
        Buffer(GRADIENT, "dX/Y", "all", (values,), dtype, last.backward - 1, first.backward)
    ]
    sizes = [batch * block.kept_bytes() for block in convs]
    kept = max((size for size in sizes if size <= values * _BYTES[dtype]), default=0)
    if kept:
        found.append(Buffer(KEPT_Y, "dX/Y", "all", (kept,), "uint8", first.forward, last.forward))
    return found
