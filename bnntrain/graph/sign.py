"""Binarisation."""

from __future__ import annotations

from bnntrain.graph.operation import Operation, images, lists
from bnntrain.graph.tensor import REAL, SIGNS, STREAM, Form


class Sign(Operation):
    """+1 for z >= 0, otherwise -1; its gradient goes straight through where abs(z) <= 1."""

    kind = "sign"
    reads = (*images(REAL, STREAM), *lists(REAL))

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes."""
        return Form(SIGNS, form.is_image)
