"""The process that decodes pictures beside training: takes tasks until nobody has any more to give.

It is a program of its own, started anew, so that it shares nothing with the process that trains:
not its memory, not its signals. When that one ends, however it ends, reading tasks comes to an end,
and so does this.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

import numpy as np

from bnntrain.data.decoder_protocol import (
    LABEL_BYTES,
    LARGEST_MESSAGE,
    RECORD_BYTES,
    Answer,
    Room,
    Task,
)
from bnntrain.data.encoded import DamagedRecordError
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.data.sampler import Changes, Sampler


def main(setup: Mapping[str, object]) -> None:
    """Decode until the socket is closed.

    Parameters
    ----------
    setup : mapping
        ``socket`` and ``memory``, file descriptors; the `Room` in the memory; ``files``, ``wanted``
        and ``changes`` of the `Sampler`.
    """
    sampler = Sampler(
        [tuple(file) for file in setup["files"]], Preprocessing.from_json(setup["wanted"]),
        Changes(**setup["changes"]),
    )  # fmt: skip
    memory, room = setup["memory"], Room(**setup["room"])
    with socket.socket(fileno=setup["socket"]) as tasks, contextlib.suppress(ConnectionError):
        while message := tasks.recv(LARGEST_MESSAGE):
            tasks.send(_done(Task.unpack(message), sampler, memory, room).pack())


def _done(task: Task, sampler: Sampler, memory: int, room: Room) -> Answer:
    try:
        at = room.records + task.row * RECORD_BYTES
        records = np.frombuffer(os.pread(memory, task.rows * RECORD_BYTES, at), "<u4").tolist()
        for row, record in enumerate(records, task.row):
            image, label = sampler.sample(task.split, record, task.epoch)
            os.pwrite(memory, image, row * room.image_bytes)
            stored = label.to_bytes(LABEL_BYTES, "little")
            os.pwrite(memory, stored, room.labels + row * LABEL_BYTES)
    except DamagedRecordError as error:
        return Answer(task.row, True, str(error))
    except BaseException as error:  # whatever it is, the run must hear of it
        return Answer(task.row, False, f"{type(error).__name__}: {error}")
    return Answer(task.row)
