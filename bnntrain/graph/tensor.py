"""What flows from one operation to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

Size = tuple[int, int, int]
"""Height, width, channels; a list of values has one position."""

PIXELS, PRODUCTS, REAL, SIGNS = "pixels", "products", "real", "signs"
"""Kinds of tensors: int8 samples, exact integer sums, normalised values, and their signs."""

SUMS, STREAM, MEANS, SCORES = "sums", "stream", "means", "scores"
"""Kinds of tensors that residual networks have besides: sums of products with real weights, the
real stream that residuals add to, means of its values, and scores of classes."""


@dataclass(frozen=True)
class Form:
    """What is known of a tensor without a sample's size: enough to say what may read it.

    Attributes
    ----------
    kind : str
        One of the kinds above.
    is_image : bool
        Whether it has height and width, or is a list of values.
    """

    kind: str
    is_image: bool


@dataclass(frozen=True)
class Tensor:
    """The result of one operation for one sample, or the sample itself.

    Attributes
    ----------
    name : str
        Unique in its graph: the name of the operation that makes it.
    form : Form
        Kind and layout.
    size : tuple of int
        Height, width and channels.
    """

    name: str
    form: Form
    size: Size

    @property
    def values(self) -> int:
        """Values per sample."""
        return math.prod(self.size)
