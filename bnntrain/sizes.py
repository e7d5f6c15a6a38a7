"""Sizes in bytes as people write them."""

from __future__ import annotations

import math
import operator
import re

from bnntrain.errors import UsageError

_UNITS = {
    "": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6,
    "gb": 10**9,
}  # fmt: skip


def parse_size(value: object) -> int:
    """Return a size in bytes.

    Parameters
    ----------
    value : int or str
        Bytes, or a number with a unit: ``64MiB``, ``1.5 GB``.

    Raises
    ------
    UsageError
        It is no size.
    """
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value)
        unit = _UNITS.get(found.group(2).lower()) if found else None
        number = float(found.group(1)) * unit if unit else 0.0
        size = int(number) if math.isfinite(number) else 0
    else:
        try:
            size = 0 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            size = 0
    if size < 1:
        raise UsageError(f"{value!r} is not a size. Write it as in 64MiB")
    return size
