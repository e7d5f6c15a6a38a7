"""What the process that trains and those that decode tell each other.

A message is a datagram of a socket (SOCK_SEQPACKET) that all decoding processes read from: whoever
is free takes the next task. All else goes through a file in memory that has no name::

    int8    rows x image    pixel - 128
    u16     rows            labels
    u32     rows            numbers of the records to decode
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_TASK = struct.Struct("<BxxxiII")
_ANSWER = struct.Struct("<Ii")
_LARGEST_FAULT = 2000

LARGEST_MESSAGE = 4096
MOST_TASKS = 64
"""Tasks of a batch: so many messages a socket holds, whoever reads it, so that nobody waits."""

LABEL_BYTES, RECORD_BYTES = 2, 4


@dataclass(frozen=True)
class Room:
    """Where in the memory things lie, in bytes from its beginning.

    Attributes
    ----------
    rows, image_bytes : int
        Samples that it holds, and the size of one.
    """

    rows: int
    image_bytes: int

    @property
    def labels(self) -> int:
        """The labels, behind all images."""
        return self.rows * self.image_bytes

    @property
    def records(self) -> int:
        """The numbers of the records."""
        return self.labels + self.rows * LABEL_BYTES

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.records + self.rows * RECORD_BYTES


@dataclass(frozen=True)
class Request:
    """Samples that are wanted.

    Attributes
    ----------
    split : int
        Number of the file that they are in.
    epoch : int
        Of training, or `sampler.UNCHANGED`.
    records : bytes
        Their numbers, u32 each, the lower bytes first.
    """

    split: int
    epoch: int
    records: bytes

    @property
    def rows(self) -> int:
        """Number of samples."""
        return len(self.records) // RECORD_BYTES


@dataclass(frozen=True)
class Task:
    """Samples to make, for the rows from `row` on.

    Attributes
    ----------
    split : int
        Number of the file that they are in.
    epoch : int
        Of training, or `sampler.UNCHANGED`.
    row, rows : int
        Where the numbers of their records stand, and where the samples belong.
    """

    split: int
    epoch: int
    row: int
    rows: int

    def pack(self) -> bytes:
        """Return the message."""
        return _TASK.pack(self.split, self.epoch, self.row, self.rows)

    @classmethod
    def unpack(cls, message: bytes) -> Task:
        """Return what was packed."""
        return cls(*_TASK.unpack(message))


@dataclass(frozen=True)
class Answer:
    """What became of a task.

    Attributes
    ----------
    row : int
        As in the task.
    is_damaged : bool
        Whether the records are to blame for the fault.
    fault : str
        What went wrong; empty when all samples are there.
    """

    row: int
    is_damaged: bool = False
    fault: str = ""

    def pack(self) -> bytes:
        """Return the message."""
        text = self.fault.encode(errors="backslashreplace")[:_LARGEST_FAULT]
        return _ANSWER.pack(self.row, self.is_damaged) + text

    @classmethod
    def unpack(cls, message: bytes) -> Answer:
        """Return what was packed."""
        row, is_damaged = _ANSWER.unpack_from(message)
        return cls(row, bool(is_damaged), message[_ANSWER.size :].decode(errors="replace"))
