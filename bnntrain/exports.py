"""Trained networks as files for other places: one writer a format, all over the packed model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnntrain.errors import UsageError
from bnntrain.packed import SUFFIX, Head, new_tensors, open_source, write_packed
from bnntrain.paths import RunLike, is_folder, run_path

Writer = Callable[[Path, Head, Mapping[str, np.ndarray]], int]
"""Writes a file in one step and returns its bytes."""

# A further format is a line here: its name, what its files end in, who writes them.
_WRITERS: dict[str, tuple[str, Writer]] = {"bnn": (SUFFIX, write_packed)}

FORMATS = tuple(_WRITERS)
"""What there is to export to."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes
    ----------
    path : Path
        The file.
    format : str
        One of `FORMATS`.
    bytes : int
        Its size.
    head : Head
        What it says of the network.
    """

    path: Path
    format: str
    bytes: int
    head: Head


def export(
    run: RunLike, path: str | os.PathLike[str], checkpoint: str | None = None,
    format: str | None = None,
) -> Exported:
    """Write a trained network into one file, to be used without its run.

    Parameters
    ----------
    run, checkpoint
        As for `load`.
    path : path
        The file; one that is there is replaced, in one step.
    format : str, optional
        One of `FORMATS`; by default what the name of the file ends in.

    Returns
    -------
    Exported

    Raises
    ------
    UsageError
        No such format, a name that ends in none, or a folder in place of a file.
    RunError, WriteError
        The network cannot be read, or the file cannot be written.

    Examples
    --------
    >>> bnntrain.export("runs/a", "digits.bnn").bytes
    >>> bnntrain.load("digits.bnn").predict("digit.png")
    """
    path = Path(path)
    format = _format_of(path) if format is None else format
    if format not in _WRITERS:
        raise UsageError(f"no format '{format}'. Give one of {', '.join(FORMATS)}")
    if is_folder(path):
        raise UsageError(path, f"is a folder. Give the name of a file, as in {path / 'model.bnn'}")
    if not is_folder(path.parent):
        raise UsageError(path.parent, "no such folder. Make it, or give another -o")
    source = open_source(run_path(run), checkpoint, is_hashed=True)
    head = source.head
    tensors = new_tensors(head.packed_layers())
    source.read(tensors)
    size = _WRITERS[format][1](path, source.head, tensors)
    return Exported(path, format, size, source.head)


def _format_of(path: Path) -> str:
    suffixes = {suffix: name for name, (suffix, _) in _WRITERS.items()}
    found = suffixes.get(path.suffix.lower())
    if found is None:
        known = ", ".join(suffixes)
        raise UsageError(
            path, f"its name says no format. End it in {known}, or give --format "
            f"{' or '.join(FORMATS)}",
        )
    return found
