"""Streams of a residual network: which tensors share a buffer, and where their gradients gather.

A real convolution begins a stream; every residual convolution adds to it. Where activations are
bits, what is added to is of no further use, and the sum takes its place: a stream is one buffer.
Where they are retained as real numbers, each of its tensors is one. The gradient of a sum is that
of both its parts: it always is one buffer, to which the readers of the stream add in the backward
pass, and whoever reads last, which is first then, begins with.

Source: docs/methods.md, on residual networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bnntrain.graph import Fused, Tensor
from bnntrain.steps.buffers import Buffer
from bnntrain.steps.order import Order

if TYPE_CHECKING:
    from bnntrain.method import Method


@dataclass(frozen=True)
class Types:
    """How what belongs to a stream is held.

    Attributes
    ----------
    stream : str
        The stream and its gradient.
    multiplied : str
        Operands of real convolutions.
    latent : str
        Latent weights of real layers, which are float32 in their products' sums.
    """

    stream: str
    multiplied: str
    latent: str


TYPES = {
    "float32": Types("float32", "float32", "float32"),
    "float16": Types("float16", "float32", "float16"),
    "int8": Types("int16", "int8", "float32"),
}
"""By the type of gradients."""


def types_of(method: Method) -> Types:
    """Return the types of a stream, which follow that of gradients."""
    return TYPES[method.gradient]


def stream_labels(method: Method) -> dict[str, str]:
    """Say in words how tensors are held that are otherwise in a network with streams.

    Returns
    -------
    dict of str to str
        As `bnntrain.method.cell_labels`, of which they take the place.
    """
    types, retained = types_of(method), retains_stream(method)
    product = method.gradient
    if product == "int8":
        product += f" holding {method.gradient_bits} bits"
    return {
        "straight-through mask": "from the retained stream" if retained else "1 bit",
        "stream": f"{types.stream}, {'retained' if retained else 'sums in place'}",
        "dX, Y": f"{types.stream}, gathered for a stream (dX), tiles only (Y)",
        "dY": product,
        "real layers": f"{types.multiplied} products, {types.latent} weights, adam",
    }


def retains_stream(method: Method) -> bool:
    """Whether a stream's tensors are retained as they are, and not their signs and masks."""
    return method.activation == "float32"


@dataclass(frozen=True)
class Stream:
    """A stream.

    Attributes
    ----------
    fused : tuple of Fused
        The steps that write to it: first the one that begins it.
    order : Order
        When passes run.
    """

    fused: tuple[Fused, ...]
    order: Order

    @property
    def name(self) -> str:
        """Name of the step that begins it."""
        return self.fused[0].name

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Its tensors, each but the first a sum with the one before."""
        return tuple(each.output for each in self.fused)

    @cached_property
    def readers(self) -> list[Fused]:
        """The steps that read one of its tensors, but to add to it."""
        return [
            each for tensor in self.tensors for each in self.order.readers(tensor)
            if each.input == tensor
        ]  # fmt: skip

    def begins_gradient(self, reader: Fused) -> bool:
        """Whether a reader is the first of all to write to the gradient."""
        return reader == min(self.readers, key=self.order.backward)

    def place(self, tensor: Tensor, method: Method) -> str:
        """Return the name of the buffer that a tensor lies in."""
        if not retains_stream(method):
            return f"{self.name}.stream"
        return f"{self.fused[self.tensors.index(tensor)].name}.stream"

    @property
    def values(self) -> int:
        """Values per sample."""
        return self.tensors[0].values

    @property
    def gradient(self) -> str:
        """Name of the buffer of its gradient."""
        return f"{self.name}.stream_gradient"

    @property
    def scale(self) -> str:
        """Name of the scale of an int16 gradient."""
        return f"{self.name}.stream_scale"

    def type_of(self, gradient: str) -> str:
        """Return its type where gradients have one."""
        return TYPES[gradient].stream

    def buffers(self, method: Method, batch: int) -> list[Buffer]:
        """Return the buffers of its tensors, its gradient and that one's scale."""
        height, width, channels = self.tensors[0].size
        shape, dtype = (batch * height * width, channels), types_of(method).stream
        order, name = self.order, self.name
        found = [
            Buffer(each, role, name, shape, dtype, min(uses), max(uses))
            for each, role, uses in self._lifetimes(method)
        ]
        uses = [order.backward(each) for each in (*self.readers, *self.fused)]
        found.append(Buffer(self.gradient, "dX/Y", name, shape, dtype, min(uses), max(uses)))
        if dtype == "int16":
            found.append(
                Buffer(self.scale, "statistics", name, (2,), "float32", 0, order.end, True)
            )
        return found

    def _lifetimes(self, method: Method) -> list[tuple[str, str, list[int]]]:
        """Return name, role and uses of every buffer of its tensors."""
        order = self.order
        if not retains_stream(method):
            uses = [order.forward(each) for each in (*self.fused, *self.readers)]
            uses += [order.backward(each) for each in self.readers if reads_again(each, method)]
            return [(f"{self.name}.stream", "X", uses)]
        found = []
        for one in self.fused:
            readers = order.readers(one.output)
            uses = [order.forward(each) for each in (one, *readers)]
            uses += [
                order.backward(each) for each in readers
                if each.input == one.output and reads_again(each, method)
            ]
            found.append((f"{one.name}.stream", "X", uses))
        return found


def reads_again(fused: Fused, method: Method) -> bool:
    """Whether a step reads a stream in its backward pass: for signs that are not kept as bits."""
    if fused.kind == "residual":
        return retains_stream(method)
    return fused.kind == "head" and fused.has_relu


def find_streams(fused: Sequence[Fused], order: Order) -> dict[str, Stream]:
    """Return the stream of every tensor that is part of one, by the tensor's name."""
    members: dict[str, list[Fused]] = {}
    for each in fused:
        if each.kind in ("real_conv", "stem"):
            members[each.output.name] = [each]
        elif each.kind == "residual":
            members[each.output.name] = members[each.addend.name]
            members[each.output.name].append(each)
    streams = {id(found): Stream(tuple(found), order) for found in members.values()}
    return {name: streams[id(found)] for name, found in members.items()}
