"""Which data sets there are, where they lie, and how they are opened.

A data set is named by a known name (``digits``, ``mnist``, ``cifar10``, ...; see ``places.py``) or
by the path of an ``.npz`` file, a folder of class folders or a ``.zip`` of one. A further format is
one more branch of `find_source` and one more reader.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bnntrain.data.conversion import Progress
from bnntrain.data.files import data_folder
from bnntrain.data.flat import Dataset, convert, find_converted
from bnntrain.data.places import locate
from bnntrain.data.preprocessing import CHANNELS, PictureOptions
from bnntrain.data.published import PUBLISHED, Published
from bnntrain.data.source import ARRAYS, SPLITS, Shape, Source
from bnntrain.errors import DataError, UsageError
from bnntrain.paths import is_file, is_folder

AS_THEY_ARE = PictureOptions()
"""Pictures of one size, with the share of test pictures that a configuration has by default."""

_UNKNOWN_COUNT = 1_000_000


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
        Form: ``npz``, or see `places.Place`.
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


def open_dataset(
    name: str, options: PictureOptions = AS_THEY_ARE, progress: Progress | None = None
) -> Dataset:
    """Open a data set, converting it to the flat form if that has not been done yet.

    Parameters
    ----------
    name : str
        Known name or path.
    options : PictureOptions
        How pictures are read; the images of other sets must already be so.
    progress : callable, optional
        Is told about a conversion, see `flat.convert`.

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
    source = find_source(name, options)
    if options.records == "encoded":
        return _open_encoded(name, source, options, progress)
    train, classes = convert(source, "train", progress)
    test, _ = convert(source, "test", progress)
    if train.shape != test.shape:
        raise DataError(
            source.files[-1],
            f"test images of {_text(test.shape)}, expected {_text(train.shape)} as in the training "
            "set. Save both with one shape",
        )
    _check_options(name, options, train.shape, len(classes))
    return Dataset(name, train.shape, classes, train, test)


def _open_encoded(
    name: str, source: Source, options: PictureOptions, progress: Progress | None
) -> Dataset:
    from bnntrain.data.encode import as_samples, encode  # of size, as is Pillow

    (train, classes), (test, _) = (encode(source, split, progress) for split in SPLITS)
    wanted = as_samples([train, test], source, options)
    train, test = (replace(split, wanted=wanted) for split in (train, test))
    _check_options(name, options, wanted.shape, len(classes))
    return Dataset(name, wanted.shape, classes, train, test, "encoded")


def describe(name: str, options: PictureOptions = AS_THEY_ARE) -> Description:
    """Return shape, classes and counts, without converting and, for known names, without files.

    Parameters
    ----------
    name, options
        As for `open_dataset`. Files that are there are believed more than the published facts, and
        their converted form, where it is up to date, is enough. Where a path is missing, size and
        classes of the options are enough too; counts are made up then.

    Raises
    ------
    DataError
        If the name is unknown or the files that are there are faulty.
    """
    try:
        description = _described(name, options)
    except DataError as error:
        if not (error.is_missing and options.classes and options.image_size):
            raise
        return _as_configured(options)
    _check_options(name, options, description.shape, len(description.classes))
    return description


def _described(name: str, options: PictureOptions) -> Description:
    published = PUBLISHED.get(name)
    if published is not None and not locate(name).found:
        return _as_published(published)
    source = find_source(name, options)
    if options.records == "encoded":
        from bnntrain.data.encode import as_samples, find_encoded

        found = [find_encoded(source, split) for split in SPLITS]
        if None not in found:
            (train, classes), (test, _) = found
            shape = as_samples([train, test], source, options).shape
            return Description(shape, classes, train.count, test.count)
    train, test = (find_converted(source, split) for split in SPLITS)
    if train is not None and test is not None:
        return Description(train[0].shape, train[1], train[0].count, test[0].count)
    try:
        with source.open_split("test") as test:
            test_count = test.count
        with source.open_split("train") as train:
            return Description(train.shape, train.classes, train.count, test_count)
    except UsageError:
        # Pictures without Pillow: what is published of a set is enough to plan with.
        if published is None:
            raise
    return _as_published(published)


def _as_published(published: Published) -> Description:
    return Description(
        published.shape, published.classes, published.train_count, published.test_count
    )


def _as_configured(options: PictureOptions) -> Description:
    """Return what a configuration says of pictures that are not there; their number it does not."""
    shape = (*options.image_size, CHANNELS.get(options.channels, 3))
    names = [str(number) for number in range(options.classes)]
    return Description(shape, names, _UNKNOWN_COUNT, _UNKNOWN_COUNT)


def _check_options(name: str, options: PictureOptions, shape: Shape, classes: int) -> None:
    """Refuse a size or channels that the images have not; pictures get them when they are read.

    The number of classes too, where it is known beforehand.
    """
    if options.classes not in (None, classes):
        message = f"has {classes} classes, and data.classes is {options.classes}"
        raise DataError(name, f"{message}. Give {classes}, or leave it out")
    channels = CHANNELS.get(options.channels, shape[2])
    for key, wanted, found in (
        ("image_size", options.image_size or shape[:2], shape[:2]),
        ("channels", (channels,), shape[2:]),
    ):
        if tuple(wanted) != tuple(found):
            raise DataError(
                name, f"images of {_text(shape)}, and only pictures can be given another size or "
                f"other channels. Leave out data.{key}",
            )  # fmt: skip


