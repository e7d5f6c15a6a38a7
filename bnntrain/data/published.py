"""Facts about the data sets that are known by name: classes, sizes, checksums, mirrors.

The SHA-256 of an IDX file is that of its *contents* (the decompressed file): the compressed files
in circulation differ (Debian's are compressed without a name, other copies with another program),
the contents do not. The MD5 of the same contents agree with those that are publicly documented:
MNIST 6bbc9ace898e44ae57da46a324031adb, a25bea736e30d166cdddb491f175f624,
2646ac647ad5339dbf082846283269ea, 27ae3e4e09519cfbb04c329615203637; Fashion-MNIST
f4a8712d7a061bf5bd6d2ca38dc4d50a, 9018921c3c673c538a1fc5bad174d6f9,
8181f5470baa50b63fa0f6fddb340f0a, 15d484375f8d13e6eb1aabb0c3f46965 (in the order below).

CIFAR's archives and SVHN's files have been one and the same since they were published; their own
SHA-256 is pinned. Their publicly documented MD5: cifar-10-binary c32a1d4ab5d03f1284b67883e8d87530,
cifar-100-binary 03b5dce01913d631647c71ecec9e9cb8; SVHN train e26dedcc434d2e4c54c9b2d4a06d8373, test
eb5a983be6a315427106f1b164d9cef3, extra a93ce644f1a588dc4d68dda5feec44a7.

Sources
-------
Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms", arXiv 1708.07747 (MIT licence).
E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, doi 10.24432/C50P49 (CC BY 4.0).
A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, University
of Toronto, 2009 (CIFAR-10, CIFAR-100).
Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Y. Ng, "Reading Digits in Natural Images with
Unsupervised Feature Learning", NIPS workshop, 2011 (SVHN).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bnntrain.data.source import Shape


@dataclass(frozen=True)
class Content:
    """What a published file, or its decompressed contents, must be.

    Attributes
    ----------
    nbytes : int
    sha256 : str
        Lower-case hexadecimal.
    packed : bool
        Whether both are those of the file itself rather than of what it decompresses to.
    """

    nbytes: int
    sha256: str
    packed: bool = False


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
        Published files, by IDX role (see ``idx.ROLES``) or file name, in the order of the source's
        files.
    mirrors : tuple of str
        Addresses that end with ``/``; the published file name is added.
    kind : str
        Family of forms that it comes in: ``built-in``, ``idx``, ``cifar`` or ``svhn``.
    shared_folder : str
        Folder in the data folder, where it is not the set's own name.
    other_folders : tuple of str
        Where other programs put the files in theirs.
    """

    name: str
    shape: Shape
    classes: list[str]
    train_count: int
    test_count: int
    contents: dict[str, Content]
    mirrors: tuple[str, ...] = ()
    kind: str = "idx"
    shared_folder: str = ""
    other_folders: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Folder in the data folder that the files belong in."""
        return self.shared_folder or self.name


DIGITS_FILE = Path(__file__).with_name("digits.npz")
"""The built-in set; made by tools/make_digits.py, described in DIGITS.md beside it."""

_NUMERALS = [str(number) for number in range(10)]

_FASHION = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip


_OBJECTS = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip

_HUNDRED = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal",
    "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
    "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman",
    "worm",
]  # fmt: skip

_TORONTO = ("https://www.cs.toronto.edu/~kriz/",)
# This server speaks no https; the checksum makes up for it.
_STANFORD = ("http://ufldl.stanford.edu/housenumbers/",)

_SVHN_TRAIN = Content(
    182040794, "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8", True
)
_SVHN_TEST = Content(
    64275384, "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b", True
)
_SVHN_EXTRA = Content(
    1329278602, "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3", True
)


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
    "cifar10": Published(
        "cifar10",
        (32, 32, 3),
        _OBJECTS,
        50000,
        10000,
        {
            "cifar-10-binary.tar.gz": Content(
                170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", True
            )
        },
        _TORONTO,
        "cifar",
    ),
    "cifar100": Published(
        "cifar100",
        (32, 32, 3),
        _HUNDRED,
        50000,
        10000,
        {
            "cifar-100-binary.tar.gz": Content(
                168513733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", True
            )
        },
        _TORONTO,
        "cifar",
    ),
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
        kind="built-in",
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
        other_folders=("FashionMNIST/raw",),
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
        other_folders=("MNIST/raw",),
    ),
    "svhn": Published(
        "svhn",
        (32, 32, 3),
        _NUMERALS,
        73257,
        26032,
        {"train_32x32.mat": _SVHN_TRAIN, "test_32x32.mat": _SVHN_TEST},
        _STANFORD,
        "svhn",
    ),
    "svhn-extra": Published(
        "svhn-extra",
        (32, 32, 3),
        _NUMERALS,
        73257 + 531131,
        26032,
        {
            "train_32x32.mat": _SVHN_TRAIN,
            "extra_32x32.mat": _SVHN_EXTRA,
            "test_32x32.mat": _SVHN_TEST,
        },
        _STANFORD,
        "svhn",
        "svhn",
    ),
}
"""By name, in alphabetical order."""

FETCHABLE = [name for name, published in PUBLISHED.items() if published.mirrors]
