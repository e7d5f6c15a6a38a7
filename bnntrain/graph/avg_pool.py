"""Average pooling."""

from __future__ import annotations

from bnntrain.graph.operation import Published, images
from bnntrain.graph.pool import Pool
from bnntrain.graph.tensor import MEANS, PRODUCTS, REAL, STREAM, Form


class AvgPool(Pool):
    """The mean of a window's values.

    Products are added up and not divided: batch norm cancels a factor, as it is the same for all
    values of a channel (its guard against a variance of 0 aside). All get the gradient of the sum.
    Nothing is retained for the backward pass, so that the published table counts nothing; but in a
    shortcut what it reads, in place of the less that the real convolution behind it does.
    """

    kind = "avg_pool"
    reads = images(PRODUCTS, REAL, STREAM)
    adds = 4

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes."""
        return Form(MEANS, True) if form.kind == STREAM else form

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        return Published(reals=self.input.values if self.input.form.kind == STREAM else 0)
