"""Signals that ask a process to stop, for all verbs that answer them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the system's request, and a terminal or connection that is gone."""


@contextmanager
def caught(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Have `handler` called for `STOPPING`, instead of ending the process.

    A hang-up that is ignored stays ignored: that is what nohup asks for.
    """
    former = {
        number: signal.signal(number, handler)
        for number in STOPPING
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, before in former.items():
            signal.signal(number, before)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Turn `STOPPING` into an event; a second Ctrl-C or SIGTERM stops at once.

    A hang-up never does: shells and the kernel each send one, and so may whatever ends a session.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    asked: list[int] = []

    def ask(number: int, _frame: object) -> None:
        stop.set()
        if number == signal.SIGHUP:
            return
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    with caught(ask):
        yield stop
