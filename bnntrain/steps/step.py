"""What dense and convolution steps share: their name and place, weights, batch norm, and one order.

A step runs a product with packed weights, batch norm, and, but for the last one, sign. The
arithmetic is in `bnntrain.kernels`; these files say which tensors exist in which representation,
and which passes read and write them.

Source: docs/methods.md; Wang et al., arXiv 2102.04270, algorithms 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnntrain import kernels
from bnntrain.graph import Fused
from bnntrain.method import CONSUMED, Method
from bnntrain.steps.buffers import Buffer
from bnntrain.steps.order import Order
from bnntrain.steps.streams import Stream

INITIAL_SCALE = 0.3
"""Deviation of initial latent weights in units of 1/sqrt(fan-in), whatever the range: a weight that
starts within a step or two of zero changes sign with the first gradients, and a whole network of
such weights forgets how it was drawn (docs/accuracy.md)."""

# Tensors that every kind of step binds by its own name; those it does without are None.
_OWN = (
    "latent", "momentum1", "momentum2", "dW", "dW_magnitude", "dW_sums",
    "gamma", "gamma_adam1", "gamma_adam2", "beta", "beta_adam1", "beta_adam2",
    "d_gamma", "d_beta", "running_mean", "running_spread", "mean", "inverse", "magnitude", "mask",
    "W_signs", "W_signs_transposed", "W_signs_again", "W_signs_again_transposed",
    "X_signs", "X_signs_again",
)  # fmt: skip


class Step:
    """One step of a network; subclasses add activations, gradients and the binding.

    Parameters
    ----------
    fused : Fused
        Its operations.
    order : Order
        When its passes run, and who reads its output.
    method : Method
        Representation of its tensors; of gradients of one type with its neighbours'.
    producer : Step or None
        The step whose output it reads; None for the first, which reads the batch.
    streams : mapping of str to Stream
        By the name of a tensor that is part of one.
    """

    has_real_weights = False
    """Whether its weights are real, and not signs of latent ones."""

    def __init__(
        self, fused: Fused, order: Order, method: Method, producer: Step | None,
        streams: Mapping[str, Stream],
    ) -> None:  # fmt: skip
        self.fused, self.order, self.method, self.producer = fused, order, method, producer
        self.name, self.product = fused.name, fused.product
        self.incoming_stream = streams.get(fused.input.name)
        self.outgoing_stream = streams.get(fused.output.name)
        self.largest_stream = max((each.values for each in streams.values()), default=0)
        self.is_first = fused.reads_pixels
        self.is_last = not order.readers(fused.output)
        self.has_gamma = method.norm != "l1-binary"
        self.forward, self.backward = order.forward(fused), order.backward(fused)

    # What it needs ------------------------------------------------------------------------------

    @property
    def inputs(self) -> int:
        """Values per sample that come in."""
        return self.fused.input.values

    @property
    def outputs(self) -> int:
        """Values per sample that go out."""
        return self.fused.output.values

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.product.channels

    @property
    def fan_in(self) -> int:
        """Inputs of one product."""
        return self.product.fan_in

    @property
    def latent(self) -> str:
        """Type of the latent weights."""
        return self.method.latent

    @property
    def latent_range(self) -> float:
        """Largest magnitude of a latent weight."""
        return self.method.latent_range

    @property
    def initial_scale(self) -> float:
        """Deviation of initial weights in units of 1/sqrt(fan-in)."""
        return INITIAL_SCALE

    @property
    def loss_gradient(self) -> str:
        """Type of the gradient that the loss hands to the last step."""
        return self.method.gradient

    @property
    def _mask(self) -> str:
        """How it knows where the gradient of its output is cancelled."""
        return "none" if self.is_last else self.method.mask

    @property
    def _reads_real(self) -> bool:
        """Whether X is retained as real numbers, whose signs are packed when they are needed."""
        return self.producer is not None and self.producer.method.activation == "float32"

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
        self, tensor: str, role: str, shape: tuple[int, ...], dtype: str, *uses: int
    ) -> Buffer:
        """Describe a tensor by the passes that write or read it."""
        name = f"{self.name}.{tensor}"
        return Buffer(name, role, self.name, shape, dtype, min(uses), max(uses))

    def _persistent(self, tensor: str, role: str, shape: tuple[int, ...], dtype: str) -> Buffer:
        name = f"{self.name}.{tensor}"
        return Buffer(name, role, self.name, shape, dtype, 0, self.order.end, True)

    def _constant(self, tensor: str, shape: tuple[int, ...], dtype: str) -> Buffer:
        """Describe a table that is computed once, when the step is bound."""
        name = f"{self.name}.{tensor}"
        return Buffer(
            name, "scratch", self.name, shape, dtype, 0, self.order.end, constant=True
        )

    def _output_uses(self) -> list[int]:
        """Return when X_out is written and read: by readers, and for a mask that it holds."""
        is_mask = self.method.mask == "retained"
        own = [self.forward, self.backward] if is_mask else [self.forward]
        return own + self.order.reads(self.fused.output)

    def _sign_buffers(self, rows: int, columns: int) -> list[Buffer]:
        """Return room for the signs of a retained real X [rows, columns]."""
        if not self._reads_real:
            return []
        times = (("X_signs", self.forward), ("X_signs_again", self.backward))
        return [
            self._buffer(tensor, "scratch", (rows, columns), "bit", when) for tensor, when in times
        ]

    def _weight_buffers(self) -> list[Buffer]:
        method, shape, end = self.method, (self.channels, self.fan_in), self.order.end
        found = [self._persistent("latent", "W", shape, method.latent)]
        for number in range(1, method.moments + 1):
            found.append(self._persistent(f"momentum{number}", "momenta", shape, method.momentum))
        if method.optimizer == "channel-momentum":
            channels = shape[:1]
            found.append(self._persistent("dW_magnitude", "statistics", channels, "float32"))
            found.append(self._buffer("dW_sums", "statistics", channels, "int64", self.backward))
        if method.weight_gradient not in CONSUMED:
            dw_shape = self.fused.sign_lines if method.weight_gradient == "bit" else shape
            found.append(
                self._buffer("dW", "dW", dw_shape, method.weight_gradient, self.backward, end)
            )
        # The packed signs are cheap to make again, so they live only while a product needs them.
        for when, tensor in ((self.forward, "W_signs"), (self.backward, "W_signs_again")):
            found.append(self._buffer(tensor, "W", self.fused.sign_lines, "bit", when))
            if self.is_first:
                found.append(self._buffer(f"{tensor}_transposed", "W", shape[::-1], "bit", when))
        return found

    def _norm_buffers(self) -> list[Buffer]:
        """Return what batch norm needs, and the scales of int8 gradients."""
        found = self._norm_of("")
        return found + (self._scale_buffers() if self.method.gradient == "int8" else [])

    def _norm_of(self, prefix: str) -> list[Buffer]:
        """Return the buffers of a batch norm, whose names begin with a prefix."""
        channels, found = (self.channels,), []
        for parameter in ("gamma", "beta") if self.has_gamma else ("beta",):
            for tensor in (parameter, f"{parameter}_adam1", f"{parameter}_adam2"):
                found.append(self._persistent(prefix + tensor, "statistics", channels, "float32"))
            uses, tensor = (self.backward, self.order.end), f"{prefix}d_{parameter}"
            found.append(self._buffer(tensor, "statistics", channels, "float32", *uses))
        for tensor in ("running_mean", "running_spread"):
            found.append(self._persistent(prefix + tensor, "statistics", channels, "float32"))
        of_batch = ("mean", "inverse") + (("magnitude",) if self.method.norm == "l1-binary" else ())
        for tensor in of_batch:
            uses = self.forward, self.backward
            found.append(self._buffer(prefix + tensor, "statistics", channels, "float64", *uses))
        return found

    def _scale_buffers(self) -> list[Buffer]:
        """Return the scales of int8 gradients: of the incoming one and of dY."""
        return [self._persistent("scales", "statistics", (2, 2), "float32")]

    # What it is bound to ------------------------------------------------------------------------

    def bind(self, views: Mapping[str, np.ndarray], isa: str, threads: int) -> kernels.Block:
        """Connect to the arena.

        Parameters
        ----------
        views : mapping of str to ndarray
            The arena's views by buffer name.
        isa : str
            Instruction set of the kernels.
        threads : int
            Threads of every pass.

        Returns
        -------
        kernels.Block
            Its passes.
        """
        raise NotImplementedError

    def output(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return X_out as its readers take it: words of signs, or float32."""
        return views[f"{self.name}.X_out"]

    def incoming(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return where the gradient with respect to the output arrives."""
        return views[f"{self.name}.gradient"]

    def _input_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return X, under the name of its representation."""
        if self.producer is None:
            return {"x_int8": views["batch.x"]}
        retained = self.producer.output(views)
        return {"x_bits" if retained.dtype == np.uint64 else "x_real": retained}

    def _own_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | None]:
        """Return the buffers that are bound by their own names."""
        return {tensor: views.get(f"{self.name}.{tensor}") for tensor in _OWN}

    def _shared_arrays(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | None]:
        """Return the buffers that every kind of step has whose output is its reader's alone."""
        arrays = self._own_arrays(views)
        out = views[f"{self.name}.{'logits' if self.is_last else 'X_out'}"]
        arrays["out_bits" if out.dtype == np.uint64 else "out_real"] = out
        scales = views.get(f"{self.name}.scales")
        if scales is not None:
            # Row 0: of the incoming gradient, written by who reads the output; 1: of dY. That of
            # dX is the incoming one of the producer.
            arrays["g_scale"], arrays["dY_scale"] = scales[0], scales[1]
            below = self.producer
            arrays["dX_scale"] = None if below is None else views[f"{below.name}.scales"][0]
        return arrays | self._input_arrays(views)

    def _representations(self) -> dict[str, object]:
        """Return the arguments of the native step that come from the method."""
        method = self.method
        return {
            "norm": method.norm,
            "mask": self._mask,
            "latent": method.latent,
            "gradient": method.gradient,
            "weight_gradient": method.weight_gradient,
            "momentum": method.momentum,
            "integer_update": has_integer_update(method),
        }


def has_integer_update(method: Method) -> bool:
    """Whether weights move by the all-integer kernels (see kernels/update/update.h)."""
    if method.latent != "int8" or method.gradient != "int8":
        return False
    if method.weight_gradient not in CONSUMED:
        return False
    return method.optimizer in ("sign", "channel-momentum") or (
        method.optimizer == "sign-momentum" and method.momentum == "int8"
    )
