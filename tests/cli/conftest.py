"""What the tests of the command line share: the installed program, run as a user runs it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("bnntrain")
COLUMNS = 100
# Against tests that hang, not a bound on speed: the machine may have much else to do.
_LIMIT_S = 600


class Program:
    """The installed ``bnntrain``, with data and cache folders of its own.

    Parameters
    ----------
    root : Path
        Folder for both; the data folder in it stays empty.
    """

    def __init__(self, root: Path) -> None:
        (root / "data").mkdir()
        self.cwd = root
        own = {"BNNTRAIN_DATA": str(root / "data"), "BNNTRAIN_CACHE": str(root / "cache")}
        unset = ("NO_COLOR", "BNNTRAIN_ISA", "FORCE_COLOR")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        self.environment = {**kept, **own, "TERM": "xterm", "COLUMNS": str(COLUMNS)}

    def command(self, *arguments: object) -> list[str]:
        """Return the command line, as a list."""
        program = [str(SCRIPT)] if SCRIPT.is_file() else [sys.executable, "-P", "-m", "bnntrain"]
        return [*program, *map(str, arguments)]

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen:
        """Start the program with pipes."""
        return subprocess.Popen(
            self.command(*arguments), cwd=self.cwd, env={**self.environment, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(
        self, *arguments: object, expect: int = 0, **environment: str
    ) -> subprocess.CompletedProcess:
        """Run the program, check its exit code, return output and errors."""
        child = self.start(*arguments, **environment)
        try:
            out, err = child.communicate(timeout=_LIMIT_S)
        finally:
            child.kill()
        assert child.returncode == expect, f"exit {child.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)

    def json(self, *arguments: object, expect: int = 0, **environment: str) -> object:
        """Run the program with ``--json`` and return what it printed."""
        return json.loads(self.run(*arguments, "--json", expect=expect, **environment).stdout)

    def error(self, *arguments: object, expect: int = 2, **environment: str) -> str:
        """Run the program, which must fail in one line without any result; return the line."""
        done = self.run(*arguments, expect=expect, **environment)
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        return lines[0]

    def terminal(
        self,
        *arguments: object,
        expect: int = 0,
        keys: tuple[bytes, bytes] = (),
        **environment: str,
    ) -> str:
        """Run the program on a pseudo-terminal and return all that appears on it.

        `keys` are a text to wait for, and what is typed when it has appeared.
        """
        pid, screen = pty.fork()
        if pid == 0:
            os.chdir(self.cwd)
            command = self.command(*arguments)
            os.execve(command[0], command, {**self.environment, **environment})
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        seen = b""
        try:
            while piece := os.read(screen, 65536):
                seen += piece
                if keys and keys[0] in seen:
                    os.write(screen, keys[1])
                    keys = ()
        except OSError:
            pass  # how Linux says that the other end is closed
        finally:
            os.close(screen)
            _, status = os.waitpid(pid, 0)
        text = seen.decode()
        assert os.waitstatus_to_exitcode(status) == expect, text
        return text


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> Program:
    """The installed program."""
    return Program(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="session")
def trained(program) -> Path:
    """A run folder: digits, 3 epochs."""
    folder = program.cwd / "trained"
    program.run("fit", "digits", "--epochs", 3, "--threads", 1, "--run-dir", folder, "-q")
    return folder


@pytest.fixture(scope="session")
def digit(program):
    """The first test image of digits, uint8 [8, 8]."""
    import numpy as np

    from bnntrain.data.published import DIGITS_FILE

    with np.load(DIGITS_FILE) as arrays:
        return arrays["x_test"][0].reshape(8, 8)
