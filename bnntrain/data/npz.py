"""NumPy archives (.npz) with the arrays x_train, y_train, x_test and y_test, read as a stream.

Images are uint8 of shape (N, height, width), (N, height, width, channels) or (N, features); labels
are integers of shape (N,) or (N, 1). The number of classes is the largest training label plus one.
The members of the zip archive are decompressed piece by piece: no array is ever loaded whole.

Source: NEP 1, "A simple file format for NumPy arrays".
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from bnntrain.data.files import reason
from bnntrain.data.source import (
    LARGEST_CLASSES,
    Shape,
    StreamReader,
    check_counts,
    check_shape,
    identify,
    read_labels,
    rows_per_chunk,
)
from bnntrain.data.stream import Stream
from bnntrain.errors import DataError

KEYS = ("x_train", "y_train", "x_test", "y_test")

_REMEDY = "Write the file again with numpy.savez_compressed"
# What zipfile raises for damaged or encrypted archives; it does not promise BadZipFile for all.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, OverflowError)
_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class NpzSource:
    """A data set in one .npz file.

    Parameters
    ----------
    name : str
        Name of the data set.
    path : Path
        The file.
    remedy : str
        What the user can do about a damaged file, one sentence.

    Attributes
    ----------
    files : tuple of Path
        The one file.
    """

    variant = ""

    def __init__(self, name: str, path: Path, remedy: str = _REMEDY) -> None:
        self.name = name
        self.files = (path,)
        self._path = path
        self._remedy = remedy

    def identity(self) -> list[list]:
        """See `Source`."""
        return [identify(self._path)]

    @contextmanager
    def open_split(self, split: str) -> Iterator[StreamReader]:
        """Open ``train`` or ``test`` for one pass.

        Raises
        ------
        DataError
            If the file is missing or damaged, or an array is missing or of wrong type or shape.
        """
        with ExitStack() as stack:
            archive = stack.enter_context(self._open_archive())
            classes = self._count_classes(archive)
            images = self._open_member(archive, f"x_{split}", stack)
            labels = self._open_member(archive, f"y_{split}", stack)
            image_count, shape = _read_image_header(images)
            label_count, label_type = _read_label_header(labels)
            check_counts(images, labels, image_count, label_count)
            names = [str(number) for number in range(classes)]
            yield StreamReader(shape, image_count, names, images, labels, label_type)

    def _open_archive(self) -> zipfile.ZipFile:
        try:
            if self._path.stat().st_size == 0:
                raise DataError(self._path, f"is empty (0 bytes). {self._remedy}")
            archive = zipfile.ZipFile(self._path)
        except _DAMAGE as error:
            raise DataError(
                self._path, f"truncated or not an .npz (zip) file ({error}). {self._remedy}"
            ) from None
        except OSError as error:
            raise DataError(
                self._path, f"cannot be read: {reason(error)}. {self._remedy}"
            ) from None
        names = set(archive.namelist())
        missing = [key for key in KEYS if f"{key}.npy" not in names]
        if missing:
            archive.close()
            found = ", ".join(sorted(name.removesuffix(".npy") for name in names)[:8]) or "none"
            raise DataError(
                self._path,
                f"lacks the arrays {', '.join(missing)} (found: {found}). "
                f"Save it with the keys {', '.join(KEYS)}",
            )
        return archive

    def _open_member(self, archive: zipfile.ZipFile, key: str, stack: ExitStack) -> Stream:
        if archive.getinfo(f"{key}.npy").compress_type not in _COMPRESSION:
            raise DataError(
                self._path,
                f"{key}: compressed by method {archive.getinfo(f'{key}.npy').compress_type}, "
                f"expected 0 (stored) or 8 (deflated). {self._remedy}",
            )
        try:
            member = stack.enter_context(archive.open(f"{key}.npy"))
        except (*_DAMAGE, OSError) as error:
            raise DataError(
                self._path, f"{key}: damaged archive member ({error}). {self._remedy}"
            ) from None
        return Stream(self._path, member, key, self._remedy, _DAMAGE)

    def _count_classes(self, archive: zipfile.ZipFile) -> int:
        """Return the largest training label plus one, in a pass over the labels alone."""
        with ExitStack() as stack:
            labels = self._open_member(archive, "y_train", stack)
            count, label_type = _read_label_header(labels)
            buffer = np.empty(rows_per_chunk(label_type.itemsize, count), label_type)
            largest = 0
            for start in range(0, count, max(1, len(buffer))):
                taken = min(len(buffer), count - start)
                read = read_labels(labels, buffer[:taken], start, LARGEST_CLASSES)
                largest = max(largest, int(read.max()))
            labels.finish()
        return largest + 1


def _read_image_header(stream: Stream) -> tuple[int, Shape]:
    shape, dtype = _read_npy_header(stream)
    if dtype.kind == "f":
        raise stream.error(
            f"images of type {dtype}, expected uint8: save pixels as 0 to 255, "
            "e.g. (x * 255).round().astype('uint8')"
        )
    if dtype != np.uint8:
        raise stream.error(
            f"images of type {dtype}, expected uint8: convert with x.astype('uint8')"
        )
    if len(shape) not in (2, 3, 4):
        raise stream.error(
            f"images of shape {shape}, expected (N, height, width), (N, height, width, channels) "
            "or (N, features)"
        )
    count, *rest = shape
    # Features without a picture are one row of one channel.
    height, width, channels = {1: (1, *rest, 1), 2: (*rest, 1), 3: tuple(rest)}[len(rest)]
    check_shape(stream, (height, width, channels))
    return count, (height, width, channels)


def _read_label_header(stream: Stream) -> tuple[int, np.dtype]:
    shape, dtype = _read_npy_header(stream)
    if dtype.kind not in "iu":
        raise stream.error(
            f"labels of type {dtype}, expected integers: convert with y.astype('uint8')"
        )
    if len(shape) == 2 and shape[1] > 1:
        raise stream.error(
            f"labels of shape {shape}, expected (N,): turn one-hot rows into numbers, y.argmax(1)"
        )
    if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)):
        raise stream.error(f"labels of shape {shape}, expected (N,)")
    return shape[0], dtype


def _read_npy_header(stream: Stream) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type of an array, the stream standing at its first element.

    Raises
    ------
    DataError
        If there is no valid header, the array holds Python objects or is in Fortran order.
    """
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        version = npy.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version[0]}.{version[1]}, expected 1.0 or 2.0")
        shape, fortran_order, dtype = readers[version](stream)
    except ValueError as error:
        raise stream.error(f"no valid .npy header ({error})") from None
    if dtype.hasobject or dtype.names:
        raise stream.error(
            f"array of type {dtype} is refused, expected plain numbers "
            "(Python objects are never unpickled)"
        )
    if fortran_order and len(shape) > 1:
        raise stream.error(
            "array in Fortran order, expected C order: save numpy.ascontiguousarray(x)"
        )
    stream.expected = stream.offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
    return shape, dtype
