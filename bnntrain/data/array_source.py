"""Arrays in memory as a data set: converted once, then found in the cache by what they hold.

The data set's name is ``arrays:`` and a digest of all pixels, labels and class names, so that a run
can only be resumed with the same arrays, and needs them no more while the cache has them.
``arrays.py`` has the rules for types, shapes and labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnntrain.data.arrays import (
    ArrayFaultError,
    check_every_class,
    check_label_type,
    check_pixel_type,
    image_shape,
)
from bnntrain.data.files import cache_folder
from bnntrain.data.flat import convert
from bnntrain.data.source import (
    ARRAYS,
    LARGEST_CLASSES,
    LARGEST_IMAGE_BYTES,
    SPLITS,
    Chunk,
    Shape,
    first_outside,
    image_bytes_of,
    rows_per_chunk,
    stored_label_type,
)
from bnntrain.errors import DataError, UsageError

_DIGITS = 24
_FORMS = "Give data=(x, y) or data=(x, y, x_test, y_test)"


@dataclass(frozen=True)
class ArraySplit:
    """One part: a `SplitReader` of arrays.

    Attributes
    ----------
    images : ndarray of uint8 [n, ...]
        Not copied.
    labels : ndarray of uint16 [n]
        In range.
    shape, classes
        See `SplitReader`.
    """

    images: np.ndarray
    labels: np.ndarray
    shape: Shape
    classes: list[str]

    @property
    def count(self) -> int:
        """See `SplitReader`."""
        return len(self.images)

    def error(self, message: str) -> DataError:
        """See `SplitReader`."""
        return DataError("data", message)

    def chunks(self) -> Iterator[Chunk]:
        """See `SplitReader`."""
        size = image_bytes_of(self.shape)
        rows = rows_per_chunk(size, self.count)
        for start in range(0, self.count, rows):
            part = slice(start, start + rows)
            yield np.ascontiguousarray(self.images[part]).reshape(-1, size), self.labels[part]


class ArraySource:
    """A data set of arrays, by its name; see `Source`.

    Parameters
    ----------
    name : str
        ``arrays:`` and a digest.
    splits : dict of str to ArraySplit, optional
        The arrays; without them the cache must have their flat form.
    """

    variant = ""

    def __init__(self, name: str, splits: dict[str, ArraySplit] | None = None) -> None:
        self.name, self._splits = name, splits
        self.files: tuple[Path, ...] = (cache_folder() / name,)

    def identity(self) -> list[list]:
        """See `Source`."""
        return [[self.name, 0, 0]]

    @contextmanager
    def open_split(self, split: str) -> Iterator[ArraySplit]:
        """Open ``train`` or ``test``.

        Raises
        ------
        DataError
            The arrays are neither given nor in the cache.
        """
        if self._splits is None:
            message = "these arrays of Python are not in the cache any more"
            raise DataError(self.name, f"{message}. Give them again: bnntrain.fit(..., data=...)")
        yield self._splits[split]


def store_arrays(
    data: object, classes: Sequence[str] | None, test_fraction: float, test_seed: int
) -> str:
    """Convert arrays into the cache; return the name of their data set.

    Parameters
    ----------
    data : tuple of array
        ``(x, y)`` or ``(x, y, x_test, y_test)``: images of uint8 [n, height, width],
        [n, height, width, channels] or [n, features], and integers [n].
    classes : sequence of str or None
        Names of the classes; None numbers them.
    test_fraction, test_seed : float, int
        Share of each class that tests where there is no test part, and what draws it.

    Raises
    ------
    UsageError
        Something else, or of other types, shapes or labels; the message says how to convert it.
    """
    try:
        splits = _read(data, classes, test_fraction, test_seed)
    except ArrayFaultError as error:
        raise UsageError("data", str(error)) from None
    name = f"{ARRAYS}{_digest(splits)}"
    source = ArraySource(name, splits)
    for split in SPLITS:
        convert(source, split)
    return name


def _read(
    data: object, classes: Sequence[str] | None, test_fraction: float, test_seed: int
) -> dict[str, ArraySplit]:
    if not isinstance(data, tuple | list) or len(data) not in (2, 4):
        raise ArrayFaultError(f"{type(data).__name__} is neither two nor four arrays. {_FORMS}")
    arrays = [as_array(part) for part in data]
    names = _names(classes)
    x, y = arrays[:2]
    shape = _shape_of(x)
    labels = read_labels_of(y, len(x), names and len(names), "")
    check_every_class(np.bincount(labels, minlength=LARGEST_CLASSES), names)
    names = names or [str(number) for number in range(int(labels.max()) + 1)]
    if len(arrays) == 4:
        x_test, y_test = arrays[2:]
        if _shape_of(x_test) != shape:
            raise ArrayFaultError(
                f"test images of shape {x_test.shape[1:]}, expected {x.shape[1:]} as for training"
            )
        tests = read_labels_of(y_test, len(x_test), len(names), " of the test part")
        return {
            "train": ArraySplit(x, labels, shape, names),
            "test": ArraySplit(x_test, tests, shape, names),
        }
    is_test = _drawn(labels, names, test_fraction, test_seed)
    return {
        split: ArraySplit(x[chosen], labels[chosen], shape, names)
        for split, chosen in (("train", ~is_test), ("test", is_test))
    }


def as_array(values: object) -> np.ndarray:
    """Return an array; what is one already is not copied.

    Raises
    ------
    ArrayFaultError
        It cannot be one, or is made of Python objects.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError):
        array = np.empty(0, object)
    if array.dtype == object:
        raise ArrayFaultError(f"{type(values).__name__} is no array of numbers. {_FORMS}")
    return array


