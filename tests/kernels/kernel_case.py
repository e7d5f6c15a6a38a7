"""One case per operation: operands in every memory layout, and what must be in them afterwards.

A case passes its arrays by name, so that tests can also damage them one at a time. `CASES` has
every operation of the build, from the case files of the folders; a test fails when one is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import kernel_oracles as oracle
import numpy as np
import pytest
from kernel_oracles import F32

from bnntrain import kernels


@dataclass(frozen=True)
class Layout:
    """Elements left free in front of an array, behind each of its rows and behind all of them.

    Dense arrays end where their memory ends: an address sanitiser sees what is read past them.
    """

    offset: int
    gap: int
    tail: int


LAYOUTS = {"dense": Layout(0, 0, 0), "unaligned": Layout(1, 0, 3), "strided": Layout(3, 5, 3)}

CASES: dict[str, Callable[[Case], None]] = {}


def case(builder: Callable[[Case], None]) -> Callable[[Case], None]:
    """Enter a builder under the name of its operation."""
    CASES[builder.__name__] = builder
    return builder


@dataclass
class Case:
    """Operands of one call and its results.

    Attributes
    ----------
    operands : dict
        Arrays by parameter name; views into `memory`.
    options : dict
        The other arguments.
    expected : dict
        Contents of arrays after the call; those not named must be unchanged.
    tolerance : dict
        Absolute error allowed in an array; 0 if not named.
    returned : object
        What the call returns.
    private : set
        Operands in a layout of the instruction set's own. Where they are results, what is expected
        of them is None, and `verify` sees to them.
    prepare, verify : callable, optional
        Called with the instruction set before every call, and after a checked one.
    """

    op: str
    rows: int = 3
    columns: int = 65
    depth: int = 65
    layout: Layout = LAYOUTS["dense"]
    seed: int = 0
    extreme: bool = False
    operands: dict[str, np.ndarray] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    expected: dict[str, np.ndarray] = field(default_factory=dict)
    tolerance: dict[str, float] = field(default_factory=dict)
    returned: object = None
    private: set[str] = field(default_factory=set)
    prepare: Callable[[str | None], None] | None = None
    verify: Callable[[str | None], None] | None = None
    memory: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        CASES[self.op](self)

    @property
    def tile(self) -> tuple[int, int]:
        """Shape of a tile."""
        return self.rows, self.columns

    def place(self, name: str, values: np.ndarray) -> np.ndarray:
        """Put an operand into memory of its own, with random bytes around it."""
        lines, width = values.shape if values.ndim == 2 else (1, values.size)
        stride = width + (self.layout.gap if values.ndim == 2 else 0)
        count = self.layout.offset + lines * stride + self.layout.tail
        noise = self.random.integers(0, 256, count * values.itemsize, dtype=np.uint8)
        self.memory[name] = noise.view(values.dtype)
        inside = self.memory[name][self.layout.offset : self.layout.offset + lines * stride]
        view = inside.reshape(lines, stride)[:, :width]
        view[...] = values.reshape(lines, width)
        self.operands[name] = view if values.ndim == 2 else inside
        return values

    def place_lines(self, name: str, shape: tuple[int, ...], *, written: bool = False) -> None:
        """Put bytes of a private layout into memory of their own, rows on whole lines of 64."""
        lines, width = shape if len(shape) == 2 else (1, *shape)
        stride = width + (64 * self.layout.gap if len(shape) == 2 else 0)
        first = 64 * self.layout.offset
        memory = aligned_bytes((first + lines * stride + self.layout.tail,))
        memory[:] = self.random.integers(0, 256, memory.size, dtype=np.uint8)
        self.memory[name] = memory
        inside = memory[first : first + lines * stride].reshape(lines, stride)[:, :width]
        self.operands[name] = inside if len(shape) == 2 else inside[0]
        self.private.add(name)
        if written:
            self.expected[name] = None

    def integers(
        self, name: str, shape: tuple[int, ...], dtype: type, low: int, high: int
    ) -> np.ndarray:
        """Place integers of low ... high; nothing but those two in an extreme case."""
        if self.extreme:
            values = self.random.choice([low, high], shape)
        else:
            values = self.random.integers(low, high, shape, endpoint=True)
        return self.place(name, values.astype(dtype))

    def reals(
        self, name: str, shape: tuple[int, ...], scale: float = 1.0, dtype: type = F32
    ) -> np.ndarray:
        """Place normally distributed numbers."""
        return self.place(name, (self.random.standard_normal(shape) * scale).astype(dtype))

    def bits(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Place packed random bits; return them unpacked."""
        bits = self.random.random((rows, columns)) < (0.95 if self.extreme else 0.5)
        self.place(name, oracle.pack(bits))
        return bits

    def output(self, name: str, values: np.ndarray, dtype: type, tolerance: float = 0.0) -> None:
        """Expect values in an operand; it is placed with other contents if it is not there yet."""
        if name not in self.operands:
            self.place(name, np.zeros(np.shape(values), dtype))
            self.operands[name][...] = self.random.integers(0, 100, np.shape(values))
        self.expected[name] = np.asarray(values).astype(dtype)
        self.tolerance[name] = tolerance

    def touch(self, name: str, values: np.ndarray, level: np.ndarray) -> None:
        """Put a third of an operand's values onto a level, in `values` and in the operand."""
        np.copyto(values, level, where=self.random.random(values.shape) < 1 / 3)
        self.operands[name][...] = values

    def stride(self, name: str) -> int:
        """Return elements from row to row, as the binding sees it."""
        array = self.operands[name]
        return array.strides[0] // array.itemsize if len(array) > 1 else array.shape[1]

    def run(self, isa: str | None) -> object:
        """Call the operation on the operands."""
        if self.prepare:
            self.prepare(isa)
        return getattr(kernels, self.op)(**self.operands, **self.options, isa=isa)

    def check(self, isa: str) -> None:
        """Run, then compare results, untouched operands and the memory around all of them."""
        if self.prepare:
            self.prepare(isa)
        around = {
            name: _surroundings(memory, self.operands[name]) for name, memory in self.memory.items()
        }
        before = {name: array.copy() for name, array in self.operands.items()}
        returned = self.run(isa)
        if self.returned is not None:
            assert returned == self.returned
        for name, array in self.operands.items():
            wanted = self.expected.get(name, before[name])
            if wanted is None:
                pass
            elif self.tolerance.get(name):
                np.testing.assert_allclose(
                    array, wanted, rtol=0, atol=self.tolerance[name], err_msg=name
                )
            else:
                np.testing.assert_array_equal(array, wanted, err_msg=name, strict=True)
            assert _surroundings(self.memory[name], array) == around[name], (
                f"{name}: written outside"
            )
        if self.verify:
            self.verify(isa)


def aligned_bytes(shape: tuple[int, ...]) -> np.ndarray:
    """Return bytes that start at an address divisible by 64."""
    octets = np.empty(math.prod(shape) + 63, np.uint8)
    first = -octets.ctypes.data % 64
    return octets[first : first + math.prod(shape)].reshape(shape)


def _surroundings(memory: np.ndarray, view: np.ndarray) -> bytes:
    """Return the bytes of memory that are not the view's."""
    flags = np.zeros(memory.size * memory.itemsize, dtype=bool)
    first = view.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    strides = (*view.strides, 1)
    where = np.lib.stride_tricks.as_strided(flags[first:], (*view.shape, view.itemsize), strides)
    where[...] = True
    return memory.view(np.uint8)[~flags].tobytes()


def supported(op: str) -> list[str]:
    """Return the instruction sets with an implementation of their own that this machine runs."""
    machine = kernels.supported_isas()
    return [isa for name, isa in kernels.implementations() if name == op and isa in machine]


def each_isa(op: str) -> pytest.MarkDecorator:
    """Parametrise a test over the implementations of one operation."""
    return pytest.mark.parametrize("isa", supported(op))
