"""From a list of layers to a graph: what may stand where, and every tensor's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bnntrain.graph.fusion import Fused, extends, fuse, last_group
from bnntrain.graph.operation import LayerError, Operation, Published
from bnntrain.graph.operations import OPERATIONS
from bnntrain.graph.tensor import PIXELS, REAL, Form, Size, Tensor

SAMPLE = Form(PIXELS, True)
"""What the first operation reads."""

_END = Form(REAL, False)  # what the loss reads
_REPRESENTATION = "representation"  # field of `ProductOptions`


class LayerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item of a model: a key of `OPERATIONS` and its checked options, defaults filled in."""

    kind: str
    options: dict[str, object] = msgspec.field(default_factory=dict)

    @property
    def representation(self) -> dict[str, object]:
        """Cells of the method table that it sets for itself; empty if none."""
        return self.options.get(_REPRESENTATION, {})

    @property
    def deployed(self) -> LayerSpec:
        """The same without what only training knows of."""
        kept = {name: value for name, value in self.options.items() if name != _REPRESENTATION}
        return LayerSpec(self.kind, kept)


class OrderError(LayerError):
    """A layer stands where it cannot."""


@dataclass(frozen=True)
class Graph:
    """Operations and the tensors between them, for samples of one size.

    Attributes
    ----------
    sample : Tensor
        What the first operation reads.
    operations : tuple of Operation
        In an order in which they can run.
    """

    sample: Tensor
    operations: tuple[Operation, ...]

    @property
    def output(self) -> Tensor:
        """What the loss reads."""
        return self.operations[-1].output

    @property
    def published(self) -> list[Published]:
        """What its operations add to the published memory table."""
        return [operation.published for operation in self.operations]

    def fused(self) -> list[Fused]:
        """Return the operations as the sequences that have kernels."""
        return fuse(self.operations)


def build_graph(layers: Sequence[LayerSpec], sample: Size) -> Graph:
    """Follow a sample through the layers.

    Parameters
    ----------
    layers : sequence of LayerSpec
        In an order that `check_order` has found good.
    sample : tuple of int
        Height, width, channels of one image.

    Returns
    -------
    Graph

    Raises
    ------
    ShapeError
        An image too small for a window.
    """
    found: list[Operation] = []
    start = tensor = Tensor("sample", SAMPLE, sample)
    number = 0  # of the last product: all up to the next are called by it
    for index, spec in enumerate(layers):
        kind = OPERATIONS[spec.kind]
        number += kind.weighs
        name, options = f"{spec.kind}{number}", msgspec.convert(spec.options, kind.Options)
        size = kind.size_after(options, tensor.size, index)
        output = Tensor(name, kind.form_after(tensor.form), size)
        found.append(kind(name, index, options, tensor, output))
        tensor = output
    return Graph(start, tuple(found))


# What may stand where ---------------------------------------------------------------------------


def check_order(kinds: Sequence[str]) -> None:
    """Refuse a list of layers that has no meaning, or no kernel.

    Parameters
    ----------
    kinds : sequence of str
        Keys of `OPERATIONS`, first to last.

    Raises
    ------
    OrderError
        Names the layer, why it cannot stand there, and what can.
    """
    form, product = SAMPLE, None
    for index, kind in enumerate(kinds):
        allowed = _allowed(kinds[:index], form)
        if kind not in allowed:
            raise OrderError(index, _misplaced(kind, kinds[:index], product, form, allowed))
        product = kind if OPERATIONS[kind].weighs else product
        form = OPERATIONS[kind].form_after(form)
    if form != _END:
        raise OrderError(len(kinds) - 1, _unfinished(kinds[-1], product, form))


def _allowed(before: Sequence[str], form: Form) -> list[str]:
    """Return what may stand next: what reads such a tensor, and has a kernel there."""
    return [
        kind for kind, operation in OPERATIONS.items()
        if form in operation.reads and extends(before, kind)
    ]  # fmt: skip


def _misplaced(
    kind: str, layers: Sequence[str], product: str | None, form: Form, allowed: list[str]
) -> str:
    """Say why a layer cannot stand after `layers`, and what can."""
    reads, before = OPERATIONS[kind].reads, layers[-1] if layers else None
    if before is not None and Form(form.kind, False) in reads and form.is_image:
        return f"{kind} takes a list of values, and {product} gives an image. Put flatten before it"
    if not form.is_image and not any(not each.is_image for each in reads) and before != "flatten":
        reason = f"{kind} cannot stand behind {product}, whose outputs have no height and width"
    elif form in reads and kind in last_group(layers):
        reason = f"a second {kind} behind one {product}"
    elif form in reads:
        reason = f"{kind} after {before} has no kernel"
    else:
        reason = f"{kind} cannot stand {f'after {before}' if before else 'as the first layer'}"
    return f"{reason}. Put {' or '.join(allowed)} here"


def _unfinished(last: str, product: str | None, form: Form) -> str:
    message = f"{last} cannot be the last layer"
    if form.kind == REAL and last == "batch_norm":
        message = f"the last product is a {product}, whose outputs are not scores of classes"
    end = "flatten, dense" if form.is_image or last == "flatten" else "dense"
    return f"{message}. End the list with {end} and batch_norm, without sign"
