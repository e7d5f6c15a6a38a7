"""A convolution step: convolution, batch norm and sign, and a max-pool among them.

As `bnntrain.steps.dense`, with y = X * sgn(W) over height and width (NHWC). Three things keep it
small. Activations are signs, a bit each. y of a batch never exists in 32 bits: passes over it
multiply again, or read a 16-bit copy where one fits into bytes that are not used then. And all
gradients share one region, `GRADIENT`, in which each step turns g into dY and dY into dX in place.

Source: docs/methods.md; Wang et al., arXiv 2102.04270.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bnntrain import kernels
from bnntrain.graph import Fused
from bnntrain.steps.buffers import GRADIENT_LIMITS, WORD_BITS, Buffer
from bnntrain.steps.step import Step
from bnntrain.steps.window import window_of

GRADIENT, KEPT_Y = "conv.gradient", "conv.y"
"""Buffers that all convolution steps of a network share."""

_BYTES = {"int8": 1, "float16": 2, "float32": 4}
_LARGEST_INT16 = 32767


class ConvStep(Step):
    """A convolution step of a network, see `Step`."""

    shares_gradient = True
    """Whether it works on gradients where all such steps do, see `shared_buffers`."""

    def __init__(self, fused: Fused, *further: object) -> None:
        super().__init__(fused, *further)
        self.window = window_of(fused)

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
    def _is_flattened(self) -> bool:
        """Whether positions have to move together for who reads the output."""
        is_needed = self.fused.is_flattened and self.method.activation == "bit"
        return is_needed and bool(self.channels % WORD_BITS)

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        method, uses = self.method, self._output_uses()
        shape = (batch * self.window.out_positions, self.channels)
        if self._is_flattened:
            flat = (batch, self.outputs)
            found = [
                self._buffer("X_out", "X", shape, "bit", self.forward),
                self._buffer("X_flat", "X", flat, "bit", *uses),
            ]
        else:
            found = [self._buffer("X_out", "X", shape, method.activation, *uses)]
        if method.mask == "bit":
            uses = self.forward, self.backward
            found.append(self._buffer("mask", "masks", shape, "bit", *uses))
        rows, columns = batch * self.window.inputs, self.fused.input.size[2]
        return [*found, *self._sign_buffers(rows, columns), *self._static_buffers()]

    def _static_buffers(self) -> list[Buffer]:
        """Return the tables of places, which are computed once."""
        window = self.window
        shapes = {"origins": (window.positions, 2)}
        if not self.is_first:
            shapes["neighbours"] = (window.inputs, window.taps)
        return [self._constant(tensor, shape, "int32") for tensor, shape in shapes.items()]

    def _gradient_buffers(self, batch: int, threads: int) -> list[Buffer]:
        window, sizes, now, found = self.window, self._sizes(threads), self.backward, []
        if self.window.has_argmax:
            shape = (batch * window.positions, self.channels)
            found.append(self._buffer("argmax", "masks", shape, "bit", now))
        elif self.window.has_window_gradient:
            shape = (sizes["group"] * window.windows, self.channels)
            found.append(self._buffer("window_gradient", "dY", shape, self.method.gradient, now))
        if self.is_first:
            return found
        if window.skips:
            shape = (window.taps, self.channels)
            for tensor, when in (("tap_sums", self.forward), ("tap_sums_again", now)):
                found.append(self._buffer(tensor, "scratch", shape, "int32", when))
        found.append(self._buffer("tables", "scratch", (sizes["tables"],), "uint8", now))
        if sizes["lookup"]:
            found.append(self._buffer("lookup", "W", (sizes["lookup"],), "uint8", now))
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
        return 2 * self.norm_values if self.fused.largest <= _LARGEST_INT16 else 0

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

    def bind(self, views: Mapping[str, np.ndarray], isa: str, threads: int) -> kernels.Block:
        """Connect to the arena, see `Step.bind`."""
        batch = views["batch.x"].shape[0]
        arrays = self._shared_arrays(views) | self._gradient_arrays(views)
        own = ("origins", "neighbours", "tap_sums", "tap_sums_again", "argmax", "window_gradient")
        for tensor in (*own, "tables", "lookup"):
            arrays[tensor] = views.get(f"{self.name}.{tensor}")
        arrays["out_flat"] = views.get(f"{self.name}.X_flat")
        self.window.origins(arrays["origins"])
        if not self.is_first:
            self.window.neighbours(arrays["neighbours"])
        return kernels.Conv(
            window=self.window,
            outputs=self.channels,
            batch=batch,
            limit=self._limit,
            **self._representations(),
            arrays=arrays,
            scratch=views["scratch"],
            threads=threads,
            isa=isa,
            **self._binding(),
        )

    def _gradient_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | None]:
        """Return where gradients are worked on, and y from one pass to the next."""
        batch, region = views["batch.x"].shape[0], views[GRADIENT]
        # In the backward pass y may stand behind dY until dX takes the room of both.
        return {
            "gradient": region,
            "y_forward": self._kept(views.get(KEPT_Y), 0, batch),
            "y_backward": self._kept(region, batch * self.norm_values, batch),
        }

    def _binding(self) -> dict[str, object]:
        """Return further arguments of the native step."""
        return {}

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
        """Return X_out as its readers take it."""
        return views[f"{self.name}.{'X_flat' if self._is_flattened else 'X_out'}"]

    def incoming(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the region that all gradients of convolution steps share."""
        return views[GRADIENT]


def shared_buffers(steps: Sequence[Step], batch: int) -> list[Buffer]:
    """Return the buffers that the convolution steps of a network share.

    Parameters
    ----------
    steps : sequence of Step
        The network.
    batch : int
        Samples per step.

    Returns
    -------
    list of Buffer
        The gradients' region, and, of the same size at most, room for y in the forward pass. Which
        step's y fits is decided here: those whose 16-bit copy is no larger than the region.
    """
    convs = [step for step in steps if isinstance(step, ConvStep) and step.shares_gradient]
    if not convs:
        return []
    dtype = convs[0].method.gradient
    values = batch * max(step.gradient_values for step in convs)
    uses = [step.backward for step in convs]
    uses += [when for step in convs for when in step.order.gradient_writes(step.fused.output)]
    found = [Buffer(GRADIENT, "dX/Y", "all", (values,), dtype, min(uses), max(uses))]
    sizes = [batch * step.kept_bytes() for step in convs]
    kept = max((size for size in sizes if size <= values * _BYTES[dtype]), default=0)
    if kept:
        uses = [step.forward for step in convs]
        found.append(Buffer(KEPT_Y, "dX/Y", "all", (kept,), "uint8", min(uses), max(uses)))
    return found
