"""Faulty files of images in colour: CIFAR's batches, SVHN's .mat files, folders of pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from bad_data import CONFIG, flipped
from data_makers import (
    cifar_files,
    cifar_records,
    mat_file,
    picture,
    picture_files,
    svhn_arrays,
    tar_gz,
    write_files,
    zip_file,
)
from robustness_kit import Case, Place

BINARY, PYTHON, ARCHIVE = "cifar-10-batches-bin", "cifar-10-batches-py", "cifar-10-binary.tar.gz"
Change = Callable[[bytes], bytes]


def images(count: int = 15, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Return images [count, size, size, 3] and labels 0, 1, ..., 9, 0, ..."""
    pixels = np.arange(count * size * size * 3) * 7 % 251
    labels = np.arange(count, dtype=np.uint8) % 10
    return pixels.astype(np.uint8).reshape(count, size, size, 3), labels


def config(place: Place, dataset: str, outputs: int = 10) -> None:
    """Write ``images.yaml``."""
    text = CONFIG.replace("NAME", dataset).replace("dense: 10", f"dense: {outputs}")
    place.write("images.yaml", text)


def cifar(name: str, form: str, file: str, change: Change | None, *says: str) -> Case:
    """One batch is faulty or, with None, missing; the message names it and how to replace it."""
    folder = BINARY if form == "binary" else PYTHON

    def prepare(place: Place) -> None:
        files = cifar_files("cifar10", form, images(), images(4))
        content = files.pop(file)
        if change is not None:
            files[file] = change(content)
        write_files(place.data / folder, files)
        config(place, "cifar10")

    where = f"{folder}/{file}" if change is not None else folder
    return Case(name, ("fit", "images.yaml"), (where, "data fetch cifar10", *says), prepare)


def archive(name: str, change: Change, *says: str) -> Case:
    """The archive itself is faulty."""
    def prepare(place: Place) -> None:
        files = cifar_files("cifar10", "binary", images(), images(4))
        content = change(tar_gz(BINARY, files))
        write_files(place.data / "cifar10", {ARCHIVE: content})
        config(place, "cifar10")

    return Case(name, ("fit", "images.yaml"), (ARCHIVE, "data fetch cifar10", *says), prepare)


def svhn(name: str, change: Change | None, *says: str, **variables: np.ndarray | None) -> Case:
    """The training file is faulty: other variables, other bytes, or, with None, missing."""
    def prepare(place: Place) -> None:
        found = svhn_arrays(*images()) | variables
        content = mat_file({key: value for key, value in found.items() if value is not None})
        files = {"test_32x32.mat": mat_file(svhn_arrays(*images(4)))}
        if change is not None:
            files["train_32x32.mat"] = change(content)
        write_files(place.data / "svhn", files)
        config(place, "svhn")

    says = ("train_32x32.mat", "data fetch svhn", *says)
    return Case(name, ("fit", "images.yaml"), says, prepare)


def pictures(name: str, changes: dict[str, bytes | None], *says: str, packed: bool = False) -> Case:
    """Some pictures are faulty or, where None, missing; the rest of 3 classes is good."""
    def prepare(place: Place) -> None:
        values, labels = images(12, 6)
        files = picture_files((values, labels % 3), (values[:3], labels[:3]), "abc")
        files = {key: value for key, value in (files | changes).items() if value is not None}
        if packed:
            place.write("set.zip", zip_file(files))
        else:
            write_files(place.work / "set", files)
        config(place, "set.zip" if packed else "./set", 3)

    return Case(name, ("fit", "images.yaml"), ("set", *says), prepare)


def same(content: bytes) -> bytes:
    """Change nothing."""
    return content


