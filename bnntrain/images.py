"""Images that somebody wants classified, from files or arrays to what a network takes.

Arrays of the network's size (``.npy``) need nothing but NumPy. All else needs Pillow, from the
extra ``images``, and comes through the function that data sets are decoded by.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from bnntrain.data.arrays import ArrayFaultError, check_plain_type, image_stack
from bnntrain.data.decode import PictureError, PictureSizeError, decode, fit
from bnntrain.data.files import open_regular, reason, remedy_for
from bnntrain.data.npy import read_header
from bnntrain.data.picture_files import LARGEST_FILE_BYTES, is_litter, is_picture
from bnntrain.data.picture_frames import holds_several
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.errors import DataError, UsageError

ARRAY_SUFFIX = ".npy"
# Of what there are series; nothing else is opened again.
_SERIES_SUFFIXES = (".gif", ".png", ".tif", ".tiff", ".webp")
_ARRAY_MAGIC = b"\x93NUMPY"
# What NumPy raises over files that are cut off or made up.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, MemoryError, ArithmeticError)


def read_images(path: Path, wanted: Preprocessing, invert: bool = False) -> np.ndarray:
    """Read one file.

    Parameters
    ----------
    path : Path
        ``.npy`` with one image or a stack of them (see `fit_images`); anything else is opened as a
        picture.
    wanted : Preprocessing
        What the network takes, and how images of another size get there.
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
    try:
        with open_regular(path) as file:
            if path.suffix.lower() == ARRAY_SUFFIX:
                return _inverted(fit_images(_load_array(file, path), wanted, path), invert)
            data = file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raise DataError(path, "no such file. Check the path") from None
    except (OSError, ValueError) as error:
        message, remedy = error, "Check the path"
        if isinstance(error, OSError):
            message, remedy = reason(error), remedy_for(error, remedy)
        raise DataError(path, f"cannot be read ({message}). {remedy}") from None
    return read_contents(data, path, wanted, invert)


def read_contents(
    data: bytes, where: object, wanted: Preprocessing, invert: bool = False
) -> np.ndarray:
    """Read the contents of a file: a picture or, by its first bytes, an ``.npy`` file.

    Parameters
    ----------
    data : bytes
        All of it.
    where : object
        Name of the file, for messages.
    wanted, invert
        As for `read_images`, as are the result and the errors.
    """
    if data.startswith(_ARRAY_MAGIC):
        return _inverted(fit_images(_load_array(io.BytesIO(data), where), wanted, where), invert)
    if len(data) > LARGEST_FILE_BYTES:
        message = f"larger than {LARGEST_FILE_BYTES:,} bytes. Shrink the image"
        raise DataError(where, message)
    return _inverted(_guarded(decode, data, where, wanted)[np.newaxis], invert)


def fit_images(array: np.ndarray, wanted: Preprocessing, where: object = None) -> np.ndarray:
    """Give images in an array the network's size and channels.

    Parameters
    ----------
    array : ndarray of uint8
        One image or a stack: [height, width], [n, height, width], or either with channels behind.
    wanted : Preprocessing
        What the network takes, and how images of another size get there.
    where : object
        Name of the file, for messages; None for an array that is in no file.

    Returns
    -------
    ndarray of uint8 [n, height, width, channels]
        `array` itself where nothing has to be done.

    Raises
    ------
    DataError
        No images, or of another type or size.
    UsageError
        They have another size or kind, and Pillow is not installed.
    """
    images = _stacked(array, wanted.shape, where)
    if images.shape[1:] == tuple(wanted.shape):
        return images
    fitted = np.empty((len(images), *wanted.shape), dtype=np.uint8)
    for image, place in zip(images, fitted, strict=True):
        place[...] = _guarded(fit, image, where, wanted)
    return fitted


def _raise(error: DataError) -> None:
    raise error


def files_in(folder: Path, report: Callable[[DataError], object] = _raise) -> list[Path]:
    """Return the pictures and ``.npy`` files in a folder and those below it, by their names.

    Hidden files and folders, and links to folders, are left alone.

    Parameters
    ----------
    folder : Path
        The folder.
    report : function of a DataError
        Called for each folder that cannot be read; the files of the others are returned if it
        returns. Default: it raises.

    Raises
    ------
    DataError
        There are none, or a folder cannot be read.
    """

    is_whole = True

    def fail(error: OSError) -> None:
        nonlocal is_whole
        is_whole = False
        remedy = "Check its permissions"
        report(DataError(error.filename, f"cannot be read: {reason(error)}. {remedy}"))

    found = []
    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = (name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in names if is_image(name)]
    if is_whole and not found:
        raise DataError(folder, "holds no pictures. Give a folder of pictures, or pictures")
    return sorted(found)


def is_image(name: str) -> bool:
    """Whether a file is a picture or array by its name."""
    is_array = name.lower().endswith(ARRAY_SUFFIX)
    return not is_litter(name) and (is_array or is_picture(name))


def is_series(path: Path) -> bool:
    """Whether a file that has been read holds several pictures, of which the first was taken."""
    if path.suffix.lower() not in _SERIES_SUFFIXES:
        return False
    try:
        with open_regular(path) as file:
            return holds_several(file)
    except (OSError, ImportError):
        return False


def _inverted(images: np.ndarray, invert: bool) -> np.ndarray:
    return 255 - images if invert else images


def _guarded(
    function: object, image: bytes | np.ndarray, where: object, wanted: Preprocessing
) -> np.ndarray:
    """Call `decode` or `fit`; errors name the file."""
    try:
        return function(image, wanted)
    except PictureSizeError as error:
        raise DataError(where, f"{error}. Give --resize to fit it") from None
    except PictureError as error:
        raise DataError(where, str(error)) from None
    except ImportError:
        raise UsageError(
            where, "this needs Pillow. Install it with pip install 'bnntrain[images]', or give "
            ".npy files of the network's size",
        ) from None  # fmt: skip


def _load_array(file: IO[bytes], where: object) -> np.ndarray:
    import zipfile  # pictures are read without

    try:
        _check_type(file)
        return np.load(file, allow_pickle=False)
    except ArrayFaultError as error:
        raise DataError(where, str(error)) from None
    except (*_DAMAGED, zipfile.BadZipFile) as error:
        message = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(where, f"cannot be read ({message}). Save it with numpy.save") from None


def _check_type(file: IO[bytes]) -> None:
    """Refuse what NumPy would only say that it does not unpickle; the file is rewound."""
    try:
        dtype = read_header(file).dtype
    except ValueError:  # NumPy tells what is wrong
        return
    finally:
        file.seek(0)
    check_plain_type(dtype)


def _stacked(array: np.ndarray, shape: tuple[int, ...], where: object) -> np.ndarray:
    """Return the images of an array as [n, height, width, channels]."""
    if not isinstance(array, np.ndarray):
        raise DataError(where, "holds several arrays. Save one with numpy.save")
    try:
        return image_stack(array, shape)
    except ArrayFaultError as error:
        raise DataError(where, str(error)) from None
