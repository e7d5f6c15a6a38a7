"""A binary dense block: product with packed weights, batch norm, and, but for the last block, sign.

Forward, per output channel: y = X sgn(W)^T exactly; z = gamma (y - mu) / sigma + beta;
X_next = sgn(z). Backward: g is cancelled where abs(z) > 1 (straight-through estimator of
Courbariaux & Bengio), turned into dY by batch norm's exact gradient, and multiplied by sgn(W) and
by X. The arithmetic is in `bnntrain.kernels`; this file says which tensors exist in which
representation, and for how long.

Source: docs/methods.md; Wang et al., arXiv 2102.04270, algorithms 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.layers.buffers import Buffer, Times
from bnntrain.method import Method


class DenseBlock:
    """One block of a network.

    Parameters
    ----------
    name : str
        Prefix of its buffers, e.g. ``dense1``.
    inputs, outputs : int
        Values per sample.
    times : Times
        Its place in the step.
    method : Method
        Representation of every tensor.
    """

    kind = "dense"

    def __init__(self, name: str, inputs: int, outputs: int, times: Times, method: Method) -> None:
        self.name, self.inputs, self.outputs = name, inputs, outputs
        self.times, self.method = times, method
        self.is_first = times.index == 0
        self.is_last = times.index == times.blocks - 1
        self.has_gamma = method.norm != "l1-binary"
        self.native: kernels.Dense | None = None
        self.profile = np.zeros(len(kernels.PHASES))

    # What it needs ------------------------------------------------------------------------------

    @property
    def weights(self) -> int:
        """Binary weights."""
        return self.inputs * self.outputs

    @property
    def norm_parameters(self) -> int:
        """Real parameters: beta, and gamma where the norm has one."""
        return self.outputs * (2 if self.has_gamma else 1)

    def buffers(self, batch: int) -> list[Buffer]:
        """List the tensors that live in the arena, apart from the shared scratch.

        Parameters
        ----------
        batch : int
            Samples per step.

        Returns
        -------
        list of Buffer
        """
        return [
            *self._activation_buffers(batch),
            *self._gradient_buffers(batch),
            *self._weight_buffers(),
            *self._norm_buffers(),
        ]

    def _buffer(
        self, tensor: str, role: str, shape: tuple[int, ...], dtype: str, first: int, last: int
    ) -> Buffer:
        return Buffer(f"{self.name}.{tensor}", role, self.name, shape, dtype, first, last)

    def _persistent(self, tensor: str, role: str, shape: tuple[int, ...], dtype: str) -> Buffer:
        return Buffer(
            f"{self.name}.{tensor}", role, self.name, shape, dtype, 0, self.times.end, True
        )

    def _activation_buffers(self, batch: int) -> list[Buffer]:
        t, method, found = self.times, self.method, []
        shape = (batch, self.outputs)
        if self.is_last:
            found.append(self._buffer("logits", "dX/Y", shape, "float32", t.forward, t.loss))
        else:
            # Retained until the next block's backward pass has used it, or, where the mask is read
            # off it, until this block's.
            retained = method.activation == "float32"
            last = t.backward if retained else t.backward - 1
            found.append(self._buffer("X_out", "X", shape, method.activation, t.forward, last))
            if method.mask == "bit":
                found.append(self._buffer("mask", "masks", shape, "bit", t.forward, t.backward))
        if self.method.activation == "float32" and not self.is_first:
            packed = (batch, self.inputs)
            found.append(self._buffer("X_signs", "scratch", packed, "bit", t.forward, t.forward))
            found.append(
                self._buffer("X_signs_again", "scratch", packed, "bit", t.backward, t.backward)
            )
        return found

    def _gradient_buffers(self, batch: int) -> list[Buffer]:
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
            found.append(self._persistent("scales", "statistics", (2, 2), "float32"))
        return found

    def _weight_buffers(self) -> list[Buffer]:
        t, method, shape = self.times, self.method, (self.outputs, self.inputs)
        found = [self._persistent("latent", "W", shape, method.latent)]
        for number in range(1, method.momenta + 1):
            found.append(self._persistent(f"momentum{number}", "momenta", shape, method.momentum))
        if method.weight_gradient != "sign":
            found.append(self._buffer("dW", "dW", shape, method.weight_gradient, t.backward, t.end))
        # The packed signs are cheap to make again, so they live only while a product needs them.
        for when, tensor in ((t.forward, "W_signs"), (t.backward, "W_signs_again")):
            found.append(self._buffer(tensor, "W", shape, "bit", when, when))
            if self.is_first:
                found.append(
                    self._buffer(f"{tensor}_transposed", "W", shape[::-1], "bit", when, when)
                )
        return found

    def _norm_buffers(self) -> list[Buffer]:
        t, channels = self.times, (self.outputs,)
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
        return found

    def scratch_bytes(self, batch: int) -> int:
        """Bytes of scratch that one thread needs."""
        return kernels.dense_scratch_bytes(self.outputs, batch, self.method.gradient)

    # What it does -------------------------------------------------------------------------------

    def bind(
        self, views: Mapping[str, np.ndarray], below: DenseBlock | None, isa: str, threads: int
    ) -> None:
        """Connect to the arena.

        Parameters
        ----------
        views : mapping of str to ndarray
            The arena's views by buffer name.
        below : DenseBlock or None
            The block whose output this one reads; None for the first, which reads the batch.
        isa : str
            Instruction set of the kernels.
        threads : int
            Threads of every pass.
        """

        def own(tensor: str) -> np.ndarray | None:
            return views.get(f"{self.name}.{tensor}")

        arrays = {
            tensor: own(tensor)
            for tensor in (
                "latent",
                "momentum1",
                "momentum2",
                "dW",
                "gamma",
                "gamma_adam1",
                "gamma_adam2",
                "beta",
                "beta_adam1",
                "beta_adam2",
                "d_gamma",
                "d_beta",
                "running_mean",
                "running_spread",
                "mean",
                "inverse",
                "magnitude",
                "mask",
                "gradient",
                "dY_transposed",
                "W_signs",
                "W_signs_transposed",
                "W_signs_again",
                "W_signs_again_transposed",
                "X_signs",
                "X_signs_again",
            )
        }
        if below is None:
            arrays["x_int8"] = views["batch.x"]
        else:
            retained = views[f"{below.name}.X_out"]
            arrays["x_bits" if retained.dtype == np.uint64 else "x_real"] = retained
            arrays["dX"] = views[f"{below.name}.gradient"]
        if self.is_last:
            arrays["out_real"] = own("logits")
        else:
            out = own("X_out")
            arrays["out_bits" if out.dtype == np.uint64 else "out_real"] = out
        scales = own("scales")
        if scales is not None:
            # Row 0: of the incoming gradient, written by the block above; 1: of dY. That of dX is
            # the incoming one of the block below.
            arrays["g_scale"], arrays["dY_scale"] = scales[0], scales[1]
            arrays["dX_scale"] = None if below is None else views[f"{below.name}.scales"][0]
        self.native = kernels.Dense(
            inputs=self.inputs,
            outputs=self.outputs,
            batch=views["batch.x"].shape[0],
            norm=self.method.norm,
            mask="none" if self.is_last else self.method.mask,
            latent=self.method.latent,
            gradient=self.method.gradient,
            weight_gradient=self.method.weight_gradient,
            momentum=self.method.momentum,
            integer_update=_has_integer_update(self.method),
            arrays=arrays,
            scratch=views["scratch"],
            threads=threads,
            isa=isa,
        )

    def forward(self, batch: int, training: bool, first_step: bool = False) -> None:
        """Compute X_out or the logits of `batch` samples; training moves the running statistics."""
        self.native.forward(batch, training, first_step)

    def backward(self, batch: int, step: kernels.DenseStep) -> None:
        """Turn the incoming gradient into dY, write dX for the block below, consume or store dW."""
        self.native.backward(batch, step)

    def update(self, step: kernels.DenseStep) -> None:
        """Apply a stored dW, and Adam to gamma and beta."""
        self.native.update(step)

    def set_profiling(self, on: bool) -> None:
        """Measure the seconds of each phase of `kernels.PHASES` into `profile`, or stop."""
        self.profile[:] = 0
        self.native.set_profile(self.profile if on else None)


def _has_integer_update(method: Method) -> bool:
    """Whether weights move by the all-integer kernels (see kernels/update/update.h)."""
    if method.latent != "int8" or method.weight_gradient != "sign" or method.gradient != "int8":
        return False
    return method.optimizer == "sign" or (
        method.optimizer == "sign-momentum" and method.momentum == "int8"
    )
