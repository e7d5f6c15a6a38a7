"""Run the command line and do something to this very process at chosen moments.

A moment is ``EVENT:NAME:FILE:COUNT:ACTION``: the COUNT-th EVENT (``call`` of a Python function,
``c_call`` and ``c_return`` of a built-in one) by the function NAME in a source file whose path,
from the folder that holds bnntrain on, contains FILE; both may be empty. For built-in functions,
NAME and FILE are those of the caller. Moments are waited for one after the other. ACTION is the
name of a signal, or

``count``        nothing; the number of such events is printed on standard error at the end
``full=FOLDER``  a file there takes all space that the file system has left
``limit=BYTES``  no file can grow beyond this size (RLIMIT_FSIZE)

Nothing in bnntrain is replaced: the interpreter's own profiling hook counts.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

import bnntrain
from bnntrain.cli.main import main

# Folders above have any name, that of one of ours too.
_ABOVE = str(Path(bnntrain.__file__).parents[1])


class Moment:
    """One moment to wait for."""

    def __init__(self, text: str) -> None:
        self.event, self.function, self.file, count, self.action = text.split(":")
        self.left = int(count)
        self.seen = 0
        self._known: dict[object, bool] = {}

    def matches(self, code: object) -> bool:
        """Whether events of this code are counted."""
        known = self._known.get(code)
        if known is None:
            is_there = self.file in code.co_filename.removeprefix(_ABOVE)
            known = self._known[code] = is_there and self.function in ("", code.co_name)
        return known

    def act(self) -> None:
        """Do what was asked for."""
        kind, _, value = self.action.partition("=")
        if kind == "full":
            fill(Path(value))
        elif kind == "limit":
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(value), hard))
        else:
            os.kill(os.getpid(), signal.Signals[kind])


def fill(folder: Path) -> None:
    """Take all space of a file system."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return


def run(moments: list[Moment], arguments: list[str]) -> None:
    """Run the command line and exit with its code."""

    def watch(frame: object, event: str, _: object) -> None:
        moment = moments[0]
        if event != moment.event or not moment.matches(frame.f_code):
            return
        moment.seen += 1
        if moment.action != "count" and moment.seen == moment.left:
            moments.pop(0)
            if not moments:
                sys.setprofile(None)
            moment.act()

    if moments:
        sys.setprofile(watch)
    try:
        main(arguments)
    finally:
        sys.setprofile(None)
        for moment in moments:
            print(moment.seen, file=sys.stderr)
