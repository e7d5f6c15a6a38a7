"""The stack machine that a pickle is a program for, with the operations that plain data need.

It knows the operations that build numbers, text, lists, tuples and dicts, and the names by which
NumPy describes an array; whatever else a file asks for is refused.
"""

from __future__ import annotations

import struct

from bnntrain.data.pickle_arrays import CALLS, NAMES, Array, Dtype, Name, decode_word, fill
from bnntrain.data.pickle_bytes import (
    LINE,
    LONGEST_NAME,
    QUOTED,
    UTF_8,
    Blob,
    Input,
    decode_quoted,
)

_LONGEST_WORD = 255
# CIFAR-100 takes 350,000 steps and less than 30 MB at most, by this rough count.
_LARGEST_STEPS = 2_000_000
_LARGEST_COST = 96 * 1024 * 1024
_COST_OF_VALUE, _COST_OF_MEMO = 64, 100

FAULTS = (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, struct.error)
"""What faulty programs lead to."""


class RefusedError(Exception):
    """A pickle that wants what plain data do not need."""


class Machine:
    """Stack, marks and memory of one pickle."""

    def __init__(self, source: Input) -> None:
        self._source = source
        self._take = source.take
        self._stack: list = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self._cost = 0

    def run(self) -> object:
        """Carry out operations up to the last one and return what it leaves.

        Raises
        ------
        RefusedError
            If it asks for more than plain data, or for very much.
        DataError
            If it is cut off.
        Exception
            One of `FAULTS`, if it makes no sense.
        """
        for _ in range(_LARGEST_STEPS):
            code = self._take(1)[0]
            if code == _STOP:
                return self._stack.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise RefusedError(f"needs the pickle operation 0x{code:02x}")
            operation(self)
        raise RefusedError(f"takes more than {_LARGEST_STEPS} steps")

    # Reading ------------------------------------------------------------------------------------

    def _number(self, form: str) -> int | float:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _word(self) -> str:
        line = self._source.line()
        if isinstance(line, Blob) or len(line) > _LONGEST_WORD:
            raise ValueError("line too long")
        return line.decode("ascii")

    # Values -------------------------------------------------------------------------------------

    def _charge(self, cost: int) -> None:
        self._cost += cost
        if self._cost > _LARGEST_COST:
            raise RefusedError(f"takes more than {_LARGEST_COST} bytes of memory")

    def _push(self, value: object) -> None:
        size = len(value) if isinstance(value, str | bytes) else 0
        self._charge(_COST_OF_VALUE + size)
        self._stack.append(value)

    def _counted(self, length: str, form: str = "") -> None:
        """Push bytes, or text of a form, behind their number."""
        nbytes = self._number(length)
        if nbytes < 0:
            raise ValueError("negative length")
        if nbytes > LONGEST_NAME:
            blob = Blob(self._source.offset, nbytes, form)
            self._source.skip(nbytes)
            self._push(blob)
        else:
            data = self._take(nbytes)
            self._push(data.decode(form, "surrogatepass") if form else data)

    def _text_line(self) -> None:
        line = self._source.line()
        is_long = isinstance(line, Blob)
        self._push(Blob(line.offset, line.nbytes, LINE) if is_long else line.decode(LINE))

    def _quoted_line(self) -> None:
        line = self._source.line()
        is_long = isinstance(line, Blob)
        self._push(
            Blob(line.offset + 1, line.nbytes - 2, QUOTED) if is_long else decode_quoted(line)
        )

    def _long_integer(self) -> None:
        self._push(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def _integer_line(self) -> None:
        line = self._word()
        boolean = {"00": False, "01": True}
        self._push(boolean[line] if line in boolean else int(line.removesuffix("L")))

    # Containers ---------------------------------------------------------------------------------

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

    def _dict(self) -> None:
        values = self._since_mark()
        self._push({})
        self._set(values)

    def _set(self, values: list) -> None:
        target, keys = self._stack[-1], values[::2]
        if type(target) is not dict:
            raise TypeError("items for no dict")
        if not all(isinstance(key, str | bytes | int) for key in keys):
            raise TypeError("a key that is neither text nor a number")
        target.update(zip(keys, values[1::2], strict=True))

    def _pop_two(self) -> list:
        value, key = self._stack.pop(), self._stack.pop()
        return [key, value]

    def _remember(self, place: int) -> None:
        self._charge(_COST_OF_MEMO)
        self._memo[place] = self._stack[-1]

    # Objects ------------------------------------------------------------------------------------

    def _global(self, module: str, name: str) -> None:
        kind = NAMES.get((module, name))
        if kind is None:
            raise RefusedError(f"is refused: it asks for {ascii(f'{module}.{name}')[:100]}")
        self._push(Name(kind))

    def _stack_global(self) -> None:
        module, name = self._pop_two()
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name that is no text")
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        kind = function.kind if isinstance(function, Name) else ""
        if kind not in CALLS or type(arguments) is not tuple:
            raise TypeError("call of what is no function")
        self._push(CALLS[kind](*arguments))

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Dtype):
            target.order = decode_word(state[1])
        elif isinstance(target, Array):
            _, *parts = state
            fill(target, *parts)
        else:
            raise TypeError("state for what has none")


_STOP = ord(".")

_OPERATIONS = {
    0x80: lambda m: m._take(1),  # protocol number
    0x95: lambda m: m._take(8),  # frame: a hint for reading ahead
    ord("("): lambda m: m._mark(),
    ord("0"): lambda m: m._stack.pop(),
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
    ord("L"): lambda m: m._integer_line(),
    0x8A: lambda m: m._long_integer(),
    ord("F"): lambda m: m._push(float(m._word())),
    ord("G"): lambda m: m._push(m._number(">d")),
    ord("U"): lambda m: m._counted("<B"),
    ord("C"): lambda m: m._counted("<B"),
    ord("T"): lambda m: m._counted("<i"),
    ord("B"): lambda m: m._counted("<I"),
    0x8E: lambda m: m._counted("<Q"),
    0x96: lambda m: m._counted("<Q"),
    ord("X"): lambda m: m._counted("<I", UTF_8),
    0x8C: lambda m: m._counted("<B", UTF_8),
    0x8D: lambda m: m._counted("<Q", UTF_8),
    ord("V"): lambda m: m._text_line(),
    ord("S"): lambda m: m._quoted_line(),
    ord("t"): lambda m: m._push(tuple(m._since_mark())),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("l"): lambda m: m._push(m._since_mark()),
    ord("d"): lambda m: m._dict(),
    ord("a"): lambda m: m._append([m._stack.pop()]),
    ord("e"): lambda m: m._append(m._since_mark()),
    ord("s"): lambda m: m._set(m._pop_two()),
    ord("u"): lambda m: m._set(m._since_mark()),
    ord("p"): lambda m: m._remember(int(m._word())),
    ord("q"): lambda m: m._remember(m._number("<B")),
    ord("r"): lambda m: m._remember(m._number("<I")),
    0x94: lambda m: m._remember(len(m._memo)),
    ord("g"): lambda m: m._push(m._memo[int(m._word())]),
    ord("h"): lambda m: m._push(m._memo[m._number("<B")]),
    ord("j"): lambda m: m._push(m._memo[m._number("<I")]),
    ord("c"): lambda m: m._global(m._word(), m._word()),
    0x93: lambda m: m._stack_global(),
    ord("R"): lambda m: m._reduce(),
    ord("b"): lambda m: m._build(),
}
"""What each operation does to the machine, by its byte."""
