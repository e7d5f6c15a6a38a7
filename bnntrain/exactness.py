"""How many images a step's integer sums hold: with more they would wrap unnoticed.

Of a product with ``fan_in`` inputs, |y| is at most Y = ``fan_in``, of pixels 128 times that, and
four times that where pooling adds. Over the n values of a channel in the batch are summed

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

from bnntrain.graph import FusedBinary, Size
from bnntrain.method import Method
from bnntrain.steps import GRADIENT_LIMITS

_INT32, _INT64 = 2**31 - 1, 2**63 - 1
_LARGEST_GRADIENT = 127


def most_images(step: FusedBinary, method: Method) -> int:
    """Return how many images a step's sums are exact for.

    Parameters
    ----------
    step : FusedBinary
        Its operations.
    method : Method
        Representations.
    """
    largest = step.largest
    is_integer = method.gradient == "int8"
    if method.norm == "l2":
        values = _INT64 // (largest * max(largest, _LARGEST_GRADIENT if is_integer else 1))
    else:
        values = math.isqrt(_INT64 // largest)
        if is_integer:
            values = min(values, _INT64 // (largest * _LARGEST_GRADIENT))
    images = values // _positions(step.norm.input.size)
    if is_integer and step.product.kind == "conv" and not step.reads_pixels:
        positions = _INT32 // GRADIENT_LIMITS[method.gradient_bits]
        images = min(images, positions // _positions(step.product.output.size))
    return images


def _positions(size: Size) -> int:
    return size[0] * size[1]
