"""What scripts give to be classified, in any form, to stacks of samples."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from bnntrain.data.arrays import ArrayFaultError, as_samples
from bnntrain.data.decode import PictureError, fit_picture
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.errors import DataError, UsageError
from bnntrain.images import files_in, fit_images, read_images
from bnntrain.paths import is_folder

Images = np.ndarray | str | os.PathLike[str] | Iterable[object]
"""An array, a path, a picture of Pillow's, or an iterable of them: see `stacks_of`."""

_FORMS = "Give an array, a path, a picture of Pillow's, or a list of them"


def stacks_of(images: Images, wanted: Preprocessing) -> Iterator[np.ndarray]:
    """Yield samples, in the order in which they were given.

    Parameters
    ----------
    images : array, path, picture or iterable of them
        Arrays of uint8: samples of the network's size, [n, height, width, channels] or flat [n, m];
        or images of any size, one or a stack, [height, width] or [n, height, width], perhaps with
        channels behind. Paths of pictures, of ``.npy`` files, or of folders of them, whose files
        come in the order of their names. ``PIL.Image.Image``.
    wanted : Preprocessing
        What the network takes, and how images of another size get there.

    Yields
    ------
    ndarray of uint8 [n, height, width, channels]

    Raises
    ------
    UsageError, DataError
        Images of another type, or that cannot be read, or cannot be brought to that size.
    """
    if isinstance(images, str) and not images:
        raise UsageError(f"an image's path is empty. {_FORMS}")
    if isinstance(images, str | os.PathLike):
        yield from _read(Path(images), wanted)
    elif _is_picture(images):
        yield _fitted(images, wanted)
    elif hasattr(images, "__array__"):  # NumPy's own, or another library's
        array = np.asarray(images)
        if array.size or array.ndim > 1:
            yield _stack(array, wanted)
    elif isinstance(images, Iterable) and not isinstance(images, bytes | Mapping):
        for number, image in enumerate(images):
            if isinstance(image, Iterable | os.PathLike) or _is_picture(image):
                yield from stacks_of(image, wanted)
            else:
                raise UsageError(f"image {number} is of type {type(image).__name__}. {_FORMS}")
    else:
        raise UsageError(f"images of type {type(images).__name__}. {_FORMS}")


def _read(path: Path, wanted: Preprocessing) -> Iterator[np.ndarray]:
    for file in files_in(path) if is_folder(path) else [path]:
        yield read_images(file, wanted)


def _stack(images: np.ndarray, wanted: Preprocessing) -> np.ndarray:
    try:
        return as_samples(images, wanted.shape)
    except ArrayFaultError as error:
        if not images.size:
            return np.empty((0, *wanted.shape), np.uint8)
        try:
            return fit_images(images, wanted)
        except DataError as other:
            # What is no image either was meant as samples.
            raise UsageError(str(error if images.ndim == 2 else other)) from None


def _is_picture(value: object) -> bool:
    """Whether a value is a picture of Pillow's, which then has been imported."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def _fitted(picture: object, wanted: Preprocessing) -> np.ndarray:
    try:
        return fit_picture(picture, wanted)[np.newaxis]
    except PictureError as error:
        raise UsageError("picture", str(error)) from None
