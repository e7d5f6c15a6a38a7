"""Processes that make the samples of encoded records beside the one that trains.

They work ahead: while the network trains on a batch they decode the next one into memory that they
share with this process. It has room for one batch; whose task is done waits until that was taken
out. Which samples stand in a batch does not depend on how many there are.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import NoReturn

import numpy as np

from bnntrain.data.decoder_protocol import LARGEST_MESSAGE, MOST_TASKS, Answer, Request, Room, Task
from bnntrain.data.decoding import Decoding, Demand
from bnntrain.data.encoded import EncodedSplit, damaged
from bnntrain.data.files import reason
from bnntrain.data.sampler import Changes
from bnntrain.data.source import image_bytes_of
from bnntrain.errors import WorkerError

_PROGRAM = (
    "import json, sys; setup = json.loads(sys.argv[1]); sys.path[:] = setup['path']; "
    "from bnntrain.data.decoder_process import main; main(setup)"
)
_PATIENCE_S = 5.0


class Workers:
    """Processes that make samples ahead of when they are asked for.

    Parameters
    ----------
    splits, files, changes
        As for `OwnDecoder`.
    decoding : Decoding
        How many, and how many samples at a time.

    Raises
    ------
    WorkerError
        The system gives no memory, or starts no process.
    """

    def __init__(
        self, splits: Sequence[EncodedSplit], files: Sequence[int], changes: Changes,
        decoding: Decoding,
    ) -> None:
        self._splits = splits
        self._room = Room(decoding.batch_size, image_bytes_of(splits[0].shape))
        self._most, self._demand = decoding.most_workers, Demand()
        self._ahead: Request | None = None
        self._pending: set[int] = set()  # tasks that are given out, by their first row
        self._fault: Answer | None = None
        self._returned = time.perf_counter()
        self._children: list[subprocess.Popen] = []
        self._memory = os.memfd_create("bnntrain pictures", os.MFD_CLOEXEC)
        # Of ours nobody else may hold the end: that it is closed tells them to stop.
        self._socket, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._files = [*files]
        self._setup = json.dumps({
            "path": sys.path, "socket": self._theirs.fileno(), "memory": self._memory,
            "room": asdict(self._room), "wanted": splits[0].wanted.to_json(),
            "changes": asdict(changes),
            "files": [(fd, split.offset) for fd, split in zip(files, splits, strict=True)],
        })  # fmt: skip
        try:
            self._reserve()
            for _ in range(decoding.workers):
                self._start()
        except BaseException:
            self.close()
            raise

    def _reserve(self) -> None:
        """Have the memory now: later on the lack of it would end whoever writes there."""
        try:
            os.posix_fallocate(self._memory, 0, self._room.bytes)
        except OSError as error:
            need = f"{self._room.bytes:,} bytes of decoded pictures"
            message = f"the system does not give the {need} ({reason(error)})"
            raise WorkerError("data.workers", f"{message}. Give a smaller batch, or 0") from None

    @property
    def workers(self) -> int:
        """How many there are now."""
        return len(self._children)

    def _start(self) -> None:
        inherited = (self._theirs.fileno(), self._memory, *self._files)
        try:
            # A group of its own: Ctrl-C on a terminal is for the one that trains. What is on its
            # standard output nobody reads: that it is closed tells that the process has ended.
            child = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, self._setup], pass_fds=inherited,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, process_group=0,
            )  # fmt: skip
        except OSError as error:
            raise _lost(f"cannot be started: {reason(error)}") from None
        self._children.append(child)
        self._poll.register(child.stdout, select.POLLIN)

    def read(
        self, request: Request, following: Request | None, x: np.ndarray, labels: np.ndarray
    ) -> float:
        """Take the samples of a request, and have those that follow made; see `OwnDecoder.read`.

        Raises
        ------
        DataError
            Records are damaged.
        WorkerError
            A process has ended.
        """
        start = time.perf_counter()
        if self._ahead != request:
            self._finish()
            self._give(request)
        self._finish()
        self._ahead = None
        if self._fault is not None:
            self._blame(request)
        waited = time.perf_counter() - start
        if self._demand.add(waited, start - self._returned) and self.workers < self._most:
            self._start()
        self._take(x, 0)
        self._take(labels, self._room.labels)
        if following is not None:
            self._give(following)
        self._returned = time.perf_counter()
        return waited

    def _take(self, into: np.ndarray, at: int) -> None:
        """Read from the memory; the system gives 2 GiB at a time."""
        view = memoryview(into).cast("B")
        while view:
            taken = os.preadv(self._memory, [view], at)
            view, at = view[taken:], at + taken

    def _give(self, request: Request) -> None:
        """Give out the tasks of a request."""
        if request.rows > self._room.rows:
            raise ValueError(f"{request.rows} samples, and there is room for {self._room.rows}")
        self._ahead, self._fault = request, None
        os.pwrite(self._memory, request.records, self._room.records)
        each = -(-request.rows // MOST_TASKS)
        for row in range(0, request.rows, each):
            rows = min(each, request.rows - row)
            self._socket.send(Task(request.split, request.epoch, row, rows).pack())
            self._pending.add(row)

    def _finish(self) -> None:
        """Wait until no task is given out any more."""
        while self._pending:
            ready = {fd for fd, _ in self._poll.poll()}
            for child in self._children:
                if child.stdout.fileno() in ready:
                    raise _ended(child)
            answer = Answer.unpack(self._socket.recv(LARGEST_MESSAGE))
            self._pending.discard(answer.row)
            # The first by its place, whoever was first to meet it.
            if answer.fault and (self._fault is None or answer.row < self._fault.row):
                self._fault = answer

    def _blame(self, request: Request) -> NoReturn:
        if self._fault.is_damaged:
            raise damaged(self._splits[request.split].path, self._fault.fault)
        raise _lost(f"has failed ({self._fault.fault}). Try data.workers=0")

    def close(self) -> None:
        """End the processes, and give back the memory."""
        self._socket.close()
        self._theirs.close()
        for child in self._children:
            try:
                child.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdout.close()
        self._children.clear()
        os.close(self._memory)


def _ended(child: subprocess.Popen) -> WorkerError:
    """Say how a process has ended; the others cannot go on without what it had taken."""
    try:
        code = child.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:  # it has closed its standard output, and hangs
        return _lost("does not answer")
    if code < 0:
        hint = ". Was memory short? See data.workers" if code == -signal.SIGKILL else ""
        return _lost(f"was ended by {signal.Signals(-code).name}{hint}")
    return _lost(f"has ended with exit code {code}. Try data.workers=0")


def _lost(what: str) -> WorkerError:
    return WorkerError("data.workers", f"a process that decodes pictures {what}")
