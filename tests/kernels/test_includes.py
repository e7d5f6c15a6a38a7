"""Includes of the C run one way: a folder includes only from those that stand before it in `ORDER`.

A new folder gets a place there. Of two folders side by side neither includes from the other.
"""

from __future__ import annotations

import re
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[2] / "kernels"

ORDER = (
    {"common"},
    {"pack", "xnor", "grad", "lookup", "pool", "norm", "update", "real", "feed", "marks"},
    {"dispatch"},
    {"block", "limit", "counting"},
    {"dense", "conv", "loss"},
    {"infer"},
)
GENERATED = {"counting_kernels.inc"}
PLACES = {folder: place for place, folders in enumerate(ORDER) for folder in folders}
SOURCES = sorted(path for end in ("c", "h", "inc") for path in KERNELS.glob(f"*/*.{end}"))


def included(path: Path) -> list[str]:
    """Return the folders of `kernels/` that a file includes from, without its own and the list."""
    names = re.findall(r'^\s*#\s*include "(.*)"', path.read_text(), re.MULTILINE)
    names = [name for name in names if name not in GENERATED]
    paths = [(path.parent / name).resolve() for name in names]
    assert all(found.is_file() for found in paths), path
    return [found.parent.name for found in paths if found.parent not in (path.parent, KERNELS)]


def test_every_folder_has_a_place():
    assert {path.parent.name for path in SOURCES} == set(PLACES)


def test_folders_include_from_those_before_them():
    wrong = [
        f"{path.relative_to(KERNELS)} includes from {folder}"
        for path in SOURCES
        for folder in included(path)
        if PLACES[folder] >= PLACES[path.parent.name]
    ]
    assert not wrong, "\n".join(wrong)


def test_headers_have_names_of_their_own():
    """But for `loops.h` and `neon.h`, which every folder of operations may have."""
    names = [path.name for path in SOURCES if path.suffix == ".h"]
    twice = {name for name in names if names.count(name) > 1}
    assert twice <= {"loops.h", "neon.h"}
