"""The kinds of layers that there are, by the name that a model file calls them."""

from __future__ import annotations

from bnntrain.graph.avg_pool import AvgPool
from bnntrain.graph.batch_norm import BatchNorm
from bnntrain.graph.conv import Conv
from bnntrain.graph.dense import Dense
from bnntrain.graph.flatten import Flatten
from bnntrain.graph.max_pool import MaxPool
from bnntrain.graph.operation import Operation
from bnntrain.graph.sign import Sign

OPERATIONS: dict[str, type[Operation]] = {
    operation.kind: operation
    for operation in (Dense, Conv, BatchNorm, Sign, Flatten, MaxPool, AvgPool)
}
"""In the order in which messages name them."""
