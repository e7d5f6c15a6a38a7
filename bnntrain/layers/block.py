"""What dense and convolution blocks share: their name and place, weights, batch norm, and one step.

A block is a product with packed weights, batch norm, and, but for the last block, sign. The
arithmetic is in `bnntrain.kernels`; these files say which tensors exist in which representation,
and for how long.

Source: docs/methods.md; Wang et al., arXiv 2102.04270, algorithms 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.layers.buffers import Buffer, Times
from bnntrain.layers.shapes import BlockShape
from bnntrain.method import CONSUMED, Method

GRADIENT_LIMITS = {8: 127, 6: 31}
"""Largest magnitude of dY by `Method.gradient_bits`."""

# Tensors that every kind of block binds by its own name; those it does without are None.
_OWN = (
    "latent", "momentum1", "momentum2", "dW", "dW_magnitude", "dW_sums",
    "gamma", "gamma_adam1", "gamma_adam2", "beta", "beta_adam1", "beta_adam2",
    "d_gamma", "d_beta", "running_mean", "running_spread", "mean", "inverse", "magnitude", "mask",
    "W_signs", "W_signs_transposed", "W_signs_again", "W_signs_again_transposed",
    "X_signs", "X_signs_again",
)  # fmt: skip


class Block:
    """One block of a network; subclasses add activations, gradients and the binding.

    Parameters
    ----------
    name : str
        Prefix of its buffers, e.g. ``dense1``.
    shape : BlockShape
        Its sizes.
    times : Times
        Its place in the step.
    method : Method
        Representation of every tensor.
    """

    def __init__(self, name: str, shape: BlockShape, times: Times, method: Method) -> None:
        self.name, self.shape = name, shape
        self.times, self.method = times, method
        self.is_first = times.index == 0
        self.is_last = times.index == times.blocks - 1
        self.has_gamma = method.norm != "l1-binary"
        self.native: kernels.Block | None = None
        self.profile = np.zeros(len(kernels.PHASES))

    # What it needs ------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """``dense`` or ``conv``."""
        return self.shape.kind

    @property
    def inputs(self) -> int:
        """Values per sample that come in."""
        return self.shape.inputs

    @property
    def outputs(self) -> int:
        """Values per sample that go out."""
        return self.shape.outputs

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.shape.channels

    @property
    def fan_in(self) -> int:
        """Inputs of one product."""
        return self.shape.fan_in

    @property
    def weights(self) -> int:
        """Binary weights."""
        return self.shape.weights

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample."""
        return self.shape.macs

    @property
    def norm_parameters(self) -> int:
        """Real parameters: beta, and gamma where the norm has one."""
        return self.channels * (2 if self.has_gamma else 1)

    def buffers(self, batch: int, threads: int) -> list[Buffer]:
        """List the tensors that live in the arena, apart from what the network shares.

        Parameters
        ----------
        batch : int
            Samples per step.
        threads : int
            Threads of every pass.

        Returns
        -------
        list of Buffer
        """
        return [
            *self._activation_buffers(batch),
            *self._gradient_buffers(batch, threads),
            *self._weight_buffers(),
            *self._norm_buffers(),
        ]

    def scratch_bytes(self, batch: int, threads: int) -> int:
        """Bytes of scratch that one thread needs."""
        raise NotImplementedError

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        raise NotImplementedError

    def _gradient_buffers(self, batch: int, threads: int) -> list[Buffer]:
        raise NotImplementedError

    def _buffer(
        self, tensor: str, role: str, shape: tuple[int, ...], dtype: str, first: int, last: int
    ) -> Buffer:
        return Buffer(f"{self.name}.{tensor}", role, self.name, shape, dtype, first, last)

    def _persistent(self, tensor: str, role: str, shape: tuple[int, ...], dtype: str) -> Buffer:
        return Buffer(
            f"{self.name}.{tensor}", role, self.name, shape, dtype, 0, self.times.end, True
        )

    def _retained_until(self) -> int:
        """Return when X_out is last used: by the next block's backward pass, or, where the mask is
        read off it, by this block's."""
        t = self.times
        return t.backward if self.method.activation == "float32" else t.backward - 1

    def _sign_buffers(self, rows: int, columns: int) -> list[Buffer]:
        """Return room for the signs of a retained real X [rows, columns]."""
        if self.method.activation != "float32" or self.is_first:
            return []
        t = self.times
        times = (("X_signs", t.forward), ("X_signs_again", t.backward))
        return [
            self._buffer(tensor, "scratch", (rows, columns), "bit", when, when)
            for tensor, when in times
        ]

    @property
    def _lines(self) -> tuple[int, int]:
        """Rows and columns of the packed signs of W."""
        return self.channels, self.fan_in

    def _weight_buffers(self) -> list[Buffer]:
        t, method, shape = self.times, self.method, (self.channels, self.fan_in)
        found = [self._persistent("latent", "W", shape, method.latent)]
        for number in range(1, method.momenta + 1):
            found.append(self._persistent(f"momentum{number}", "momenta", shape, method.momentum))
        if method.optimizer == "channel-momentum":
            channels = shape[:1]
            found.append(self._persistent("dW_magnitude", "statistics", channels, "float32"))
            found.append(
                self._buffer("dW_sums", "statistics", channels, "int64", t.backward, t.backward)
            )
        if method.weight_gradient not in CONSUMED:
            dw_shape = self._lines if method.weight_gradient == "bit" else shape
            found.append(
                self._buffer("dW", "dW", dw_shape, method.weight_gradient, t.backward, t.end)
            )
        # The packed signs are cheap to make again, so they live only while a product needs them.
        for when, tensor in ((t.forward, "W_signs"), (t.backward, "W_signs_again")):
            found.append(self._buffer(tensor, "W", self._lines, "bit", when, when))
            if self.is_first:
                found.append(
                    self._buffer(f"{tensor}_transposed", "W", shape[::-1], "bit", when, when)
                )
        return found

    def _norm_buffers(self) -> list[Buffer]:
        t, channels = self.times, (self.channels,)
        found = []
        for parameter in ("gamma", "beta") if self.has_gamma else ("beta",):
            for tensor in (parameter, f"{parameter}_adam1", f"{parameter}_adam2"):
                found.append(self._persistent(tensor, "statistics", channels, "float32"))
            # Read by the update at the end of the step.
            found.append(
                self._buffer(f"d_{parameter}", "statistics", channels, "float32", t.backward, t.end)
            )
        for tensor in ("running_mean", "running_spread"):
            found.append(self._persistent(tensor, "statistics", channels, "float32"))
        of_batch = ("mean", "inverse") + (("magnitude",) if self.method.norm == "l1-binary" else ())
        for tensor in of_batch:
            found.append(
                self._buffer(tensor, "statistics", channels, "float64", t.forward, t.backward)
            )
        if self.method.gradient == "int8":
            found.append(self._persistent("scales", "statistics", (2, 2), "float32"))
        return found

    # What it does -------------------------------------------------------------------------------

    def bind(
        self, views: Mapping[str, np.ndarray], below: Block | None, isa: str, threads: int
    ) -> None:
        """Connect to the arena.

        Parameters
        ----------
        views : mapping of str to ndarray
            The arena's views by buffer name.
        below : Block or None
            The block whose output this one reads; None for the first, which reads the batch.
        isa : str
            Instruction set of the kernels.
        threads : int
            Threads of every pass.
        """
        raise NotImplementedError

    def output(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return X_out as the next block retains it: words of signs, or float32."""
        return views[f"{self.name}.X_out"]

    def incoming(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return where the gradient with respect to the output arrives."""
        return views[f"{self.name}.gradient"]

    def _shared_arrays(
        self, views: Mapping[str, np.ndarray], below: Block | None
    ) -> dict[str, np.ndarray | None]:
        """Return the buffers that every kind of block has."""
        arrays = {tensor: views.get(f"{self.name}.{tensor}") for tensor in _OWN}
        scales = views.get(f"{self.name}.scales")
        if scales is not None:
            # Row 0: of the incoming gradient, written by the block above; 1: of dY. That of dX is
            # the incoming one of the block below.
            arrays["g_scale"], arrays["dY_scale"] = scales[0], scales[1]
            arrays["dX_scale"] = None if below is None else views[f"{below.name}.scales"][0]
        return arrays

    def _representations(self) -> dict[str, object]:
        """Return the arguments of the native block that come from the method."""
        method = self.method
        return {
            "norm": method.norm,
            "mask": "none" if self.is_last else method.mask,
            "latent": method.latent,
            "gradient": method.gradient,
            "weight_gradient": method.weight_gradient,
            "momentum": method.momentum,
            "integer_update": has_integer_update(method),
        }

    def forward(self, batch: int, training: bool, first_step: bool = False) -> None:
        """Compute X_out or the logits of `batch` samples; training moves the running statistics."""
        self.native.forward(batch, training, first_step)

    def backward(self, batch: int, step: kernels.BlockStep) -> None:
        """Turn the incoming gradient into dY, write dX for the block below, consume or store dW."""
        self.native.backward(batch, step)

    def update(self, step: kernels.BlockStep) -> None:
        """Apply a stored dW, and Adam to gamma and beta."""
        self.native.update(step)

    def set_profiling(self, on: bool) -> None:
        """Measure the seconds of each phase of `kernels.PHASES` into `profile`, or stop."""
        self.profile[:] = 0
        self.native.set_profile(self.profile if on else None)


def has_integer_update(method: Method) -> bool:
    """Whether weights move by the all-integer kernels (see kernels/update/update.h)."""
    if method.latent != "int8" or method.gradient != "int8":
        return False
    if method.weight_gradient not in CONSUMED:
        return False
    return method.optimizer in ("sign", "channel-momentum") or (
        method.optimizer == "sign-momentum" and method.momentum == "int8"
    )
