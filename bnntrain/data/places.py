"""Where in the data folder a known data set lies, and in which of its forms.

Each set is looked for in ``<data folder>/<name>``, where other programs put it (torchvision's
``MNIST/raw``), and in the data folder itself. The forms of a set are tried in order; one that is
complete wins over one that lacks files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bnntrain.data.files import data_folder
from bnntrain.data.preprocessing import PictureOptions
from bnntrain.data.published import DIGITS_FILE, PUBLISHED, Published
from bnntrain.data.source import SPLITS, Source
from bnntrain.data.stream import content_sha256
from bnntrain.errors import DataError
from bnntrain.paths import is_file, is_folder


@dataclass(frozen=True)
class Place:
    """Where a known data set is, or belongs.

    Attributes
    ----------
    kind : str
        Form: ``built-in``, ``idx``, ``cifar-binary``, ``cifar-python``, ``svhn`` or ``pictures``.
    path : Path
        Folder or file.
    found : bool
        Whether anything of it is there.
    missing : list of str
        Files that are not there, by their published names.
    source : callable
        Makes its `Source`; not to be called while files are missing. That of ``pictures`` takes
        the `PictureOptions`.
    """

    kind: str
    path: Path
    found: bool
    missing: list[str]
    source: Callable[..., Source] = field(repr=False)


def locate(name: str) -> Place:
    """Return the best place of a known data set.

    Parameters
    ----------
    name : str
        One of `PUBLISHED`.

    Returns
    -------
    Place
        The first complete one, else the first that lacks files, else where the set belongs.
    """
    published = PUBLISHED[name]
    places = [place for find in _FINDERS[published.kind] for place in find(published)]
    for place in places:
        if not place.missing:
            return place
    return next((place for place in places if place.found), places[0])


def wanted_files(
    name: str, folder: Path | None = None
) -> dict[str, tuple[Path | None, Path]]:
    """Return where each published file of a data set is, if it is there, and where it belongs.

    Parameters
    ----------
    name : str
        One of `PUBLISHED` with mirrors.
    folder : Path, optional
        Where to look; default: where the files are, else ``<data folder>/<name>``.
    """
    published = PUBLISHED[name]
    if published.kind == "idx":
        from bnntrain.data.idx import locate as locate_idx
        from bnntrain.data.idx import official_name

        folder = locate(name).path if folder is None else folder
        present = locate_idx(folder)
        return {
            role: (present.get(role), folder / official_name(role)) for role in published.contents
        }
    folders = _folders(published) if folder is None else [folder]
    wanted = {}
    for file in published.contents:
        there = [each / file for each in folders if is_file(each / file)]
        wanted[file] = (there[0] if there else None, (there or [folders[0] / file])[0])
    return wanted


def _folders(published: Published) -> list[Path]:
    own = data_folder()
    return [own / published.folder, *(own / each for each in published.other_folders), own]


def _remedy(published: Published) -> str:
    return f"Run 'bnntrain data fetch {published.name}' to replace damaged files"


def _find_built_in(published: Published) -> list[Place]:
    def source() -> Source:
        from bnntrain.data.npz import NpzSource

        return NpzSource(published.name, DIGITS_FILE, "Install bnntrain again")

    return [Place("built-in", DIGITS_FILE, True, [], source)]


def _find_idx(published: Published) -> list[Place]:
    """Find four IDX files.

    In the data folder itself they count only if all four are there and they are not another
    published set.
    """
    from bnntrain.data.idx import ROLES, IdxSource, official_name
    from bnntrain.data.idx import locate as locate_idx

    places = []
    for folder in _folders(published):
        paths = locate_idx(folder)
        missing = [official_name(role) for role in ROLES if role not in paths]
        if folder == data_folder() and (missing or _is_another(paths, published)):
            continue

        def source(paths: dict[str, Path] = paths) -> Source:
            return IdxSource(published.name, published.classes, paths, _remedy(published))

        places.append(Place("idx", folder, bool(paths), missing, source))
    return places


def _is_another(paths: dict[str, Path], published: Published) -> bool:
    """Whether the test labels (10 kB) are those of another published set."""
    role = "t10k-labels"
    others = [each for each in PUBLISHED.values() if each.kind == "idx" and each is not published]
    try:
        digest, _ = content_sha256(paths[role], published.contents[role].nbytes)
    except DataError:
        # A damaged file is reported by the reader, with its place.
        return False
    return any(digest == other.contents[role].sha256 for other in others)


def _find_cifar(published: Published) -> list[Place]:
    """Find the official archives, then the folders that come out of them."""
    from bnntrain.data.cifar import FORMATS, CifarSource

    places = []
    formats = [each for each in FORMATS if each.data_set == published.name]
    for packed in (True, False):
        for each in formats:
            for folder in _folders(published):
                path = folder / (each.archive if packed else each.folder)
                if packed:
                    found = is_file(path)
                    missing = [] if found else [path.name]
                else:
                    found = is_folder(path)
                    missing = [name for name in each.files if not is_file(path / name)]

                def source(path: Path = path, each: object = each) -> Source:
                    return CifarSource(published.classes, path, each, _remedy(published))

                places.append(Place(each.kind, path if found else folder, found, missing, source))
    return places


def _find_pictures(published: Published) -> list[Place]:
    """Find ``<name>-jpeg.zip``, then class folders in ``<data folder>/<name>``."""
    paths = [folder / f"{published.name}-jpeg.zip" for folder in _folders(published)]
    paths = [path for path in paths if is_file(path)]
    own = data_folder() / published.folder
    if all(is_folder(own / split) for split in SPLITS):
        paths.append(own)

    def place(path: Path) -> Place:
        def source(options: PictureOptions) -> Source:
            from bnntrain.data.pictures import PictureSource

            return PictureSource(published.name, path, options, published.classes)

        return Place("pictures", path, True, [], source)

    return [place(path) for path in paths]


def _find_svhn(published: Published) -> list[Place]:
    """Find the .mat files, the one of the test part last."""
    from bnntrain.data.svhn import SvhnSource

    places = []
    for folder in _folders(published):
        paths = {name: folder / name for name in published.contents}
        missing = [name for name, path in paths.items() if not is_file(path)]
        found = len(missing) < len(paths)

        def source(paths: dict[str, Path] = paths) -> Source:
            *train, test = paths.values()
            return SvhnSource(published.name, published.classes, train, test, _remedy(published))

        places.append(Place("svhn", folder, found, missing, source))
    return places


_FINDERS = {
    "built-in": [_find_built_in],
    "idx": [_find_idx],
    "cifar": [_find_cifar, _find_pictures],
    "svhn": [_find_svhn],
}
