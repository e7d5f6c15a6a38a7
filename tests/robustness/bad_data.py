"""Faulty data files: MNIST by its IDX files in the data folder, .npz files, and lost ones."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable

import numpy as np
from robustness_kit import Case, Place

CONFIG = """\
model: {layers: [{dense: 10}, batch_norm]}
data: {dataset: NAME}
train: {epochs: 1, batch_size: 10, threads: 1}
"""
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx_images(count: int = 40, height: int = 6, width: int = 5) -> bytes:
    """Return an IDX file of images."""
    pixels = bytes(i * 7 % 256 for i in range(count * height * width))
    return struct.pack(">4I", 0x803, count, height, width) + pixels


def idx_labels(count: int = 40) -> bytes:
    """Return an IDX file of labels."""
    return struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count))


def write_idx(place: Place, name: str = "", content: bytes | None = b"") -> None:
    """Write four good files, but for one that has other content, or, with None, is not there."""
    folder = place.data / "mnist"
    folder.mkdir()
    files = {IMAGES: idx_images(), LABELS: idx_labels()}
    files |= {TEST_IMAGES: idx_images(20), TEST_LABELS: idx_labels(20)}
    if name:
        files.pop(name.removesuffix(".gz"))
        if content is not None:
            files[name] = content
    for each, text in files.items():
        (folder / each).write_bytes(text)
    place.write("mnist.yaml", CONFIG.replace("NAME", "mnist"))


def idx(name: str, file: str, content: bytes | None, *says: str) -> Case:
    """One of the four files is faulty; the message names it and how to replace it."""
    def prepare(place: Place) -> None:
        write_idx(place, file, content)

    return Case(name, ("fit", "mnist.yaml"), (file, "data fetch mnist", *says), prepare)


def arrays() -> dict[str, np.ndarray]:
    """Return a good data set of 3 classes."""
    x = np.arange(40 * 12, dtype=np.uint8).reshape(40, 4, 3)
    y = np.arange(40, dtype=np.uint8) % 3
    return {"x_train": x, "y_train": y, "x_test": x[:10].copy(), "y_test": y[:10].copy()}


def npz_bytes(**changes: object) -> bytes:
    """Return the bytes of an .npz file; an array that is None is left out."""
    found = {name: array for name, array in (arrays() | changes).items() if array is not None}
    buffer = io.BytesIO()
    np.savez(buffer, **found)
    return buffer.getvalue()


def npz(name: str, content: bytes | Callable[[], bytes], *says: str, outputs: int = 3) -> Case:
    """A faulty ``my.npz``."""
    def prepare(place: Place) -> None:
        place.write("my.npz", content() if callable(content) else content)
        config = CONFIG.replace("NAME", "my.npz").replace("dense: 10", f"dense: {outputs}")
        place.write("npz.yaml", config)

    return Case(name, ("fit", "npz.yaml"), says, prepare)


def flipped(content: bytes, place: int) -> bytes:
    """Return the bytes with one of them inverted."""
    changed = bytearray(content)
    changed[place] ^= 0xFF
    return bytes(changed)


def fortran() -> bytes:
    """Return a data set whose images lie column by column."""
    return npz_bytes(x_train=np.asfortranarray(arrays()["x_train"]))


def other_labels(*values: int, dtype: str = "int64") -> np.ndarray:
    """Return 40 labels that begin with the given ones."""
    labels = arrays()["y_train"].astype(dtype)
    labels[: len(values)] = values
    return labels


COMPRESSED = gzip.compress(idx_images(), mtime=0)
IDX = [
    idx("idx-cut-off", IMAGES, idx_images()[:-1], "ends after 1215 bytes", "expected 1216"),
    idx("idx-labels-cut-off", LABELS, idx_labels()[:20], "ends after 20 bytes", "expected 48"),
    idx("idx-header-cut-off", IMAGES, idx_images()[:9], "truncated", "header of 16 bytes"),
    idx("idx-empty", LABELS, b"", "is empty (0 bytes)"),
    idx("idx-wrong-magic", IMAGES, b"\x89PNG" + bytes(99), "0x89504e47", "expected 0x00000803"),
    idx("idx-labels-for-images", IMAGES, idx_labels(), "magic", "0x00000801"),
    idx("idx-too-long", TEST_LABELS, idx_labels(20) + b"\0", "more bytes follow", "28 bytes"),
    idx("idx-no-images", IMAGES, idx_images(0), "holds 0 images"),
    idx("idx-no-pixels", IMAGES, idx_images(40, 0, 5), "0x5x1", "expected 1 to"),
    idx("idx-giant-images", IMAGES, struct.pack(">4I", 0x803, 1, 1 << 20, 9), "1048576x9x1"),
    idx("idx-fewer-labels", LABELS, idx_labels(39), "holds 39 labels, expected 40"),
    idx("idx-label-10", LABELS, idx_labels()[:-1] + b"\x0a", "label 10 of image 39", "byte 47"),
    idx("idx-test-label-200", TEST_LABELS, idx_labels(20)[:8] + b"\xc8" + bytes(19), "label 200"),
    idx("idx-gz-cut-off", IMAGES + ".gz", COMPRESSED[:-20], "truncated"),
    idx("idx-gz-checksum-cut-off", IMAGES + ".gz", COMPRESSED[:-4], "truncated", "checksum"),
    idx("idx-gz-damaged", IMAGES + ".gz", flipped(COMPRESSED, 40), "damaged"),
    idx("idx-gz-wrong-checksum", IMAGES + ".gz", flipped(COMPRESSED, -8), "damaged", "CRC"),
    idx("idx-gz-of-garbage", IMAGES + ".gz", b"\x1f\x8b" + b"garbage" * 9, "damaged"),
    idx("idx-missing", TEST_LABELS, None, "t10k-labels-idx1-ubyte.gz missing", "BNNTRAIN_DATA"),
    Case("idx-other-test-shape", ("fit", "mnist.yaml"), ("data/mnist/t10k", "5x6x1", "6x5x1"),
         lambda place: write_idx(place, TEST_IMAGES, idx_images(20, 5, 6))),
]  # fmt: skip
NPZ = [
    npz("npz-empty", b"", "my.npz: is empty", "savez_compressed"),
    npz("npz-no-zip", b"x_train,y_train\n1,2\n", "my.npz", "not an .npz", "savez"),
    npz("npz-cut-off", lambda: npz_bytes()[:-30], "my.npz: truncated", "savez"),
    npz("npz-damaged", lambda: flipped(npz_bytes(), 300), "my.npz: x_train", "damaged", "savez"),
    npz("npz-lacks-labels", lambda: npz_bytes(y_test=None), "lacks the arrays y_test", "keys"),
    npz("npz-floats", lambda: npz_bytes(x_train=arrays()["x_train"] / 255),
        "my.npz: x_train", "float64, expected uint8", "x * 255"),
    npz("npz-one-hot", lambda: npz_bytes(y_train=np.eye(40, 3, dtype=np.uint8)),
        "my.npz: y_train", "(40, 3)", "argmax"),
    npz("npz-float-labels", lambda: npz_bytes(y_train=other_labels(dtype="float32")),
        "my.npz: y_train", "float32", "astype"),
    npz("npz-objects", lambda: npz_bytes(y_train=other_labels().astype(object)),
        "my.npz: y_train", "object", "refused"),
    npz("npz-5-dimensions", lambda: npz_bytes(x_train=np.zeros((40, 1, 1, 1, 1), np.uint8)),
        "my.npz: x_train", "(40, 1, 1, 1, 1)", "expected"),
    npz("npz-channels-first", lambda: npz_bytes(x_train=np.zeros((40, 3, 8, 8), np.uint8)),
        "my.npz: x_train", "(40, 3, 8, 8)", "channels first", "numpy.moveaxis(x, 1, -1)"),
    npz("npz-16-bits", lambda: npz_bytes(x_train=arrays()["x_train"].astype("uint16")),
        "my.npz: x_train", "uint16, expected uint8", "x // 256"),
    npz("npz-labels-from-1", lambda: npz_bytes(y_train=arrays()["y_train"] + 1),
        "my.npz: y_train", "labels are 1 to 3", "subtract 1"),
    npz("npz-labels-with-a-gap", lambda: npz_bytes(y_train=arrays()["y_train"] * 2),
        "my.npz: y_train", "no image has label 1, 3", "numpy.unique"),
    npz("npz-nameless-class", lambda: npz_bytes(classes=np.array(["a", "b"])),
        "my.npz: y_train", "label 2 of image 2", "'classes' names 2"),
    npz("npz-columns-first", fortran, "my.npz: x_train", "Fortran", "ascontiguousarray"),
    npz("npz-negative-label", lambda: npz_bytes(y_train=other_labels(0, -1)),
        "my.npz: y_train", "label -1 of image 1", "expected 0 to"),
    npz("npz-label-65536", lambda: npz_bytes(y_train=other_labels(65536)),
        "my.npz: y_train", "label 65536 of image 0", "expected 0 to 65535"),
    npz("npz-new-test-label", lambda: npz_bytes(y_test=np.full(10, 3, np.uint8)),
        "my.npz: y_test", "label 3 of image 0", "expected 0 to 2"),
    npz("npz-fewer-labels", lambda: npz_bytes(y_test=np.zeros(9, np.uint8)),
        "my.npz: y_test", "holds 9 labels, expected 10"),
    npz("npz-no-images", lambda: npz_bytes(x_test=np.zeros((0, 4, 3), np.uint8)),
        "my.npz: x_test", "0 images"),
    npz("npz-other-test-shape", lambda: npz_bytes(x_test=np.zeros((10, 3, 4), np.uint8)),
        "my.npz", "3x4x1", "4x3x1"),
    npz("npz-other-classes", npz_bytes, "npz.yaml: model.layers[0].dense: 4 outputs", "Give 3",
        outputs=4),
]  # fmt: skip


def elsewhere(name: str, dataset: str, *says: str, **environment: str) -> Case:
    """A data set that is not where it should be."""
    def prepare(place: Place) -> None:
        place.write("a_file", "")
        place.write("lost.yaml", CONFIG.replace("NAME", dataset))

    return Case(name, ("fit", "lost.yaml"), says, prepare, environment)


PLACES = [
    elsewhere("data-set-unknown", "digit", "digit: unknown data set", "'digits'", ".npz file"),
    elsewhere("data-set-not-there", "mnist", "mnist", "missing", "data fetch mnist"),
    elsewhere("data-folder-missing", "mnist", "/nowhere/mnist", "data fetch mnist",
              BNNTRAIN_DATA="/nowhere"),
    elsewhere("data-folder-is-a-file", "mnist", "a_file/mnist", "data fetch mnist",
              BNNTRAIN_DATA="a_file"),
    elsewhere("npz-not-there", "their.npz", "their.npz: no such file",
              "Set data.dataset in lost.yaml"),
    elsewhere("folder-without-parts", "./", "holds no class folders", "train/<class>"),
    elsewhere("zip-not-there", "their.zip", "their.zip: no such file",
              "Set data.dataset in lost.yaml"),
    elsewhere("cifar-not-there", "cifar10", "cifar-10-binary.tar.gz missing", "data fetch cifar10"),
]  # fmt: skip

CASES = [*IDX, *NPZ, *PLACES]
