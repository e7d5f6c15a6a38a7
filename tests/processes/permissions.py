"""Make this process one that permissions bind: root, otherwise, passes through them.

    python permissions.py FILE      exits with 0 if FILE, which nobody may read, cannot be read then

Root remains root and its files remain its own, but it loses the capabilities that set aside what
their modes say. So it is not to be another user, who might not find Python, bnntrain or the test's
own folder where those stand below a folder that only their owner may enter.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pkgutil
import sys

# linux/capability.h: version 3; the bits of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
_VERSION, _SETS = 0x20080522, 6
_ABOVE_MODES = 1 << 1 | 1 << 2


def load_everything() -> None:
    """Import all of bnntrain: where it stands may be closed to a process that permissions bind."""
    import bnntrain

    for module in pkgutil.walk_packages(bnntrain.__path__, "bnntrain."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # what it is for is not installed
                importlib.import_module(module.name)


def obey() -> None:
    """Let permissions bind this process from here on; nothing changes for an ordinary user."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * _SETS)()
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for number in range(_SETS // 2):  # effective, permitted, inheritable
        sets[number] &= ~_ABOVE_MODES
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def main(path: str) -> int:
    """Say by the exit code whether permissions bind a process that obeys."""
    obey()
    return int(os.access(path, os.R_OK))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
