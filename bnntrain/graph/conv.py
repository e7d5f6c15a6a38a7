"""A convolution.

Convolutions slide a square window over height and width; ``same`` padding skips the taps that fall
outside the image (it never multiplies by a padding value), and puts the odd row or column below and
to the right, as TensorFlow does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from msgspec import Meta

from bnntrain.graph.items import ShapeError
from bnntrain.graph.operation import Published, images
from bnntrain.graph.product import Product, ProductOptions
from bnntrain.graph.tensor import MEANS, PIXELS, PRODUCTS, SIGNS, STREAM, SUMS, Form, Size


class ConvOptions(ProductOptions, frozen=True):
    """Options of a convolution, which has no bias.

    Attributes
    ----------
    channels : int
        Output channels.
    kernel : int
        Side of the square window.
    stride : int
        Step of the window along height and width.
    padding : str
        ``same`` gives an output position for every `stride` input positions and skips the taps
        that fall outside the image; ``valid`` keeps the window inside the image.
    """

    channels: Annotated[int, Meta(ge=1, le=65_536)]
    kernel: Annotated[int, Meta(ge=1, le=7)] = 3
    stride: Literal[1, 2] = 1
    padding: Literal["same", "valid"] = "same"


class Conv(Product):
    """Every output sees a window of positions."""

    kind = "conv"
    Options = ConvOptions
    reads = images(PIXELS, SIGNS)

    @classmethod
    def of(cls, options: ConvOptions) -> type[Conv]:
        """Return the convolution with weights of the kind that options ask for."""
        return RealConv if options.weights == "real" else cls

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes: an image of sums."""
        return Form(PRODUCTS, True)

    @classmethod
    def size_after(cls, options: ConvOptions, size: Size, layer: str) -> Size:
        """Return the size of what it makes of a tensor of a size."""
        height, width = (_extent(extent, options, layer)[0] for extent in size[:2])
        return height, width, options.channels

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns of the first window that lie outside the image."""
        top, left = (_extent(extent, self.options, self.layer)[1] for extent in self.input.size[:2])
        return top, left

    @property
    def taps(self) -> int:
        """Positions of the window."""
        return self.options.kernel**2


class RealConv(Conv):
    """One with real weights: of pixels, where a real stream begins, or in a shortcut.

    The published table counts what a shortcut reads before it is pooled (see `AvgPool`).
    """

    reads = images(PIXELS, STREAM, MEANS)
    variant = "weights: real"
    is_binary = False

    @classmethod
    def word(cls) -> str:
        """Return what `fusion.PATTERNS` calls it."""
        return "real_conv"

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes: an image of real sums."""
        return Form(SUMS, True)

    @classmethod
    def misfit(cls, options: ConvOptions, form: Form) -> str | None:
        """Say why no kernel computes it with these options of such a tensor; None if one does."""
        if form.kind == PIXELS or (options.kernel, options.stride) == (1, 1):
            return None
        return (
            f"a real conv of a stream has no kernel with kernel {options.kernel} and stride "
            f"{options.stride}. Nearest that works: kernel: 1, stride: 1, behind avg_pool where "
            "the image is to be halved"
        )

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        read, values = self.input.form.kind, self.input.values
        return replace(
            super().published,
            activations=0,
            reals=values if read == STREAM else 0,
            pixels=values if read == PIXELS else 0,
        )


def _extent(extent: int, options: ConvOptions, layer: str) -> tuple[int, int]:
    """Return positions along one axis, and how far the first window sticks out."""
    kernel, stride = options.kernel, options.stride
    if options.padding == "valid":
        if extent < kernel:
            raise ShapeError(
                layer,
                f"a window of {kernel} does not fit into the {extent} rows or columns that are "
                "left here. Give a smaller kernel, 'padding: same' or larger images",
            )
        return (extent - kernel) // stride + 1, 0
    count = -(-extent // stride)
    return count, max((count - 1) * stride + kernel - extent, 0) // 2
