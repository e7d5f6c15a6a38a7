"""Max-pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bnntrain.graph.operation import Operation, Options, Published, ShapeError, images
from bnntrain.graph.tensor import PRODUCTS, REAL, SIGNS, Form, Size


class MaxPoolOptions(Options, frozen=True):
    """Options of a max-pool: side and step of its window."""

    size: Literal[2] = 2


@dataclass(frozen=True)
class MaxPool(Operation):
    """The largest of a window's values; an odd last row or column is left out."""

    kind = "max_pool"
    Options = MaxPoolOptions
    reads = images(PRODUCTS, REAL, SIGNS)

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes."""
        return form

    @classmethod
    def size_after(cls, options: MaxPoolOptions, size: Size, layer: int) -> Size:
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

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        return Published(masked=self.input.values)
