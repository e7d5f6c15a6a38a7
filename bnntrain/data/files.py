"""Where data and converted files live, and how a file is written so that it is whole or not there.

A file is written under the name ``<target>.part`` while its writer holds an exclusive lock (flock)
on it, is flushed to the disk and renamed. So a reader only ever sees the former file or the new
one; a second process that wants the same file waits for the lock and then finds the work done; and
the kernel drops the lock of a killed process, so what that left behind is taken over by the next.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from bnntrain.errors import UsageError, WriteError


def cache_folder() -> Path:
    """Return the folder of converted files.

    Returns
    -------
    Path
        ``$BNNTRAIN_CACHE``, else ``bnntrain`` in the user's cache folder by the XDG rule
        (``$XDG_CACHE_HOME`` where it is an absolute path, else ``~/.cache``). It need not exist.

    Raises
    ------
    UsageError
        If neither variable is set and the user has no home folder.

    Source: XDG Base Directory Specification 0.8.
    """
    chosen = os.environ.get("BNNTRAIN_CACHE")
    if chosen:
        return Path(chosen).absolute()
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():
        return xdg / "bnntrain"
    try:
        return Path.home() / ".cache" / "bnntrain"
    except RuntimeError:
        raise UsageError("BNNTRAIN_CACHE", "not set, and this user has no home folder") from None


def data_folder() -> Path:
    """Return the folder of data sets: ``$BNNTRAIN_DATA``, else ``datasets`` in the cache folder."""
    chosen = os.environ.get("BNNTRAIN_DATA")
    return Path(chosen).absolute() if chosen else cache_folder() / "datasets"


def reason(error: OSError) -> str:
    """Return an operating system error as a few words (``No space left on device``)."""
    return error.strerror or str(error) or type(error).__name__


def remedy_for(error: OSError, otherwise: str) -> str:
    """Return what to do about a file that cannot be read: `otherwise`, unless it may not be."""
    return "Check its permissions" if isinstance(error, PermissionError) else otherwise


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading; anything that might never end or never begin is refused.

    Raises
    ------
    OSError
        It cannot be opened, or is a pipe, a socket or a device.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def write_all(fd: int, data: memoryview) -> None:
    """Write every byte of `data` (a write may take only a part of it, e.g. on a filling disk)."""
    view = data.cast("B")
    while view:
        view = view[os.write(fd, view) :]


@contextmanager
def part_file(target: Path, remedy: str) -> Iterator[PartFile]:
    """Give exclusive access to the ``.part`` file of `target`.

    Parameters
    ----------
    target : Path
        File to be made; its folder is made first.
    remedy : str
        What the user can do when it cannot be written, one sentence.

    Yields
    ------
    PartFile
        The file, with whatever an interrupted writer left in it. On leaving without
        ``place()`` it is removed, whatever happened, unless ``disposable`` is set to False.

    Raises
    ------
    WriteError
        For every OSError inside, as one line that ends with `remedy`. Readers used inside must turn
        their own OSErrors into something else.
    """
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = PartFile(target)
        yield part
    except OSError as error:
        raise WriteError(target, f"cannot be written: {reason(error)}. {remedy}") from None
    finally:
        if part is not None:
            part.close()


class PartFile:
    """A locked ``.part`` file that becomes `target` when it is complete.

    Parameters
    ----------
    target : Path
        File to be made.

    Attributes
    ----------
    fd : int
        Descriptor, open for reading and writing, positioned at 0.
    path : Path
        Name of the unfinished file.
    disposable : bool
        Whether ``close()`` removes the unfinished file, True at first.

    Raises
    ------
    OSError
        If the file cannot be opened or locked.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + ".part")
        self.fd = _open_locked(self.path)
        self.disposable = True

    def restart(self) -> None:
        """Throw away the contents."""
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)

    def place(self) -> None:
        """Flush to the disk and rename to the target, atomically.

        Raises
        ------
        OSError
            If the disk refuses; the former target is then untouched.
        """
        os.fsync(self.fd)
        self.path.replace(self.target)
        self.disposable = False
        # Only the folder's own flush makes the new name survive a power cut.
        folder = os.open(self.target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Remove the file if it is disposable, and release the lock."""
        if self.disposable:
            # Removed while locked: a waiting process notices that the name is gone (_open_locked).
            with suppress(OSError):
                self.path.unlink()
        os.close(self.fd)


def _open_locked(path: Path) -> int:
    """Open or make `path` and wait for its lock; the result surely still has that name."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            # The former holder may have renamed or removed the file while this process waited.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), path.stat()):
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
