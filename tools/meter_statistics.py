"""Means that what other programs did to a few of the figures does not move."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

TRIMMED = 0.1  # of the values, at either end


def trimmed(values: Sequence[float]) -> tuple[float, float]:
    """Return the trimmed mean and its standard error, from the winsorised deviation.

    Source: Yuen, 1974, "The two-sample trimmed t for unequal population variances".
    """
    values = np.sort(np.asarray(values))
    cut = int(TRIMMED * len(values))
    kept = values[cut : len(values) - cut]
    deviation = np.clip(values, kept[0], kept[-1]).std(ddof=1)
    return float(kept.mean()), float(deviation) / ((1 - 2 * TRIMMED) * math.sqrt(len(values)))
