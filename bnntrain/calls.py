"""What a training step asks of the kernels: every call, with its sizes and how often.

The step runs over kernels that note how they are called and compute nothing (kernels/counting), so
that nothing here knows what a step does. A step that is not the run's first, which also measures
scales.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from bnntrain import kernels
from bnntrain.evaluation import make_program
from bnntrain.preparation import Prepared
from bnntrain.program import Program
from bnntrain.steps import SECOND

_SIZES = kernels.call_sizes()
_MULTIPLIED = ("rows", "columns", "depth", "taps", "groups")
_KNOWN = (".gamma", f".{SECOND}gamma", ".scales", "_scale")
"""Ends of the names of buffers whose values decide on what a step calls."""
_NOT_AGAIN = 2**63
"""Size of what is gone over for the first time, or after too long: only its array's counts."""


@dataclass(frozen=True)
class Call:
    """One call of a kernel: the operation, and its sizes in the order of `sizes_of`."""

    op: str
    sizes: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates; 0 for what is no product."""
        if "gemm" not in self.op:
            return 0
        named = dict(zip(sizes_of(self.op), self.sizes, strict=True))
        unit = kernels.LOOKUP_GROUP if "groups" in named else 1
        return unit * math.prod(named[name] for name in _MULTIPLIED if name in named)


def sizes_of(op: str) -> tuple[str, ...]:
    """Return the names of the parameters whose values are the sizes of a `Call`."""
    return _SIZES[op]


@dataclass(frozen=True)
class Traffic:
    """Bytes that a pass moves, and how large the array is that they belong to.

    An array's part that comes again before as much else was gone over counts as no larger than
    that.
    """

    size: int
    moved: int


@dataclass
class Pass:
    """What a step does under one name.

    Attributes
    ----------
    layer : str
        Name of the step; ``all`` for the loss.
    name : str
        What its time is measured as: a zone of `bnntrain.kernels.ZONES`, or ``loss``.
    shares : dict of int to Counter of Call
        What each thread's share of it asks of the kernels; the first does what is not shared, too.
    traffic : list of Traffic
        Of the arena, as far as kernels go over it. Scratch of a thread counts as cached.
    """

    layer: str
    name: str
    shares: dict[int, Counter[Call]] = field(default_factory=dict)
    traffic: list[Traffic] = field(default_factory=list)

    @property
    def calls(self) -> Counter[Call]:
        """What all shares ask for together."""
        return sum(self.shares.values(), Counter())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all calls."""
        return sum(call.macs * times for call, times in self.calls.items())

    def bytes_beyond(self, cache: int) -> int:
        """Bytes moved that a cache of `cache` bytes does not hold."""
        return sum(t.moved for t in self.traffic if t.size > cache)


def count_step(prepared: Prepared) -> list[Pass]:
    """Count a training step of a configuration.

    Parameters
    ----------
    prepared : Prepared
        Its steps and plan. Threads share the work as the plan says, on any machine.

    Returns
    -------
    list of Pass
        In the order in which they begin.

    Raises
    ------
    MemoryLimitError
        The system does not give the arena's addresses. Few of its pages are used.
    """
    return count_calls(make_program(prepared, kernels.COUNTING))


def count_calls(program: Program) -> list[Pass]:
    """Count a training step of a program that was made for the set `kernels.COUNTING`."""
    for name, view in program.arena.views.items():
        # As a step leaves them: scales are known, and no gamma is 0, which is a case of its own.
        if name.endswith(_KNOWN):
            view[...] = 1
    seconds = program.profile(True)
    kernels.start_counting(program.arena.whole, program.arena.views["scratch"])
    try:
        program.train_batch(len(program.x), 1, 0.0)
    finally:
        calls, moved = kernels.stop_counting()
        program.profile(False)
    return _passes(program, seconds, calls, moved)


def _passes(
    program: Program, seconds: np.ndarray, calls: Iterable[tuple], moved: Iterable[tuple]
) -> list[Pass]:
    # A zone is known by the place where its seconds are added up.
    names = {0: ("all", "loss")}
    for row, step in zip(seconds, program.steps, strict=True):
        names |= {
            row.ctypes.data + row.itemsize * place: (step.name, zone)
            for place, zone in enumerate(kernels.ZONES)
        }
    found: dict[tuple[str, str], Pass] = {}
    for zone, share, op, sizes, times in calls:
        one = found.setdefault(names[zone], Pass(*names[zone]))
        one.shares.setdefault(share, Counter())[Call(op, sizes)] += times
    for zone, traffic in _traffic(moved):
        found[names[zone]].traffic.append(traffic)
    return list(found.values())


def _traffic(moved: Iterable[tuple]) -> Iterable[tuple[int, Traffic]]:
    """Add up the shares of arrays, and yield zones and what they move."""
    arrays: dict[tuple, tuple[int, int, list[int]]] = {}
    for zone, op, array, low, high, levels in moved:
        key = zone, op, array
        if key in arrays:
            low, high = min(low, arrays[key][0]), max(high, arrays[key][1])
            levels = [a + b for a, b in zip(levels, arrays[key][2], strict=True)]
        arrays[key] = low, high, levels
    for (zone, _, _), (low, high, levels) in arrays.items():
        *again, fresh = levels
        for size, count in [*((2**level, n) for level, n in enumerate(again)), (_NOT_AGAIN, fresh)]:
            if count:
                yield zone, Traffic(min(size, high - low), count)
