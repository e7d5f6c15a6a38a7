"""How a data set is converted, whatever it becomes: once, into a whole file of the cache."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bnntrain.data.files import cache_folder, part_file, reason
from bnntrain.data.source import Source
from bnntrain.errors import DataError

Found = TypeVar("Found")

Progress = Callable[[str, str, int, int], None]
"""Data set, split, records that are converted, records in all."""

REMEDY = "Free some space there or set BNNTRAIN_CACHE to a folder that can be written"
"""What can be done about a cache that takes no file."""


def cache_path(source: Source, split: str, form: str) -> Path:
    """Return where a converted split belongs in the cache.

    The path of the source and its variant are part of the name (as CRC-32), so that data sets of
    one name in two folders, or one in two sizes, do not replace each other all the time.

    Parameters
    ----------
    source : Source
        What is converted.
    split : str
        ``train`` or ``test``.
    form : str
        What it becomes: the name of a folder, and the suffix.
    """
    key = zlib.crc32(source.variant.encode(), zlib.crc32(os.fsencode(source.files[0].absolute())))
    readable = "".join(c if c.isalnum() else "-" for c in Path(source.name).stem)[:40]
    return cache_folder() / form / f"{readable}-{key:08x}.{split}.{form}"


def made_once(
    target: Path,
    source: Source,
    find: Callable[[], Found | None],
    write: Callable[[int], None],
) -> Found:
    """Return a conversion that is there, or make it.

    The file appears whole or not at all; of two processes that convert at once, one waits and uses
    the other's work.

    Parameters
    ----------
    target : Path
        The file.
    source : Source
        What it is made from.
    find : callable
        Returns the conversion if it is whole and up to date, else None.
    write : callable
        Writes it to a file descriptor.

    Raises
    ------
    DataError
        The source is faulty, or changes while it is read.
    WriteError
        The cache folder cannot be written; nothing half-written is left.
    """
    found = find()
    if found is not None:
        return found
    with part_file(target, REMEDY) as part:
        if find() is None:
            part.restart()
            write(part.fd)
            part.place()
    found = find()
    if found is None:
        raise DataError(
            source.files[0], "the file changed while it was converted. Run the command again"
        )
    return found


def open_converted(path: Path, header_crc: int, crc_of: Callable[[int], int | None]) -> int:
    """Open a converted file, if it is still the one that was found.

    Parameters
    ----------
    path : Path
        The file.
    header_crc : int
        CRC-32 of the header that was found.
    crc_of : callable
        Reads that of a file descriptor; None where there is no good header.

    Returns
    -------
    int
        File descriptor, read only; the caller closes it.

    Raises
    ------
    DataError
        It is gone, damaged or has been converted from other data since.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        message = f"converted data cannot be read: {reason(error)}. Run the command again"
        raise DataError(path, message) from None
    try:
        if crc_of(fd) != header_crc:
            message = "the converted data were changed after they were opened"
            raise DataError(path, f"{message}. Run the command again")
    except BaseException:
        os.close(fd)
        raise
    return fd
