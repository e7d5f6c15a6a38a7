"""Which part of a picture becomes which part of a sample, and its pixels there. Needs Pillow."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bnntrain.data.picture_open import BITS

Size = tuple[int, int]
"""Width and height."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

Place = Callable[[Size, Size], tuple[Box, Size]]
"""Which part of a picture of one size is scaled for a sample of another, and to which size."""

GAP = 2
"""A picture shrinks to this many times its size, or more, by whole squares, then exactly."""

_BAND_PIXELS = 1 << 18
_CENTRE = 224 / 256
_WHITE = (255, 255, 255, 255)
_WHITE_IS_ZERO = 262


def place_by(resize: str, size: Size, target: Size) -> tuple[Box, Size]:
    """Return which part of a picture is scaled to which size, see `Preprocessing.resize`."""
    width, height = size
    whole = (0.0, 0.0, float(width), float(height))
    if resize == "pad":
        scale = min(target[0] / width, target[1] / height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        return whole, (min(inner[0], target[0]), min(inner[1], target[1]))
    if resize in ("crop", "centre"):
        scale = max(target[0] / width, target[1] / height)
        share = _CENTRE if resize == "centre" else 1
        across = share * min(width, target[0] / scale)
        down = share * min(height, target[1] / scale)
        left, top = (width - across) / 2, (height - down) / 2
        return (left, top, left + across, top + down), target
    return whole, target


def scaled(picture: object, box: Box, size: tuple[int, int]) -> object:
    """Return part of a picture in another size, of mode L or RGB.

    Band by band it becomes grey or RGB and shrinks by whole squares, as long as it stays twice as
    large as `size`: no copy of a large picture is made. The rest of the way is averages too, so
    thin strokes survive.
    """
    from PIL import Image

    (left, top), (right, bottom) = map(math.floor, box[:2]), map(math.ceil, box[2:])
    across = max(1, (right - left) // (GAP * size[0]))
    down = max(1, (bottom - top) // (GAP * size[1]))
    rows = max(1, _BAND_PIXELS // (right - left) // down) * down
    small = None
    for first in range(top, bottom, rows):
        band = picture.crop((left, first, right, min(first + rows, bottom)))
        band = _plain(band, picture).reduce((across, down))
        if small is None:
            height = -(-(bottom - top) // down)
            small = Image.new(band.mode, (band.width, height))
        small.paste(band, (0, (first - top) // down))
    rest = (
        (box[0] - left) / across, (box[1] - top) / down,
        min((box[2] - left) / across, small.width), min((box[3] - top) / down, small.height),
    )  # fmt: skip
    if size == small.size and rest == (0, 0, *size):
        return small
    return small.resize(size, Image.Resampling.BILINEAR, box=rest)


def _plain(band: object, picture: object) -> object:
    """Return some rows of a picture as grey or RGB of 8 bits, on white where they are clear."""
    from PIL import Image

    if band.mode.startswith("I"):
        return Image.fromarray(_upper_bits(np.asarray(band), picture))
    is_grey = band.mode in ("1", "L", "LA", "La")
    if band.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        band = band.convert("LA").convert("RGBA") if band.mode == "La" else band.convert("RGBA")
        band = Image.alpha_composite(Image.new("RGBA", band.size, _WHITE), band)
    return band.convert("L" if is_grey else "RGB")


def _upper_bits(values: np.ndarray, picture: object) -> np.ndarray:
    """Return grey of 16 or 12 bits as uint8."""
    tags = picture.tag_v2 if picture.format == "TIFF" else {}
    shift = max(tags.get(BITS, (16,))) - 8
    grey = np.clip(values >> shift, 0, 255).astype(np.uint8)
    if tags.get(_WHITE_IS_ZERO) == 0:
        grey = 255 - grey
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return grey
