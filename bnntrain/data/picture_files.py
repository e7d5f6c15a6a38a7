"""Where the files of a picture data set lie: in folders, or in a .zip file of them.

::

    train/<class>/<file>    parts by the names in `PARTS`, beside each other
    <class>/<file>          no parts: one, whose name is empty

An `Album` lists its parts, the classes of a part, the images of a class, and gives the bytes of an
image. What a part is for is the business of ``picture_parts.py``, what the bytes mean that of
``decode.py``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO, Protocol

from bnntrain.data.files import open_regular, reason, remedy_for
from bnntrain.errors import DataError
from bnntrain.zip_files import Entry, ZipError, read_directory, read_entry

LARGEST_FILE_BYTES = 40 * 1024 * 1024
"""Limit of one compressed picture, so that conversion stays within bounded memory."""

PARTS = ("train", "test", "val", "valid", "validation")
"""Folders that are parts of a set, not classes, where `PARTS[0]` is among them."""

SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"]
)
"""How the names of picture files end, in small letters."""

_LAYOUT = "Put the images into <class>, or train/<class> and test/<class>"
_AGAIN = "Make the .zip file again"
# What file managers of other systems leave in folders.
_MAC_FOLDER = "__MACOSX"
_LITTER = ("thumbs.db", "desktop.ini")


class Album(Protocol):
    """Files of pictures by part and class; an image's name is its path, with slashes.

    Attributes
    ----------
    path : Path
        Folder or file, for messages.
    """

    path: Path

    def parts(self) -> list[str]:
        """Return the parts that there are, in the order of `PARTS`; [""] where classes stand."""
        ...

    def classes(self, part: str) -> list[str]:
        """Return the class folders of a part, sorted."""
        ...

    def images(self, part: str, name: str) -> list[bytes]:
        """Return the images of a class, sorted by name, each in a form for the album only."""
        ...

    def name(self, image: bytes) -> str:
        """Return the name of an image."""
        ...

    def open(self, image: bytes) -> IO[bytes]:
        """Return a file to read from; the caller closes it."""
        ...

    def read(self, image: bytes) -> bytes:
        """Return the contents of a file."""
        ...

    def stamps(self, part: str) -> Iterator[tuple[str, int, int]]:
        """Yield name, bytes and modification time (ns) of each image of a part."""
        ...


@contextmanager
def open_album(path: Path) -> Iterator[Album]:
    """Open a folder or a .zip file.

    Raises
    ------
    DataError
        If it cannot be read, is no zip archive, or holds no class folders.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    # Only opening is guarded: an OSError of the code that uses the album is no fault of `path`.
    try:
        file = open_regular(path)
    except OSError as error:
        remedy = remedy_for(error, "Check the path")
        raise DataError(path, f"cannot be read: {reason(error)}. {remedy}") from None
    with file:
        if not file.read(1):
            raise DataError(path, f"is empty (0 bytes). {_AGAIN}")
        yield _Archive(path, file)


def holds_pictures(album: Album) -> bool:
    """Whether the first file of some class is a picture by its name."""
    folders = [(part, name) for part in album.parts() for name in album.classes(part)]
    firsts = (image for folder in folders for image in album.images(*folder)[:1])
    return any(is_picture(album.name(image)) for image in firsts)


