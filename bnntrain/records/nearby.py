"""Which run folders there are."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Protocol

from bnntrain.errors import UsageError

RUNS = "runs"
"""Folder of runs that are given no other, in the working directory."""


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


def is_run(path: Path) -> bool:
    """Whether a run was begun in a folder."""
    return (path / "config.yaml").is_file()


def runs_in(folder: Path) -> list[Path]:
    """Return the run folders directly in a folder."""
    try:
        return [path for path in folder.iterdir() if is_run(path)]
    except OSError:
        return []


def near_runs(path: Path) -> str:
    """Ask for the run that may have been meant: with a like name, beside it or in `RUNS`."""
    known = {str(run): run.name for run in (*runs_in(path.parent), *runs_in(Path(RUNS)))}
    near = difflib.get_close_matches(path.name, known.values(), 2)
    names = [repr(name) for name in known if known[name] in near]
    return f"Did you mean {' or '.join(names[:3])}?" if names else ""
