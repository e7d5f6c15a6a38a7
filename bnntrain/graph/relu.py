"""Rectification."""

from __future__ import annotations

from bnntrain.graph.operation import Operation, images
from bnntrain.graph.tensor import STREAM, Form


class Relu(Operation):
    """The larger of 0 and a real stream's value."""

    kind = "relu"
    reads = images(STREAM)

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes."""
        return form
