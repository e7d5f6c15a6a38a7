"""Download of the published data sets: mirrors, checksums, resume, atomic placement.

Every mirror is tried in order. What arrives goes to ``<file>.part``, which an interrupted download
leaves behind and the next one continues (from any mirror); the SHA-256 of the decompressed contents
decides whether the file is placed, so a mirror can do no harm. Files that are there and valid,
under any of their usual names, compressed or not, are not fetched again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnntrain.data.catalog import unknown_name
from bnntrain.data.files import PartFile, part_file, reason, write_all
from bnntrain.data.places import wanted_files
from bnntrain.data.published import FETCHABLE, PUBLISHED, Content
from bnntrain.data.stream import content_sha256
from bnntrain.errors import DataError, WriteError

TIMEOUT_S = 30
"""Longest silence of a mirror, in seconds."""

# gzip adds at most 5 bytes per 32 KiB block to what it cannot compress, and a short header.
_GZIP_OVERHEAD_BYTES = 64 * 1024

Progress = Callable[[str, int, int], None]
"""Called with file name, bytes so far and bytes in all (0 where the mirror does not say)."""


class FetchError(DataError):
    """A file that no mirror gave (a failure of network or mirrors, not of the user's input).

    Parameters
    ----------
    path : object
        File that was to be fetched.
    message : str
        What each mirror answered, and the remedy.
    """

    exit_code = 1


@dataclass(frozen=True)
class Fetched:
    """One file of a data set after `fetch`.

    Attributes
    ----------
    path : str
    bytes : int
        Size of the file.
    sha256 : str
        Of the decompressed contents.
    fetched : bool
        False where the file was there already.
    """

    path: str
    bytes: int
    sha256: str
    fetched: bool


def fetch(
    name: str,
    folder: Path | None = None,
    progress: Progress | None = None,
    mirrors: Sequence[str] | None = None,
) -> list[Fetched]:
    """Make sure that the files of a published data set are there.

    Parameters
    ----------
    name : str
        ``mnist`` or ``fashion-mnist``.
    folder : Path, optional
        Where to; default: where the files already are, else ``<data folder>/<name>``.
    progress : callable, optional
        Called now and then with (file name, bytes so far, bytes in all or 0).
    mirrors : sequence of str, optional
        Addresses to use instead of the known ones; the published file name is added to each.

    Returns
    -------
    list of Fetched
        The four files.

    Raises
    ------
    DataError
        If the name is unknown or there is nothing to fetch for it.
    FetchError
        If no mirror gives a file whose contents have the published checksum.
    WriteError
        If the folder cannot be written or the disk is full.
    """
    if name not in FETCHABLE:
        if name in PUBLISHED:
            raise DataError(name, f"ships in the package. To be fetched: {', '.join(FETCHABLE)}")
        raise unknown_name(name, FETCHABLE)
    published = PUBLISHED[name]
    addresses = published.mirrors if mirrors is None else mirrors
    results = []
    for role, (path, target) in wanted_files(name, folder).items():
        pin = published.contents[role]
        valid = path is not None and is_valid(path, pin)
        if not valid:
            path = target
            _fetch_file(path, pin, addresses, progress)
        results.append(Fetched(str(path), path.stat().st_size, pin.sha256, not valid))
    return results


def is_valid(path: Path, pin: Content) -> bool:
    """Whether a plain or gzip-compressed file has the published contents."""
    try:
        return content_sha256(path, pin.nbytes, pin.packed) == (pin.sha256, pin.nbytes)
    except DataError:
        return False


def _fetch_file(
    target: Path, pin: Content, mirrors: Sequence[str], progress: Progress | None
) -> None:
    remedy = "Free some space there or set BNNTRAIN_DATA to a folder that can be written"
    with part_file(target, remedy) as part:
        # Another process may have fetched it while this one waited for the lock.
        if is_valid(target, pin):
            return
        # From here on an interruption leaves what has arrived, for the next run to continue.
        part.disposable = False
        # What an interrupted download left may be complete.
        valid = is_valid(part.path, pin)
        answers = []
        for mirror in mirrors:
            if valid:
                break
            answer = _try_mirror(part, mirror, pin, progress)
            answers.append(f"{mirror}: {answer}")
            valid = answer is None
        if not valid:
            raise _give_up(part, answers)
        part.place()


def _give_up(part: PartFile, answers: list[str]) -> FetchError:
    """Return the error about a file that no mirror gave; what did arrive stays for the next run."""
    kept = os.fstat(part.fd).st_size
    part.disposable = kept == 0
    resume = f" to continue after {kept} bytes" if kept else ""
    return FetchError(
        part.target,
        f"no mirror gave this file ({'; '.join(answers)}). Check the network and run the command "
        f"again{resume}, or copy the file to this place by hand",
    )


_NOT_THE_REST = "does not have the rest of this file"


def _try_mirror(
    part: PartFile, mirror: str, pin: Content, progress: Progress | None
) -> str | None:
    """Continue the part file from a mirror.

    Returns
    -------
    str or None
        None if the part file is now complete and valid, else what went wrong in a few words. What
        arrived before a connection broke off stays in the part file, for the next mirror.
    """
    url = mirror.rstrip("/") + "/" + part.target.name
    while True:
        start = os.lseek(part.fd, 0, os.SEEK_END)
        answer = _download(url, _Sink(part, pin.nbytes + _GZIP_OVERHEAD_BYTES, progress))
        if answer is None and is_valid(part.path, pin):
            return None
        if answer not in (None, _NOT_THE_REST):
            return answer
        part.restart()
        if start == 0:
            return answer or "wrong SHA-256"
        # The beginning came from elsewhere and does not fit: once more, from this mirror alone.


def _download(url: str, sink: _Sink) -> str | None:
    """Append the rest of `url` to the sink; return why it stopped, or None at a proper end."""
    import pooch

    headers = {"Accept-Encoding": "identity"}
    if sink.start:
        headers["Range"] = f"bytes={sink.start}-"
    downloader = pooch.HTTPDownloader(
        chunk_size=64 * 1024,
        timeout=TIMEOUT_S,
        headers=headers,
        hooks={"response": sink.on_response},
    )
    try:
        downloader(url, sink, None)
    except OSError as error:
        # Everything that requests raises is an OSError; those of the disk arrive as WriteError.
        return _explain(error)
    except ValueError as error:
        return f"not a usable address ({error})"
    return None


def _explain(error: OSError) -> str:
    """Return a network error as a few words, without the chain of wrapped exceptions."""
    response = getattr(error, "response", None)
    if response is not None:
        return _NOT_THE_REST if response.status_code == 416 else f"HTTP {response.status_code}"
    if isinstance(error, _AnswerError):
        return str(error)
    kinds = {
        "ConnectTimeout": f"no answer in {TIMEOUT_S} s",
        "ReadTimeout": f"silent for {TIMEOUT_S} s",
        "SSLError": "no secure connection",
        "ProxyError": "the proxy refuses",
        "ConnectionError": "no connection",
        "ChunkedEncodingError": "the connection broke off",
        "InvalidURL": "not a usable address",
        "MissingSchema": "not a usable address",
        "InvalidSchema": "not a usable address",
    }
    kind = type(error).__name__
    return kinds.get(kind, f"{kind}: {reason(error)}")


class _AnswerError(OSError):
    """A mirror that sends something else than it was asked for."""


class _Sink:
    """The file-like object that the downloader writes to: appends to a part file.

    Parameters
    ----------
    part : PartFile
        Positioned at its end.
    limit : int
        Bytes beyond which the mirror is not believed any more.
    progress : callable or None
        See `fetch`.
    """

    def __init__(self, part: PartFile, limit: int, progress: Progress | None) -> None:
        self._part = part
        self._limit = limit
        self._progress = progress
        self.start = os.lseek(part.fd, 0, os.SEEK_CUR)
        self._done = self.start
        self._total = 0

    def on_response(self, response, *_, **__) -> None:
        """Look at the status before the body: a mirror may ignore the wish for the rest only."""
        if response.status_code == 206:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {self.start}-"):
                raise _AnswerError(_NOT_THE_REST)
        elif response.status_code == 200 and self.start:
            self._part.restart()
            self._done = 0
        self._total = self._done + int(response.headers.get("Content-Length") or 0)

    def write(self, data: bytes) -> None:
        """Append a piece.

        Raises
        ------
        WriteError
            If the disk refuses.
        """
        self._done += len(data)
        if self._done > self._limit:
            self._part.restart()
            raise _AnswerError("sends more bytes than the file has")
        try:
            write_all(self._part.fd, memoryview(data))
        except OSError as error:
            # A part that fills the disk helps nobody.
            self._part.disposable = True
            raise WriteError(
                self._part.target,
                f"cannot be written: {reason(error)}. Free some space there or set BNNTRAIN_DATA "
                "to a folder that can be written",
            ) from None
        if self._progress is not None:
            self._progress(self._part.target.name, self._done, self._total)

    def flush(self) -> None:
        """Nothing is buffered here."""
