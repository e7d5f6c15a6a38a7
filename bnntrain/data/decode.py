"""One picture: from the bytes of its file to the pixels of a sample. Needs Pillow.

Data sets and ``predict`` both come through `decode`, so that one file gives one sample everywhere.

* PNG, JPEG, WebP, BMP, GIF and TIFF are read, told apart by their first bytes; Pillow is asked for
  that one format and loads no other. Of several pictures in a file the first counts.
* A picture is turned upright by its orientation tag, wherever it is: EXIF, XMP, ImageMagick's text.
* Palettes, CMYK and other colour spaces become RGB; black and white and grey of 16 or 12 bits
  become grey of 8 bits, its upper ones. What is transparent lies on white. Grey stays grey then.
* Signed, 32-bit and floating-point pixels are refused: their range would have to be guessed.
* What a picture may take to decode has a limit (`decode_size`). JPEG is decoded at a half, a
  quarter or an eighth of its size where that is enough; all else is converted in bands of rows.
"""

from __future__ import annotations

import io
import math
from typing import IO

import numpy as np

from bnntrain.data.decode_size import ORIENTATION, PictureError, check_size
from bnntrain.data.picture_open import AGAIN, BITS, check_pixels, guarded, opened
from bnntrain.data.preprocessing import Preprocessing

_MODES = {1: "L", 3: "RGB"}
_WHITE = (255, 255, 255, 255)
# What a network takes for zero, and what `data.augment.fill: zero` brings in.
_MIDDLE = 128
_TRANSPOSING = (5, 6, 7, 8)
_WHITE_IS_ZERO = 262
_BAND_PIXELS = 1 << 18
# A picture shrinks to twice its size at the least by means of whole squares, then exactly.
_GAP = 2


class PictureSizeError(PictureError):
    """A picture of another size than the only one that is taken.

    Attributes
    ----------
    found : tuple of int
        Its height and width.
    """

    def __init__(self, found: tuple[int, int], wanted: tuple[int, ...]) -> None:
        super().__init__(
            f"{found[0]}x{found[1]} pixels (height x width), expected {wanted[0]}x{wanted[1]}"
        )
        self.found = found


def decode(data: bytes, wanted: Preprocessing) -> np.ndarray:
    """Decode a picture.

    Parameters
    ----------
    data : bytes
        Contents of its file.
    wanted : Preprocessing
        Size and channels of the sample, and how a picture gets that size.

    Returns
    -------
    ndarray of uint8 [height, width, channels]

    Raises
    ------
    PictureError
        It is no picture of a format that is read, damaged, too large, or of pixels that are
        refused. `PictureSizeError` if ``resize`` is ``exact`` and it has another size.
    ImportError
        Pillow is not installed.
    """
    if not data:
        raise PictureError(f"is empty (0 bytes). {AGAIN}")
    with opened(io.BytesIO(data), len(data)) as picture:
        if wanted.resize != "exact" and hasattr(picture, "draft"):
            side = _GAP * max(wanted.shape[:2])
            picture.draft(None, (side, side))
        check_size(picture, len(data))
        picture.load()
        return _sample(picture, wanted)


def look(file: IO[bytes]) -> tuple[tuple[int, int], bool]:
    """Return a picture's height and width as it is shown, and whether it is grey.

    Reads no more of the file than it must: no pixels, unless an orientation may stand behind them.

    Raises
    ------
    PictureError
        As `decode`.
    ImportError
        Pillow is not installed.
    """
    nbytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not nbytes:
        raise PictureError(f"is empty (0 bytes). {AGAIN}")
    with opened(file, nbytes) as picture:
        is_grey = picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith("I")
        # Asked before the orientation, for which a PNG is decoded.
        if picture.format == "PNG":
            check_size(picture, nbytes)
        width, height = picture.size
        is_turned = picture.format != "TIFF" and _orientation(picture) in _TRANSPOSING
        return ((width, height) if is_turned else (height, width)), is_grey


