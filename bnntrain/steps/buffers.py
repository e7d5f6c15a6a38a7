"""What a step asks of the memory plan, and for how long (see `bnntrain.steps.order`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

_ITEM_BYTES = {
    "int8": 1,
    "uint8": 1,
    "float16": 2,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "int64": 8,
    "float32": 4,
    "float64": 8,
}
WORD_BITS = 64
"""Bits that packed signs are padded to."""

GRADIENT_LIMITS = {8: 127, 6: 31}
"""Largest magnitude of dY by `Method.gradient_bits`."""

SECOND = "second_"
"""What names of the tensors of a stem's second norm begin with."""

ROLES = (
    "input",
    "X",
    "dX/Y",
    "dY",
    "W",
    "dW",
    "momenta",
    "statistics",
    "masks",
    "scratch",
)
"""Roles of [Wang21]'s memory table (``masks``: of pooling and straight-through), input, scratch."""


def storage_of(dtype: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Return NumPy dtype and shape as stored: rows of bits become rows of uint64 words."""
    if dtype != "bit":
        return dtype, shape
    return "uint64", (*shape[:-1], -(-shape[-1] // WORD_BITS))


@dataclass(frozen=True)
class Buffer:
    """One tensor of the training step, before it has an address.

    Attributes
    ----------
    name : str
        Unique; ``<layer>.<tensor>``.
    role : str
        One of `ROLES`.
    layer : str
        Name of the step that it belongs to, or ``all``.
    shape : tuple of int
        Elements.
    dtype : str
        ``bit`` (rows packed into 64-bit words) or a NumPy dtype name.
    first_use, last_use : int
        Times between which its content matters, both included.
    persistent : bool
        Kept from step to step and saved in checkpoints.
    constant : bool
        Written when the step is bound, and read from then on.
    """

    name: str
    role: str
    layer: str
    shape: tuple[int, ...]
    dtype: str
    first_use: int
    last_use: int
    persistent: bool = False
    constant: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether its content matters between one step and the next."""
        return self.persistent or self.constant

    @property
    def bits(self) -> int:
        """Bits of one element."""
        return 1 if self.dtype == "bit" else 8 * _ITEM_BYTES[self.dtype]

    @property
    def storage(self) -> tuple[str, tuple[int, ...]]:
        """NumPy dtype and shape as stored: rows of bits become rows of uint64 words."""
        return storage_of(self.dtype, self.shape)

    @cached_property
    def bytes(self) -> int:
        """Bytes as stored, without padding between buffers."""
        dtype, shape = self.storage
        size = _ITEM_BYTES.get(dtype, 8)
        for extent in shape:
            size *= extent
        return size
