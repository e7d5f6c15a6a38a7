"""How pictures of any size become samples of one, in words: what a configuration and a run say.

Nothing here touches a picture; ``decode.py`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bnntrain.data.source import Shape

Resize = Literal["crop", "centre", "pad", "stretch", "exact"]

CHANNELS = {"grey": 1, "rgb": 3}
"""Channels of a picture by their name in a configuration."""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a sample; data sets and ``predict`` use the same one.

    Attributes
    ----------
    shape : tuple of int
        Height, width and channels (1 or 3) of a sample.
    resize : str
        What happens to a picture of another size. ``crop``: the largest centred piece of the
        sample's proportions is scaled. ``centre``: seven eighths of that piece's sides, from its
        middle: a shorter side of 256 from which 224 are cut. ``pad``: the whole is scaled to fit
        inside, the rest is middle grey. ``stretch``: the whole is scaled, proportions are lost.
        ``exact``: refused.
    """

    shape: Shape
    resize: Resize = "crop"

    def to_json(self) -> dict[str, object]:
        """Return it as ``run.json`` has it."""
        return {"shape": list(self.shape), "resize": self.resize}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Preprocessing:
        """Return what `to_json` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """
        height, width, channels = (int(size) for size in values["shape"])
        if values["resize"] not in Resize.__args__:
            raise ValueError(values["resize"])
        return cls((height, width, channels), values["resize"])


@dataclass(frozen=True)
class PictureOptions:
    """What a configuration says about a data set of pictures (keys of the section ``data``).

    Attributes
    ----------
    image_size : tuple of int or None
        Height and width of a sample; None: all pictures have one size already.
    resize : str
        See `Preprocessing`; of no effect without `image_size`.
    channels : str or None
        ``grey`` or ``rgb``; None: grey if all pictures are, else RGB.
    test_fraction : float
        Share of every class that becomes the test part of a set that has none.
    test_seed : int
        Draws that share. It is not the seed of a run, so runs of several seeds are tested on the
        same pictures.
    records : str
        What a data set is converted to: ``pixels`` of samples, or the ``encoded`` files.
    enlarge : bool
        Whether encoded records may be smaller than a sample.
    classes : int or None
        As many the data set must have, and is taken to have while it is not there.
    """

    image_size: tuple[int, int] | None = None
    resize: Resize = "crop"
    channels: str | None = None
    test_fraction: float = 0.2
    test_seed: int = 0
    records: Literal["pixels", "encoded"] = "pixels"
    enlarge: bool = False
    classes: int | None = None

    @classmethod
    def of(cls, data: object) -> PictureOptions:
        """Take them from the section ``data`` of a configuration."""
        return cls(
            data.image_size, data.resize, data.channels, data.test_fraction, data.test_seed,
            data.records, data.enlarge, data.classes,
        )  # fmt: skip

    def text(self) -> str:
        """Return what a conversion depends on as text: those that differ in it are kept apart."""
        part = f"{self.test_fraction!r} {self.test_seed}"
        if self.records == "encoded":  # samples are made of it later, of any size
            return f"encoded {part}"
        size = "x".join(map(str, self.image_size)) if self.image_size else "own size"
        how = self.resize if self.image_size else "exact"
        return f"{size} {how} {self.channels or 'own channels'} {part}"
