"""Where a convolution's windows lie."""

from __future__ import annotations

from bnntrain import kernels
from bnntrain.graph import Fused


def window_of(fused: Fused) -> kernels.Window:
    """Return the geometry of a convolution."""
    height, width, channels = fused.product.input.size
    options, (pad_top, pad_left) = fused.product.options, fused.product.padding
    out_height, out_width, _ = fused.product.output.size
    return kernels.Window(
        height=height, width=width, channels=channels, kernel=options.kernel,
        stride=options.stride, pad_top=pad_top, pad_left=pad_left,
        out_height=out_height, out_width=out_width, pool=fused.pool,
    )  # fmt: skip
