"""What a set of pictures consists of: classes, sizes, colours, and which pictures are no good."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from bnntrain.data.decode import PictureError, decode, look
from bnntrain.data.picture_files import Album
from bnntrain.data.picture_frames import holds_several
from bnntrain.data.pictures import PictureSource
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.data.source import SPLITS
from bnntrain.errors import DataError

# Whether a picture can be decoded does not depend on the size it is brought to.
_ANY_SAMPLE = Preprocessing((32, 32, 3))


@dataclass
class Survey:
    """What the pictures of a set are.

    Attributes
    ----------
    classes : list of str
        Names.
    counts : dict of str to list of int
        Pictures of each class, for ``train`` and ``test``; bad ones are among them.
    sizes : set of tuple of int
        Height and width of good pictures, each that occurs.
    short_side : float
        Median of the shorter sides.
    is_grey : bool
        Whether all are grey.
    bad : list of tuple of str
        Name and fault of every picture that is no good.
    several : list of str
        Names of files that hold several pictures, of which the first counts.
    """

    classes: list[str]
    counts: dict[str, list[int]]
    sizes: set[tuple[int, int]] = field(default_factory=set)
    short_side: float = 0.0
    is_grey: bool = True
    bad: list[tuple[str, str]] = field(default_factory=list)
    several: list[str] = field(default_factory=list)


def survey(source: PictureSource, thorough: bool = False) -> Survey:
    """Look at every picture of a set.

    Parameters
    ----------
    source : PictureSource
        The set.
    thorough : bool
        Decode them; otherwise damage behind the headers goes unnoticed.

    Raises
    ------
    DataError
        If the folders are not laid out as they must be.
    UsageError
        If Pillow is not installed.
    """
    with source.open_members() as (album, classes, members):
        counts = {split: [len(images) for images in members[split]] for split in SPLITS}
        found = Survey(classes, counts)
        short_sides = []
        images = (image for split in SPLITS for images in members[split] for image in images)
        for image in images:
            try:
                size, is_grey = _looked(album, image, thorough, found)
            except PictureError as error:
                found.bad.append((album.name(image), str(error)))
            except DataError as error:
                name = album.name(image)
                found.bad.append((name, error.message.removeprefix(f"{name}: ")))
            else:
                found.sizes.add(size)
                found.is_grey = found.is_grey and is_grey
                short_sides.append(min(size))
    if short_sides:
        found.short_side = statistics.median(short_sides)
    return found


def _looked(
    album: Album, image: bytes, thorough: bool, found: Survey
) -> tuple[tuple[int, int], bool]:
    with album.open(image) as file:
        known = look(file)
        if holds_several(file):
            found.several.append(album.name(image))
    if thorough:
        decode(album.read(image), _ANY_SAMPLE)
    return known
