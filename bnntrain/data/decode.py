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
from collections.abc import Callable
from typing import IO

import numpy as np

from bnntrain.data.decode_size import ORIENTATION, PictureError, check_size, fits
from bnntrain.data.picture_open import AGAIN, check_pixels, guarded, opened
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.data.scaling import GAP, Box, Place, Size, place_by, scaled

_MODES = {1: "L", 3: "RGB"}
# What a network takes for zero, and what `data.augment.fill: zero` brings in.
_MIDDLE = 128
_TRANSPOSING = (5, 6, 7, 8)
_JPEG_SCALES = (8, 4, 2, 1)

Choice = Callable[[Size, Size], Box]
"""Which part of a picture of one size becomes a sample of another."""


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
            side = GAP * max(wanted.shape[:2])
            picture.draft(None, (side, side))
        check_size(picture, len(data))
        picture.load()
        return _sample(picture, wanted)


def decode_part(data: bytes, wanted: Preprocessing, choose: Choice) -> np.ndarray:
    """Decode a part of a picture.

    Parameters
    ----------
    data : bytes
        Contents of its file.
    wanted : Preprocessing
        Size and channels of the sample; the part is stretched to it.
    choose : callable
        Asked for the part, given width and height of the picture and of the sample, both as the
        picture lies in its file: whoever looks at it may have to turn it.

    Returns
    -------
    ndarray of uint8 [height, width, channels]

    Raises
    ------
    PictureError, ImportError
        As `decode`. A picture that `decode` takes is never too large: if it has to be, a JPEG is
        decoded at less than twice the sample's size.
    """
    least = 1
    while True:
        with opened(io.BytesIO(data), len(data)) as picture:
            full = None
            if picture.format == "JPEG":
                full, target = picture.size, _lying(picture, wanted)
                scale = max(least, _jpeg_scale(choose(full, target), target))
                picture.draft(None, (max(1, full[0] // scale), max(1, full[1] // scale)))
                if scale < _JPEG_SCALES[0] and not fits(picture, len(data)):
                    least = 2 * scale
                    continue
            check_size(picture, len(data))
            picture.load()
            return _sample(picture, wanted, _place_of(choose, full))


def _lying(picture: object, wanted: Preprocessing) -> Size:
    """Return the size of a sample, turned as a picture lies."""
    height, width, _ = wanted.shape
    return (height, width) if _orientation(picture) in _TRANSPOSING else (width, height)


def _jpeg_scale(box: Box, target: Size) -> int:
    """Return how many times smaller a part may be decoded."""
    spare = min((box[2] - box[0]) / target[0], (box[3] - box[1]) / target[1]) / GAP
    return next((scale for scale in _JPEG_SCALES if scale <= spare), 1)


def _place_of(choose: Choice, full: Size | None) -> Place:
    """Return what takes a part that was chosen in the `full` picture from a smaller one."""

    def place(size: Size, target: Size) -> tuple[Box, Size]:
        across, down = (now / before for now, before in zip(size, full or size, strict=True))
        left, top, right, bottom = choose(full or size, target)
        box = (left * across, top * down, right * across, bottom * down)
        return (*box[:2], min(box[2], size[0]), min(box[3], size[1])), target

    return place


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


def _sample(picture: object, wanted: Preprocessing, place: Place | None = None) -> np.ndarray:
    """Return a decoded picture as a sample; `place` instead of what `wanted` says of the part."""
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
    target = (width, height)
    box, inner = place(size, target) if place else place_by(wanted.resize, size, target)
    sample = scaled(picture, box, inner).convert(_MODES[channels])
    if inner != target:
        whole = Image.new(sample.mode, target, (_MIDDLE,) * channels)
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
