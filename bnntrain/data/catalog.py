"""Which data sets there are, where they lie, and how they are opened.

A data set is named by a known name (``digits``, ``mnist``, ``fashion-mnist``) or by the path of an
``.npz`` file. A further format is one more branch of `find_source` and one more reader.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from bnntrain.data.files import data_folder, is_file
from bnntrain.data.flat import Dataset, convert, find_converted
from bnntrain.data.published import DIGITS_FILE, PUBLISHED, Published
from bnntrain.data.source import SPLITS, Shape, Source, content_sha256
from bnntrain.errors import DataError


@dataclass(frozen=True)
class Description:
    """What is known of a data set before it is converted.

    Attributes
    ----------
    shape : tuple of int
        Height, width, channels.
    classes : list of str
        Names of the classes.
    train_count, test_count : int
        Samples.
    """

    shape: Shape
    classes: list[str]
    train_count: int
    test_count: int


@dataclass(frozen=True)
class Found:
    """One line of ``data list``.

    Attributes
    ----------
    name : str
        What to call the data set by.
    kind : str
        ``built-in``, ``idx`` or ``npz``.
    path : str or None
        Folder or file, None where it was not found.
    converted : bool
        Whether its flat form is in the cache and up to date.
    missing : list of str
        Files that are not there, by their published names.
    """

    name: str
    kind: str
    path: str | None
    converted: bool
    missing: list[str]


def open_dataset(name: str) -> Dataset:
    """Open a data set, converting it to the flat form if that has not been done yet.

    Parameters
    ----------
    name : str
        Known name or path of an .npz file.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If there is no such data set, its files are missing or faulty, or its splits do not match.
    WriteError
        If the flat form cannot be written to the cache folder.
    """
    source = find_source(name)
    train, classes = convert(source, "train")
    test, _ = convert(source, "test")
    if train.shape != test.shape:
        raise DataError(
            source.files[-1],
            f"test images of {_text(test.shape)}, expected {_text(train.shape)} as in the training "
            "set. Save both with one shape",
        )
    return Dataset(name, train.shape, classes, train, test)


def describe(name: str) -> Description:
    """Return shape, classes and counts, without converting and, for known names, without files.

    Parameters
    ----------
    name : str
        As for `open_dataset`. Files that are there are believed more than the published facts.

    Raises
    ------
    DataError
        If the name is unknown or the files that are there are faulty.
    """
    published = PUBLISHED.get(name)
    if published is not None and published.mirrors and not _locate(published)[1]:
        return Description(
            published.shape, published.classes, published.train_count, published.test_count
        )
    source = find_source(name)
    with source.open_split("test") as test:
        test_count = test.count
    with source.open_split("train") as train:
        return Description(train.shape, train.classes, train.count, test_count)


def find_source(name: str) -> Source:
    """Return the files of a data set, without looking into them.

    Raises
    ------
    DataError
        If the name is unknown (with the nearest known one) or files are missing.
    """
    # Readers are loaded when they are needed: resting memory is a headline number.
    if name == "digits":
        from bnntrain.data.npz import NpzSource

        return NpzSource(name, DIGITS_FILE, "Install bnntrain again")
    if name in PUBLISHED:
        from bnntrain.data.idx import IdxSource

        published = PUBLISHED[name]
        folder, paths = _locate(published)
        missing = _missing(paths)
        if missing:
            raise DataError(
                folder,
                f"data set '{name}' not found, {', '.join(missing)} missing. Run 'bnntrain data "
                f"fetch {name}', or set BNNTRAIN_DATA to the folder that holds '{name}/'",
            )
        remedy = f"Run 'bnntrain data fetch {name}' to replace damaged files"
        return IdxSource(name, published.classes, paths, remedy)
    if name.endswith(".npz"):
        from bnntrain.data.npz import NpzSource

        return NpzSource(name, _find_npz(name))
    raise unknown_name(name)


def find_datasets() -> list[Found]:
    """Return the known data sets, found or not, and the .npz files of the data folder."""
    found = []
    for name, published in PUBLISHED.items():
        if not published.mirrors:
            found.append(Found(name, "built-in", str(DIGITS_FILE), _is_converted(name), []))
            continue
        folder, paths = _locate(published)
        missing = _missing(paths)
        where = str(folder) if paths else None
        found.append(Found(name, "idx", where, not missing and _is_converted(name), missing))
    for path in sorted(data_folder().glob("*.npz")):
        # Opened by its path: a file of this name in the working directory would come first.
        found.append(Found(str(path), "npz", str(path), _is_converted(str(path)), []))
    return found


def unknown_name(name: str, known: list[str] | None = None) -> DataError:
    """Return the error about a name that is none of `known` (default: every known data set)."""
    names = list(PUBLISHED) if known is None else known
    near = difflib.get_close_matches(name.lower(), names, 1, 0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    others = "" if known is not None else ", or the path of an .npz file"
    return DataError(name, f"unknown data set.{hint} Known are {', '.join(names)}{others}")


def idx_folder(name: str) -> Path:
    """Return the folder that the files of a known IDX data set are in, or belong in."""
    return _locate(PUBLISHED[name])[0]


def _locate(published: Published) -> tuple[Path, dict[str, Path]]:
    """Return the folder and the files of an IDX data set; roles that are missing are left out.

    The files are looked for in ``<data>/<name>``, then in the data folder itself, where they count
    only if all four are there and they are not another published set.
    """
    from bnntrain.data.idx import locate

    folder = data_folder() / published.name
    paths = locate(folder)
    if not paths:
        direct = locate(data_folder())
        if not _missing(direct) and not _is_another(direct, published):
            return data_folder(), direct
    return folder, paths


def _is_another(paths: dict[str, Path], published: Published) -> bool:
    """Whether the test labels (10 kB) are those of another published set."""
    role = "t10k-labels"
    others = [other for other in PUBLISHED.values() if other.mirrors and other is not published]
    try:
        digest, _ = content_sha256(paths[role], published.contents[role].nbytes)
    except DataError:
        # A damaged file is reported by the reader, with its place.
        return False
    return any(digest == other.contents[role].sha256 for other in others)


def _missing(paths: dict[str, Path]) -> list[str]:
    from bnntrain.data.idx import ROLES, official_name

    return [official_name(role) for role in ROLES if role not in paths]


def _find_npz(name: str) -> Path:
    """Return the path of an .npz file, relative to the working directory or to the data folder."""
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        path = Path(name)
    if is_file(path):
        return path
    if is_file(data_folder() / path):
        return data_folder() / path
    raise DataError(
        name, f"no such file, neither here nor in the data folder {data_folder()}. Check the path"
    )


def _is_converted(name: str) -> bool:
    source = find_source(name)
    return all(find_converted(source, split) is not None for split in SPLITS)


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))
