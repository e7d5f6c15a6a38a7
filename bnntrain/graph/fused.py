"""Operations that run as one step: what such a sequence reads, writes and weighs.

Which sequences there are is in `bnntrain.graph.fusion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from bnntrain.graph.batch_norm import BatchNorm
from bnntrain.graph.operation import Operation
from bnntrain.graph.pool import Pool
from bnntrain.graph.product import Product
from bnntrain.graph.relu import Relu
from bnntrain.graph.tensor import PIXELS, SIGNS, Size, Tensor

POOLS = {
    "none": (None, 0),
    "before_norm": ("max_pool", 1),
    "before_sign": ("max_pool", 2),
    "after_sign": ("max_pool", 3),
    "average_before_norm": ("avg_pool", 1),
}
"""What a step does of pooling, as kernels call it: kind of layer and its place in the sequence. In
the order of ``enum bnn_pool``."""

_LARGEST_PIXEL = 128


@dataclass(frozen=True)
class Fused:
    """Operations that run as one step.

    Attributes
    ----------
    operations : tuple of Operation
        In their order.
    """

    kind: ClassVar[str]
    """What kind of step runs it."""

    operations: tuple[Operation, ...]

    @property
    def name(self) -> str:
        """What the step and its buffers are called: ``conv1``, ``dense2``."""
        return self.product.name

    @property
    def product(self) -> Product:
        """The operation with weights."""
        return next(each for each in self.operations if isinstance(each, Product))

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """All tensors that the step reads, each once, `input` first."""
        own = {each.output for each in self.operations}
        read = (tensor for each in self.operations for tensor in each.inputs)
        return tuple(dict.fromkeys(tensor for tensor in read if tensor not in own))

    @property
    def input(self) -> Tensor:
        """What the first operation reads."""
        return self.operations[0].input

    @property
    def output(self) -> Tensor:
        """What it writes: the last tensor, as the next step reads it."""
        return self.operations[-1].output

    @property
    def reads_pixels(self) -> bool:
        """Whether the input are int8 samples."""
        return self.input.form.kind == PIXELS

    @property
    def result(self) -> Size:
        """Height, width and channels of the output before it is flattened."""
        last = self.operations[-1]
        return (last.input if self.is_flattened else last.output).size

    @property
    def is_binary(self) -> bool:
        """Whether its weights are binary."""
        return self.product.is_binary

    @property
    def is_binarised(self) -> bool:
        """Whether the output are signs."""
        return self.output.form.kind == SIGNS

    @property
    def is_flattened(self) -> bool:
        """Whether positions are one behind the other in the output."""
        return self.operations[-1].kind == "flatten"

    @property
    def pool(self) -> str:
        """What it does of pooling among its products, norm and sign, a key of `POOLS`."""
        return "none"

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.product.channels

    @property
    def terms(self) -> int:
        """Inputs times weights that one value of y is the sum of."""
        return self.product.fan_in

    @property
    def norms(self) -> tuple[BatchNorm, ...]:
        """All batch norms."""
        return tuple(each for each in self.operations if isinstance(each, BatchNorm))

    @property
    def norm(self) -> BatchNorm | None:
        """The batch norm of the product, the first; None if there is none."""
        return next(iter(self.norms), None)


class FusedBinary(Fused):
    """A product with binary weights and batch norm, and what stands around them."""

    @property
    def pool(self) -> str:
        """What it does of pooling, a key of `POOLS`."""
        found = {(each.kind, place) for place, each in enumerate(self.operations)}
        return next((name for name, pool in POOLS.items() if pool in found), "none")

    @property
    def terms(self) -> int:
        """Inputs times weights that one value of y is the sum of; a pool adds several up."""
        added = [each.adds for each in self.before_norm if isinstance(each, Pool)]
        return self.product.fan_in * prod(added)

    @property
    def largest(self) -> int:
        """Largest magnitude of y as batch norm sees it."""
        return self.terms * (_LARGEST_PIXEL if self.reads_pixels else 1)

    @property
    def sign_lines(self) -> tuple[int, int]:
        """Rows and columns of the packed signs of W: of an image of signs a row for every tap."""
        taps = 1 if self.reads_pixels else self.product.taps
        return self.channels * taps, self.product.fan_in // taps

    @property
    def before_norm(self) -> tuple[Operation, ...]:
        """What stands before the batch norm."""
        return self.operations[: self.operations.index(self.norm)]


class FusedDense(FusedBinary):
    """Dense layer, batch norm, and, but for the last one, sign."""

    kind = "dense"


class FusedConv(FusedBinary):
    """Convolution, batch norm and sign, a pool among them, and flatten."""

    kind = "conv"


class FusedResidual(FusedBinary):
    """Sign of a real stream, convolution, batch norm, and addition."""

    kind = "residual"

    @property
    def addend(self) -> Tensor:
        """What the batch norm's output is added to: what the shortcut makes."""
        return self.operations[-1].inputs[1]

    @property
    def is_identity(self) -> bool:
        """Whether that is the stream which the sign reads."""
        return self.addend == self.input


class FusedRealConv(Fused):
    """Real convolution and batch norm, of pixels or in a shortcut, there also of averages."""

    kind = "real_conv"

    @property
    def pooled(self) -> int:
        """Side of the windows whose averages it reads; 1 without pooling."""
        first = self.operations[0]
        return first.options.size if isinstance(first, Pool) else 1


class FusedStem(Fused):
    """How networks for large images begin: real convolution, batch norm, overlapping max-pool."""

    kind = "stem"

    @property
    def has_relu(self) -> bool:
        """Whether values below 0 count as 0 before they are pooled."""
        return any(isinstance(each, Relu) for each in self.operations)

    @property
    def has_second_norm(self) -> bool:
        """Whether what is pooled is normalised again."""
        return isinstance(self.operations[-1], BatchNorm)

    @property
    def pool_padding(self) -> tuple[int, int]:
        """Rows and columns of the first window of the pool that lie outside."""
        pool = next(each for each in self.operations if isinstance(each, Pool))
        top, left = (
            max((after - 1) * pool.options.stride + pool.options.size - before, 0) // 2
            for before, after in zip(pool.input.size[:2], pool.output.size[:2], strict=True)
        )
        return top, left


class FusedHead(Fused):
    """Global average pooling and the real dense layer that makes scores."""

    kind = "head"

    @property
    def has_relu(self) -> bool:
        """Whether values below 0 count as 0."""
        return isinstance(self.operations[0], Relu)
