"""A network as a graph: operations with named tensors, and the sequences that run as one step.

``summary``, ``plan``, the published accounting and the checks of models read what operations state
of themselves here; nothing else knows kinds of layers.
"""

from bnntrain.graph.build import Graph, build_graph
from bnntrain.graph.fused import (
    POOLS,
    Fused,
    FusedBinary,
    FusedHead,
    FusedRealConv,
    FusedResidual,
    FusedStem,
)
from bnntrain.graph.items import (
    LAYERS,
    SHORTCUT,
    Item,
    Items,
    LayerError,
    LayerSpec,
    OrderError,
    Repeat,
    Residual,
    ShapeError,
    inner_list,
    items_by_place,
    map_layers,
    unfolded,
)
from bnntrain.graph.operation import Operation, Options, Published
from bnntrain.graph.operations import OPERATIONS, operation_of
from bnntrain.graph.order import check_order
from bnntrain.graph.product import Product, ProductOptions
from bnntrain.graph.representation import Representation
from bnntrain.graph.tensor import MEANS, PIXELS, PRODUCTS, REAL, SIGNS, STREAM, Form, Size, Tensor

__all__ = [
    "LAYERS",
    "MEANS",
    "OPERATIONS",
    "PIXELS",
    "POOLS",
    "PRODUCTS",
    "REAL",
    "SHORTCUT",
    "SIGNS",
    "STREAM",
    "Form",
    "Fused",
    "FusedBinary",
    "FusedHead",
    "FusedRealConv",
    "FusedResidual",
    "FusedStem",
    "Graph",
    "Item",
    "Items",
    "LayerError",
    "LayerSpec",
    "Operation",
    "Options",
    "OrderError",
    "Product",
    "ProductOptions",
    "Published",
    "Repeat",
    "Representation",
    "Residual",
    "ShapeError",
    "Size",
    "Tensor",
    "build_graph",
    "check_order",
    "inner_list",
    "items_by_place",
    "map_layers",
    "operation_of",
    "unfolded",
]
