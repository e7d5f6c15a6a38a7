"""From a list of layers to a graph: every operation, and every tensor's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnntrain.graph.add import Add
from bnntrain.graph.fused import Fused
from bnntrain.graph.fusion import fuse
from bnntrain.graph.items import (
    LAYERS,
    SHORTCUT,
    Item,
    LayerSpec,
    Residual,
    ShapeError,
    Walk,
    inner_list,
)
from bnntrain.graph.operation import Operation, Options, Published
from bnntrain.graph.operations import operation_of
from bnntrain.graph.tensor import PIXELS, Form, Size, Tensor

SAMPLE = Form(PIXELS, True)
"""What the first operation reads."""


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


def build_graph(layers: Sequence[Item], sample: Size) -> Graph:
    """Follow a sample through the layers.

    Parameters
    ----------
    layers : sequence of item
        In an order that `check_order` has found good.
    sample : tuple of int
        Height, width, channels of one image.

    Returns
    -------
    Graph

    Raises
    ------
    ShapeError
        An image too small for a window, or a shortcut and layers of two shapes.
    """
    start = Tensor("sample", SAMPLE, sample)
    builder = _Builder()
    builder.follow(tuple(layers), LAYERS, start)
    return Graph(start, tuple(builder.operations))


class _Builder(Walk):
    """Makes an operation of every layer; the state is the tensor that the next one reads."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._number = 0  # of the last product: all up to the next are called by it
        self._names: set[str] = set()

    def layer(self, spec: LayerSpec, place: str, state: Tensor) -> Tensor:
        kind, options = operation_of(spec)
        self._number += kind.weighs
        return self._append(kind, place, options, state)

    def residual(self, item: Residual, place: str, state: Tensor) -> Tensor:
        addend = self.follow(item.shortcut, inner_list(place, item, SHORTCUT), state)
        made = self.follow(item.layers, inner_list(place, item, LAYERS), state)
        if made.size != addend.size:
            raise ShapeError(place, _mismatch(item, made.size, addend.size))
        return self._append(Add, place, Options(), made, addend)

    def _append(
        self, kind: type[Operation], place: str, options: Options, *inputs: Tensor
    ) -> Tensor:
        size = kind.size_after(options, inputs[0].size, place)
        output = Tensor(self._name(kind.kind), kind.form_after(inputs[0].form), size)
        self.operations.append(kind(output.name, place, options, inputs, output))
        return output

    def _name(self, kind: str) -> str:
        """Return a name that no other operation has."""
        name, count = f"{kind}{self._number}", 1
        while name in self._names:
            count += 1
            name = f"{kind}{self._number}.{count}"
        self._names.add(name)
        return name


def _mismatch(item: Residual, made: Size, addend: Size) -> str:
    """Say of a residual's two tensors why they cannot be added, and what helps."""
    shapes = [f"{height}x{width}x{channels}" for height, width, channels in (made, addend)]
    message = f"its layers give {shapes[0]}, {'its shortcut' if item.shortcut else 'its input is'}"
    return f"{message} {shapes[1]}. {_remedy(item, made, addend)}"


def _remedy(item: Residual, made: Size, addend: Size) -> str:
    conv = f"conv: {{channels: {made[2]}, kernel: 1, weights: real}}"
    if made[:2] == addend[:2]:
        if item.shortcut:
            return f"Give the shortcut's conv channels: {made[2]}"
        return f"Give it a shortcut of {conv} and batch_norm"
    if made[:2] == tuple(extent // 2 for extent in addend[:2]):
        if item.shortcut:
            return "Put avg_pool first in the shortcut"
        return f"Give it a shortcut of avg_pool, {conv} and batch_norm"
    differences = {mine - other for mine, other in zip(made[:2], addend[:2], strict=True)}
    if differences <= {0, 1}:  # `same` rounds halves up, a pool rounds them down
        return "Give images whose height and width are even numbers up to here"
    if differences <= {0, -1}:
        return "Give the conv among its layers padding: same"
    stride = 2 if item.shortcut and made[0] > addend[0] else 1
    return f"Give the conv among its layers stride: {stride} and padding: same"
