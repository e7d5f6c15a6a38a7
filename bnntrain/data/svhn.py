"""SVHN's cropped digits: .mat files with ``X`` uint8 [32, 32, 3, n] and ``y`` [n], 1 to 10.

MATLAB stores the first index fastest, so the bytes of an image lie together: columns of 32 rows, 32
columns a channel, three channels. Label 10 stands for the digit 0.

Source: Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Y. Ng, "Reading Digits in Natural
Images with Unsupervised Feature Learning", NIPS workshop, 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bnntrain.data.arrays import has_channels_first
from bnntrain.data.matlab import Variable, open_variable
from bnntrain.data.source import (
    Chunk,
    Shape,
    check_counts,
    check_shape,
    identify,
    image_bytes_of,
    rows_per_chunk,
)
from bnntrain.errors import DataError


class SvhnSource:
    """A data set in SVHN's .mat files.

    Parameters
    ----------
    name : str
        Name of the data set.
    classes : list of str
        Names of the ten classes.
    train : list of Path
        Files of the training part, one after the other.
    test : Path
        File of the test part.
    remedy : str
        What the user can do about a damaged file, one sentence.

    Attributes
    ----------
    files : tuple of Path
        All of them.
    """

    variant = ""

    def __init__(
        self, name: str, classes: list[str], train: list[Path], test: Path, remedy: str
    ) -> None:
        self.name = name
        self.files = (*train, test)
        self._paths = {"train": train, "test": [test]}
        self._classes = classes
        self._remedy = remedy

    def identity(self) -> list[list]:
        """See `Source`."""
        return [identify(path) for path in self.files]

    @contextmanager
    def open_split(self, split: str) -> Iterator[SvhnReader]:
        """Open ``train`` or ``test`` for one pass.

        Raises
        ------
        DataError
            If a file is missing, damaged or not of this format.
        """
        with ExitStack() as stack:
            parts = []
            for path in self._paths[split]:
                images = stack.enter_context(open_variable(path, "X", self._remedy))
                labels = stack.enter_context(open_variable(path, "y", self._remedy))
                parts.append(_Part(images, labels, *_check(images, labels)))
            first = parts[0]
            for part in parts:
                if part.shape != first.shape:
                    raise part.images.stream.error(
                        f"images of {part.shape}, expected {first.shape} as in "
                        f"{first.images.stream.path.name}"
                    )
            count = sum(part.count for part in parts)
            yield SvhnReader(first.shape, count, self._classes, parts)


@dataclass
class _Part:
    """One file: two variables, and what their headers say of the images."""

    images: Variable
    labels: Variable
    shape: Shape
    count: int


@dataclass
class SvhnReader:
    """A `SplitReader` that turns columns into pixels."""

    shape: Shape
    count: int
    classes: list[str]
    _parts: list[_Part] = field(repr=False)

    def error(self, message: str) -> DataError:
        """See `SplitReader`."""
        return self._parts[0].images.stream.error(message)

    def chunks(self) -> Iterator[Chunk]:
        """See `SplitReader`."""
        for part in self._parts:
            yield from self._chunks(part)

    def _chunks(self, part: _Part) -> Iterator[Chunk]:
        height, width, channels = self.shape
        rows = rows_per_chunk(image_bytes_of(self.shape), part.count)
        columns = np.empty((rows, channels, width, height), np.uint8)
        images = np.empty((rows, *self.shape), np.uint8)
        values = np.empty(rows, part.labels.dtype)
        for start in range(0, part.count, rows):
            taken = min(rows, part.count - start)
            part.images.stream.read_into(memoryview(columns[:taken]).cast("B"))
            images[:taken] = columns[:taken].transpose(0, 3, 2, 1)
            labels = self._labels(part.labels, values[:taken], start)
            yield images[:taken].reshape(taken, -1), labels
        for variable in (part.images, part.labels):
            variable.finish()

    def _labels(self, variable: Variable, values: np.ndarray, first: int) -> np.ndarray:
        """Fill `values` with labels and return them as classes."""
        variable.stream.read_into(memoryview(values.view(np.uint8)))
        classes = len(self.classes)
        with np.errstate(invalid="ignore"):
            whole = values.astype(np.int64)
        wrong = np.flatnonzero((whole != values) | (whole < 1) | (whole > classes))
        if wrong.size:
            item = int(wrong[0])
            raise variable.stream.error(
                f"label {values[item]} of image {first + item} is out of range, expected 1 to "
                f"{classes}, where {classes} stands for the digit 0"
            )
        return (whole % classes).astype(np.uint16)


def _check(images: Variable, labels: Variable) -> tuple[Shape, int]:
    """Return shape and number of the images of two variables.

    Raises
    ------
    DataError
        If they are not what SVHN has.
    """
    # MATLAB drops the last dimensions where they are 1.
    dims = images.dims + (1,) * (4 - len(images.dims))
    if images.kind != "uint8" or images.dtype != np.uint8 or len(dims) != 4:
        is_other = images.kind == "uint8" and images.dtype not in (None, np.uint8)
        stored = f" stored as {images.dtype}" if is_other else ""
        raise images.stream.error(
            f"{images.kind}{stored} of shape {images.dims}, expected uint8 (height, width, "
            "channels, n)"
        )
    if labels.dtype is None or max(labels.dims) != np.prod(labels.dims, dtype=object):
        raise labels.stream.error(
            f"{labels.kind} of shape {labels.dims}, expected numbers of shape (n, 1)"
        )
    _check_order(images, dims, max(labels.dims))
    shape = dims[:3]
    check_counts(images.stream, labels.stream, dims[3], max(labels.dims))
    check_shape(images.stream, shape)
    for variable, count in ((images, image_bytes_of(shape) * dims[3]), (labels, dims[3])):
        variable.check_size(count)
    return shape, dims[3]


def _check_order(images: Variable, dims: tuple[int, ...], count: int) -> None:
    """Check that what is first are rows and what is last are images.

    Raises
    ------
    DataError
        If the images come first, as in arrays of other programs, or their channels do.
    """
    python, matlab = "", ""
    if dims[0] == count != dims[3]:
        python, matlab = "numpy.moveaxis(X, 0, -1)", "permute(X, [2 3 4 1])"
        if has_channels_first(dims[1:]):
            python, matlab = "X.transpose(2, 3, 1, 0)", "permute(X, [3 4 2 1])"
    elif has_channels_first(dims[:3]):
        python, matlab = "X.transpose(1, 2, 0, 3)", "permute(X, [2 3 1 4])"
    if python:
        raise images.stream.error(
            f"uint8 of shape {images.dims}, expected (height, width, channels, n): save {python} "
            f"in Python, {matlab} in MATLAB"
        )
