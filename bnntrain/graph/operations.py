"""The kinds of layers that there are, by the name that a model file calls them."""

from __future__ import annotations

import msgspec

from bnntrain.graph.avg_pool import AvgPool
from bnntrain.graph.batch_norm import BatchNorm
from bnntrain.graph.conv import Conv, RealConv
from bnntrain.graph.dense import Dense, RealDense
from bnntrain.graph.flatten import Flatten
from bnntrain.graph.global_avg_pool import GlobalAvgPool
from bnntrain.graph.items import LayerSpec
from bnntrain.graph.max_pool import MaxPool, OverlappingMaxPool
from bnntrain.graph.operation import Operation, Options
from bnntrain.graph.relu import Relu
from bnntrain.graph.sign import Sign

OPERATIONS: dict[str, type[Operation]] = {
    operation.kind: operation
    for operation in (Dense, Conv, BatchNorm, Sign, Flatten, MaxPool, AvgPool, Relu, GlobalAvgPool)
}
"""In the order in which messages name them."""

VARIANTS = (*OPERATIONS.values(), RealConv, RealDense, OverlappingMaxPool)
"""All that layers can be, with those that a kind is by its options."""


def operation_of(spec: LayerSpec) -> tuple[type[Operation], Options]:
    """Return the operation that a layer is, and its options."""
    kind = OPERATIONS[spec.kind]
    options = msgspec.convert(spec.options, kind.Options)
    return kind.of(options), options
