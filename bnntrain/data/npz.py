"""NumPy archives (.npz) with the arrays x_train, y_train, x_test and y_test, read as a stream.

Images are uint8 of shape (N, height, width), (N, height, width, channels) or (N, features); labels
are integers of shape (N,) or (N, 1); ``arrays.py`` has the rules. Another array, ``classes``, may
name the classes; without it they are the numbers from 0 to the largest training label. The members
of the zip archive are decompressed piece by piece: no array is ever loaded whole.

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

from bnntrain.data.arrays import (
    RENUMBER,
    ArrayFaultError,
    check_every_class,
    check_label_type,
    check_pixel_type,
    check_plain_type,
    image_shape,
)
from bnntrain.data.files import reason
from bnntrain.data.npy import read_header
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
from bnntrain.zip_files import ZipError, read_directory

KEYS = ("x_train", "y_train", "x_test", "y_test")
CLASSES = "classes"
"""Key of the names of the classes."""

_LARGEST_MEMBERS = 1000
_LARGEST_NAME_BYTES = 1024
_REMEDY = "Write the file again with numpy.savez_compressed"
# What zipfile raises for damaged or encrypted archives; it does not promise BadZipFile for all.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, OverflowError, ZipError
)  # fmt: skip
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
            classes = self._find_classes(archive)
            images = self._open_member(archive, f"x_{split}", stack)
            labels = self._open_member(archive, f"y_{split}", stack)
            image_count, shape = _read_image_header(images)
            label_count, label_type = _read_label_header(labels)
            check_counts(images, labels, image_count, label_count)
            hint = ": the training part has no such class"
            yield StreamReader(shape, image_count, classes, images, labels, label_type, hint)

    def _open_archive(self) -> zipfile.ZipFile:
        try:
            if self._path.stat().st_size == 0:
                raise DataError(self._path, f"is empty (0 bytes). {self._remedy}")
            self._count_members()
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

    def _count_members(self) -> None:
        """Refuse archives of very many members, whose directory would fill the memory."""
        with self._path.open("rb") as file:
            for number, _ in enumerate(read_directory(file), 1):
                if number > _LARGEST_MEMBERS:
                    raise DataError(
                        self._path,
                        f"holds more than {_LARGEST_MEMBERS} arrays. Save it with the keys "
                        f"{', '.join(KEYS)}",
                    )

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

    def _find_classes(self, archive: zipfile.ZipFile) -> list[str]:
        """Return the names of the classes, each of which has an image to train on.

        Takes a pass over the training labels alone.
        """
        names = self._read_names(archive)
        with ExitStack() as stack:
            labels = self._open_member(archive, "y_train", stack)
            count, label_type = _read_label_header(labels)
            buffer = np.empty(rows_per_chunk(label_type.itemsize, count), label_type)
            counts = np.zeros(LARGEST_CLASSES, np.int64)
            limit = len(names) if names else LARGEST_CLASSES
            hint = _label_hint(names)
            for start in range(0, count, max(1, len(buffer))):
                taken = min(len(buffer), count - start)
                read = read_labels(labels, buffer[:taken], start, limit, hint)
                counts += np.bincount(read, minlength=LARGEST_CLASSES)
            labels.finish()
            if not count:
                return names or ["0"]  # the images, of which there are none either, come next
            with _named(labels):
                check_every_class(counts, names)
        return names or [str(number) for number in range(int(np.flatnonzero(counts)[-1]) + 1)]

    def _read_names(self, archive: zipfile.ZipFile) -> list[str] | None:
        """Return what `CLASSES` has; None if there is no such array."""
        if f"{CLASSES}.npy" not in archive.namelist():
            return None
        with ExitStack() as stack:
            stream = self._open_member(archive, CLASSES, stack)
            shape, dtype = _read_npy_header(stream)
            if dtype.kind not in "USiu" or len(shape) != 1:
                raise stream.error(
                    f"array of type {dtype} and shape {shape}, expected names of shape (classes,)"
                )
            if not 0 < shape[0] <= LARGEST_CLASSES or dtype.itemsize > _LARGEST_NAME_BYTES:
                raise stream.error(
                    f"{shape[0]} names of {dtype.itemsize} bytes, expected 1 to {LARGEST_CLASSES} "
                    f"of at most {_LARGEST_NAME_BYTES}"
                )
            names = np.empty(shape, dtype)
            stream.read_into(memoryview(names.view(np.uint8)))
            stream.finish()
            try:
                texts = [_text(name) for name in names.tolist()]
            except ValueError:
                raise stream.error("names that are no text. Save them as Unicode") from None
        if len(set(texts)) < len(texts) or "" in texts:
            raise stream.error("names that are empty or not different from each other")
        return texts


def _text(name: object) -> str:
    text = name.decode() if isinstance(name, bytes) else str(name)
    text.encode()  # fails for halves of characters
    return text


def _label_hint(names: list[str] | None) -> str:
    """Return what to do about a training label that is out of range."""
    if names:
        return f": '{CLASSES}' names {len(names)}, and labels count from 0"
    return f": leave out images without a class, and {RENUMBER}"


@contextmanager
def _named(stream: Stream) -> Iterator[None]:
    """Add file and key to what is wrong with an array."""
    try:
        yield
    except ArrayFaultError as error:
        raise stream.error(str(error)) from None


def _read_image_header(stream: Stream) -> tuple[int, Shape]:
    shape, dtype = _read_npy_header(stream)
    with _named(stream):
        check_pixel_type(dtype)
        sizes = image_shape(shape)
    check_shape(stream, sizes)
    return shape[0], sizes


def _read_label_header(stream: Stream) -> tuple[int, np.dtype]:
    shape, dtype = _read_npy_header(stream)
    with _named(stream):
        check_label_type(shape, dtype)
    return shape[0], dtype


def _read_npy_header(stream: Stream) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type of an array, the stream standing at its first element.

    Raises
    ------
    DataError
        If there is no valid header, the array holds Python objects or is in Fortran order.
    """
    try:
        header = read_header(stream)
    except ValueError as error:
        raise stream.error(f"no valid .npy header ({error})") from None
    with _named(stream):
        check_plain_type(header.dtype)
    if header.fortran_order and len(header.shape) > 1:
        raise stream.error(
            "array in Fortran order, expected C order: save numpy.ascontiguousarray(x)"
        )
    stream.expected = stream.offset + header.nbytes
    return header.shape, header.dtype
