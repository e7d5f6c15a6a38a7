"""Folders of pictures, one folder a class, or a .zip file of them; needs Pillow.

::

    <class>/*                          a share of each class is drawn to test
    train/<class>/*  test/<class>/*    with the same classes

Classes are numbered, and images read, in the order of their names (by code points). Every picture
is brought to one size and to grey or RGB as `PictureOptions` say; where they give no size, the
first training picture decides on it and all others must have it. In a .zip, the folders may stand
in one of any name. Names that start with a dot are left alone. Files are read one at a time and
never unpacked to disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bnntrain.data.decode import PictureError, PictureSizeError, decode, look
from bnntrain.data.picture_files import Album, open_album
from bnntrain.data.picture_open import AGAIN
from bnntrain.data.picture_parts import class_names, is_drawn, some, split_images
from bnntrain.data.preprocessing import CHANNELS, PictureOptions, Preprocessing
from bnntrain.data.source import (
    LARGEST_CLASSES,
    LARGEST_IMAGE_BYTES,
    LEAST_CLASSES,
    SPLITS,
    Chunk,
    Shape,
    identify,
    image_bytes_of,
    readable_path,
    rows_per_chunk,
)
from bnntrain.errors import DataError, UsageError

Members = dict[str, list[list[bytes]]]
"""Images by split, then by class."""

# Changes when the same files give other pixels than before: what was converted then is stale.
_DECODER = 2


class PictureSource:
    """A data set of picture files.

    Parameters
    ----------
    name : str
        Name of the data set.
    path : Path
        Folder of class folders, perhaps by parts, or a .zip file of one.
    options : PictureOptions
        Size, channels, and what tests.
    classes : list of str, optional
        What the class folders must be called, in ``train`` and ``test``; default: whatever they
        are, wherever they are.

    Attributes
    ----------
    files : tuple of Path
        The folder or file.
    variant : str
        What tells conversions of the same files apart.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        options: PictureOptions = PictureOptions(),  # noqa: B008  (it is immutable)
        classes: list[str] | None = None,
    ) -> None:
        self.name = name
        self.files = (path,)
        self.variant = options.text()
        self._path = path
        self._options = options
        self._classes = classes
        self._decided: tuple[Preprocessing, str] | None = None

    def identity(self) -> list[list]:
        """See `Source`; a folder counts by names, sizes and times of all its images.

        Raises
        ------
        DataError
            If the folder cannot be looked through.
        """
        how = f"decoder {_DECODER}, {self.variant}"
        if not self._path.is_dir():
            return [[*identify(self._path), how]]
        digest, total = hashlib.sha256(), 0
        with open_album(self._path) as album:
            for part in album.parts():
                for each, nbytes, time in album.stamps(part):
                    total += nbytes
                    digest.update(f"{each}\0{nbytes}\0{time}\n".encode("utf-8", "surrogateescape"))
        return [[readable_path(self._path), total, digest.hexdigest(), how]]

    @contextmanager
    def open_split(self, split: str) -> Iterator[PictureReader]:
        """Open ``train`` or ``test`` for one pass.

        Raises
        ------
        DataError
            If the folder or file cannot be read, the classes of the two parts differ, a class is
            empty, or a picture that decides on size or channels is no good.
        UsageError
            If Pillow is not installed.
        """
        with self.open_members() as (album, classes, members):
            if self._decided is None:
                self._decided = self._decide(album, members)
            wanted, as_in = self._decided
            here = members[split]
            yield PictureReader(
                wanted.shape, sum(map(len, here)), classes, album, here, wanted, as_in
            )

    @contextmanager
    def open_members(self) -> Iterator[tuple[Album, list[str], Members]]:
        """Open the album; give it, the names of the classes and the images by split and class.

        Raises
        ------
        DataError, UsageError
            As `open_split`, but for what is wrong with pictures.
        """
        _pillow(self._path)
        with open_album(self._path) as album:
            names = self._check_classes(album)
            members = {
                split: split_images(album, split, names, self._options) for split in SPLITS
            }
            # What lies in the one folder says more, where it is no picture.
            if len(names) < LEAST_CLASSES:
                raise self._too_few(names)
            shown = [os.fsencode(name).decode("utf-8", "backslashreplace") for name in names]
            yield album, shown, members

    def _check_classes(self, album: Album) -> list[str]:
        """Return the class folders."""
        names = class_names(album)
        if len(names) > LARGEST_CLASSES:
            raise DataError(
                self._path,
                f"has {len(names)} class folders, expected {LEAST_CLASSES} to {LARGEST_CLASSES}. "
                "Put the images of each class into a folder of its own",
            )
        if self._classes is None:
            return names
        if names != self._classes:
            raise DataError(
                self._path,
                f"not {self.name}: class folders {some(names)}, expected {some(self._classes)}. "
                "Name a set of your own by its path",
            )
        if is_drawn(album):
            raise DataError(self._path, f"not {self.name}: no folder test. Get the whole set")
        return names

    def _too_few(self, names: list[str]) -> DataError:
        found = f"only the class folder {names[0]}" if names else "no class folder"
        return DataError(
            self._path,
            f"holds {found}, and a data set needs {LEAST_CLASSES} classes at least. "
            "Name the folder that holds the class folders",
        )

    def _decide(self, album: Album, members: Members) -> tuple[Preprocessing, str]:
        """Return how pictures become samples, and the name of the one that decided on the size."""
        options = self._options
        size, first = options.image_size, members["train"][0][0]
        if size is None:
            size, _ = _look(album, first)
        channels = CHANNELS.get(options.channels)
        if channels is None:
            classes = (images for split in SPLITS for images in members[split])
            everything = (image for images in classes for image in images)
            channels = 1 if all(_look(album, image)[1] for image in everything) else 3
        height, width = size
        if height * width * channels > LARGEST_IMAGE_BYTES:
            raise DataError(
                self._path,
                f"{album.name(first)}: {height}x{width} pixels, expected at most "
                f"{LARGEST_IMAGE_BYTES // channels}. Set data.image_size, e.g. to 64",
            )
        resize = options.resize if options.image_size else "exact"
        return Preprocessing((height, width, channels), resize), album.name(first)


