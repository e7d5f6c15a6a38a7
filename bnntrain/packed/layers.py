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
from bnntrain.config import LayerSpec
from bnntrain.layers import BlockShape, ShapeError, Size, infer_shapes

WORD = 64
"""Bits that packed signs are padded to."""

_LARGEST_PIXEL = 128


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
        if self.dtype != "bit":
            return self.dtype, self.shape
        return "uint64", (*self.shape[:-1], -(-self.shape[-1] // WORD))


@dataclass(frozen=True)
class PackedLayer:
    """One layer.

    Attributes
    ----------
    name : str
        Prefix of its tensors, e.g. ``conv1``: as in checkpoints.
    shape : BlockShape
        Its sizes.
    is_first, is_last : bool
        It reads pixels; it gives scores.
    """

    name: str
    shape: BlockShape
    is_first: bool
    is_last: bool

    @property
    def largest(self) -> int:
        """Largest magnitude of its products."""
        return self.shape.fan_in * (_LARGEST_PIXEL if self.is_first else 1)

    @property
    def is_flattened(self) -> bool:
        """Whether a dense layer follows for which positions have to move together."""
        return self.shape.flattened and bool(self.shape.channels % WORD)

    @property
    def lines(self) -> tuple[int, int]:
        """Rows and columns of its packed signs."""
        shape = self.shape
        if shape.kind == "dense" or self.is_first:
            return shape.channels, shape.fan_in
        return shape.channels * shape.taps, shape.input[2]

    @property
    def tensors(self) -> list[Tensor]:
        """Its tensors, see the module."""
        channels = (self.shape.channels,)
        found = [Tensor(f"{self.name}.weights", "bit", self.lines)]
        if self.is_last:
            reals = (Tensor(f"{self.name}.{name}", "float32", channels) for name in SCALING)
            return [*found, *reals]
        found.append(Tensor(f"{self.name}.threshold", "int32", channels))
        if self.shape.pool == "after_sign":
            found.append(Tensor(f"{self.name}.choice", "int32", channels))
        return [*found, Tensor(f"{self.name}.flip", "uint8", channels)]

    def window(self) -> kernels.Window | None:
        """Return the geometry of a convolution."""
        shape = self.shape
        if shape.kind == "dense":
            return None
        height, width, channels = shape.input
        return kernels.Window(
            height=height, width=width, channels=channels, kernel=shape.kernel,
            stride=shape.stride, pad_top=shape.pad_top, pad_left=shape.pad_left,
            out_height=shape.product[0], out_width=shape.product[1], pool=shape.pool,
        )  # fmt: skip


SCALING = ("scale", "shift")
"""Tensors of the last layer beside its weights."""


def packed_layers(layers: Sequence[LayerSpec], sample: Size, classes: int) -> list[PackedLayer]:
    """Follow a sample through a list of layers.

    Raises
    ------
    ValueError
        The layers do not fit the sample or the number of classes, or are too wide.
    """
    try:
        shapes = infer_shapes(layers, sample)
    except ShapeError as error:
        raise ValueError(f"model: layers[{error.layer}]: {error.message}") from None
    for shape in shapes:
        if shape.fan_in > kernels.MAX_INPUTS:
            raise ValueError(f"model: layers[{shape.layer}]: {shape.fan_in} inputs are too many")
        if shape.product[0] * shape.product[1] > kernels.MAX_POSITIONS:
            raise ValueError(f"model: layers[{shape.layer}]: too many positions")
    if shapes[-1].outputs != classes:
        raise ValueError(f"classes: {classes} names of {shapes[-1].outputs} outputs")
    last = len(shapes) - 1
    return [
        PackedLayer(f"{shape.kind}{index + 1}", shape, index == 0, index == last)
        for index, shape in enumerate(shapes)
    ]


def tensors_of(layers: Sequence[PackedLayer]) -> Iterator[Tensor]:
    """Yield all tensors, layer by layer."""
    for layer in layers:
        yield from layer.tensors
