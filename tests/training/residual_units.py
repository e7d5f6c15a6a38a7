"""The int16 stream of a residual network, see `kernels/stream/stream.h`."""

from __future__ import annotations

import numpy as np

ONE, LIMIT, LARGEST = 512, 16383, 32767
"""What stands for 1; largest of what is added, and of the sum."""


def in_units(stored: np.ndarray) -> np.ndarray:
    """Return a stream's values as real numbers."""
    return stored / ONE if stored.dtype == np.int16 else stored.astype(float)


def limited(sums: np.ndarray) -> np.ndarray:
    """Return sums as the stream keeps them."""
    return np.clip(sums, -LARGEST, LARGEST)