@dataclass
class PictureReader:
    """A `SplitReader` that decodes one picture after the other."""

    shape: Shape
    count: int
    classes: list[str]
    _album: Album
    _members: list[list[bytes]] = field(repr=False)
    _wanted: Preprocessing
    _as_in: str

    def error(self, message: str) -> DataError:
        """See `SplitReader`."""
        first = self._album.name(self._members[0][0])
        return DataError(self._album.path, f"{first.rpartition('/')[0]}: {message}")

    def chunks(self) -> Iterator[Chunk]:
        """See `SplitReader`."""
        image_bytes = image_bytes_of(self.shape)
        rows = rows_per_chunk(image_bytes, self.count)
        images = np.empty((rows, image_bytes), np.uint8)
        labels = np.empty(rows, np.uint16)
        taken = 0
        for label, members in enumerate(self._members):
            for member in members:
                images[taken] = self._read(member).reshape(-1)
                labels[taken] = label
                taken += 1
                if taken == rows:
                    yield images, labels
                    taken = 0
        if taken:
            yield images[:taken], labels[:taken]

    def _read(self, member: bytes) -> np.ndarray:
        try:
            return decode(self._album.read(member), self._wanted)
        except PictureSizeError as error:
            height, width = error.found
            raise DataError(
                self._album.path,
                f"{self._album.name(member)}: {height}x{width} pixels, expected "
                f"{self.shape[0]}x{self.shape[1]} as {self._as_in}. Set data.image_size, e.g. to "
                "64, and data.resize",
            ) from None
        except PictureError as error:
            raise DataError(self._album.path, f"{self._album.name(member)}: {error}") from None


def _look(album: Album, member: bytes) -> tuple[tuple[int, int], bool]:
    """Return height and width of a picture, and whether it is grey."""
    try:
        with album.open(member) as file:
            return look(file)
    except PictureError as error:
        raise DataError(album.path, f"{album.name(member)}: {error}") from None
    except OSError as error:
        message = f"cannot be read: {error.strerror}. {AGAIN}"
        raise DataError(album.path, f"{album.name(member)}: {message}") from None


def _pillow(path: Path) -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise UsageError(
            path, "pictures need Pillow. Install it with pip install 'bnntrain[images]'"
        ) from None
