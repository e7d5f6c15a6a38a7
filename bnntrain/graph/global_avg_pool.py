"""Average pooling over all of the image."""

from __future__ import annotations

from bnntrain.graph.operation import Operation, Options, images
from bnntrain.graph.tensor import MEANS, STREAM, Form, Size


class GlobalAvgPool(Operation):
    """The mean of each channel of a real stream."""

    kind = "global_avg_pool"
    reads = images(STREAM)

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes: a list of means."""
        return Form(MEANS, False)

    @classmethod
    def size_after(cls, options: Options, size: Size, layer: str) -> Size:
        """Return the size of what it makes of a tensor of a size."""
        return 1, 1, size[2]
