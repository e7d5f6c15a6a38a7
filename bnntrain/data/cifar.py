"""CIFAR-10 and CIFAR-100, binary or Python batches, unpacked or in the official .tar.gz.

::

    binary    records of: label (CIFAR-100: coarse label, fine label), 3072 pixel bytes
    python    pickled dict: "data" uint8 [n, 3072]; "labels" (CIFAR-100: "fine_labels") list of n
              integers, or an array of them

The 3072 bytes of an image are its red, green and blue plane, each 32 rows of 32. Batches count in
the order of their numbers, wherever they stand in an archive, so that an archive gives the same
records in the same order as what it unpacks to. It is read in place; nothing is unpacked to disk.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report,
University of Toronto, 2009; file formats as described on the data sets' page.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bnntrain.data.cifar_files import Store, open_store
from bnntrain.data.cifar_pickles import find_arrays, out_of_range
from bnntrain.data.pickle_bytes import Content
from bnntrain.data.pickled import open_content
from bnntrain.data.source import Chunk, Shape, first_outside, identify, rows_per_chunk
from bnntrain.data.stream import Stream
from bnntrain.errors import DataError

SHAPE = (32, 32, 3)
_PLANES = (3, 32, 32)
_IMAGE_BYTES = 3072


@dataclass(frozen=True)
class Format:
    """One of the published forms of a data set.

    Attributes
    ----------
    data_set, kind : str
        Name of the data set; ``cifar-binary`` or ``cifar-python``.
    archive, folder : str
        Name of the archive and of the folder in it.
    train, test : tuple of str
        Names of the batches.
    label_bytes : int
        Label bytes in front of each binary image, of which the last one counts.
    label_key : str
        Key of the labels in a Python batch.
    """

    data_set: str
    kind: str
    archive: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label_bytes: int = 0
    label_key: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """All batches."""
        return self.train + self.test


_TEN = tuple(f"data_batch_{number}" for number in range(1, 6))

FORMATS = [
    Format(
        "cifar10", "cifar-binary", "cifar-10-binary.tar.gz", "cifar-10-batches-bin",
        tuple(f"{name}.bin" for name in _TEN), ("test_batch.bin",), label_bytes=1,
    ),
    Format(
        "cifar10", "cifar-python", "cifar-10-python.tar.gz", "cifar-10-batches-py",
        _TEN, ("test_batch",), label_key="labels",
    ),
    Format(
        "cifar100", "cifar-binary", "cifar-100-binary.tar.gz", "cifar-100-binary",
        ("train.bin",), ("test.bin",), label_bytes=2,
    ),
    Format(
        "cifar100", "cifar-python", "cifar-100-python.tar.gz", "cifar-100-python",
        ("train",), ("test",), label_key="fine_labels",
    ),
]  # fmt: skip
"""In the order of preference."""


class CifarSource:
    """A data set in CIFAR's batches.

    Parameters
    ----------
    classes : list of str
        Names of the classes.
    path : Path
        Folder of the batches, or the archive.
    form : Format
        What they look like.
    remedy : str
        What the user can do about a damaged file, one sentence.

    Attributes
    ----------
    files : tuple of Path
        The archive or the batches.
    """

    variant = ""

    def __init__(self, classes: list[str], path: Path, form: Format, remedy: str) -> None:
        self.name = form.data_set
        is_archive = path.name == form.archive
        self.files = (path,) if is_archive else tuple(path / name for name in form.files)
        self._classes = classes
        self._path = path
        self._form = form
        self._remedy = remedy

    def identity(self) -> list[list]:
        """See `Source`."""
        return [identify(path) for path in self.files]

    @contextmanager
    def open_split(self, split: str) -> Iterator[CifarReader]:
        """Open ``train`` or ``test`` for one pass.

        Raises
        ------
        DataError
            If a batch is missing, damaged, empty or not of this format.
        """
        form = self._form
        with open_store(self._path, form.folder, self._remedy) as store:
            names = form.train if split == "train" else form.test
            if form.label_bytes:
                batches = [_find_records(store, name, form.label_bytes) for name in names]
            else:
                classes = len(self._classes)
                batches = [_find_arrays(store, name, form.label_key, classes) for name in names]
            yield CifarReader(
                SHAPE, sum(batch.count for batch in batches), self._classes, store, batches,
                form.label_bytes,
            )  # fmt: skip


@dataclass
class _Batch:
    """One batch: `count` records, which are the file, or its `content` with labels beside it."""

    name: str
    count: int
    content: Content | None = None
    labels: np.ndarray | None = None


@dataclass
class CifarReader:
    """A `SplitReader` that turns planes into pixels."""

    shape: Shape
    count: int
    classes: list[str]
    _store: Store
    _batches: list[_Batch] = field(repr=False)
    _label_bytes: int

    def error(self, message: str) -> DataError:
        """See `SplitReader`."""
        return self._store.error(self._batches[0].name, message)

    def chunks(self) -> Iterator[Chunk]:
        """See `SplitReader`."""
        record_bytes = self._label_bytes + _IMAGE_BYTES
        rows = rows_per_chunk(record_bytes, self.count)
        records = np.empty((rows, record_bytes), np.uint8)
        images = np.empty((rows, *SHAPE), np.uint8)
        for batch in self._batches:
            with self._store.open(batch.name) as stream:
                source = stream if batch.content is None else open_content(stream, batch.content)
                source.expected = batch.count * record_bytes
                for start in range(0, batch.count, rows):
                    part = records[: min(rows, batch.count - start)]
                    source.read_into(memoryview(part).cast("B"))
                    labels = self._labels(batch, source, part, start)
                    planes = part[:, self._label_bytes :].reshape(-1, *_PLANES)
                    images[: len(part)] = planes.transpose(0, 2, 3, 1)
                    yield images[: len(part)].reshape(len(part), -1), labels
                source.finish()
        self._store.finish()

    def _labels(
        self, batch: _Batch, stream: Stream, records: np.ndarray, start: int
    ) -> np.ndarray:
        """Return the labels of records, in range."""
        if batch.labels is not None:
            return batch.labels[start : start + len(records)]
        labels = records[:, self._label_bytes - 1].astype(np.uint16)
        wrong = first_outside(labels, len(self.classes))
        if wrong is not None:
            message = out_of_range(int(labels[wrong]), start + wrong, len(self.classes))
            raise stream.error(message)
        return labels


def _find_records(store: Store, name: str, label_bytes: int) -> _Batch:
    """Count the records of a binary batch."""
    nbytes, record_bytes = store.size(name), label_bytes + _IMAGE_BYTES
    count, rest = divmod(nbytes, record_bytes)
    if nbytes == 0:
        raise store.error(name, "is empty (0 bytes)")
    if rest:
        raise store.error(
            name,
            f"truncated: ends after {nbytes} bytes, in the middle of record {count} of "
            f"{record_bytes} bytes",
        )
    return _Batch(name, count)


def _find_arrays(store: Store, name: str, label_key: str, classes: int) -> _Batch:
    """Find the pixels in a Python batch, and read its labels."""
    content, labels = find_arrays(store, name, label_key, _IMAGE_BYTES, classes)
    return _Batch(name, len(labels), content, labels)
