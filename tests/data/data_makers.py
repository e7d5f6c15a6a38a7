"""Files of CIFAR, SVHN and class folders, made by hand from arrays of images and labels."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

CIFAR = {
    ("cifar10", "binary"): ("cifar-10-binary.tar.gz", "cifar-10-batches-bin"),
    ("cifar10", "python"): ("cifar-10-python.tar.gz", "cifar-10-batches-py"),
    ("cifar100", "binary"): ("cifar-100-binary.tar.gz", "cifar-100-binary"),
    ("cifar100", "python"): ("cifar-100-python.tar.gz", "cifar-100-python"),
}
"""Archive and folder of each form."""

# The order in which the published archive of CIFAR-10 has its batches.
SHUFFLED = (1, 3, 4, 6, 5, 2)


def planes(images):
    """Return images [n, 32, 32, 3] as rows of three planes [n, 3072]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)


def cifar_records(images, labels, coarse=False):
    """Return a binary batch; with `coarse`, another label goes before each one."""
    columns = [labels[:, None], planes(images)]
    if coarse:
        columns.insert(0, labels[:, None] // 5)
    return np.concatenate(columns, axis=1).astype(np.uint8).tobytes()


def cifar_pickle(images, labels, key="labels", protocol=4):
    """Return a Python batch as Python 3 writes it."""
    batch = {
        "batch_label": "training batch 1 of 5", key: [int(label) for label in labels],
        "data": planes(images), "filenames": [f"image_{n}.png" for n in range(len(labels))],
    }  # fmt: skip
    return pickle.dumps(batch, protocol)


def cifar_pickle2(images, labels, key="labels"):
    """Return a Python batch as Python 2 wrote the published ones (protocol 2)."""

    def text(word):
        return b"U" + struct.pack("<B", len(word)) + word.encode()

    pixels = planes(images).tobytes()
    array = [
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t",
        b"(K\x01J", struct.pack("<i", len(images)), b"M\x00\x0c\x86",
        b"cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b",
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
        b"T", struct.pack("<i", len(pixels)), pixels, b"tb",
    ]  # fmt: skip
    return b"".join(
        [
            b"\x80\x02}q\x01(", text("batch_label"), b"q\x02", text("training batch 1 of 5"),
            b"q\x03", text(key), b"q\x04]q\x05(",
            *(b"K" + struct.pack("<B", int(label)) for label in labels),
            b"e", text("data"), b"q\x06", *array, text("filenames"), b"q\x0c]q\x0d(",
            *(text(f"image_{n}.png") for n in range(len(labels))), b"eu.",
        ]
    )  # fmt: skip


class _Python2(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its ``str``; all else is the same."""

    dispatch = pickle._Pickler.dispatch | {}

    def save_word(self, word):
        data = word.encode() if isinstance(word, str) else word
        if not self.bin:
            self.write(b"S" + repr(data)[1:].encode() + b"\n")
        elif len(data) < 256:
            self.write(b"U" + struct.pack("<B", len(data)) + data)
        else:
            self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(word)

    dispatch[str] = dispatch[bytes] = save_word


def python2_pickle(value, protocol):
    """Return a value as Python 2 pickles it by protocol 0, 1 or 2."""
    buffer = io.BytesIO()
    _Python2(buffer, protocol).dump(value)
    return buffer.getvalue()


def cifar_files(data_set, form, train, test, dump=None):
    """Return the batches of a set as a dict of file name to contents."""
    coarse = data_set == "cifar100"

    def contents(images, labels):
        if form == "binary":
            return cifar_records(images, labels, coarse)
        return (dump or cifar_pickle2)(images, labels, "fine_labels" if coarse else "labels")

    suffix = ".bin" if form == "binary" else ""
    if coarse:
        return {f"train{suffix}": contents(*train), f"test{suffix}": contents(*test)}
    parts = zip(*(np.array_split(array, 5) for array in train), strict=True)
    files = {f"data_batch_{n + 1}{suffix}": contents(*part) for n, part in enumerate(parts)}
    return files | {f"test_batch{suffix}": contents(*test)}


def tar_gz(folder, files, names=None):
    """Return the bytes of a compressed archive that has `files` in `folder`, in the given order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        directory = tarfile.TarInfo(folder)
        directory.type = tarfile.DIRTYPE
        archive.addfile(directory)
        for name in names or files:
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def write_files(folder, files):
    """Write a dict of file name to contents into a folder."""
    for name, contents in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)


def mat_file(variables, compressed=True, order="<", dims_type=5, name_type=1):
    """Return the bytes of a MATLAB file of version 5 with some arrays of numbers.

    A value is an array, or a pair of an array and the class that MATLAB shall see in it. Types are
    those of elements: 5 for i32, 1 for i8, 16 for UTF-8, ...
    """
    text = b"MATLAB 5.0 MAT-file, made by hand".ljust(116)
    mark = struct.pack(order + "H", 0x4D49)
    header = text + bytes(8) + struct.pack(order + "H", 0x0100) + mark
    return header + b"".join(
        mat_element(name, value, compressed, order, dims_type, name_type)
        for name, value in variables.items()
    )


_MAT_TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12}
_MAT_FORMS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 12: "q", 13: "Q"}
_MAT_CLASSES = {
    "f8": 6, "f4": 7, "i1": 8, "u1": 9, "i2": 10, "u2": 11, "i4": 12, "u4": 13, "i8": 14,
}  # fmt: skip


