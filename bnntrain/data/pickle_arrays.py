"""NumPy's arrays, types and numbers as pickles describe them, and the functions that these call."""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.data.pickle_bytes import Blob, Content

NAMES = {
    **{(f"{numpy}.multiarray", "_reconstruct"): "array" for numpy in ("numpy.core", "numpy._core")},
    **{(f"{numpy}.multiarray", "scalar"): "scalar" for numpy in ("numpy.core", "numpy._core")},
    **{(f"{numpy}.numeric", "_frombuffer"): "buffer" for numpy in ("numpy.core", "numpy._core")},
    **{(module, "bytes"): "bytes" for module in ("__builtin__", "builtins")},
    **{(module, "bytearray"): "bytes" for module in ("__builtin__", "builtins")},
    ("_codecs", "encode"): "bytes",
    ("numpy", "ndarray"): "class",
    ("numpy", "dtype"): "dtype",
}
"""What a pickle may ask for, and which of `CALLS` it is."""


@dataclass
class Array:
    """A NumPy array.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
        Type as NumPy pickles it, without byte order: ``u1``, ``i8``, ...
    order : str
        Byte order: ``<``, ``>`` or ``|``.
    fortran_order : bool
    content : bytes or Blob
        Its elements.
    """

    shape: tuple[int, ...] = ()
    dtype: str = ""
    order: str = "|"
    fortran_order: bool = False
    content: Content = b""

    def __str__(self) -> str:
        """Name type and shape, for messages."""
        order = " in Fortran order" if self.fortran_order else ""
        return f"an array of type {self.dtype or 'unknown'} and shape {self.shape}{order}"


@dataclass(frozen=True)
class Name:
    """One of the values of `NAMES`."""

    kind: str


@dataclass
class Dtype:
    """A type in the making."""

    name: str
    order: str = "|"


def fill(target: Array, shape: tuple, dtype: Dtype, is_fortran: object, content: object) -> None:
    """Give an array what a pickle says of it.

    Raises
    ------
    TypeError, ValueError
        If that makes no sense.
    """
    if not isinstance(dtype, Dtype):
        raise TypeError("an array without a type")
    target.shape = tuple(int(size) for size in shape)
    target.dtype, target.order = dtype.name, dtype.order
    target.fortran_order = bool(is_fortran)
    target.content = _bytes(content)


def _from_buffer(content: object, dtype: Dtype, shape: tuple, order: object) -> Array:
    array = Array()
    fill(array, shape, dtype, decode_word(order) == "F" and len(shape) > 1, content)
    return array


def _scalar(dtype: Dtype, content: object = b"") -> object:
    """Return a NumPy number; one that is not whole as its bytes."""
    data = _bytes(content)
    if dtype.name[0] not in "iu" or not isinstance(data, bytes):
        return data
    order = "big" if dtype.order == ">" else "little"
    return int.from_bytes(data, order, signed=dtype.name[0] == "i")


def _bytes(content: object = b"", encoding: object = "latin1") -> Content:
    """Return bytes, which old protocols store as text."""
    if decode_word(encoding) not in ("latin1", "latin-1"):
        raise ValueError(f"text in {ascii(encoding)[:60]}")
    if isinstance(content, str):
        return content.encode("latin-1")
    if not isinstance(content, bytes | Blob):
        raise TypeError("bytes made of something else")
    return content


def decode_word(word: object) -> str:
    """Return a word as text, which Python 2 wrote as bytes."""
    text = word.decode("ascii") if isinstance(word, bytes) else word
    if not isinstance(text, str) or not text.isprintable():
        raise TypeError("a word that is no text")
    return text


CALLS = {
    "array": lambda *_: Array(),
    "buffer": _from_buffer,
    "bytes": _bytes,
    "dtype": lambda name, *_: Dtype(decode_word(name)),
    "scalar": _scalar,
}
"""What stands for each function that a pickle may call."""
