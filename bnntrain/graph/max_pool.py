"""Max-pooling."""

from __future__ import annotations

from typing import Literal

from bnntrain.graph.operation import Published, images
from bnntrain.graph.pool import Pool, PoolOptions
from bnntrain.graph.tensor import PRODUCTS, REAL, SIGNS, STREAM, Size

_OVERLAPPING = 3


class MaxPoolOptions(PoolOptions, frozen=True):
    """Options of max-pooling.

    Attributes
    ----------
    size : int
        Side of its window.
    stride : int
        Step of the window along height and width.
    padding : str
        As a convolution's; nothing outside the image is ever the largest.
    """

    size: Literal[2, 3] = 2
    stride: Literal[2] = 2
    padding: Literal["valid", "same"] = "valid"

    def plain(self) -> dict[str, object]:
        """Return them as a model file has them; of windows side by side the size says all."""
        return super().plain() if self.size == _OVERLAPPING else {"size": self.size}

    @property
    def fault(self) -> tuple[str, str] | None:
        """An option that does not go with the others, and why; None if they are good."""
        wanted = "same" if self.size == _OVERLAPPING else "valid"
        if self.padding == wanted:
            return None
        reason = f"{self.padding} has no kernel with size {self.size}"
        return "padding", f"{reason}. Nearest that works: {wanted}"


class MaxPool(Pool):
    """The largest of a window's values."""

    kind = "max_pool"
    Options = MaxPoolOptions
    reads = images(PRODUCTS, REAL, SIGNS)

    @classmethod
    def of(cls, options: MaxPoolOptions) -> type[MaxPool]:
        """Return the pooling that options ask for."""
        return OverlappingMaxPool if options.size == _OVERLAPPING else cls

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        return Published(masked=self.input.values)


class OverlappingMaxPool(MaxPool):
    """Windows of 3x3 at every second position, of a real stream; as convolutions pad."""

    reads = images(STREAM)
    variant = "size: 3"

    @classmethod
    def word(cls) -> str:
        """Return what `fusion.PATTERNS` calls it."""
        return "max_pool_3"

    @classmethod
    def size_after(cls, options: MaxPoolOptions, size: Size, layer: str) -> Size:
        """Return the size of what it makes of a tensor of a size."""
        height, width, channels = size
        return -(-height // options.stride), -(-width // options.stride), channels
