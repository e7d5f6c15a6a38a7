"""Includes of the C run one way: a folder includes only from those that stand before it in `ORDER`.

A new folder gets a place there. Of two folders side by side neither includes from the other. What
is in `bnntrain/native` includes from the kernels what they have in common, and no more.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNELS, NATIVE = ROOT / "kernels", ROOT / "bnntrain" / "native"

ORDER = (
    {"common"},
    {"pack", "xnor", "grad", "lookup", "pool", "norm", "update", "real", "stream"},
    {"dispatch"},
    {"block", "counting"},
    {"dense", "conv", "loss"},
    {"real_conv", "head"},
    {"stem"},
    {"infer"},
)
BESIDE = {"batches", "trace", "limit"}
GENERATED = {"counting_kernels.inc"}
PLACES = {folder: place for place, folders in enumerate(ORDER) for folder in folders}
SOURCES = sorted(path for end in ("c", "h", "inc") for path in KERNELS.glob(f"*/*.{end}"))
NATIVE_SOURCES = sorted(path for end in ("c", "h", "pyx") for path in NATIVE.rglob(f"*.{end}"))


def included(path: Path) -> list[Path]:
    """Return the files that a file includes, but for the system's and those that are generated."""
    names = re.findall(
        r'^\s*(?:#\s*include|include|cdef extern from) "(.*)"', path.read_text(), re.MULTILINE
    )
    found = []
    for name in names:
        if name not in GENERATED:
            places = (path.parent / name, NATIVE / name, KERNELS / name)
            found.append(next(place for place in places if place.is_file()).resolve())
    return found


def folders_of(path: Path) -> list[str]:
    """Return the folders that a kernel includes from, without its own and the list of kernels."""
    parents = [found.parent for found in included(path)]
    return [parent.name for parent in parents if parent not in (path.parent, KERNELS)]


def test_every_folder_has_a_place():
    assert {path.parent.name for path in SOURCES} == set(PLACES)
    assert {path.parent.name for path in NATIVE_SOURCES} == BESIDE | {NATIVE.name}


def test_folders_include_from_those_before_them():
    wrong = [
        f"{path.relative_to(KERNELS)} includes from {folder}"
        for path in SOURCES
        for folder in folders_of(path)
        if folder not in PLACES or PLACES[folder] >= PLACES[path.parent.name]
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_beside_the_kernels_knows_what_they_have_in_common():
    wrong = []
    for path in NATIVE_SOURCES:
        own = {NATIVE / folder for folder in BESIDE} if path.parent == NATIVE else {path.parent}
        wrong += [
            f"{path.relative_to(ROOT)} includes {found.relative_to(ROOT)}"
            for found in included(path)
            if found.parent not in own | {KERNELS / "common"}
        ]
    assert not wrong, "\n".join(wrong)


def test_headers_have_names_of_their_own():
    """But for `loops.h` and `neon.h`, which every folder of operations may have."""
    names = [path.name for path in [*SOURCES, *NATIVE_SOURCES] if path.suffix == ".h"]
    twice = {name for name in names if names.count(name) > 1}
    assert twice <= {"loops.h", "neon.h"}
