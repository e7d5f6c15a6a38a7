"""Files that are there whole or not at all, and one line about those that cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from bnntrain.errors import RunError, WriteError

TEMPORARY = ".*.tmp"
"""Pattern of the names of unfinished files."""

_WRONG_NAMES = {
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EEXIST: "something that is no folder is in the way",
    errno.ELOOP: "its links lead in a circle",
}
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_FAILURES = {
    errno.ENOSPC: "no space left on the device. Free some and {again}",
    errno.EDQUOT: "disk quota exceeded. Free some and {again}",
    errno.EFBIG: "the file size limit is reached. Raise it and {again}",
    errno.EACCES: "no permission. Give a folder that can be written to with {option}",
    errno.EPERM: "no permission. Give a folder that can be written to with {option}",
    errno.EROFS: "the file system is read-only. Give another folder with {option}",
}


@contextlib.contextmanager
def reported(path: Path, remains: str = "", option: str = "--run-dir") -> Iterator[None]:
    """Turn a failure of the file system into one line that says what is still good.

    Parameters
    ----------
    path : Path
        File or folder that is worked on.
    remains : str
        What is still valid when this fails; without it there is nothing to resume.
    option : str
        What gives another place to write to.

    Raises
    ------
    WriteError
        Disk full, no permission, ...
    RunError
        `path` cannot be the name of a file or folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _WRONG_NAMES:
            message = f"{_WRONG_NAMES[error.errno]}. Give another {option}"
            raise RunError(path, message) from None
        other = f"cannot be written ({error.strerror or error})"
        again = "continue with --resume" if remains else "start again"
        reason = _FAILURES.get(error.errno, other)
        reason = reason.replace("{again}", again).replace("{option}", option)
        raise WriteError(path, f"{reason}{'. ' + remains if remains else ''}") from None


def write_atomically(
    path: Path, write: Callable[[BinaryIO], None], remains: str = "", former: Path | None = None,
    option: str = "--run-dir",
) -> None:
    """Replace a file in one step.

    Parameters
    ----------
    path : Path
        The file; its folder exists.
    write : callable
        Writes the content to an open binary file.
    remains : str
        What is still valid when this fails, for the message.
    former : Path, optional
        Name in the same folder under which the file that is replaced remains.
    option : str
        What gives another place to write to, for the message.

    Raises
    ------
    WriteError
        Disk full, no permission, ...; `path` is as before and nothing else is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with reported(path, remains, option):
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if former is not None and path.exists():
                _keep(path, former)
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _keep(path: Path, former: Path) -> None:
    """Give a file a second name in one step, in place of whatever has it."""
    temporary = former.with_name(f".{former.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise
        # FAT has no second names: for a moment there is only the former one.
        path.replace(former)
        return
    try:
        temporary.replace(former)
    finally:
        # Of two names of one file, a rename to the other does nothing.
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; file systems that cannot sync folders do not need it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
