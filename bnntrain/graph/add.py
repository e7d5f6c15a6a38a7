"""Addition into a real stream."""

from __future__ import annotations

from bnntrain.graph.operation import Operation, images
from bnntrain.graph.tensor import REAL, STREAM, Form


class Add(Operation):
    """The sum of two tensors of one shape: what ends a residual, and is not written in models.

    Its inputs are what the layers make, and what the shortcut makes.
    """

    kind = "add"
    reads = images(REAL)

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes."""
        return Form(STREAM, True)
