"""What a meter's thread waits for: its time, or to be rung.

It does what `threading.Event` does in half the time of a core. Events of Python 3.11 make a lock
for every wait, and meters wait thirty times a second beside the training.
"""

from __future__ import annotations

import os
import select


class Alarm:
    """Wakes one thread that waits.

    Attributes
    ----------
    is_rung : bool
        Whether somebody has rung; it stays so.
    """

    def __init__(self) -> None:
        self.is_rung = False
        self._read, self._write = os.pipe()

    def ring(self) -> None:
        """Wake whoever waits, now and from now on."""
        if not self.is_rung:
            self.is_rung = True
            os.write(self._write, b"\0")

    def wait(self, seconds: float) -> bool:
        """Wait for so long, or until it is rung; return whether it is."""
        return bool(select.select((self._read,), (), (), seconds)[0])

    def close(self) -> None:
        """Give the pipe back; nobody may wait any more."""
        os.close(self._read)
        os.close(self._write)
