"""IDX files (MNIST and its kin): a big-endian header, then bytes; plain or gzip-compressed.

::

    offset  images (idx3)         labels (idx1)
    0       u32 0x00000803        u32 0x00000801     0, 0, type 8 = uint8, number of dimensions
    4       u32 count             u32 count
    8       u32 height            labels
    12      u32 width
    16      images, row by row

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from bnntrain.data.source import Shape, StreamReader, check_counts, check_shape, identify
from bnntrain.data.stream import Stream, open_stream
from bnntrain.paths import is_file

ROLES = ("train-images", "train-labels", "t10k-images", "t10k-labels")
"""The four files of a data set, by the stem of their names."""

_STEMS = {"train": "train", "test": "t10k"}
_DIMENSIONS = {"images": 3, "labels": 1}


def official_name(role: str) -> str:
    """Return the published file name of a role (``train-images-idx3-ubyte.gz``)."""
    return f"{role}-idx{_DIMENSIONS[role.split('-')[1]]}-ubyte.gz"


def candidate_names(role: str) -> list[str]:
    """Return the file names that a role is looked for under, best first.

    The name that ``data fetch`` writes comes first, so that fetching mends a damaged file under
    another name too. With a dot instead of a dash is how some archives unpack them.
    """
    published = official_name(role)
    dotted = published.replace("-idx", ".idx")
    return [published, published.removesuffix(".gz"), dotted, dotted.removesuffix(".gz")]


def locate(folder: Path) -> dict[str, Path]:
    """Return the files of each role that a folder holds; a missing role is left out."""
    found = {}
    for role in ROLES:
        for name in candidate_names(role):
            if is_file(folder / name):
                found[role] = folder / name
                break
    return found


class IdxSource:
    """A data set in four IDX files.

    Parameters
    ----------
    name : str
        Name of the data set.
    classes : list of str
        Names of the classes.
    paths : dict of str to Path
        File of each of `ROLES`.
    remedy : str
        What the user can do about a damaged file, one sentence.

    Attributes
    ----------
    files : tuple of Path
        The four files.
    """

    variant = ""

    def __init__(self, name: str, classes: list[str], paths: dict[str, Path], remedy: str) -> None:
        self.name = name
        self.files = tuple(paths[role] for role in ROLES)
        self._classes = classes
        self._paths = paths
        self._remedy = remedy

    def identity(self) -> list[list]:
        """See `Source`."""
        return [identify(path) for path in self.files]

    @contextmanager
    def open_split(self, split: str) -> Iterator[StreamReader]:
        """Open ``train`` or ``test`` for one pass.

        Raises
        ------
        DataError
            If a file is missing, empty, damaged, not of this format, or the two do not match.
        """
        stem = _STEMS[split]
        with ExitStack() as stack:
            images = stack.enter_context(open_stream(self._paths[f"{stem}-images"], self._remedy))
            labels = stack.enter_context(open_stream(self._paths[f"{stem}-labels"], self._remedy))
            image_count, shape = _read_image_header(images)
            (label_count,) = _read_header(labels, "labels")
            check_counts(images, labels, image_count, label_count)
            labels.expected = labels.offset + label_count
            yield StreamReader(
                shape, image_count, self._classes, images, labels, np.dtype(np.uint8)
            )


def _read_image_header(stream: Stream) -> tuple[int, Shape]:
    count, height, width = _read_header(stream, "images")
    shape = (height, width, 1)
    check_shape(stream, shape)
    stream.expected = stream.offset + count * height * width
    return count, shape


def _read_header(stream: Stream, kind: str) -> tuple[int, ...]:
    """Return the sizes behind the magic number.

    Raises
    ------
    DataError
        If the magic number is another or the header is cut off.
    """
    dimensions = _DIMENSIONS[kind]
    expected = 0x0800 | dimensions
    header = stream.read(4 + 4 * dimensions)
    if len(header) >= 4:
        (magic,) = struct.unpack(">I", header[:4])
        if magic != expected:
            raise stream.error(
                f"wrong magic number 0x{magic:08x}, expected 0x{expected:08x} (IDX {kind} of uint8)"
            )
    if len(header) < 4 + 4 * dimensions:
        stream.expected = 4 + 4 * dimensions
        raise stream.error(
            f"truncated: ends after {len(header)} bytes, expected a header of "
            f"{stream.expected} bytes"
        )
    return struct.unpack(f">{dimensions}I", header[4:])
