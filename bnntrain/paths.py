"""What lies at a path that a user gave, whatever the path looks like."""

from __future__ import annotations

from pathlib import Path


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