def fit(image: np.ndarray, wanted: Preprocessing) -> np.ndarray:
    """Give an image that is decoded already the size and channels of a sample.

    Parameters
    ----------
    image : ndarray of uint8 [height, width, 1 or 3]
        Pixels.
    wanted : Preprocessing
        As for `decode`.

    Returns
    -------
    ndarray of uint8 [height, width, channels]
        What `decode` makes of the same pixels in a PNG file.

    Raises
    ------
    PictureError, ImportError
        As `decode`.
    """
    if image.shape == tuple(wanted.shape):
        return image
    _check_channels(wanted)
    _check_exact(image.shape[:2], wanted)
    from PIL import Image

    return _sample(Image.fromarray(image[..., 0] if image.shape[2] == 1 else image), wanted)


def fit_picture(picture: object, wanted: Preprocessing) -> np.ndarray:
    """Give a picture of Pillow's the size and channels of a sample.

    Parameters
    ----------
    picture : PIL.Image.Image
        Opened or made; it stays as it is.
    wanted : Preprocessing
        As for `decode`.

    Returns
    -------
    ndarray of uint8 [height, width, channels]
        What `decode` makes of the same pixels in a file.

    Raises
    ------
    PictureError
        As `decode`.
    """
    if 0 in picture.size:
        raise PictureError("has no pixels")
    with guarded():
        check_pixels(picture)
        picture.load()
        return _sample(picture, wanted)


def _orientation(picture: object) -> int:
    """Return how a picture lies, 1 to 8 as in EXIF; what cannot be read says nothing."""
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except Exception:  # made-up tags, over which Pillow raises almost anything
        return 1


def _sample(picture: object, wanted: Preprocessing) -> np.ndarray:
    """Return a decoded picture as a sample."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # fmt: skip
    _check_channels(wanted)
    height, width, channels = wanted.shape
    orientation = _orientation(picture)
    size = picture.size
    if orientation in _TRANSPOSING:  # all is done lying, where there are many pixels
        width, height = height, width
        _check_exact(size, wanted)
    else:
        _check_exact(size[::-1], wanted)
    box, inner = _place(size, (width, height), wanted.resize)
    sample = _scaled(picture, box, inner).convert(_MODES[channels])
    if inner != (width, height):
        whole = Image.new(sample.mode, (width, height), (_MIDDLE,) * channels)
        whole.paste(sample, ((width - inner[0]) // 2, (height - inner[1]) // 2))
        sample = whole
    if orientation in turns:
        sample = sample.transpose(turns[orientation])
    return np.asarray(sample).reshape(wanted.shape)


def _check_channels(wanted: Preprocessing) -> None:
    height, width, channels = wanted.shape
    if channels not in _MODES:
        raise PictureError(
            f"pictures have 1 or 3 channels, the network takes {channels}. Give .npy files of "
            f"[n, {height}, {width}, {channels}]"
        )


def _check_exact(found: tuple[int, int], wanted: Preprocessing) -> None:
    if wanted.resize == "exact" and tuple(found) != tuple(wanted.shape[:2]):
        raise PictureSizeError((found[0], found[1]), wanted.shape)


Box = tuple[float, float, float, float]


def _place(size: tuple[int, int], target: tuple[int, int], resize: str) -> tuple[Box, tuple]:
    """Return which part of a picture is scaled to which size; sizes are width and height."""
    width, height = size
    whole = (0.0, 0.0, float(width), float(height))
    if resize == "pad":
        scale = min(target[0] / width, target[1] / height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        return whole, (min(inner[0], target[0]), min(inner[1], target[1]))
    if resize == "crop":
        scale = max(target[0] / width, target[1] / height)
        across, down = min(width, target[0] / scale), min(height, target[1] / scale)
        left, top = (width - across) / 2, (height - down) / 2
        return (left, top, left + across, top + down), target
    return whole, target


def _scaled(picture: object, box: Box, size: tuple[int, int]) -> object:
    """Return part of a picture in another size, of mode L or RGB.

    Band by band it becomes grey or RGB and shrinks by whole squares, as long as it stays twice as
    large as `size`: no copy of a large picture is made. The rest of the way is averages too, so
    thin strokes survive.
    """
    from PIL import Image

    (left, top), (right, bottom) = map(math.floor, box[:2]), map(math.ceil, box[2:])
    across = max(1, (right - left) // (_GAP * size[0]))
    down = max(1, (bottom - top) // (_GAP * size[1]))
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
