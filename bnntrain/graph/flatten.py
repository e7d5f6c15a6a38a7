"""From an image to a list of values."""

from __future__ import annotations

import math

from bnntrain.graph.operation import Operation, Options, images
from bnntrain.graph.tensor import SIGNS, Form, Size


class Flatten(Operation):
    """All positions one behind the other, channels innermost."""

    kind = "flatten"
    reads = images(SIGNS)

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes."""
        return Form(form.kind, False)

    @classmethod
    def size_after(cls, options: Options, size: Size, layer: str) -> Size:
        """Return the size of what it makes of a tensor of a size."""
        return 1, 1, math.prod(size)
