"""A network as a graph: operations with named tensors, and the sequences that run as one step.

``summary``, ``plan``, the published accounting and the checks of models read what operations state
of themselves here; nothing else knows kinds of layers.
"""

from bnntrain.graph.build import Graph, LayerSpec, OrderError, build_graph, check_order
from bnntrain.graph.fusion import PATTERNS, POOLS, Fused
from bnntrain.graph.operation import Operation, Options, Published, ShapeError
from bnntrain.graph.operations import OPERATIONS
from bnntrain.graph.product import Product, ProductOptions
from bnntrain.graph.representation import Representation
from bnntrain.graph.tensor import PIXELS, PRODUCTS, REAL, SIGNS, Form, Size, Tensor

__all__ = [
    "OPERATIONS",
    "PATTERNS",
    "PIXELS",
    "POOLS",
    "PRODUCTS",
    "REAL",
    "SIGNS",
    "Form",
    "Fused",
    "Graph",
    "LayerSpec",
    "Operation",
    "Options",
    "OrderError",
    "Product",
    "ProductOptions",
    "Published",
    "Representation",
    "ShapeError",
    "Size",
    "Tensor",
    "build_graph",
    "check_order",
]
