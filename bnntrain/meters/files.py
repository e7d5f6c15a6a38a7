"""Small files of the kernel that a meter is read from."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from bnntrain.meters.power import MeterLost, SampleLost

_GONE = (errno.ENOENT, errno.ENODEV)
# The kernel's are of 64 bits.
_NUMBER = re.compile(r"[-+]?[0-9]{1,20}")


def text_of(path: Path) -> str | None:
    """Return a file's text, or None where there is none to read."""
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:
        return None


def number_of(path: Path) -> int | None:
    """Return the number in a file, or None where there is none to read."""
    text = text_of(path)
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def sample_of(path: Path) -> int:
    """Return the number in a file, as a sample.

    Raises
    ------
    SampleLost
        It cannot be read this time, or is no number.
    MeterLost
        The file is gone.
    """
    try:
        text = path.read_text(errors="replace").strip()
    except OSError as error:
        if error.errno in _GONE:
            raise MeterLost(f"{path} is gone") from None
        raise SampleLost(f"{path.name}: {error.strerror or error}") from None
    if not _NUMBER.fullmatch(text):
        raise SampleLost(f"{path.name} is no number")
    return int(text)