def mat_element(name, value, compressed, order, dims_type=5, name_type=1):
    """Return one array as an element of a MATLAB file."""
    array, kind = value if isinstance(value, tuple) else (value, value.dtype.str[1:])

    def element(code, data):
        if 0 < len(data) <= 4:
            return struct.pack(order + "I", len(data) << 16 | code) + data.ljust(4, b"\0")
        return struct.pack(order + "2I", code, len(data)) + data + bytes(-len(data) % 8)

    values = array.astype(array.dtype.newbyteorder(order)).tobytes("F")
    form = _MAT_FORMS[dims_type]
    body = (
        element(6, struct.pack(order + "2I", _MAT_CLASSES[kind], 0))
        + element(dims_type, struct.pack(f"{order}{array.ndim}{form}", *array.shape))
        + element(name_type, name.encode())
        + element(_MAT_TYPES[array.dtype.str[1:]], values)
    )
    whole = struct.pack(order + "2I", 14, len(body)) + body
    if not compressed:
        return whole
    packed = zlib.compress(whole, 1)
    return struct.pack(order + "2I", 15, len(packed)) + packed


def svhn_arrays(images, labels):
    """Return the variables of an SVHN file: X [height, width, channels, n], y [n, 1] as doubles."""
    values = np.where(labels == 0, 10, labels).astype("f8")[:, None]
    return {"X": images.transpose(1, 2, 3, 0), "y": values}


def picture(values, form="png", mode=None, **options):
    """Return the bytes of a picture of uint8 [height, width] or [height, width, 3]."""
    from PIL import Image

    image = Image.fromarray(values)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, form, **options)
    return buffer.getvalue()


def picture_files(train, test, classes, form="png", **options):
    """Return a set of pictures [n, height, width(, 3)] as a dict of ``part/class/file`` to bytes.

    Files of a class are named so that their order is that of the images.
    """
    files = {}
    for split, (images, labels) in (("train", train), ("test", test)):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            name = f"{split}/{classes[label]}/{number:04}.{form}"
            files[name] = picture(np.squeeze(image), form, **options)
    return files


def zip_file(files, compression=zipfile.ZIP_STORED):
    """Return the bytes of a .zip file; a name that ends with a slash is a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return buffer.getvalue()


class _RawInfo(zipfile.ZipInfo):
    """An entry whose name is stored as the bytes given, and not said to be UTF-8."""

    def _encodeFilenameFlags(self):  # noqa: N802
        return self.raw, 0


def raw_zip(entries, made_on=3):
    """Return the bytes of a .zip file whose names are bytes, as other archivers store them.

    `entries` is a list of name, contents and extra fields; `made_on` is 3 for Unix, 0 for MS-DOS.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (name, contents, extra) in enumerate(entries):
            info = _RawInfo(f"{number}")
            info.raw, info.extra, info.create_system = name, extra, made_on
            archive.writestr(info, contents)
    return buffer.getvalue()


def unicode_path(name, text):
    """Return Info-ZIP's extra field that says what the bytes `name` stand for."""
    body = struct.pack("<BI", 1, zlib.crc32(name)) + text.encode()
    return struct.pack("<2H", 0x7075, len(body)) + body
