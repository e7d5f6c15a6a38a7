"""The memory plan: every buffer of a run, and where in the arena it lies.

The plan is made before anything is allocated and *is* the allocator: `bnntrain.arena` takes exactly
`Plan.total_bytes` in one piece and gives out views at the planned offsets. Buffers whose lifetimes
do not meet share bytes.

Source: greedy placement by size and by breadth as in Pisarchyk & Lee, arXiv 2001.03288; the better
one counts.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from bnntrain.errors import MemoryLimitError
from bnntrain.steps import READ, ROLES, Buffer

if TYPE_CHECKING:
    from bnntrain.steps import Step

ALIGNMENT = 64
"""Every buffer starts on a multiple of this many bytes (a cache line; the widest vector)."""

MIB = 1 << 20
SMALLEST_BATCH = 2
"""Batch norm of one sample is constant."""

_LARGEST_BATCH = 65_536
_FOR_GOOD = 1 << 62


@dataclass(frozen=True)
class Placed:
    """A buffer and its place.

    Attributes
    ----------
    buffer : Buffer
        What it is.
    offset : int
        First byte in the arena, a multiple of `ALIGNMENT`.
    """

    buffer: Buffer
    offset: int

    @property
    def end(self) -> int:
        """Byte after its last."""
        return self.offset + self.buffer.bytes


@dataclass(frozen=True)
class Layout:
    """Buffers and where they lie: of training (`Plan`) or of inference.

    Attributes
    ----------
    batch_size, threads : int
        What it was made for.
    placed : tuple of Placed
        Buffers in the order in which they were asked for.
    total_bytes : int
        Size of the arena.
    """

    batch_size: int
    threads: int
    placed: tuple[Placed, ...]
    total_bytes: int


@dataclass(frozen=True)
class Plan(Layout):
    """All buffers of a run."""

    def by_role(self) -> dict[str, int]:
        """Bytes by role, for every role of `ROLES`, as if nothing were shared.

        The sum exceeds `total_bytes` by what sharing saves, see `shared_bytes`.
        """
        sums = dict.fromkeys(ROLES, 0)
        for item in self.placed:
            sums[item.buffer.role] += _aligned(item.buffer.bytes)
        return sums

    @property
    def kept(self) -> tuple[Placed, ...]:
        """What must not be overwritten between one step and the next."""
        return tuple(item for item in self.placed if item.buffer.is_kept)

    @property
    def shared_bytes(self) -> int:
        """Bytes saved by buffers that lie in the same place at different times."""
        return sum(self.by_role().values()) - self.total_bytes

    def to_json(self) -> list[dict[str, object]]:
        """List the buffers as ``plan --json`` and ``plan.json`` show them."""
        return [
            {
                "name": p.buffer.name,
                "role": p.buffer.role,
                "layer": p.buffer.layer,
                "shape": list(p.buffer.shape),
                "bits": p.buffer.bits,
                "first_use": p.buffer.first_use,
                "last_use": p.buffer.last_use,
                "offset": p.offset,
                "bytes": p.buffer.bytes,
            }
            for p in self.placed
        ]


def make_plan(steps: Sequence[Step], batch_size: int, threads: int) -> Plan:
    """Lay out a training step.

    Parameters
    ----------
    steps : sequence of Step
        The network.
    batch_size, threads : int
        Samples per step; threads with scratch of their own.

    Returns
    -------
    Plan
    """
    from bnntrain.steps import shared_buffers  # of training: classifying does without

    first, order = steps[0], steps[0].order
    sample, read = (batch_size, first.inputs), (READ, *order.reads(first.fused.input))
    scratch = max(step.scratch_bytes(batch_size, threads) for step in steps)
    scratch = _aligned(scratch)
    # The logits' gradient is made from the labels at the time of the loss.
    common = [
        Buffer("batch.x", "input", "all", sample, "int8", min(read), max(read)),
        Buffer("batch.labels", "input", "all", (batch_size,), "uint16", READ, order.loss),
        Buffer("scratch", "scratch", "all", (threads, scratch), "uint8", 0, order.end),
    ]
    shared = shared_buffers(steps, batch_size)
    own = [buffer for step in steps for buffer in step.buffers(batch_size, threads)]
    placed, total = place(common + shared + own)
    return Plan(batch_size, threads, placed, total)


def place(
    buffers: Sequence[Buffer], around: Sequence[Placed] = ()
) -> tuple[tuple[Placed, ...], int]:
    """Give every buffer an offset such that no two live at the same time overlap.

    Each takes the lowest offset that is free for its whole lifetime, largest first. In a second
    attempt those that are in use at the fullest moment go below the others, the longest-lived
    first, so that what is short-lived fills gaps; the smaller arena wins.

    Parameters
    ----------
    buffers : sequence of Buffer
        What has no place yet.
    around : sequence of Placed
        What has one already, and keeps it for good.

    Returns
    -------
    placed : tuple of Placed
        In the order of `buffers`.
    total : int
        Bytes of the arena, a multiple of `ALIGNMENT`.
    """
    numbers = range(len(buffers))
    by_size = sorted(numbers, key=lambda i: (-buffers[i].bytes, buffers[i].first_use, i))
    fullest = _fullest_moment(buffers)

    def by_use(i: int) -> tuple[bool, int]:
        first, last = buffers[i].first_use, buffers[i].last_use
        return not first <= fullest <= last, first - last

    taken = sorted((item.offset, _aligned(item.end), 0, _FOR_GOOD) for item in around)
    orders = by_size, sorted(by_size, key=by_use)
    attempts = [_place_in(order, buffers, list(taken)) for order in orders]
    return min(attempts, key=lambda attempt: attempt[1])


def _fullest_moment(buffers: Sequence[Buffer]) -> int:
    """Return the first time at which as many bytes are in use as ever."""
    change: dict[int, int] = defaultdict(int)
    for buffer in buffers:
        change[buffer.first_use] += _aligned(buffer.bytes)
        change[buffer.last_use + 1] -= _aligned(buffer.bytes)
    times = sorted(change)
    in_use = accumulate(change[time] for time in times)
    return max(zip(in_use, times, strict=True), key=lambda at: at[0], default=(0, 0))[1]


_Taken = list[tuple[int, int, int, int]]  # first byte, byte behind the last, first and last use


def _place_in(
    order: Sequence[int], buffers: Sequence[Buffer], taken: _Taken
) -> tuple[tuple[Placed, ...], int]:
    """Place buffers one after the other, given as positions in `buffers`."""
    # Searching for the largest batch places hundreds of times: what is placed stays sorted.
    offsets = {}
    for i in order:
        size, first, last = buffers[i].bytes, buffers[i].first_use, buffers[i].last_use
        offset = 0
        for begin, end, other_first, other_last in taken:
            if other_first > last or first > other_last:
                continue
            if offset + size <= begin:
                break
            if end > offset:
                offset = end
        offsets[i] = offset
        insort(taken, (offset, _aligned(offset + size), first, last))
    placed = tuple(Placed(buffer, offsets[i]) for i, buffer in enumerate(buffers))
    return placed, max((end for _, end, _, _ in taken), default=0)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def largest_batch(total_bytes: Callable[[int], int], limit: int, most: int = _LARGEST_BATCH) -> int:
    """Find the largest batch whose plan fits.

    Parameters
    ----------
    total_bytes : callable
        Arena bytes of a batch size.
    limit : int
        Bytes available.
    most : int
        Largest batch to consider.

    Returns
    -------
    int
        At least `SMALLEST_BATCH`. Placement may waste some bytes more or less from one size to the
        next, so that a slightly larger batch may fit as well.

    Raises
    ------
    MemoryLimitError
        Not even `SMALLEST_BATCH` fits.
    """
    smallest = total_bytes(SMALLEST_BATCH)
    if smallest > limit:
        raise MemoryLimitError(
            f"a limit of {limit:,} bytes is too small: this model needs {smallest:,} bytes with "
            f"batch size {SMALLEST_BATCH}. Give a larger limit, a smaller model or "
            "'--method efficient'"
        )
    low, high = SMALLEST_BATCH, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        if total_bytes(middle) <= limit:
            low = middle
        else:
            high = middle
    return low
