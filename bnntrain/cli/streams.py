"""Standard error that may be lost: a terminal that was closed, a reader that has gone.

What is written there tells of work in progress. The work must not end for want of a listener.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys

_LOST = (errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ESHUTDOWN)


class _Forgiving(io.FileIO):
    """A descriptor that leads nowhere from the first write that finds nobody there."""

    def write(self, data: bytes) -> int:
        """Write, or drop."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _LOST:
                raise
        # For processes that this one starts, too.
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        return len(data)


def forgive_lost_errors() -> None:
    """Let standard error be lost without consequences."""
    former = sys.stderr
    if former is None:
        return
    try:
        raw = _Forgiving(former.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # not a file
        return
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw), former.encoding, former.errors, line_buffering=True,
        write_through=True,
    )  # fmt: skip
