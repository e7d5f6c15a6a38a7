"""What lies at a path that a user gave, whatever the path looks like."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from bnntrain.errors import UsageError


class HasPath(Protocol):
    """What `bnntrain.fit` returns: it knows its folder."""

    path: Path


RunLike = str | os.PathLike[str] | HasPath
"""A run's folder, or what `bnntrain.fit` returned."""


def run_path(run: RunLike) -> Path:
    """Return the folder of a run.

    Raises
    ------
    UsageError
        It is no name and no run.
    """
    path = getattr(run, "path", run)
    if isinstance(path, str | os.PathLike):
        if not os.fspath(path):
            raise UsageError("an empty name. Give the folder of a run")
        return Path(path)
    raise UsageError(f"a run of type {type(run).__name__}. Give its folder, or what fit returned")


def is_file(path: Path) -> bool:
    """Whether there is such a file; what cannot be a path or be looked at counts as absent."""
    return _is(path, Path.is_file)


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; what cannot be a path or be looked at counts as absent."""
    return _is(path, Path.is_dir)


def _is(path: Path, kind) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # e.g. a name longer than the file system allows
        return False
