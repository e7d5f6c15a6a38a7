"""Run the command line and do something to this very process at chosen moments.

    python at_moments.py MOMENT... -- ARGUMENT...

A moment is ``EVENT:NAME:FILE:COUNT:ACTION``: the COUNT-th EVENT (``call`` of a Python function,
``c_call`` and ``c_return`` of a built-in one) by the function NAME in a source file whose path
contains FILE; both may be empty. For built-in functions, NAME and FILE are those of the caller.
Moments are waited for one after the other. ACTION is the name of a signal, or

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

# Imported before counting begins, so that moments lie in the work and not in the imports.
import bnntrain.cli.fit  # noqa: F401
from bnntrain.cli.main import main


class Moment:
    """One moment to wait for."""

    def __init__(self, text: str) -> None:
        self.event, self.function, self.file, count, self.action = text.split(":")
        self.left = int(count)
        self.seen = 0

    def matches(self, code: object, event: str) -> bool:
        """Whether an event is one of those that are counted."""
        if event != self.event or self.file not in code.co_filename:
            return False
        return self.function in ("", code.co_name)

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
        if not moments or not moments[0].matches(frame.f_code, event):
            return
        moment = moments[0]
        moment.seen += 1
        if moment.action != "count" and moment.seen == moment.left:
            moments.pop(0)
            moment.act()

    sys.argv[1:] = arguments
    sys.setprofile(watch)
    try:
        main()
    finally:
        sys.setprofile(None)
        for moment in moments:
            print(moment.seen, file=sys.stderr)


if __name__ == "__main__":
    split = sys.argv.index("--")
    run([Moment(text) for text in sys.argv[1:split]], sys.argv[split + 1 :])
