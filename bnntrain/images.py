"""Images that somebody wants classified, from files to what a network takes.

Arrays of the network's size (``.npy``) need nothing but NumPy. All else is Pillow's, from the extra
``images``, imported when it is needed.
"""

from __future__ import annotations

import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np

from bnntrain.errors import DataError, UsageError

Shape = tuple[int, ...]
_MODES = {1: "L", 3: "RGB"}
_WHITE = (255, 255, 255, 255)
# What NumPy and Pillow raise over files that are missing, cut off or made up.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, MemoryError, ArithmeticError)


def read_images(path: Path, shape: Shape, resize: bool = False, invert: bool = False) -> np.ndarray:
    """Read one file.

    Parameters
    ----------
    path : Path
        ``.npy`` with one image or a stack of them, [height, width], [n, height, width], each
        perhaps with channels behind, uint8; anything else is opened as a picture.
    shape : tuple of int
        Height, width and channels (1 or 3) of the network.
    resize : bool
        Stretch images of another size; otherwise they are refused.
    invert : bool
        Turn values to 255 minus them: dark ink on paper becomes light on dark, as in MNIST.

    Returns
    -------
    ndarray of uint8 [n, height, width, channels]
        Grey and colour are converted into each other as the network needs.

    Raises
    ------
    DataError
        The file is missing, damaged, of another type or of the wrong size.
    UsageError
        It needs Pillow, and Pillow is not installed.
    """
    is_array = path.suffix.lower() == ".npy"
    images = _read_array(path, shape) if is_array else _read_picture(path)[np.newaxis]
    fitted = _fit(images, path, shape, resize)
    return 255 - fitted if invert else fitted


def _read_array(path: Path, shape: Shape) -> np.ndarray:
    """Return the images of an .npy file as [n, height, width, channels]."""
    try:
        array = np.load(path, allow_pickle=False)
    except (*_DAMAGED, zipfile.BadZipFile) as error:
        raise _unreadable(path, error, "Save it with numpy.save") from None
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        kind = array.dtype if isinstance(array, np.ndarray) else "several arrays"
        raise DataError(path, f"holds {kind}, not uint8. Scale to 0 ... 255 and save as uint8")
    # A stack of grey images and one image with channels may look alike: the network decides.
    if array.shape in (shape, shape[:2]) or (array.ndim == 3 and _looks_like_one(array, shape)):
        array = array[np.newaxis]
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[3] not in _MODES or not array.size:
        raise DataError(
            path, f"an array of shape {array.shape} is no image and no stack of images. "
            f"Save [n, {shape[0]}, {shape[1]}, {shape[2]}]",
        )  # fmt: skip
    return array


def _looks_like_one(array: np.ndarray, shape: Shape) -> bool:
    """Whether three dimensions are those of one image with channels, not of a stack."""
    return array.shape[1:] != shape[:2] and array.shape[2] in _MODES


def _read_picture(path: Path) -> np.ndarray:
    """Return a picture as uint8 [height, width, channels]."""
    pillow = _pillow(path)
    try:
        with warnings.catch_warnings():
            # Pillow warns of pictures that would fill the memory, and refuses twice that size.
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path) as picture:
                values = np.asarray(_opaque(picture))
    except pillow.UnidentifiedImageError:
        raise DataError(path, "not a picture that Pillow knows. Give PNG, JPEG or .npy") from None
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError):
        raise DataError(path, "has too many pixels. Make it smaller first") from None
    except (*_DAMAGED, struct.error) as error:
        raise _unreadable(path, error, "Save it again as PNG") from None
    return values if values.ndim == 3 else values[..., np.newaxis]


def _opaque(picture: object) -> object:
    """Return a picture upright, of 8 bits, grey or colour, on white paper where it is clear."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        # Grey of 16 bits, which Pillow would clip at 255.
        return Image.fromarray(np.clip(np.asarray(picture) >> 8, 0, 255).astype(np.uint8))
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, _WHITE), picture)
    return picture.convert("RGB")


def _fit(images: np.ndarray, path: Path, shape: Shape, resize: bool) -> np.ndarray:
    """Give images [n, height, width, channels] the network's size and channels."""
    height, width, channels = shape
    if images.shape[1:] == tuple(shape):
        return images
    if images.shape[1:3] != (height, width) and not resize:
        found = f"{images.shape[1]}x{images.shape[2]}"
        raise DataError(
            path, f"{found} pixels (height x width), but the network takes {height}x{width}. "
            "Give --resize to stretch it",
        )  # fmt: skip
    pillow = _pillow(path)
    fitted = np.empty((len(images), *shape), dtype=np.uint8)
    for image, place in zip(images, fitted, strict=True):
        picture = pillow.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        picture = picture.convert(_MODES[channels])
        if picture.size != (width, height):
            # Averages where the picture shrinks, so thin strokes survive.
            picture = picture.resize((width, height), pillow.Resampling.BILINEAR)
        place[...] = np.asarray(picture).reshape(shape)
    return fitted


def _pillow(path: Path) -> object:
    try:
        from PIL import Image
    except ImportError:
        raise UsageError(
            path, "this needs Pillow. Install it with pip install 'bnntrain[images]', or give .npy "
            "files of the network's size",
        ) from None  # fmt: skip
    return Image


def _unreadable(path: Path, error: Exception, remedy: str) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(path, "no such file. Check the path")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(path, f"cannot be read ({reason}). {remedy}")
