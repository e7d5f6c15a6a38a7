"""What decoding a picture takes, known from its header: too large ones are refused before that."""

from __future__ import annotations

import math

LARGEST_PICTURE_BYTES = 88 * 1024 * 1024
"""Limit of what decoding one picture may take, its file included: a process stays below 150 MiB."""

ORIENTATION = 0x0112
"""Tag of how a picture lies, in EXIF and TIFF."""

_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 278, 322, 323


class PictureError(Exception):
    """A picture that is no good: what is wrong and the remedy, without the name of the file."""


def check_size(picture: object, nbytes: int) -> None:
    """Refuse a picture that would take too much memory, before any is taken."""
    if not fits(picture, nbytes):
        width, height = picture.size
        scale = _scale(picture)
        raise too_large(f"{height * scale}x{width * scale}", nbytes)


def fits(picture: object, nbytes: int) -> bool:
    """Whether a picture in a file of `nbytes` can be decoded within the limit."""
    width, height = picture.size
    need = width * height * _bytes_per_pixel(picture)
    if picture.format == "TIFF":
        need += _unpacked(picture) * _bytes_per_pixel(picture)
    if picture.info.get("progressive"):
        # All coefficients of the full size are kept, two bytes each.
        need += 2 * _coefficients(picture)
    return nbytes + need <= LARGEST_PICTURE_BYTES


def _bytes_per_pixel(picture: object) -> int:
    """Return what Pillow takes for a decoded pixel, buffers of the decoder included."""
    if picture.format == "WEBP":
        return 16  # two canvases, the copy that is handed out, and the picture
    mode = picture.mode
    return 1 if mode in ("1", "L", "P") else 2 if mode.startswith("I;16") else 4


def _unpacked(picture: object) -> int:
    """Return the pixels that are unpacked beside a TIFF picture: a strip or tile, or all."""
    tags, (width, height) = picture.tag_v2, picture.size
    if tags.get(ORIENTATION, 1) != 1:  # Pillow turns it as a whole
        return width * height
    if picture.tile[0][0] == "raw":
        return 0
    if _TILE_WIDTH in tags:
        return tags[_TILE_WIDTH] * tags[_TILE_HEIGHT]
    return width * min(height, tags.get(_ROWS_PER_STRIP, height))


def _scale(picture: object) -> int:
    """Return how many times smaller than it is a picture will be decoded."""
    return (getattr(picture, "decoderconfig", None) or (1,))[0]


def _coefficients(picture: object) -> int:
    """Return the number of coefficients of a progressive JPEG picture, at its full size."""
    width, height = (side * _scale(picture) for side in picture.size)
    across = max(layer[1] for layer in picture.layer)
    down = max(layer[2] for layer in picture.layer)
    share = sum(layer[1] * layer[2] for layer in picture.layer) / (across * down)
    return math.ceil(width * height * share)


def too_large(size: str, nbytes: int) -> PictureError:
    return PictureError(
        f"{size} pixels in a file of {nbytes:,} bytes take more than "
        f"{LARGEST_PICTURE_BYTES >> 20} MiB to decode. Make it smaller, or take it out"
    )
