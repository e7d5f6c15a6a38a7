"""Where the files of a picture data set lie: in folders, or in a .zip file of them.

An `Album` lists the classes of a part, the images of a class, and gives the bytes of an image; what
the bytes mean is the business of ``pictures.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from bnntrain.data.files import reason
from bnntrain.data.source import SPLITS
from bnntrain.data.zip_files import Entry, ZipError, read_directory, read_entry
from bnntrain.errors import DataError

LARGEST_FILE_BYTES = 16 * 1024 * 1024
"""Limit of one compressed picture, so that conversion stays within bounded memory."""

_LAYOUT = "Put the images into train/<class> and test/<class>"
_AGAIN = "Make the .zip file again"


class Album(Protocol):
    """Files of pictures by part and class; images are named ``<part>/<class>/<file>``.

    Attributes
    ----------
    path : Path
        Folder or file, for messages.
    """

    path: Path

    def classes(self, split: str) -> list[str]:
        """Return the class folders of a part, sorted."""
        ...

    def images(self, split: str, name: str) -> list[bytes]:
        """Return the images of a class, sorted by name, each in a form for the album only."""
        ...

    def name(self, image: bytes) -> str:
        """Return the name of an image."""
        ...

    def read(self, image: bytes) -> bytes:
        """Return the contents of a file."""
        ...

    def stamps(self, split: str) -> Iterator[tuple[str, int, int]]:
        """Yield name, bytes and modification time (ns) of each image of a part."""
        ...


@contextmanager
def open_album(path: Path) -> Iterator[Album]:
    """Open a folder or a .zip file.

    Raises
    ------
    DataError
        If it cannot be read, is no zip archive, or lacks ``train`` or ``test``.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    # Only opening is guarded: an OSError of the code that uses the album is no fault of `path`.
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(path, f"cannot be read: {reason(error)}. Check the path") from None
    with file:
        if not file.read(1):
            raise DataError(path, f"is empty (0 bytes). {_AGAIN}")
        yield _Archive(path, file)


class _Folder:
    """Pictures in folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for split in SPLITS:
            if not (path / split).is_dir():
                raise DataError(path, f"holds no folder {split}. {_LAYOUT}")

    def classes(self, split: str) -> list[str]:
        """See `Album`."""
        names = []
        for entry in self._scan(split):
            if not entry.is_dir():
                raise _stray(self.path, f"{split}/{entry.name}")
            names.append(entry.name)
        return sorted(names)

    def images(self, split: str, name: str) -> list[bytes]:
        """See `Album`."""
        images = []
        for entry in self._scan(f"{split}/{name}"):
            within = f"{split}/{name}/{entry.name}"
            if entry.is_dir():
                raise _nested(self.path, within)
            images.append(os.fsencode(within))
        return sorted(images)

    def name(self, image: bytes) -> str:
        """See `Album`."""
        return os.fsdecode(image)

    def read(self, image: bytes) -> bytes:
        """See `Album`."""
        name = self.name(image)
        try:
            with (self.path / name).open("rb") as file:
                data = file.read(LARGEST_FILE_BYTES + 1)
        except OSError as error:
            message = f"cannot be read: {reason(error)}. Check its permissions, or take it out"
            raise DataError(self.path, f"{name}: {message}") from None
        return _limited(self.path, name, data)

    def stamps(self, split: str) -> Iterator[tuple[str, int, int]]:
        """See `Album`."""
        for name in self.classes(split):
            for entry in sorted(self._scan(f"{split}/{name}"), key=lambda each: each.name):
                try:
                    status = entry.stat()
                except OSError as error:
                    raise DataError(entry.path, f"cannot be read: {reason(error)}") from None
                yield f"{split}/{name}/{entry.name}", status.st_size, status.st_mtime_ns

    def _scan(self, within: str) -> list[os.DirEntry]:
        try:
            with os.scandir(self.path / within) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            message = f"cannot be read: {reason(error)}. Check its permissions"
            raise DataError(self.path / within, message) from None


class _Archive:
    """Pictures in an open .zip file."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._parts: dict[str, dict[str, list[bytes]]] = {split: {} for split in SPLITS}
        try:
            self._prefix = _prefix_of({entry.name.split("/")[0] for entry in read_directory(file)})
            for entry in read_directory(file):
                if entry.name.startswith(self._prefix):
                    self._sort_in(entry)
        except ZipError as error:
            message = f"truncated or not a .zip file ({error})"
            raise DataError(path, f"{message}. {_AGAIN}") from None
        except OSError as error:
            raise DataError(path, f"cannot be read: {reason(error)}. {_AGAIN}") from None
        for split in SPLITS:
            if not self._parts[split]:
                raise DataError(path, f"holds no folder {split} with class folders. {_LAYOUT}")

    def _sort_in(self, entry: Entry) -> None:
        name = entry.name.removeprefix(self._prefix)
        split, *rest = name.split("/")
        # A name that ends with "/" is a folder; its last piece is empty.
        if split not in self._parts or rest in ([], [""]) or any(p.startswith(".") for p in rest):
            return
        if len(rest) == 1:
            raise _stray(self.path, name)
        images = self._parts[split].setdefault(rest[0], [])
        if rest[1:] == [""]:
            return
        if len(rest) > 2:
            raise _nested(self.path, f"{split}/{rest[0]}/{rest[1]}")
        images.append(entry.pack())

    def classes(self, split: str) -> list[str]:
        """See `Album`."""
        return sorted(self._parts[split])

    def images(self, split: str, name: str) -> list[bytes]:
        """See `Album`."""
        images = self._parts[split][name]
        images.sort()
        return images

    def name(self, image: bytes) -> str:
        """See `Album`."""
        return Entry.unpack(image).name.removeprefix(self._prefix)

    def read(self, image: bytes) -> bytes:
        """See `Album`."""
        try:
            data = read_entry(self._file, Entry.unpack(image), LARGEST_FILE_BYTES)
        except ZipError as error:
            message = f"damaged archive member ({error})"
            raise DataError(self.path, f"{self.name(image)}: {message}. {_AGAIN}") from None
        except OSError as error:
            message = f"cannot be read: {reason(error)}. {_AGAIN}"
            raise DataError(self.path, f"{self.name(image)}: {message}") from None
        return _limited(self.path, self.name(image), data)

    def stamps(self, split: str) -> Iterator[tuple[str, int, int]]:
        """See `Album`; an archive counts as one file, so this is not asked for."""
        raise NotImplementedError


def _prefix_of(tops: set[str]) -> str:
    """Return the folder of an archive that holds ``train``, as ``""`` or ``"<name>/"``."""
    tops = tops - {"__MACOSX"}
    if "train" in tops or len(tops) != 1:
        return ""
    return f"{tops.pop()}/"


def _limited(path: Path, image: str, data: bytes) -> bytes:
    if len(data) > LARGEST_FILE_BYTES:
        message = f"larger than {LARGEST_FILE_BYTES} bytes. Shrink the image, or take it out"
        raise DataError(path, f"{image}: {message}")
    return data


def _stray(path: Path, name: str) -> DataError:
    return DataError(path, f"{name}: not a class folder. {_LAYOUT}, and nothing else there")


def _nested(path: Path, name: str) -> DataError:
    return DataError(path, f"{name}: a folder inside a class folder. {_LAYOUT} themselves")