def find_source(name: str, options: PictureOptions = AS_THEY_ARE) -> Source:
    """Return the files of a data set, without looking into them.

    Raises
    ------
    DataError
        If the name is unknown (with the nearest known one), files are missing, or they are no
        pictures where records are to be encoded ones.
    """
    source = _find_source(name, options)
    if options.records == "encoded" and not hasattr(source, "open_members"):
        message = "holds pixels, and only pictures have encoded records"
        raise DataError(name, f"{message}. Leave out data.records")
    return source


def _find_source(name: str, options: PictureOptions) -> Source:
    if name in PUBLISHED:
        place = locate(name)
        if place.missing:
            folder = PUBLISHED[name].folder
            raise DataError(
                place.path,
                f"data set '{name}' not found, {', '.join(place.missing)} missing. Run 'bnntrain "
                f"data fetch {name}', or set BNNTRAIN_DATA to the folder that holds '{folder}/'",
            )
        return place.source(options) if place.kind == "pictures" else place.source()
    # Readers are loaded when they are needed: resting memory is a headline number.
    if name.startswith(ARRAYS):
        from bnntrain.data.array_source import ArraySource

        return ArraySource(name)
    if name.endswith(".npz"):
        from bnntrain.data.npz import NpzSource

        return NpzSource(name, _find(name, is_file))
    if name.lower().endswith(".zip"):
        from bnntrain.data.pictures import PictureSource

        return PictureSource(name, _find(name, is_file), options)
    if _is_named_folder(name):
        from bnntrain.data.pictures import PictureSource

        return PictureSource(name, _find(name, is_folder), options)
    if os.sep in name:
        raise _missing(name, "folder")
    raise unknown_name(name)


def settled(name: str) -> str:
    """Return what a data set is called everywhere: a path that is here, as an absolute one.

    Known names, those of arrays, and what is looked for in the data folder stay as they are.
    """
    if name in PUBLISHED or name.startswith(ARRAYS):
        return name
    path = _expand(name)
    return str(path.absolute()) if is_file(path) or is_folder(path) else name


def find_datasets() -> list[Found]:
    """Return the known data sets, found or not, and the user's own sets in the data folder."""
    found = []
    for name in PUBLISHED:
        place = locate(name)
        converted = not place.missing and _is_converted(name)
        where = str(place.path) if place.found else None
        found.append(Found(name, place.kind, where, converted, place.missing))
    for path in sorted(data_folder().glob("*.npz")):
        # Opened by its path: a file of this name in the working directory would come first.
        found.append(Found(str(path), "npz", str(path), _is_converted(str(path)), []))
    for path in _picture_sets({each.path for each in found}):
        found.append(Found(str(path), "pictures", str(path), _is_converted(str(path)), []))
    return found


def unknown_name(name: str, known: list[str] | None = None) -> DataError:
    """Return the error about a name that is none of `known` (default: every known data set)."""
    names = list(PUBLISHED) if known is None else known
    near = difflib.get_close_matches(name.lower(), names, 1, 0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    others = "" if known is not None else ", or the path of an .npz file, a .zip or a folder"
    return DataError(name, f"unknown data set.{hint} Known are {', '.join(names)}{others}")


def _find(name: str, exists: Callable[[Path], bool]) -> Path:
    """Return the path of a file or folder, relative to the working directory or the data folder."""
    places = _places(name)
    for place in places:
        if exists(place):
            return place
    if any(is_folder(place) for place in places):
        form = "an .npz file" if name.endswith(".npz") else "a .zip file"
        raise DataError(name, f"is a folder, not {form}. Rename it, or give the path of a file")
    raise _missing(name, "file")


def _missing(name: str, what: str) -> DataError:
    where = f"neither here nor in the data folder {data_folder()}"
    return DataError(name, f"no such {what}, {where}. Check the path", is_missing=True)


def _is_named_folder(name: str) -> bool:
    """Whether there is a folder of that name."""
    return bool(name) and any(is_folder(place) for place in _places(name))


def _places(name: str) -> tuple[Path, Path]:
    """Return where a file or folder of that name may be."""
    path = _expand(name)
    return path, data_folder() / path


def _expand(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def _picture_sets(known: set[str | None]) -> list[Path]:
    """Return the other folders and .zip files of the data folder that hold pictures by class."""
    from bnntrain.data.picture_files import holds_pictures, open_album

    found = []
    for path in sorted(data_folder().glob("*")):
        if str(path) in known:
            continue
        if is_folder(path) or (path.suffix.lower() == ".zip" and is_file(path)):
            with suppress(DataError), open_album(path) as album:
                # Folders in a folder may hold anything; those of parts say what they are.
                if album.parts() != [""] or holds_pictures(album):
                    found.append(path)
    return found


def _is_converted(name: str) -> bool:
    source = find_source(name)
    try:
        return all(find_converted(source, split) is not None for split in SPLITS)
    except DataError:
        # A folder that has become faulty since; opening it says how.
        return False


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))
