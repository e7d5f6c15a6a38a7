"""Folders of pictures, one folder a class, or a .zip file of them; needs Pillow.

::

    train/<class>/*.png|jpg    images of the training part
    test/<class>/*.png|jpg     images of the test part, with the same classes

Classes are numbered, and images read, in the order of their names (by code points). The first image
decides on size and on grey or colour; all others must agree. Pictures that are neither 8-bit grey
nor RGB become so: palettes and CMYK RGB, black and white and 16-bit grey 8-bit grey; what is
transparent lies on white. In a .zip, ``train`` and ``test`` may stand in one folder of any name.
Names that start with a dot are left alone. Files are read one at a time and never unpacked to disk.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bnntrain.data.picture_files import Album, open_album
from bnntrain.data.source import (
    LARGEST_CLASSES,
    LARGEST_IMAGE_BYTES,
    SPLITS,
    Chunk,
    Shape,
    identify,
    image_bytes_of,
    readable_path,
    rows_per_chunk,
)
from bnntrain.errors import DataError, UsageError

_REMEDY = "Save it again as PNG or JPEG, or take it out"
_WHITE = (255, 255, 255, 255)
# What Pillow raises for pictures that are cut off or made up.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, MemoryError, ArithmeticError, struct.error)


class PictureSource:
    """A data set of picture files.

    Parameters
    ----------
    name : str
        Name of the data set.
    path : Path
        Folder that holds ``train`` and ``test``, or a .zip file of one.
    classes : list of str, optional
        What the class folders must be called; default: whatever they are.

    Attributes
    ----------
    files : tuple of Path
        The folder or file.
    """

    def __init__(self, name: str, path: Path, classes: list[str] | None = None) -> None:
        self.name = name
        self.files = (path,)
        self._path = path
        self._classes = classes

    def identity(self) -> list[list]:
        """See `Source`; a folder counts by names, sizes and times of all its images.

        Raises
        ------
        DataError
            If the folder cannot be looked through.
        """
        if not self._path.is_dir():
            return [identify(self._path)]
        digest, total = hashlib.sha256(), 0
        with open_album(self._path) as album:
            for split in SPLITS:
                for each, nbytes, time in album.stamps(split):
                    total += nbytes
                    digest.update(f"{each}\0{nbytes}\0{time}\n".encode("utf-8", "surrogateescape"))
        return [[readable_path(self._path), total, digest.hexdigest()]]

    @contextmanager
    def open_split(self, split: str) -> Iterator[PictureReader]:
        """Open ``train`` or ``test`` for one pass.

        Raises
        ------
        DataError
            If the folder or file cannot be read, the classes of the two parts differ, a class is
            empty, or the first image is no good.
        UsageError
            If Pillow is not installed.
        """
        _pillow(self._path)
        with open_album(self._path) as album:
            names = self._check_classes(album)
            members = [album.images(split, name) for name in names]
            for name, images in zip(names, members, strict=True):
                if not images:
                    message = f"{split}/{name}: empty class folder. Add images, or remove it"
                    raise DataError(self._path, f"{message} from train and test")
            yield PictureReader(
                _read(album, members[0][0]).shape, sum(map(len, members)),
                [os.fsencode(name).decode("utf-8", "backslashreplace") for name in names],
                album, members,
            )  # fmt: skip

    def _check_classes(self, album: Album) -> list[str]:
        """Return the class folders, which train and test must share."""
        train, test = (album.classes(split) for split in SPLITS)
        for here, there, names in (("train", "test", test), ("test", "train", train)):
            lacking = sorted(set(names) - set(train if here == "train" else test))
            if lacking:
                message = f"{here} lacks the classes {_some(lacking)} of {there}"
                raise DataError(self._path, f"{message}. Give both the same class folders")
        if not 0 < len(train) <= LARGEST_CLASSES:
            raise DataError(
                self._path,
                f"train has {len(train)} class folders, expected 1 to {LARGEST_CLASSES}. "
                "Put the images of each class into a folder of its own, train/<class>",
            )
        if self._classes is not None and train != self._classes:
            raise DataError(
                self._path,
                f"not {self.name}: class folders {_some(train)}, expected {_some(self._classes)}. "
                "Name a set of your own by its path",
            )
        return train


@dataclass
class PictureReader:
    """A `SplitReader` that decodes one picture after the other."""

    shape: Shape
    count: int
    classes: list[str]
    _album: Album
    _members: list[list[bytes]] = field(repr=False)

    def error(self, message: str) -> DataError:
        """See `SplitReader`."""
        first = self._album.name(self._members[0][0])
        return DataError(self._album.path, f"{first.rpartition('/')[0]}: {message}")

    def chunks(self) -> Iterator[Chunk]:
        """See `SplitReader`."""
        image_bytes = image_bytes_of(self.shape)
        rows = rows_per_chunk(image_bytes, self.count)
        images = np.empty((rows, image_bytes), np.uint8)
        labels = np.empty(rows, np.uint8)
        taken = 0
        for label, members in enumerate(self._members):
            for member in members:
                image = _read(self._album, member)
                if image.shape != self.shape:
                    raise self._unlike(member, image.shape)
                images[taken] = image.reshape(-1)
                labels[taken] = label
                taken += 1
                if taken == rows:
                    yield images, labels
                    taken = 0
        if taken:
            yield images[:taken], labels[:taken]

    def _unlike(self, member: bytes, shape: Shape) -> DataError:
        name, first = self._album.name(member), self._album.name(self._members[0][0])
        return DataError(
            self._album.path,
            f"{name}: {_kind(shape)}, expected {_kind(self.shape)} as {first}. "
            "Give all images one size and one kind",
        )


def _read(album: Album, member: bytes) -> np.ndarray:
    """Return a picture as uint8 [height, width, 1 or 3].

    Raises
    ------
    DataError
        If it cannot be read, is no picture, is damaged or has too many pixels.
    """
    from PIL import Image, UnidentifiedImageError

    data = album.read(member)
    try:
        # What Pillow only warns of is refused below, or harmless.
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture,
        ):
            width, height = picture.size
            if 3 * width * height <= LARGEST_IMAGE_BYTES:
                values = np.asarray(_grey_or_rgb(picture))
                return values if values.ndim == 3 else values[..., np.newaxis]
    except UnidentifiedImageError:
        message = "is empty (0 bytes)" if not data else "is neither PNG nor JPEG"
        raise DataError(album.path, f"{album.name(member)}: {message}. {_REMEDY}") from None
    except Image.DecompressionBombError:
        width = height = 0
    except _DAMAGE as error:
        message = str(error) or type(error).__name__
        raise DataError(
            album.path,
            f"{album.name(member)}: truncated or damaged picture ({message}). {_REMEDY}",
        ) from None
    size = f"{height}x{width}" if width else "very many"
    raise DataError(
        album.path,
        f"{album.name(member)}: {size} pixels, expected at most {LARGEST_IMAGE_BYTES // 3}. "
        "Shrink the images",
    )


def _grey_or_rgb(picture: object) -> object:
    """Return a picture upright and of mode L or RGB, on white where it is transparent."""
    from PIL import Image, ImageOps

    if "exif" in picture.info:
        picture = ImageOps.exif_transpose(picture)
    clear = "A" in picture.getbands() or "transparency" in picture.info
    if picture.mode in ("L", "RGB") and not clear:
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode.startswith("I"):
        # Grey of 16 bits, which convert() would clip at 255.
        return np.clip(np.asarray(picture) >> 8, 0, 255).astype(np.uint8)
    if clear:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer)
    return picture.convert("RGB")


def _pillow(path: Path) -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise UsageError(
            path, "pictures need Pillow. Install it with pip install 'bnntrain[images]'"
        ) from None


def _kind(shape: Shape) -> str:
    height, width, channels = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'RGB'}"


def _some(names: list[str]) -> str:
    """Name the first few."""
    text = ", ".join(names[:10])
    return text if len(names) <= 10 else f"{text}, ... ({len(names)})"
