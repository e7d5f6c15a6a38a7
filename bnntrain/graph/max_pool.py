"""Max-pooling."""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.graph.operation import Published, images
from bnntrain.graph.pool import Pool
from bnntrain.graph.tensor import PRODUCTS, REAL, SIGNS


@dataclass(frozen=True)
class MaxPool(Pool):
    """The largest of a window's values."""

    kind = "max_pool"
    reads = images(PRODUCTS, REAL, SIGNS)

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        return Published(masked=self.input.values)
