"""What numbers count as pixels, in arrays as in pictures: one rule.

A pixel is a whole number of 8 bits. Pictures of 16 bits are converted, because their formats say
that the range is 0 to 65535; an array says nothing, so every other type is refused with the way to
convert it.
"""

from __future__ import annotations

import numpy as np

_REMEDIES = {
    "b": "True and False become 255 and 0 by (x * 255).astype('uint8')",
    "i": "values of 0 to 255 become uint8 by x.clip(0, 255).astype('uint8')",
    "u": "16 bits become 8 by (x >> 8).astype('uint8'), values of 0 to 255 by x.astype('uint8')",
    "f": "values of 0 to 1 become uint8 by (x * 255).round().astype('uint8')",
}


def refusal_of(dtype: np.dtype) -> str | None:
    """Return why an array of this type holds no pixels and what to do; None if it does.

    Parameters
    ----------
    dtype : numpy dtype
        Type of one element.

    Returns
    -------
    str or None
        ``float64, expected uint8: values of ...``, to follow "images of type".
    """
    if dtype == np.uint8:
        return None
    remedy = _REMEDIES.get(dtype.kind, "save whole numbers of 0 to 255")
    return f"{dtype}, expected uint8: {remedy}"
