"""How many images a block's integer sums hold: with more they would wrap unnoticed.

Of a product with ``fan_in`` inputs, |y| is at most Y = ``fan_in``, of pixels 128 times that. Over
the n values of a channel in the batch are summed

===========================  ==================  =======================================
sum                          at most             where
===========================  ==================  =======================================
y²                           n·Y²                int64; exact batch norm
|n·y - sum of y|             n²·Y                int64; norms by mean deviation, n times it
g·y                          n·127·Y             int64; its backward with int8 gradients
dY, times signs or not       positions·limit     int32; dW of a convolution of signs
===========================  ==================  =======================================

What else counts positions is wider: dW of pixels is summed in int64, rows and elements are counted
in the width of addresses. Dense layers, of at most 65,536 samples, stay inside all of them (see
`kernels.MAX_INPUTS`). Random numbers take indices modulo 2^32, see ``kernels/common/rng.h``.
"""

from __future__ import annotations

import math

from bnntrain.layers import GRADIENT_LIMITS, BlockShape
from bnntrain.method import Method

_INT32, _INT64 = 2**31 - 1, 2**63 - 1
_LARGEST_PIXEL, _LARGEST_GRADIENT = 128, 127


def most_images(block: BlockShape, method: Method, of_pixels: bool) -> int:
    """Return how many images a block's sums are exact for.

    Parameters
    ----------
    block : BlockShape
        Its sizes.
    method : Method
        Representations.
    of_pixels : bool
        Whether it takes in pixels, not signs.
    """
    largest = block.fan_in * (_LARGEST_PIXEL if of_pixels else 1)
    normed = block.output if block.pool == "before_norm" else block.product
    is_integer = method.gradient == "int8"
    if method.norm == "l2":
        values = _INT64 // (largest * max(largest, _LARGEST_GRADIENT if is_integer else 1))
    else:
        values = math.isqrt(_INT64 // largest)
        if is_integer:
            values = min(values, _INT64 // (largest * _LARGEST_GRADIENT))
    images = values // (normed[0] * normed[1])
    if is_integer and block.kind == "conv" and not of_pixels:
        positions = _INT32 // GRADIENT_LIMITS[method.gradient_bits]
        images = min(images, positions // (block.product[0] * block.product[1]))
    return images