def _names(classes: Sequence[str] | None) -> list[str] | None:
    if classes is None:
        return None
    is_list = not isinstance(classes, str) and isinstance(classes, Sequence | np.ndarray)
    names = [str(name) for name in classes] if is_list else []
    if not 0 < len(names) <= LARGEST_CLASSES or len(set(names)) < len(names) or "" in names:
        raise ArrayFaultError(
            f"classes are 1 to {LARGEST_CLASSES} different names, as in classes=['cat', 'dog']"
        )
    return names


def _shape_of(images: np.ndarray) -> Shape:
    check_pixel_type(images.dtype)
    shape = image_shape(images.shape)
    if not len(images):
        raise ArrayFaultError("0 images, expected at least 1")
    if not 0 < image_bytes_of(shape) <= LARGEST_IMAGE_BYTES:
        text = "x".join(map(str, shape))
        raise ArrayFaultError(f"images of {text}, expected 1 to {LARGEST_IMAGE_BYTES} bytes")
    return shape


def read_labels_of(
    labels: np.ndarray, count: int, classes: int | None, where: str
) -> np.ndarray:
    """Check labels.

    Parameters
    ----------
    labels : ndarray of int [n] or [n, 1]
        Class numbers.
    count : int
        Images that they belong to.
    classes : int or None
        Labels are below; None for as many as there may be.
    where : str
        Which labels, for messages.

    Returns
    -------
    ndarray of uint16 [n]

    Raises
    ------
    ArrayFaultError
        Another type or number, or a label out of range.
    """
    check_label_type(labels.shape, labels.dtype)
    if len(labels) != count:
        raise ArrayFaultError(f"{len(labels)} labels{where}, expected {count}, one per image")
    flat = labels.reshape(-1)
    wrong = first_outside(flat, classes or LARGEST_CLASSES)
    if wrong is not None:
        highest = (classes or LARGEST_CLASSES) - 1
        raise ArrayFaultError(
            f"label {int(flat[wrong])} of image {wrong}{where}, expected 0 to {highest}"
        )
    return flat.astype(np.uint16)


def _drawn(labels: np.ndarray, names: list[str], fraction: float, seed: int) -> np.ndarray:
    """Return which samples test: a share of each class, drawn as that of pictures is."""
    is_test = np.zeros(len(labels), dtype=bool)
    by_class = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=len(names)))[:-1]
    for name, places in zip(names, np.split(by_class, ends), strict=True):
        if len(places) < 2:
            raise ArrayFaultError(
                f"class {name} has one image, and one has to train and another to test. Give more, "
                "or x_test and y_test"
            )
        count = min(max(1, int(len(places) * fraction + 0.5)), len(places) - 1)
        lots = [hashlib.sha256(f"{seed}/{name}/{place}".encode()).digest() for place in places]
        is_test[places[sorted(range(len(places)), key=lots.__getitem__)[:count]]] = True
    return is_test


def _digest(splits: dict[str, ArraySplit]) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        part = splits[split]
        head = [split, part.count, part.shape, part.classes]
        digest.update(json.dumps(head).encode())
        for images, labels in part.chunks():
            digest.update(images)
            digest.update(labels.astype(stored_label_type(len(part.classes))))
    return digest.hexdigest()[:_DIGITS]