JPEG = picture(images(1, 64)[0][0], "jpeg", quality=95)
NO_B = {f"train/b/{number:04}.png": None for number in range(12)}
NO_TEST = {f"test/{name}/{number:04}.png": None for number, name in enumerate("abc")}
FLOATS = np.zeros((6, 6), np.float32)
CIFAR = [
    cifar("cifar-cut-off", "binary", "data_batch_2.bin", lambda b: b[:-9], "truncated", "9210"),
    cifar("cifar-empty", "binary", "test_batch.bin", lambda b: b"", "is empty (0 bytes)"),
    cifar("cifar-label-10", "binary", "data_batch_1.bin",
          lambda _: cifar_records(images(2)[0], np.array([1, 10])), "label 10 of image 1", "0 to"),
    cifar("cifar-batch-missing", "binary", "data_batch_5.bin", None, "data_batch_5.bin missing"),
    cifar("cifar-python-cut-off", "python", "data_batch_3", lambda b: b[:-99], "truncated"),
    cifar("cifar-python-code", "python", "data_batch_3", lambda _: b"cos\nsystem\n(U\x02lstR.",
          "is refused", "'os.system'"),
    cifar("cifar-python-garbage", "python", "test_batch", lambda _: b"\x89PNG", "plain data"),
    archive("cifar-archive-cut-off", lambda b: b[: len(b) // 2], "truncated"),
    archive("cifar-archive-damaged", lambda b: flipped(b, len(b) // 2), "damaged"),
    archive("cifar-archive-page", lambda _: b"<html>log in</html>" * 50, "not a .tar.gz"),
]  # fmt: skip
SVHN = [
    svhn("svhn-cut-off", lambda b: b[:-40], "truncated"),
    svhn("svhn-damaged", lambda b: flipped(b, 300), "X: damaged"),
    svhn("svhn-empty", lambda b: b"", "is empty (0 bytes)"),
    svhn("svhn-missing", None, "train_32x32.mat missing"),
    svhn("svhn-7.3", lambda _: b"MATLAB 7.3 MAT-file".ljust(600), "version 7.3", "version 5"),
    svhn("svhn-label-11", same, "y: label 11", "image 2", y=np.full((15, 1), 1.0) + 10
         * (np.arange(15)[:, None] == 2)),
    svhn("svhn-no-labels", same, "lacks the variable y", y=None),
    svhn("svhn-floats", same, "X: double", "uint8", X=np.zeros((4, 4, 3, 15))),
    svhn("svhn-fewer-labels", same, "holds 3 labels, expected 15", y=np.ones((3, 1))),
]  # fmt: skip
PICTURES = [
    pictures("jpeg-cut-off", {"train/b/x.jpg": JPEG[:-200]}, "train/b/x.jpg: truncated", "PNG"),
    pictures("picture-of-text", {"train/b/x.png": b"text"}, "train/b/x.png: is not PNG", "take it"),
    pictures("picture-empty", {"test/c/x.png": b""}, "test/c/x.png: is empty (0 bytes)"),
    pictures("pictures-of-two-sizes", {"train/b/x.jpg": JPEG},
             "train/b/x.jpg: 64x64 pixels", "6x6", "data.image_size"),
    pictures("picture-of-floats", {"train/c/x.tif": picture(FLOATS, "tiff")},
             "train/c/x.tif: 32-bit floating-point pixels", "Scale them"),
    pictures("class-in-test-only", {"test/d/x.png": JPEG}, "train lacks the classes d of test"),
    pictures("class-folder-empty", NO_B | {"train/b/.keep": b""}, "train/b: empty class folder"),
    pictures("no-test-part-and-one-picture", NO_TEST | {"train/d/x.png": JPEG},
             "train/d/x.png: the only image of its class", "folder test"),
    pictures("zip-jpeg-cut-off", {"train/b/x.jpg": JPEG[:-200]}, "x.jpg: truncated", packed=True),
    pictures("zip-class-folder-empty", NO_B | {"train/b/": b""}, "train/b: empty class folder",
             packed=True),
]  # fmt: skip

CASES = [*CIFAR, *SVHN, *PICTURES]
