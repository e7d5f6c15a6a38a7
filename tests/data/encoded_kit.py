"""Small sets of JPEG pictures, and their encoded records, for several tests."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from bnntrain.config.schema import Augment
from bnntrain.data.batches import BatchReaders
from bnntrain.data.catalog import open_dataset
from bnntrain.data.decoding import plan_decoding
from bnntrain.data.preprocessing import PictureOptions

CLASSES = ("ant", "bee", "cow")
OPTIONS = PictureOptions((16, 16), "centre", records="encoded")
CHANGED = Augment(shift=0.1, flip=True, crop_area=0.08, colour=0.4)


def jpeg(seed: int, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    """Return the file of a picture of some colours; size is width and height."""
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize(size).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def write_pictures(folder: Path, each: int = 12, size: tuple[int, int] = (40, 30)) -> Path:
    """Write `each` pictures of three classes, upright and lying; return the folder."""
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            turned = size if number % 3 else size[::-1]
            (folder / name / f"{number:03}.jpg").write_bytes(jpeg(100 * label + number, turned))
    return folder


def readers(name, workers, batch=5, seed=3, augment=CHANGED, processors=1):
    """Return open readers of a folder's encoded records, decoded by so many processes."""
    dataset = open_dataset(str(name), OPTIONS)
    decoding = plan_decoding("encoded", dataset.shape, batch, workers, 1, processors)
    return BatchReaders(dataset, 0.2, seed, augment, decoding)


def batches(reader, batch: int, first: int = 0, shape=(16, 16, 3)):
    """Return all whole batches of a part from position `first` on, as one array, and labels."""
    images, classes = [], []
    for at in range(first, reader.count - batch + 1, batch):
        x, labels = np.empty((batch, int(np.prod(shape))), np.int8), np.empty(batch, np.uint16)
        reader.read(at, x, labels)
        images.append(x)
        classes.append(labels)
    return np.concatenate(images), np.concatenate(classes)
