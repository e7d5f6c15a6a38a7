"""Where windows lie and how positions are ordered, against a walk over the image."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bnntrain import kernels

BEFORE_NORM = ("before_norm", "average_before_norm")
POOLS = ("none", *BEFORE_NORM, "before_sign", "after_sign")


def ordered(height: int, width: int, pool: str) -> list[tuple[int, int]]:
    """List positions in the stored order: windows of four, then what pooling leaves over."""
    if pool == "none":
        return [(y, x) for y in range(height) for x in range(width)]
    windows = [
        (y + dy, x + dx)
        for y in range(0, height - 1, 2)
        for x in range(0, width - 1, 2)
        for dy in (0, 1)
        for dx in (0, 1)
    ]
    if pool in BEFORE_NORM:
        return windows
    right = [(y, width - 1) for y in range(height // 2 * 2)] if width % 2 else []
    bottom = [(height - 1, x) for x in range(width)] if height % 2 else []
    return windows + right + bottom


@given(
    st.integers(1, 11), st.integers(1, 11), st.integers(1, 7), st.integers(1, 2),
    st.integers(0, 3), st.integers(0, 3), st.sampled_from(POOLS), st.booleans(),
)  # fmt: skip
def test_places(height, width, kernel, stride, pad_top, pad_left, pool, sticks_out):
    end = 1 if sticks_out else 0
    out_height = (height + pad_top + end - kernel) // stride + 1
    out_width = (width + pad_left + end - kernel) // stride + 1
    if min(out_height, out_width) < 1 or max(pad_top, pad_left) >= kernel:
        return
    window = kernels.Window(
        height=height, width=width, channels=3, kernel=kernel, stride=stride, pad_top=pad_top,
        pad_left=pad_left, out_height=out_height, out_width=out_width, pool=pool,
    )  # fmt: skip
    places = ordered(out_height, out_width, pool)
    corners = [(y * stride - pad_top, x * stride - pad_left) for y, x in places]
    assert window.positions == len(places)
    origins = np.full((len(places), 2), -99, "int32")
    window.origins(origins)
    assert origins.tolist() == [list(corner) for corner in corners]

    windows = (out_height // 2) * (out_width // 2)
    assert window.windows == (0 if pool == "none" else windows)
    assert window.norm_positions == (windows if pool in BEFORE_NORM else len(places))
    assert window.out_positions == (len(places) if pool == "none" else windows)

    expected = np.full((height * width, kernel * kernel), -1, "int32")
    skips = False
    for y, x in ((y, x) for y in range(out_height) for x in range(out_width)):
        for tap in range(kernel * kernel):
            row = y * stride - pad_top + tap // kernel
            column = x * stride - pad_left + tap % kernel
            if not (0 <= row < height and 0 <= column < width):
                skips = True
            elif (y, x) in places:
                expected[row * width + column, tap] = places.index((y, x))
    assert window.skips == skips
    found = np.empty_like(expected)
    window.neighbours(found)
    assert (found == expected).all()
