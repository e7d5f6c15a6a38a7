"""Which run folders there are."""

from __future__ import annotations

from pathlib import Path

RUNS = "runs"
"""Folder of runs that are given no other, in the working directory."""


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
    import difflib  # for a mistake alone

    near = difflib.get_close_matches(path.name, known.values(), 2)
    names = [repr(name) for name in known if known[name] in near]
    return f"Did you mean {' or '.join(names[:3])}?" if names else ""
