"""The error family: every failure a user can meet, as one line of text and an exit code.

Every message names where the fault is (file), which part of it (dotted key or byte offset) and what
to do about it::

    ConfigError: configs/a.yaml: train.epoch: unknown key. Did you mean 'epochs'?

The class name in front is printed by the command line; ``str(error)`` is the rest. Imports nothing
of the package, so every other module may import it.
"""

from __future__ import annotations


class BnntrainError(Exception):
    """Base of all errors that are reported to the user without a traceback.

    Parameters
    ----------
    *parts : object
        What the message is made of, in reading order (file, key, message). Empty parts and None
        are left out, the rest is joined by ``": "``.

    Attributes
    ----------
    exit_code : int
        Exit status of the command line: 2 for bad input, 1 for a failure of the machine.
    """

    exit_code = 1

    def __init__(self, *parts: object) -> None:
        # All parts go to Exception so that an error survives pickling between processes.
        super().__init__(*parts)

    def __str__(self) -> str:
        """Return the message as exactly one line."""
        texts = (" ".join(str(part).split()) for part in self.args if part is not None)
        return ": ".join(text for text in texts if text)


class ConfigError(BnntrainError):
    """A configuration that cannot be read or has no meaning.

    Parameters
    ----------
    source : object
        File (or ``-s``, ``command line``) that the faulty value came from.
    key : str
        Dotted key, e.g. ``train.epochs``; may be empty.
    message : str
        What is wrong and what would be right.
    """

    exit_code = 2

    def __init__(self, source: object, key: str, message: str) -> None:
        super().__init__(source, key, message)
        self.source = source
        self.key = key
        self.message = message


class DataError(BnntrainError):
    """A data file that is missing, damaged or not what it claims to be.

    Parameters
    ----------
    path : object
        The file or folder, or the name of the data set when there is no file.
    message : str
        What is wrong (with the byte offset where one is known) and the remedy.
    is_missing : bool
        Whether there is no such file or folder at all.
    """

    exit_code = 2

    def __init__(self, path: object, message: str, is_missing: bool = False) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message
        self.is_missing = is_missing


class RunError(BnntrainError):
    """A run folder or checkpoint that cannot be used.

    Parameters
    ----------
    path : object
        The run folder or the file in it.
    message : str
        What is wrong and the remedy.
    is_damage : bool
        Whether the file itself is at fault (missing, cut off, garbled), not what it is used for.
    """

    exit_code = 2

    def __init__(self, path: object, message: str, is_damage: bool = False) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message
        self.is_damage = is_damage


class UsageError(BnntrainError):
    """Options or arguments that contradict each other."""

    exit_code = 2


class MemoryLimitError(BnntrainError):
    """A memory limit that no batch size can meet."""

    exit_code = 2


class KernelError(BnntrainError):
    """A request to the kernels that this machine or build cannot serve (e.g. unknown ISA)."""

    exit_code = 2


class WriteError(BnntrainError):
    """Results that could not be written (disk full, no permission).

    Parameters
    ----------
    path : object
        The file that was being written.
    message : str
        The reason and what is still valid on disk.
    """

    exit_code = 1

    def __init__(self, path: object, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message


class WorkerError(BnntrainError):
    """A process that decodes pictures has ended, or could not be started."""

    exit_code = 1


class Interrupted(BnntrainError):  # noqa: N818  (the command line prints the name)
    """A run that was asked to stop and did, after saving a checkpoint."""

    exit_code = 130
