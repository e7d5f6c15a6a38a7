"""Where CIFAR's batches lie: in a folder, or in a .tar.gz that is read in place.

An archive is decompressed again from its beginning whenever a batch stands before the last one
read, which costs seconds, once; nothing is kept but 64 KiB.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Protocol

from bnntrain.data.files import reason
from bnntrain.data.stream import CHUNK_BYTES, Stream
from bnntrain.errors import DataError

_DAMAGE = (zlib.error, gzip.BadGzipFile, tarfile.TarError)
_LARGEST_MEMBERS = 1000


class Store(Protocol):
    """Named batches."""

    def size(self, name: str) -> int:
        """Return the bytes of a batch."""
        ...

    def open(self, name: str) -> AbstractContextManager[Stream]:
        """Open a batch; one at a time."""
        ...

    def error(self, name: str, message: str) -> DataError:
        """Return (not raise) an error about a batch."""
        ...

    def finish(self) -> None:
        """Check what can be checked at the end: the checksum of an archive."""
        ...


@contextmanager
def open_store(path: Path, folder: str, remedy: str) -> Iterator[Store]:
    """Open a folder of batches, or an archive that has them in `folder`.

    Raises
    ------
    DataError
        If an archive cannot be read, is cut off or damaged.
    """
    if path.is_dir():
        yield _Folder(path, remedy)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(path, f"cannot be read: {reason(error)}. {remedy}") from None
    with file, ExitStack() as stack:
        contents: IO[bytes] = file
        # The first two bytes decide: browsers store .gz files decompressed.
        start = file.read(2)
        if not start:
            raise DataError(path, f"is empty (0 bytes). {remedy}")
        if start == b"\x1f\x8b":
            contents = stack.enter_context(gzip.GzipFile(fileobj=file))
        file.seek(0)
        yield _Archive(path, folder, contents, remedy)


class _Folder:
    """Batches that are files."""

    def __init__(self, path: Path, remedy: str) -> None:
        self._path = path
        self._remedy = remedy

    def size(self, name: str) -> int:
        """See `Store`."""
        try:
            return (self._path / name).stat().st_size
        except OSError as error:
            raise self._unreadable(name, error) from None

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """See `Store`."""
        # Only opening is guarded: an OSError of the code that uses the stream is no fault of it.
        try:
            file = (self._path / name).open("rb")
        except OSError as error:
            raise self._unreadable(name, error) from None
        with file:
            yield Stream(self._path / name, file, "", self._remedy)

    def error(self, name: str, message: str) -> DataError:
        """See `Store`."""
        return DataError(self._path / name, f"{message}. {self._remedy}")

    def finish(self) -> None:
        """See `Store`; plain files have no checksum."""

    def _unreadable(self, name: str, error: OSError) -> DataError:
        return self.error(name, f"cannot be read: {reason(error)}")


class _Archive:
    """Batches in a tar archive, perhaps compressed."""

    def __init__(self, path: Path, folder: str, contents: IO[bytes], remedy: str) -> None:
        self._path = path
        self._folder = folder
        self._contents = contents
        self._remedy = remedy
        try:
            self._tar = tarfile.open(fileobj=contents, mode="r:")  # noqa: SIM115
            self._members = self._index()
        except EOFError:
            raise self._fault("truncated: the compressed data end too early") from None
        except tarfile.ReadError as error:
            # What tarfile says of an archive that ends before its time.
            cut_off = "unexpected end" in str(error)
            kind = "truncated" if cut_off else "damaged or not a .tar.gz file"
            raise self._fault(f"{kind} ({error})") from None
        except _DAMAGE as error:
            raise self._fault(f"damaged ({error})") from None
        except OSError as error:
            raise self._fault(f"cannot be read: {reason(error)}") from None

    def _index(self) -> dict[str, tarfile.TarInfo]:
        members = {}
        for number, member in enumerate(self._tar):
            if number == _LARGEST_MEMBERS:
                raise self._fault(f"holds more than {_LARGEST_MEMBERS} files")
            if member.isreg():
                members[member.name.removeprefix("./")] = member
        return members

    def _member(self, name: str) -> tarfile.TarInfo:
        member = self._members.get(f"{self._folder}/{name}")
        if member is None:
            raise self._fault(f"lacks the file {self._folder}/{name}")
        return member

    def size(self, name: str) -> int:
        """See `Store`."""
        return self._member(name).size

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """See `Store`."""
        member = self._member(name)
        with self._tar.extractfile(member) as file:
            yield Stream(self._path, file, name, self._remedy, _DAMAGE)

    def error(self, name: str, message: str) -> DataError:
        """See `Store`."""
        return self._fault(f"{name}: {message}")

    def finish(self) -> None:
        """Read on to the end, where gzip has its checksum.

        Raises
        ------
        DataError
            If it is wrong or cut off.
        """
        rest = Stream(self._path, self._contents, "", self._remedy, _DAMAGE)
        while rest.read(CHUNK_BYTES):
            pass

    def _fault(self, message: str) -> DataError:
        return DataError(self._path, f"{message}. {self._remedy}")
