"""Running the command line, in this process or in one of its own, and seeing what it changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from preloaded import Preloaded

from bnntrain.cli.main import run

# A network of a hundred kB on the built-in digits: an epoch takes milliseconds.
TINY = """\
name: tiny
model:
  layers: [{dense: 16}, batch_norm, sign, {dense: 10}, batch_norm]
data: {dataset: digits}
train: {epochs: 2, batch_size: 50, threads: 1}
"""
# The same with convolutions: pooling before and after the norm, taps outside, images that move.
TINY_CONV = """\
name: tiny
model:
  layers:
    - conv: 12
    - max_pool
    - batch_norm
    - sign
    - conv: {channels: 20, kernel: 5, stride: 2}
    - batch_norm
    - sign
    - max_pool
    - flatten
    - dense: 10
    - batch_norm
data: {dataset: digits, augment: {shift: 0.15, flip: true}}
train: {epochs: 2, batch_size: 50, threads: 1}
"""


def _entry_point() -> list[str]:
    """Return the installed command, or what stands for it in a checkout that is not installed."""
    installed = Path(sysconfig.get_path("scripts"), "bnntrain")
    return [str(installed)] if installed.exists() else [sys.executable, "-P", "-m", "bnntrain"]


COMMAND = _entry_point()


@dataclass(frozen=True)
class Result:
    """What a command gave back."""

    code: int
    out: str
    err: str


class Place:
    """Folders that belong to one test.

    Attributes
    ----------
    root, work, data : Path
        Everything that is watched; the working directory and the data folder in it.
    environment : dict of str to str
        Names these folders to the command.
    preloaded : Preloaded
        What commands are forked from.
    """

    def __init__(self, root: Path, cache: Path, preloaded: Preloaded) -> None:
        self.root, self.work, self.data = root, root / "work", root / "data"
        self.cache, self.preloaded = cache, preloaded
        for folder in (self.work, self.data):
            folder.mkdir(parents=True)
        self.environment = {"BNNTRAIN_DATA": str(self.data), "BNNTRAIN_CACHE": str(cache)}

    def write(self, name: str, content: str | bytes) -> Path:
        """Make a file, relative to the working directory; return its path."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def snapshot(self) -> dict[str, tuple]:
        """Return everything that can change about every file and folder below `root`."""
        found = {}
        for path in (self.root, *self.root.rglob("*")):
            status = path.lstat()
            content = ""
            if path.is_symlink():
                content = str(path.readlink())
            elif path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, content)
        return found

    def unfinished(self) -> list[str]:
        """Return the temporary files below `root` and in the cache."""
        files = [*self.root.rglob("*"), *self.cache.rglob("*")]
        return [str(path) for path in files if path.suffix in (".tmp", ".part")]

    def spawn(self, *arguments: str, **options: object) -> Result:
        """Run the installed command in a process of its own."""
        return self.execute([*COMMAND, *arguments], **options)

    def fork(self, *arguments: str, moments: Sequence[str] = (), is_bound: bool = False) -> Result:
        """Run the command line in a process of its own, see `Preloaded.run`."""
        environment = {**os.environ, **self.environment}
        code, out, err = self.preloaded.run(
            arguments, self.work, environment, moments, is_bound
        )
        return Result(code, os.fsdecode(out), os.fsdecode(err))

    def execute(self, command: list[str], environment: Mapping[str, str] = {}, **options) -> Result:
        """Run any command here; `options` are those of `subprocess.run`."""
        done = subprocess.run(
            command, cwd=self.work, env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL, capture_output=True, check=False, **options,
        )  # fmt: skip
        return Result(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))


def call(*arguments: str) -> Result:
    """Run the command line in this process; working directory and environment are the test's.

    What would be a warning on a user's screen is an error here.
    """
    with contextlib.ExitStack() as stack:
        out, err = (
            stack.enter_context(tempfile.TemporaryFile("w+", errors="surrogateescape"))
            for _ in range(2)
        )
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                warnings.simplefilter("error", UserWarning)
                code = run(list(arguments))
            out.flush()
            err.flush()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
        return Result(code, *texts)


@dataclass(frozen=True)
class Case:
    """One faulty input.

    Attributes
    ----------
    name : str
        What is wrong.
    arguments : tuple of str
        The command line.
    says : tuple of str
        What the message must contain: where the fault is, and what to do.
    prepare : callable or None
        Makes the files, given a `Place`.
    environment : mapping
        Variables to set.
    code : int
        Exit code: 2 for bad input, 1 for a failure of the machine.
    """

    name: str
    arguments: tuple[str, ...]
    says: tuple[str, ...]
    prepare: Callable[[Place], object] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    code: int = 2
