"""Which sequences of operations have kernels that run them as one step.

A product, the norm behind it, the sign and a pool among them share every tile of y, so that y
never exists as a whole (see `kernels/dense/dense.h` and `kernels/conv/conv.h`). This is the only
place that knows which sequences there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product as choices

from bnntrain.graph.fused import (
    POOLS,
    Fused,
    FusedConv,
    FusedDense,
    FusedHead,
    FusedRealConv,
    FusedResidual,
    FusedStem,
)
from bnntrain.graph.operation import Operation
from bnntrain.graph.tensor import PIXELS, SIGNS, STREAM

Words = tuple[str, ...]
"""A sequence of operations, by `Operation.word`."""

NETWORK, RESIDUAL, SHORTCUT = "network", "residual", "shortcut"
"""Lists of layers: a model's own, the layers of a residual, its shortcut."""


@dataclass(frozen=True)
class Pattern:
    """Sequences that one kind of step runs.

    Attributes
    ----------
    fused : type of Fused
        What they become.
    where : str
        The list in which they stand.
    reads : tuple of str
        Kinds of the tensor that the first operation reads.
    words : tuple of str
        Operations in their order, of several with ``|`` one, those with ``?`` where they are
        wanted; of pools only one.
    """

    fused: type[Fused]
    where: str
    reads: tuple[str, ...]
    words: Words

    @cached_property
    def sequences(self) -> list[Words]:
        """Every sequence that it stands for."""
        found = [sum(chosen, ()) for chosen in choices(*map(_alternatives, self.words))]
        pools = {kind for kind, _ in POOLS.values()}
        return [each for each in found if sum(word in pools for word in each) <= 1]


def _alternatives(word: str) -> list[Words]:
    kinds = [(kind,) for kind in word.rstrip("?").split("|")]
    return [(), *kinds] if word.endswith("?") else kinds


PATTERNS = (
    Pattern(FusedDense, NETWORK, (PIXELS, SIGNS), ("dense", "batch_norm", "sign?")),
    Pattern(FusedConv, NETWORK, (PIXELS, SIGNS), (
        "conv", "max_pool|avg_pool?", "batch_norm", "max_pool?", "sign", "max_pool?", "flatten?",
    )),
    Pattern(FusedRealConv, NETWORK, (PIXELS,), ("real_conv", "batch_norm")),
    Pattern(FusedStem, NETWORK, (PIXELS,), (
        "real_conv", "batch_norm", "relu?", "max_pool_3", "batch_norm?",
    )),
    Pattern(FusedRealConv, SHORTCUT, (STREAM,), ("avg_pool?", "real_conv", "batch_norm")),
    Pattern(FusedResidual, RESIDUAL, (STREAM,), ("sign", "conv", "batch_norm", "add")),
    Pattern(FusedHead, NETWORK, (STREAM,), ("relu?", "global_avg_pool", "real_dense")),
)  # fmt: skip
"""All of them. The ``add`` of a residual follows its layers."""

_SEQUENCES = [(pattern, each) for pattern in PATTERNS for each in pattern.sequences]


def extend(groups: Iterable[Words], word: str, where: str, reads: str) -> frozenset[Words]:
    """Return what unfinished steps can be once another operation follows.

    Parameters
    ----------
    groups : iterable of tuple of str
        What the step that is not yet finished can have been so far; an empty one begins a list.
    word : str
        The operation that follows.
    where : str
        The list; a residual's two are of one step each.
    reads : str
        Kind of the tensor that the operation reads.

    Returns
    -------
    frozenset of tuple of str
        The same with it: steps go on, or the next begins with it. Empty where no kernel runs it.
    """
    found = {(*group, word) for group in groups}
    if where == NETWORK and is_complete(groups, where):
        found.add((word,))
    known = [(pattern, each) for pattern, each in _SEQUENCES if pattern.where == where]
    return frozenset(
        group for group in found
        if any(
            each[: len(group)] == group and (len(group) > 1 or reads in pattern.reads)
            for pattern, each in known
        )
    )


def is_complete(groups: Iterable[Words], where: str) -> bool:
    """Whether all operations so far can be finished steps, see `extend`."""
    known = {sequence for pattern, sequence in _SEQUENCES if pattern.where == where}
    return any(not group or group in known for group in groups)


def fuse(operations: Sequence[Operation]) -> list[Fused]:
    """Cut a graph's operations into steps, each as long as it can be."""
    words, found, start = tuple(each.word() for each in operations), [], 0
    while start < len(words):
        fits = [
            (len(each), pattern.fused) for pattern, each in _SEQUENCES
            if words[start : start + len(each)] == each
        ]
        length, fused = max(fits, key=lambda fit: fit[0])
        found.append(fused(operations[start : start + length]))
        start += length
    return found