class _Folder:
    """Pictures in folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts = _parts_of({entry.name for entry in self._scan("") if _is_folder(entry)})
        if not any(self.classes(part) for part in self._parts):
            raise DataError(path, f"holds no class folders. {_LAYOUT}")

    def parts(self) -> list[str]:
        """See `Album`."""
        return self._parts

    def classes(self, part: str) -> list[str]:
        """See `Album`."""
        names = []
        for entry in self._scan(part):
            if _is_folder(entry):
                names.append(entry.name)
            elif part or is_picture(entry.name):
                raise _stray(self.path, _join(part, entry.name))
        return sorted(names)

    def images(self, part: str, name: str) -> list[bytes]:
        """See `Album`."""
        images = []
        for entry in self._scan(_join(part, name)):
            within = _join(part, name, entry.name)
            if _is_folder(entry):
                raise _nested(self.path, within)
            images.append(os.fsencode(within))
        return sorted(images)

    def name(self, image: bytes) -> str:
        """See `Album`."""
        return os.fsdecode(image)

    def open(self, image: bytes) -> IO[bytes]:
        """See `Album`."""
        name = self.name(image)
        try:
            return open_regular(self.path / name)
        except OSError as error:
            raise self._unreadable(name, error) from None

    def read(self, image: bytes) -> bytes:
        """See `Album`."""
        name = self.name(image)
        with self.open(image) as file:
            try:
                data = file.read(LARGEST_FILE_BYTES + 1)
            except OSError as error:
                raise self._unreadable(name, error) from None
        return _limited(self.path, name, data)

    def stamps(self, part: str) -> Iterator[tuple[str, int, int]]:
        """See `Album`."""
        for name in self.classes(part):
            folder = _join(part, name)
            for entry in sorted(self._scan(folder), key=lambda each: each.name):
                nbytes = time = 0
                # Where a link leads nowhere: reading the file will say so.
                with suppress(OSError):
                    status = entry.stat()
                    nbytes, time = status.st_size, status.st_mtime_ns
                yield _join(folder, entry.name), nbytes, time

    def _unreadable(self, name: str, error: OSError) -> DataError:
        remedy = remedy_for(error, "Put the picture there")
        message = f"cannot be read: {reason(error)}. {remedy}, or take it out"
        return DataError(self.path, f"{name}: {message}")

    def _scan(self, within: str) -> list[os.DirEntry]:
        try:
            with os.scandir(self.path / within) as entries:
                return [entry for entry in entries if not is_litter(entry.name)]
        except OSError as error:
            message = f"cannot be read: {reason(error)}. Check its permissions"
            raise DataError(self.path / within, message) from None


class _Archive:
    """Pictures in an open .zip file."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        try:
            self._prefix, parts = _layout_of(entry.name for entry in read_directory(file))
            self._parts: dict[str, dict[str, list[bytes]]] = {part: {} for part in parts}
            for entry in read_directory(file):
                if entry.name.startswith(self._prefix):
                    self._sort_in(entry)
        except ZipError as error:
            message = f"truncated or not a .zip file ({error})"
            raise DataError(path, f"{message}. {_AGAIN}") from None
        except OSError as error:
            raise DataError(path, f"cannot be read: {reason(error)}. {_AGAIN}") from None
        if not any(self._parts.values()):
            raise DataError(path, f"holds no class folders. {_LAYOUT}")

    def _sort_in(self, entry: Entry) -> None:
        name = entry.name.removeprefix(self._prefix)
        part, *rest = ("", *name.split("/")) if "" in self._parts else name.split("/")
        # A name that ends with "/" is a folder; its last piece is empty.
        is_other = part not in self._parts or rest in ([], [""]) or rest[0] == _MAC_FOLDER
        if is_other or any(is_litter(piece) for piece in rest):
            return
        if len(rest) == 1:
            if part or is_picture(rest[0]):
                raise _stray(self.path, name)
            return
        images = self._parts[part].setdefault(rest[0], [])
        if rest[1:] == [""]:
            return
        if len(rest) > 2:
            raise _nested(self.path, _join(part, *rest[:2]))
        images.append(entry.pack())

    def parts(self) -> list[str]:
        """See `Album`."""
        return list(self._parts)

    def classes(self, part: str) -> list[str]:
        """See `Album`."""
        return sorted(self._parts[part])

    def images(self, part: str, name: str) -> list[bytes]:
        """See `Album`."""
        images = self._parts[part][name]
        images.sort()
        return images

    def name(self, image: bytes) -> str:
        """See `Album`."""
        return Entry.unpack(image).name.removeprefix(self._prefix)

    def open(self, image: bytes) -> IO[bytes]:
        """See `Album`."""
        return io.BytesIO(self.read(image))

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

    def stamps(self, part: str) -> Iterator[tuple[str, int, int]]:
        """See `Album`; an archive counts as one file, so this is not asked for."""
        raise NotImplementedError


def _parts_of(folders: set[str]) -> list[str]:
    """Return the parts among some folders, or [""] where the folders are classes."""
    return [part for part in PARTS if part in folders] if PARTS[0] in folders else [""]


def _layout_of(names: Iterable[str]) -> tuple[str, list[str]]:
    """Return the folder around an archive, as ``""`` or ``"<name>/"``, and the parts in it."""
    folders: dict[str, set[str]] = {}
    for name in names:
        top, *rest = name.split("/")
        # Only what has something below it is a folder; a folder's own entry ends in a slash.
        if rest and top != _MAC_FOLDER and not is_litter(top):
            inner = folders.setdefault(top, set())
            if len(rest) > 1:
                inner.add(rest[0])
    if PARTS[0] not in folders and len(folders) == 1:
        ((top, inner),) = folders.items()
        if inner:
            return f"{top}/", _parts_of(inner)
    return "", _parts_of(set(folders))


def _is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder; a link in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _join(*pieces: str) -> str:
    """Return a name within an album; the part without a name leaves no slash."""
    return "/".join(piece for piece in pieces if piece)


def is_litter(name: str) -> bool:
    """Whether a file is left alone: hidden, or what a file manager leaves behind."""
    return name.startswith(".") or name.lower() in _LITTER


def is_picture(name: str) -> bool:
    """Whether a file is a picture by its name."""
    return PurePath(name).suffix.lower() in SUFFIXES


def _limited(path: Path, image: str, data: bytes) -> bytes:
    if len(data) > LARGEST_FILE_BYTES:
        message = f"larger than {LARGEST_FILE_BYTES} bytes. Shrink the image, or take it out"
        raise DataError(path, f"{image}: {message}")
    return data


def _stray(path: Path, name: str) -> DataError:
    return DataError(path, f"{name}: not a class folder. {_LAYOUT}, and nothing else there")


def _nested(path: Path, name: str) -> DataError:
    return DataError(path, f"{name}: a folder inside a class folder. {_LAYOUT} themselves")
