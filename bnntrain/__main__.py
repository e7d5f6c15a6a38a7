"""The program's entry, and ``python -m bnntrain``.

Imports nothing of size, so that Ctrl-C and a lack of memory find an answer while all the rest is
imported.
"""

import os
import sys

# Before NumPy is imported: its BLAS, of which nothing here is used, would reserve memory for a
# thread on each core, and under a limit (ulimit -v) the start would fail for want of it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run the command line and exit."""
    try:
        from bnntrain.cli.main import main as run
    except KeyboardInterrupt:
        _exit("Interrupted: stopped at once. Nothing was changed", 130)
    except (MemoryError, ImportError, OSError) as error:
        if not _is_short_of_memory(error):
            raise
        _exit(
            "MemoryLimitError: the system gives no memory to start in. Raise the limit (ulimit -v)",
            2,
        )
    run()


def _is_short_of_memory(error: Exception) -> bool:
    """Tell a lack of memory from a broken installation: the linker has only words for it."""
    words = ("cannot allocate", "failed to map", "out of memory")
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in words)


def _exit(line: str, code: int) -> None:
    sys.stderr.write(f"{line}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
