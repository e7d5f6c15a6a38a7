"""A fully connected layer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal

from msgspec import Meta

from bnntrain.graph.operation import Published, images, lists
from bnntrain.graph.product import Product, ProductOptions
from bnntrain.graph.tensor import MEANS, PIXELS, PRODUCTS, SCORES, SIGNS, Form, Size


class DenseOptions(ProductOptions, frozen=True):
    """Options of a dense layer; with real weights it has a bias.

    Attributes
    ----------
    units : int or str
        Output channels; ``classes`` stands for as many as the data set has classes.
    """

    units: Annotated[int, Meta(ge=1, le=65_536)] | Literal["classes"]


class Dense(Product):
    """Every output sees every input; a sample's height and width are flattened."""

    kind = "dense"
    Options = DenseOptions
    reads = (*images(PIXELS), *lists(SIGNS))

    @classmethod
    def of(cls, options: DenseOptions) -> type[Dense]:
        """Return the dense layer with weights of the kind that options ask for."""
        return RealDense if options.weights == "real" else cls

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes: a list of sums."""
        return Form(PRODUCTS, False)

    @classmethod
    def size_after(cls, options: DenseOptions, size: Size, layer: str) -> Size:
        """Return the size of what it makes of a tensor of a size."""
        return 1, 1, options.units

    @property
    def fan_in(self) -> int:
        """Inputs of one product."""
        return math.prod(self.input.size)


class RealDense(Dense):
    """The last layer of a residual network: real weights and a bias make the scores of means."""

    reads = lists(MEANS)
    variant = "weights: real"
    is_binary = False

    @classmethod
    def word(cls) -> str:
        """Return what `fusion.PATTERNS` calls it."""
        return "real_dense"

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes: scores of classes."""
        return Form(SCORES, False)

    @property
    def real_weights(self) -> int:
        """Real parameters: weights and a bias."""
        return self.parameters + self.channels

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        return replace(super().published, activations=0, reals=self.input.values)
