"""Sizes and tensors of a packed model's layers: all that is taken from a list of layers.

A layer here is a product with the pooling, batch norm and sign behind it. Tensors, by
``<layer>.<tensor>``:

* ``weights``: packed signs, ``bit`` [O, I], of a convolution [O * taps, channels], but of one that
  reads pixels [O, taps * channels]
* ``threshold`` (int32 [O]) and ``flip`` (uint8 [O]): bit = (y < threshold) xor flip
* ``choice`` (int32 [O]), where pooling stands behind the sign: the threshold it chooses by
* ``scale``, ``shift`` (float32 [O]), of the last layer in their place: z = y * scale + shift
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bnntrain import kernels
from bnntrain.graph import FusedBinary, Item, Product, ShapeError, Size, build_graph
from bnntrain.steps import WORD_BITS, storage_of, window_of

_KINDS = ("dense", "conv")
_MOST_POSITIONS = 1 << 24  # of an image; more than any memory here has room for


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes
    ----------
    name : str
        ``<layer>.<tensor>``.
    dtype : str
        ``bit`` (rows packed into 64-bit words) or a NumPy dtype name.
    shape : tuple of int
        Elements.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def storage(self) -> tuple[str, tuple[int, ...]]:
        """NumPy dtype and shape as stored: rows of bits become rows of uint64 words."""
        return storage_of(self.dtype, self.shape)


@dataclass(frozen=True)
class PackedLayer:
    """One layer.

    Attributes
    ----------
    fused : FusedBinary
        Its operations.
    """

    fused: FusedBinary

    @property
    def name(self) -> str:
        """Prefix of its tensors, e.g. ``conv1``: as in checkpoints."""
        return self.fused.name

    @property
    def product(self) -> Product:
        """The operation with weights."""
        return self.fused.product

    @property
    def is_first(self) -> bool:
        """Whether it reads pixels."""
        return self.fused.reads_pixels

    @property
    def is_last(self) -> bool:
        """Whether it gives scores."""
        return not self.fused.is_binarised

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.fused.channels

    @property
    def largest(self) -> int:
        """Largest magnitude of its products."""
        return self.fused.largest

    @property
    def is_flattened(self) -> bool:
        """Whether positions have to move together for who reads its signs."""
        return self.fused.is_flattened and bool(self.channels % WORD_BITS)

    @property
    def lines(self) -> tuple[int, int]:
        """Rows and columns of its packed signs."""
        return self.fused.sign_lines

    @property
    def tensors(self) -> list[Tensor]:
        """Its tensors, see the module."""
        channels = (self.channels,)
        found = [Tensor(f"{self.name}.weights", "bit", self.lines)]
        if self.is_last:
            reals = (Tensor(f"{self.name}.{name}", "float32", channels) for name in SCALING)
            return [*found, *reals]
        found.append(Tensor(f"{self.name}.threshold", "int32", channels))
        if self.fused.pool == "after_sign":
            found.append(Tensor(f"{self.name}.choice", "int32", channels))
        return [*found, Tensor(f"{self.name}.flip", "uint8", channels)]

    def window(self) -> kernels.Window | None:
        """Return the geometry of a convolution; None of a dense layer."""
        return None if self.fused.kind == "dense" else window_of(self.fused)


SCALING = ("scale", "shift")
"""Tensors of the last layer beside its weights."""


def packed_layers(layers: Sequence[Item], sample: Size, classes: int) -> list[PackedLayer]:
    """Follow a sample through a list of layers.

    Raises
    ------
    ValueError
        The layers do not fit the sample or the number of classes, or are too wide.
    """
    try:
        fused = build_graph(layers, sample).fused()
    except ShapeError as error:
        raise ValueError(f"model: {error.layer}: {error.message}") from None
    for each in fused:
        if each.kind not in _KINDS:
            raise ValueError(f"model: {each.product.layer}: a {each.kind} cannot be packed")
    for product, terms in ((each.product, each.terms) for each in fused):
        if terms > kernels.MAX_INPUTS:
            raise ValueError(f"model: {product.layer}: {terms} inputs, too many")
        if product.output.size[0] * product.output.size[1] > _MOST_POSITIONS:
            raise ValueError(f"model: {product.layer}: too many positions")
    if fused[-1].output.values != classes:
        raise ValueError(f"classes: {classes} names of {fused[-1].output.values} outputs")
    return [PackedLayer(each) for each in fused]


def tensors_of(layers: Sequence[PackedLayer]) -> Iterator[Tensor]:
    """Yield all tensors, layer by layer."""
    for layer in layers:
        yield from layer.tensors
