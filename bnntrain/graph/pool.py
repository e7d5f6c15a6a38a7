"""What all pooling has in common."""

from __future__ import annotations

from typing import ClassVar, Literal

from bnntrain.graph.items import ShapeError
from bnntrain.graph.operation import Operation, Options
from bnntrain.graph.tensor import Form, Size


class PoolOptions(Options, frozen=True):
    """Options of pooling: side and step of its window."""

    size: Literal[2] = 2


class Pool(Operation):
    """One value of each window; an odd last row or column is left out."""

    Options = PoolOptions
    adds: ClassVar[int] = 1
    """Values of a window that are added up."""

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes."""
        return form

    @classmethod
    def size_after(cls, options: PoolOptions, size: Size, layer: str) -> Size:
        """Return the size of what it makes of a tensor of a size."""
        height, width, channels = size
        side = options.size
        if min(height, width) < side:
            raise ShapeError(
                layer,
                f"{height}x{width} positions are too few to pool {side}x{side}. Leave this layer "
                "or an earlier one out, or give larger images",
            )
        return height // side, width // side, channels
