"""Facts about the data sets that are known by name: classes, sizes, checksums, mirrors.

The SHA-256 of each file is that of its *contents* (the decompressed IDX file): the compressed files
in circulation differ (Debian's are compressed without a name, other copies with another program),
the contents do not. The MD5 of the same contents agree with those that are publicly documented:
MNIST 6bbc9ace898e44ae57da46a324031adb, a25bea736e30d166cdddb491f175f624,
2646ac647ad5339dbf082846283269ea, 27ae3e4e09519cfbb04c329615203637; Fashion-MNIST
f4a8712d7a061bf5bd6d2ca38dc4d50a, 9018921c3c673c538a1fc5bad174d6f9,
8181f5470baa50b63fa0f6fddb340f0a, 15d484375f8d13e6eb1aabb0c3f46965 (in the order below).

Sources
-------
Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms", arXiv 1708.07747 (MIT licence).
E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, doi 10.24432/C50P49 (CC BY 4.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bnntrain.data.source import Shape


@dataclass(frozen=True)
class Content:
    """What the decompressed contents of a published file must be.

    Attributes
    ----------
    nbytes : int
    sha256 : str
        Lower-case hexadecimal.
    """

    nbytes: int
    sha256: str


@dataclass(frozen=True)
class Published:
    """A data set known by name.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Height, width, channels.
    classes : list of str
        Names of the classes, by label.
    train_count, test_count : int
    contents : dict of str to Content
        By IDX role (see ``idx.ROLES``), in the order of the source's files.
    mirrors : tuple of str
        Addresses that end with ``/``; the published file name is added.
    """

    name: str
    shape: Shape
    classes: list[str]
    train_count: int
    test_count: int
    contents: dict[str, Content]
    mirrors: tuple[str, ...] = ()


DIGITS_FILE = Path(__file__).with_name("digits.npz")
"""The built-in set; made by tools/make_digits.py, described in DIGITS.md beside it."""

_NUMERALS = [str(number) for number in range(10)]

_FASHION = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip


def _contents(*sha256: str) -> dict[str, Content]:
    sizes = {
        "train-images": 16 + 60000 * 784,
        "train-labels": 8 + 60000,
        "t10k-images": 16 + 10000 * 784,
        "t10k-labels": 8 + 10000,
    }
    return {
        role: Content(nbytes, digest)
        for (role, nbytes), digest in zip(sizes.items(), sha256, strict=True)
    }


PUBLISHED = {
    "digits": Published(
        "digits",
        (8, 8, 1),
        _NUMERALS,
        1437,
        360,
        {
            "archive": Content(
                46266, "15ef8f968c3f36e63063c25d5a43594fc3205a305ca1c2593bbc5ea0f92c02b7"
            )
        },
    ),
    "fashion-mnist": Published(
        "fashion-mnist",
        (28, 28, 1),
        _FASHION,
        60000,
        10000,
        _contents(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            # A website bucket speaks no https; the checksum makes up for it.
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
    ),
    "mnist": Published(
        "mnist",
        (28, 28, 1),
        _NUMERALS,
        60000,
        10000,
        _contents(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
}
"""By name, in alphabetical order."""

FETCHABLE = [name for name, published in PUBLISHED.items() if published.mirrors]
