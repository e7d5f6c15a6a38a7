"""Which files hold several pictures, of which only the first becomes a sample."""

from __future__ import annotations

from typing import IO

from bnntrain.data.decode_size import PictureError
from bnntrain.data.picture_open import opened

# Not JPEG: what some cameras put behind the picture is the same one, smaller.
_SERIES = ("GIF", "PNG", "TIFF", "WEBP")


def holds_several(file: IO[bytes]) -> bool:
    """Whether a file holds an animation or several pages; damage counts as no.

    Raises
    ------
    ImportError
        Pillow is not installed.
    """
    file.seek(0)
    try:
        with opened(file, 0) as picture:
            return picture.format in _SERIES and bool(getattr(picture, "is_animated", False))
    except PictureError:
        return False


def first_counts(names: list[str]) -> str:
    """Say of files that hold several pictures what becomes of them."""
    others = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"only the first picture counts of several in {names[0]}{others}"
