"""A reader of pickled plain data that runs nothing and keeps no large array.

A pickle is a program for a stack machine. This machine knows the operations that build numbers,
text, lists, tuples and dicts, and the three names by which NumPy describes an array; whatever else
a file asks for is refused. Byte strings that are longer than 255 are left where they are: only
their place is kept, so that the pixels of an array can be read from there, piece by piece.

Source: operations as documented in Python's module ``pickletools``, protocols 2 to 4.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bnntrain.data.stream import Stream

_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_NAMES = {
    **{(module, "_reconstruct"): "array" for module in _MODULES},
    ("numpy", "ndarray"): "class",
    ("numpy", "dtype"): "dtype",
}
_LARGEST_STEPS = 4_000_000
# What faulty programs lead to.
_FAULTS = (IndexError, KeyError, ValueError, TypeError, AttributeError, struct.error)


@dataclass(frozen=True)
class Blob:
    """Bytes that were left where they are: `nbytes` from byte `offset` of the stream."""

    offset: int
    nbytes: int


@dataclass
class Array:
    """A NumPy array whose elements were left where they are.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
        Type as NumPy pickles it, without byte order: ``u1``, ``i8``, ...
    fortran_order : bool
    offset, nbytes : int
        Place of the elements in the stream.
    """

    shape: tuple[int, ...] = ()
    dtype: str = ""
    fortran_order: bool = False
    offset: int = 0
    nbytes: int = -1

    def __str__(self) -> str:
        """Name type and shape, for messages."""
        order = " in Fortran order" if self.fortran_order else ""
        return f"an array of type {self.dtype or 'unknown'} and shape {self.shape}{order}"


@dataclass(frozen=True)
class _Name:
    """One of the values of `_NAMES`."""

    kind: str


@dataclass(frozen=True)
class _Dtype:
    """A type in the making."""

    name: str


class _RefusedError(Exception):
    """A pickle that wants what plain data do not need."""


def read_pickle(stream: Stream) -> object:
    """Read one pickled value.

    Parameters
    ----------
    stream : Stream
        At its beginning; afterwards behind the value.

    Returns
    -------
    object
        None, bool, int, bytes, str, list, tuple and dict, `Array` and `Blob`.

    Raises
    ------
    DataError
        If the data are no pickle, cut off, or ask for anything but plain data.
    """
    machine = _Machine(stream)
    try:
        return machine.run()
    except _RefusedError as error:
        raise stream.error(f"{error}, expected plain data and NumPy arrays") from None
    except _FAULTS as error:
        message = str(error) or type(error).__name__
        raise stream.error(f"no valid pickle (byte {stream.offset}: {message})") from None


class _Machine:
    """Stack, marks and memory of one pickle."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._stack: list = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """Carry out operations up to the last one and return what it leaves."""
        for _ in range(_LARGEST_STEPS):
            code = self._take(1)[0]
            if code == _STOP:
                return self._stack.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise _RefusedError(f"needs the pickle operation 0x{code:02x}")
            operation(self)
        raise _RefusedError(f"takes more than {_LARGEST_STEPS} steps")

    # Reading ------------------------------------------------------------------------------------

    def _take(self, nbytes: int) -> bytes:
        data = self._stream.read(nbytes)
        if len(data) < nbytes:
            raise self._stream.truncated()
        return data

    def _number(self, form: str) -> int:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> str:
        line = bytearray()
        while (byte := self._take(1)) != b"\n":
            line += byte
            if len(line) > 255:
                raise ValueError("line too long")
        return line.decode("ascii")

    # Operations ---------------------------------------------------------------------------------

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _long_bytes(self, form: str) -> None:
        nbytes = self._number(form)
        if nbytes < 0:
            raise ValueError("negative length")
        blob = Blob(self._stream.offset, nbytes)
        self._stream.skip(nbytes)
        self._push(blob)

    def _text(self, form: str) -> None:
        nbytes = self._number(form)
        if nbytes > 65536:
            raise ValueError("text too long")
        self._push(self._take(nbytes).decode("utf-8", "surrogatepass"))

    def _long_integer(self) -> None:
        self._push(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def _integer_line(self) -> None:
        line = self._line()
        self._push({"00": False, "01": True}[line] if line in ("00", "01") else int(line))

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _since_mark(self) -> list:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _tuple(self, count: int) -> None:
        values = tuple(self._stack[len(self._stack) - count :])
        if len(values) != count:
            raise IndexError("stack is empty")
        del self._stack[len(self._stack) - count :]
        self._push(values)

    def _append(self, values: list) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError("items for no list")
        target.extend(values)

    def _set(self, values: list) -> None:
        target = self._stack[-1]
        if type(target) is not dict:
            raise TypeError("items for no dict")
        target.update(zip(values[::2], values[1::2], strict=True))

    def _pop_two(self) -> list:
        value, key = self._stack.pop(), self._stack.pop()
        return [key, value]

    def _remember(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _global(self, module: str, name: str) -> None:
        kind = _NAMES.get((module, name))
        if kind is None:
            raise _RefusedError(f"is refused: it asks for {ascii(f'{module}.{name}')[:100]}")
        self._push(_Name(kind))

    def _stack_global(self) -> None:
        module, name = self._pop_two()
        self._global(str(module), str(name))

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        kind = function.kind if isinstance(function, _Name) else ""
        if kind == "array":
            self._push(Array())
        elif kind == "dtype":
            name = arguments[0]
            self._push(_Dtype(name.decode("ascii") if isinstance(name, bytes) else str(name)))
        else:
            raise TypeError("call of what is no function")

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, _Dtype):
            return
        if not isinstance(target, Array):
            raise TypeError("state for what has none")
        _, shape, dtype, fortran_order, content = state
        target.shape = tuple(int(size) for size in shape)
        target.dtype = dtype.name
        target.fortran_order = bool(fortran_order)
        if isinstance(content, Blob):
            target.offset, target.nbytes = content.offset, content.nbytes


_STOP = ord(".")

_OPERATIONS = {
    0x80: lambda m: m._take(1),  # protocol number
    0x95: lambda m: m._take(8),  # frame: a hint for reading ahead
    ord("("): lambda m: m._mark(),
    ord("}"): lambda m: m._push({}),
    ord("]"): lambda m: m._push([]),
    ord(")"): lambda m: m._push(()),
    ord("N"): lambda m: m._push(None),
    0x88: lambda m: m._push(True),
    0x89: lambda m: m._push(False),
    ord("J"): lambda m: m._push(m._number("<i")),
    ord("K"): lambda m: m._push(m._number("<B")),
    ord("M"): lambda m: m._push(m._number("<H")),
    ord("I"): lambda m: m._integer_line(),
    0x8A: lambda m: m._long_integer(),
    ord("U"): lambda m: m._push(m._take(m._number("<B"))),
    ord("C"): lambda m: m._push(m._take(m._number("<B"))),
    ord("T"): lambda m: m._long_bytes("<i"),
    ord("B"): lambda m: m._long_bytes("<I"),
    0x8E: lambda m: m._long_bytes("<Q"),
    ord("X"): lambda m: m._text("<I"),
    0x8C: lambda m: m._text("<B"),
    ord("t"): lambda m: m._push(tuple(m._since_mark())),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("a"): lambda m: m._append([m._stack.pop()]),
    ord("e"): lambda m: m._append(m._since_mark()),
    ord("s"): lambda m: m._set(m._pop_two()),
    ord("u"): lambda m: m._set(m._since_mark()),
    ord("q"): lambda m: m._remember(m._number("<B")),
    ord("r"): lambda m: m._remember(m._number("<I")),
    0x94: lambda m: m._remember(len(m._memo)),
    ord("h"): lambda m: m._push(m._memo[m._number("<B")]),
    ord("j"): lambda m: m._push(m._memo[m._number("<I")]),
    ord("c"): lambda m: m._global(m._line(), m._line()),
    0x93: lambda m: m._stack_global(),
    ord("R"): lambda m: m._reduce(),
    ord("b"): lambda m: m._build(),
}
"""What each operation does to the machine, by its byte."""
