"""A call of a kernel, and what one pass over a block asks for: calls and memory traffic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

GROUP = 16
"""Depths of a look-up group (BNN_LOOKUP_GROUP)."""

_PRODUCT = ("rows", "columns", "depth")
SIZES: dict[str, tuple[str, ...]] = {
    "xnor_gemm_u1_i32": _PRODUCT,
    "gemm_i8_u1_i32": (*_PRODUCT, "reuse"),
    "gemm_i8_i8_i32": (*_PRODUCT, "reuse"),
    "lookup_gemm_i32": ("rows", "columns", "taps", "groups", "add"),
    "lookup_tables_i8": ("rows", "depth"),
    "lookup_lay_u1": ("depth", "columns"),
    "softmax_f32": ("rows", "classes"),
    "quantise_f32_i8": ("count",),
    "adam_f32": ("count",),
}
"""Parameters of an operation, as its C header names them, that a `Call` gives in this order; those
of the operations that are not listed are ``rows`` and ``columns``."""

_ELEMENT = ("rows", "columns")


@dataclass(frozen=True)
class Call:
    """One call of a kernel: the operation, and its sizes in the order of `sizes_of`."""

    op: str
    sizes: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates; 0 for what is no product."""
        if self.op == "lookup_gemm_i32":
            rows, columns, taps, groups, _ = self.sizes
            return rows * columns * taps * groups * GROUP
        if "gemm" in self.op:
            rows, columns, depth = self.sizes[:3]
            return rows * columns * depth
        return 0

    @property
    def work(self) -> int:
        """Multiply-accumulates of a product, otherwise the values that it works on."""
        if self.macs:
            return self.macs
        count = 1
        for size in self.sizes:
            count *= size
        return count


@dataclass(frozen=True)
class Traffic:
    """An array that a pass goes over: its bytes, and the bytes of it that the pass moves."""

    size: int
    moved: int


@dataclass
class Pass:
    """One pass over the data of a block, or what one loop does for it under one name.

    Attributes
    ----------
    layer : str
        Name of the block; ``all`` for the loss.
    name : str
        What its time is measured as: a phase of `bnntrain.kernels.PHASES`, or ``loss``. A block
        may have several passes of one name.
    calls : Counter of Call
        What it asks of the kernels, on all threads together.
    traffic : list of Traffic
        The arrays of the arena that it reads or writes. Scratch of a thread counts as cached.
    units : int
        Equal pieces that threads share; 0 where there are many more than threads.
    """

    layer: str
    name: str
    calls: Counter[Call] = field(default_factory=Counter)
    traffic: list[Traffic] = field(default_factory=list)
    units: int = 0

    def add(self, op: str, *sizes: int, times: int = 1) -> None:
        """Count calls."""
        if times:
            self.calls[Call(op, sizes)] += times

    def stream(self, size: int, times: float = 1) -> None:
        """Count an array of `size` bytes that is gone over `times` times."""
        self.traffic.append(Traffic(size, int(size * times)))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all calls."""
        return sum(call.macs * times for call, times in self.calls.items())

    def bytes_beyond(self, cache: int) -> int:
        """Bytes moved of arrays that are larger than a cache of `cache` bytes."""
        return sum(t.moved for t in self.traffic if t.size > cache)


def sizes_of(op: str) -> tuple[str, ...]:
    """Return the names of the parameters whose values are the sizes of a `Call`."""
    return SIZES.get(op, _ELEMENT)
