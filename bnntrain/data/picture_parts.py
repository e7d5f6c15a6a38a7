"""Which pictures of an album train and which test.

* ``train`` and ``test`` are taken as they are. Further pictures in ``val`` (``valid``,
  ``validation``) belong to the training part, from which a run draws its validation by its seed.
* Without ``test``, ``val`` is the test part.
* Without both, or without any parts, a share of every class is drawn to test. A picture is drawn by
  its own name and the seed: pictures that are added later hardly move the others.
"""

from __future__ import annotations

import hashlib

from bnntrain.data.picture_files import Album
from bnntrain.data.preprocessing import PictureOptions
from bnntrain.errors import DataError

_TRAIN, _TEST = "train", "test"


def split_images(
    album: Album, split: str, names: list[str], options: PictureOptions
) -> list[list[bytes]]:
    """Return the images of a split, class by class.

    Parameters
    ----------
    album : Album
        Where they are.
    split : str
        ``train`` or ``test``.
    names : list of str
        Classes, see `class_names`.
    options : PictureOptions
        Share and seed of a test part that has to be drawn.

    Raises
    ------
    DataError
        A class is empty, or has one image where two parts are to be drawn from it.
    """
    parts = _parts_by_split(album)
    here = parts[split] if parts[split] else parts[_TRAIN]
    classes = {part: set(album.classes(part)) for part in here}
    members = []
    for name in names:
        images = sorted(
            image for part in here if name in classes[part] for image in album.images(part, name)
        )
        if not images:
            where = "/".join(piece for piece in (here[0], name) if piece)
            raise DataError(album.path, f"{where}: empty class folder. Add images, or remove it")
        members.append(images if parts[_TEST] else _drawn(album, split, name, images, options))
    return members


def class_names(album: Album) -> list[str]:
    """Return the class folders, which all parts must share, in the order of their names.

    Raises
    ------
    DataError
        A part lacks a class of another.
    """
    first, *others = album.parts()
    names = album.classes(first)
    for other in others:
        there = album.classes(other)
        for part, has, lacks in ((first, there, names), (other, names, there)):
            lacking = sorted(set(has) - set(lacks))
            # Pictures that only join the training part need not be of every class.
            if lacking and (part == first or other in _parts_by_split(album)[_TEST]):
                beside = other if part == first else first
                message = f"{part} lacks the classes {some(lacking)} of {beside}"
                raise DataError(album.path, f"{message}. Give both the same class folders")
    return names


def is_drawn(album: Album) -> bool:
    """Whether the album has no test part of its own."""
    return not _parts_by_split(album)[_TEST]


def some(names: list[str]) -> str:
    """Name the first few."""
    text = ", ".join(names[:10])
    return text if len(names) <= 10 else f"{text}, ... ({len(names)})"


def _parts_by_split(album: Album) -> dict[str, list[str]]:
    first, *others = album.parts()
    if _TEST in others:
        others.remove(_TEST)
        return {_TRAIN: [first, *others], _TEST: [_TEST]}
    return {_TRAIN: [first, *others[1:]], _TEST: others[:1]}


def _drawn(
    album: Album, split: str, name: str, images: list[bytes], options: PictureOptions
) -> list[bytes]:
    """Return the images of a class that are drawn to a split, in the order of their names."""
    if len(images) < 2:
        raise DataError(
            album.path, f"{album.name(images[0])}: the only image of its class, and one has to "
            "train and another to test. Add images, or a folder test",
        )  # fmt: skip
    count = min(max(1, int(len(images) * options.test_fraction + 0.5)), len(images) - 1)

    def lot(image: bytes) -> bytes:
        file = album.name(image).rpartition("/")[2]
        text = f"{options.test_seed}/{name}/{file}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

    tests = set(sorted(images, key=lot)[:count])
    return [image for image in images if (image in tests) == (split == _TEST)]
