"""Which sequences of operations have kernels that run them as one step.

A product, the norm behind it, the sign and a pool among them share every tile of y, so that y
never exists as a whole (see `kernels/dense/dense.h` and `kernels/conv/conv.h`). This is the only
place that knows which sequences there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product as choices
from math import prod

from bnntrain.graph.batch_norm import BatchNorm
from bnntrain.graph.operation import Operation
from bnntrain.graph.pool import Pool
from bnntrain.graph.product import Product
from bnntrain.graph.tensor import PIXELS, SIGNS, Size, Tensor

PATTERNS = {
    "dense": ("dense", "batch_norm", "sign?"),
    "conv": (
        "conv", "max_pool|avg_pool?", "batch_norm", "max_pool?", "sign", "max_pool?", "flatten?",
    ),
}  # fmt: skip
"""By the name of the step: operations in their order, of several with ``|`` one, those with ``?``
where they are wanted; of pools only one."""

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


def _sequences(pattern: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every sequence that a pattern stands for."""
    found = [sum(chosen, ()) for chosen in choices(*map(_alternatives, pattern))]
    pools = {kind for kind, _ in POOLS.values()}
    return [each for each in found if sum(kind in pools for kind in each) <= 1]


def _alternatives(word: str) -> list[tuple[str, ...]]:
    kinds = [(kind,) for kind in word.rstrip("?").split("|")]
    return [(), *kinds] if word.endswith("?") else kinds


_SEQUENCES = {kind: _sequences(pattern) for kind, pattern in PATTERNS.items()}


def extends(before: Sequence[str], kind: str) -> bool:
    """Whether a layer can go on with, or begin a step behind, layers that have steps so far."""
    group = last_group(before)
    if kind in _SEQUENCES:
        return not group or group in _SEQUENCES[group[0]]
    wanted = (*group, kind)
    return bool(group) and any(
        sequence[: len(wanted)] == wanted for sequence in _SEQUENCES[group[0]]
    )


def last_group(kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the layers from the last product on."""
    starts = [index for index, kind in enumerate(kinds) if kind in _SEQUENCES]
    return tuple(kinds[starts[-1] :]) if starts else ()


@dataclass(frozen=True)
class Fused:
    """Operations that run as one step.

    Attributes
    ----------
    operations : tuple of Operation
        In their order.
    """

    operations: tuple[Operation, ...]

    @property
    def name(self) -> str:
        """What the step and its buffers are called: ``conv1``, ``dense2``."""
        return self.operations[0].name

    @property
    def kind(self) -> str:
        """Key of `PATTERNS`."""
        return self.operations[0].kind

    @property
    def product(self) -> Product:
        """The operation with weights."""
        return self.operations[0]

    @property
    def input(self) -> Tensor:
        """What the step reads."""
        return self.operations[0].input

    @property
    def output(self) -> Tensor:
        """What it writes: the last tensor, as the next step reads it."""
        return self.operations[-1].output

    @property
    def reads_pixels(self) -> bool:
        """Whether the input are int8 samples, not signs."""
        return self.input.form.kind == PIXELS

    @property
    def terms(self) -> int:
        """Inputs times weights that one value of y, as batch norm sees it, is the sum of."""
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
    def result(self) -> Size:
        """Height, width and channels of the output before it is flattened."""
        last = self.operations[-1]
        return (last.input if last.kind == "flatten" else last.output).size

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
        """What it does of pooling, a key of `POOLS`."""
        found = {(each.kind, place) for place, each in enumerate(self.operations)}
        return next((name for name, pool in POOLS.items() if pool in found), "none")

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.product.channels

    @property
    def norm(self) -> BatchNorm:
        """The batch norm."""
        return next(each for each in self.operations if isinstance(each, BatchNorm))

    @property
    def before_norm(self) -> tuple[Operation, ...]:
        """The product and what stands between it and the batch norm."""
        return self.operations[: self.operations.index(self.norm)]


def fuse(operations: Sequence[Operation]) -> list[Fused]:
    """Cut a graph's operations into steps, at every product."""
    starts = [index for index, each in enumerate(operations) if each.kind in PATTERNS]
    ends = [*starts[1:], len(operations)]
    return [
        Fused(tuple(operations[start:end])) for start, end in zip(starts, ends, strict=True)
    ]
