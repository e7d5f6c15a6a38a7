"""The command line in processes that start in milliseconds, forked from one with all loaded.

Each is a process of its own, as if it had been started with the command: its own signals, limits,
permissions, output and end. Only the imports are shared.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import at_moments
import permissions

_TASK_BYTES = 1 << 17


class Preloaded:
    """A process with bnntrain loaded; a context.

    Parameters
    ----------
    environment : mapping
        Its variables; those of `run` replace them in its children.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        number = theirs.fileno()
        command = [sys.executable, "-P", __file__, str(number)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[number]
        )
        theirs.close()

    def __enter__(self) -> Preloaded:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait()

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        moments: Sequence[str] = (),
        is_bound: bool = False,
    ) -> tuple[int, bytes, bytes]:
        """Run the command line in a child.

        Parameters
        ----------
        arguments : sequence of str
            Of the command line.
        folder : Path
            Working directory.
        environment : mapping
            All variables.
        moments : sequence of str
            What happens to the child, see `at_moments`.
        is_bound : bool
            Whether permissions bind it, even if it is root's.

        Returns
        -------
        int, bytes, bytes
            Exit code (a signal: below 0), standard output and error.
        """
        task = {
            "arguments": list(arguments), "folder": str(folder), "environment": environment,
            "moments": list(moments), "is_bound": is_bound,
        }  # fmt: skip
        # Pipes as from a shell, not files, which the child may be forbidden to make larger.
        readings, writings = zip(os.pipe(), os.pipe(), strict=True)
        socket.send_fds(self._socket, [json.dumps(task).encode()], writings)
        for writing in writings:
            os.close(writing)
        with ThreadPoolExecutor(len(readings)) as pool:
            out, err = pool.map(_read_all, readings)
        return int(self._socket.recv(_TASK_BYTES)), out, err


def _read_all(reading: int) -> bytes:
    with open(reading, "rb") as file:
        return file.read()


def serve(tasks: socket.socket) -> None:
    """Fork a child for every task; it returns, its parent does not."""
    while True:
        text, outputs, _, _ = socket.recv_fds(tasks, _TASK_BYTES, 2)
        if not text:
            sys.exit()
        pid = os.fork()
        if pid == 0:
            tasks.close()
            become(json.loads(text), outputs)
            return
        for output in outputs:
            os.close(output)
        _, status = os.waitpid(pid, 0)
        tasks.send(b"%d" % os.waitstatus_to_exitcode(status))


def become(task: dict, outputs: Sequence[int]) -> None:
    """Turn this process into what was asked for, and run the command line."""
    for output, number in zip(outputs, (1, 2), strict=True):
        os.dup2(output, number)
        os.close(output)
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    if task["is_bound"]:
        permissions.obey()
    at_moments.run([at_moments.Moment(text) for text in task["moments"]], task["arguments"])


if __name__ == "__main__":
    permissions.load_everything()
    serve(socket.socket(fileno=int(sys.argv[1])))
