"""Random parts and colours of training pictures, drawn by seed, epoch and record alone.

**Draws.** All arithmetic is that of `bnntrain.data.order`::

    key = order_key(seed, CROP_STREAM or COLOUR_STREAM, epoch)
    draw d of a record = S(S(key + record) + d) >> 11, times 2**-53

**Part** (`draw_box`), in up to ten attempts of four draws each: share of the area, uniform between
`area` and 1; proportions, those of the sample times ``r`` or divided by it, where ``r`` is uniform
between 1 and `aspect`; then, if such a part fits into the picture, its place, in whole pixels. If
none fits, the largest centred part whose proportions are allowed.

**Colours** (`change_colours`): brightness, contrast, saturation, each scaled by a factor uniform in
1 - `strength` ... 1 + `strength`, a multiple of 1/256.

Only sums, products, quotients and square roots are taken, which every machine rounds alike.

Source: the random resized crop of C. Szegedy et al., "Going Deeper with Convolutions" (arXiv
1409.4842), with ``r`` uniform where others draw its logarithm; A. G. Howard, arXiv 1312.5402.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bnntrain.data.order import order_key, splitmix64

CROP_STREAM, COLOUR_STREAM = 8, 9

Draw = Callable[[int], float]
"""A number in [0, 1) by its own number."""

_ATTEMPTS = 10
_MASK64 = 0xFFFFFFFFFFFFFFFF
_ONE = 256
_GREY = np.array([77, 150, 29], np.int32)  # Rec. 601, in 256ths


def draws_of(seed: int, stream: int, epoch: int, record: int) -> Draw:
    """Return the draws of a record in an epoch."""
    key = splitmix64((order_key(seed, stream, epoch) + record) & _MASK64)
    return lambda number: (splitmix64((key + number) & _MASK64) >> 11) * 2.0**-53


def draw_box(
    size: tuple[int, int], target: tuple[int, int], area: float, aspect: float, draw: Draw
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a random part of a picture.

    Parameters
    ----------
    size, target : tuple of int
        Width and height of the picture, and of the sample that the part becomes.
    area : float
        Least share of the picture's area, above 0, at most 1.
    aspect : float
        How much wider or narrower than the sample the part may be, at least 1.
    draw : callable
        See `draws_of`.
    """
    width, height = size
    natural = target[0] / target[1]
    for first in range(0, 4 * _ATTEMPTS, 4):
        pixels = width * height * (area + (1 - area) * draw(first))
        which = 2 * draw(first + 1) - 1
        ratio = 1 + (aspect - 1) * abs(which)
        ratio = natural * ratio if which > 0 else natural / ratio
        across, down = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < across <= width and 0 < down <= height:
            left = int(draw(first + 2) * (width - across + 1))
            top = int(draw(first + 3) * (height - down + 1))
            return left, top, left + across, top + down
    return _largest(size, natural / aspect, natural * aspect)


def _largest(size: tuple[int, int], narrow: float, wide: float) -> tuple[int, int, int, int]:
    """Return the largest centred part whose proportions are between two."""
    width, height = size
    across = max(1, min(width, round(height * wide)))
    down = max(1, min(height, round(width / narrow)))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down


def change_colours(image: np.ndarray, strength: float, draw: Draw) -> np.ndarray:
    """Return an image in other brightness, contrast and saturation.

    Parameters
    ----------
    image : ndarray of uint8 [height, width, channels]
        Grey has no saturation.
    strength : float
        Largest change of each, from 0 to 1.
    draw : callable
        See `draws_of`.

    Returns
    -------
    ndarray of uint8 [height, width, channels]
    """
    brightness, contrast, saturation = (
        _ONE + round(_ONE * strength * (2 * draw(number) - 1)) for number in range(3)
    )
    values = _scaled(image.astype(np.int32), brightness, 0)
    grey = _grey(values)
    mean = int(grey.sum()) // grey.size
    values = _scaled(values, contrast, mean)
    if image.shape[2] == 3:
        values = _scaled(values, saturation, _grey(values)[..., np.newaxis])
    return values.astype(np.uint8)


def _scaled(values: np.ndarray, factor: int, around: int | np.ndarray) -> np.ndarray:
    """Return values as far from `around` as `factor` 256ths say, and still bytes."""
    return np.clip(around + ((values - around) * factor + _ONE // 2 >> 8), 0, 255)


def _grey(values: np.ndarray) -> np.ndarray:
    return values[..., 0] if values.shape[2] == 1 else values @ _GREY >> 8
