"""Average pooling."""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.graph.operation import images
from bnntrain.graph.pool import Pool
from bnntrain.graph.tensor import PRODUCTS, REAL


@dataclass(frozen=True)
class AvgPool(Pool):
    """The mean of a window's values.

    The values are added up and not divided: batch norm cancels a factor, as it is the same for all
    values of a channel (its guard against a variance of 0 aside). All get the gradient of the sum.
    Nothing is retained for the backward pass, so that the published table counts nothing.
    """

    kind = "avg_pool"
    reads = images(PRODUCTS, REAL)
    adds = 4
