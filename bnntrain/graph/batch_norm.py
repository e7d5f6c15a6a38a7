"""Batch normalisation."""

from __future__ import annotations

from bnntrain.graph.operation import Operation, Published, images, lists
from bnntrain.graph.tensor import PRODUCTS, REAL, STREAM, SUMS, Form


class BatchNorm(Operation):
    """z = gamma (y - mean) / deviation + beta, per channel."""

    kind = "batch_norm"
    reads = (*images(PRODUCTS, SUMS, STREAM), *lists(PRODUCTS))

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes."""
        return Form(REAL if form.kind == PRODUCTS else STREAM, form.is_image)

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        return Published(channels=self.input.size[2])

    def norm_parameters(self, has_gamma: bool) -> int:
        """Return the number of its parameters: beta, and gamma where norms have one."""
        return self.input.size[2] * (2 if has_gamma else 1)
