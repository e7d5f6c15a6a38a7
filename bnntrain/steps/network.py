"""From a graph to the steps that run."""

from __future__ import annotations

from bnntrain.graph import Graph
from bnntrain.layer_methods import LayerMethods
from bnntrain.steps.conv import ConvStep
from bnntrain.steps.dense import DenseStep
from bnntrain.steps.order import Order
from bnntrain.steps.real import HeadStep, RealConvStep
from bnntrain.steps.residual import ResidualStep
from bnntrain.steps.stem import StemStep
from bnntrain.steps.step import Step
from bnntrain.steps.streams import find_streams

_KINDS: dict[str, type[Step]] = {
    "dense": DenseStep, "conv": ConvStep, "residual": ResidualStep, "real_conv": RealConvStep,
    "stem": StemStep, "head": HeadStep,
}  # fmt: skip


def make_steps(graph: Graph, methods: LayerMethods) -> list[Step]:
    """Make a step of every sequence of operations that runs as one.

    Parameters
    ----------
    graph : Graph
        The network, for samples of one size.
    methods : LayerMethods
        Representations of its tensors.

    Returns
    -------
    list of Step
        In the order in which their forward passes run.
    """
    fused = graph.fused()
    order = Order(fused)
    streams = find_streams(fused, order)
    steps: dict[str, Step] = {}  # by the tensor that they make
    for one in fused:
        producer, method = steps.get(one.input.name), methods.of(one.product.layer)
        steps[one.output.name] = _KINDS[one.kind](one, order, method, producer, streams)
    return list(steps.values())
