"""How encoded records are made of a picture data set, and which of its samples they can become.

``encoded.py`` has their form.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Iterator

from bnntrain.data.conversion import Progress, cache_path, made_once
from bnntrain.data.decode import PictureError, decode, look
from bnntrain.data.encoded import (
    CRC_FIELD,
    ENTRY,
    FIXED,
    LARGEST_HEADER,
    MAGIC,
    PIECE_BYTES,
    VERSION,
    EncodedSplit,
    read_header,
)
from bnntrain.data.files import write_all
from bnntrain.data.picture_files import Album
from bnntrain.data.pictures import PictureSource
from bnntrain.data.preprocessing import CHANNELS, PictureOptions, Preprocessing
from bnntrain.data.source import LARGEST_IMAGE_BYTES
from bnntrain.errors import DataError

_BLOCK = 4096
_LONGEST_NAME = 512
# Whether a picture can be decoded does not depend on the size it is brought to.
_ANY_SAMPLE = Preprocessing((32, 32, 3))


def find_encoded(source: PictureSource, split: str) -> tuple[EncodedSplit, list[str]] | None:
    """Return the encoded records of a split and its class names, if they are up to date.

    Raises
    ------
    DataError
        If the source cannot be looked at.
    """
    path = cache_path(source, split, "encoded")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        header = read_header(fd, path)
    finally:
        os.close(fd)
    if header is None or header.source != source.identity():
        return None
    return header.split, header.classes


def encode(
    source: PictureSource, split: str, progress: Progress | None = None
) -> tuple[EncodedSplit, list[str]]:
    """Return the encoded records of a split, making them if needed (see `flat.convert`)."""
    return made_once(
        cache_path(source, split, "encoded"), source,
        find=lambda: find_encoded(source, split),
        write=lambda fd: _write(fd, source, split, progress),
    )  # fmt: skip


def as_samples(
    splits: list[EncodedSplit], source: PictureSource, options: PictureOptions
) -> Preprocessing:
    """Return how the pictures of a data set become samples.

    Raises
    ------
    DataError
        A picture is smaller than a sample, or a sample is too large.
    """
    height, width = options.image_size
    is_grey = all(split.is_grey for split in splits)
    channels = CHANNELS.get(options.channels) or (1 if is_grey else 3)
    if height * width * channels > LARGEST_IMAGE_BYTES:
        raise DataError(
            source.files[0], f"samples of {height}x{width}, expected at most "
            f"{LARGEST_IMAGE_BYTES // channels} pixels. Set data.image_size, e.g. to 224",
        )  # fmt: skip
    for split in splits:
        found_height, found_width, name = split.smallest
        if not options.enlarge and min(found_height, found_width) < min(height, width):
            raise DataError(
                source.files[0], f"{name}: {found_height}x{found_width} pixels, smaller than "
                f"data.image_size {height}x{width}. Take it out, set data.image_size to "
                f"{min(found_height, found_width)} or less, or set data.enlarge: true",
            )  # fmt: skip
    return Preprocessing((height, width, channels), options.resize)


def _write(fd: int, source: PictureSource, split: str, progress: Progress | None) -> None:
    """Write a whole file; the header goes last, so that nothing unfinished has one."""
    identity = source.identity()
    with source.open_members() as (album, classes, members):
        count = sum(map(len, members[split]))
        room = {"name": source.name, "split": split, "classes": classes, "source": identity}
        # What is not known yet takes no more than a block.
        header_bytes = (len(_json(room)) // _BLOCK + 3) * _BLOCK
        if header_bytes > LARGEST_HEADER:
            raise DataError(
                source.files[0], f"the names of its {len(classes)} classes take more than "
                f"{LARGEST_HEADER} bytes. Give them shorter names",
            )  # fmt: skip
        end, at, crc = header_bytes + count * ENTRY.size, header_bytes, 0
        smallest, is_grey, entries = None, True, bytearray()
        for done, (label, image) in enumerate(_images(members[split]), 1):
            data, (height, width), has_grey = _checked(album, image)
            is_grey = is_grey and has_grey
            if smallest is None or min(height, width) < min(smallest[:2]):
                smallest = height, width, album.name(image)
            os.lseek(fd, end, os.SEEK_SET)
            write_all(fd, memoryview(data))
            entries += ENTRY.pack(end, len(data), zlib.crc32(data), label, 0)
            end += len(data)
            if len(entries) >= PIECE_BYTES or done == count:
                os.lseek(fd, at, os.SEEK_SET)
                write_all(fd, memoryview(bytes(entries)))
                crc, at = zlib.crc32(entries, crc), at + len(entries)
                entries.clear()
            if progress is not None:
                progress(source.name, split, done, count)
    height, width, name = smallest
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")[:_LONGEST_NAME]
    text = _json(room | {"grey": is_grey, "smallest": [height, width, shown]})
    fields = (MAGIC, VERSION, header_bytes, count, end, len(classes), len(text), crc)
    fixed = bytearray(FIXED.pack(*fields, 0))
    fixed[CRC_FIELD] = struct.pack("<I", zlib.crc32(text, zlib.crc32(fixed)))
    os.lseek(fd, 0, os.SEEK_SET)
    write_all(fd, memoryview(bytes(fixed) + text))


def _json(about: dict[str, object]) -> bytes:
    return json.dumps(about, separators=(",", ":")).encode()


def _images(members: list[list[bytes]]) -> Iterator[tuple[int, bytes]]:
    return ((label, image) for label, images in enumerate(members) for image in images)


def _checked(album: Album, image: bytes) -> tuple[bytes, tuple[int, int], bool]:
    """Return the file of a picture, its height and width, and whether it is grey."""
    data = album.read(image)
    try:
        decode(data, _ANY_SAMPLE)
        return data, *look(io.BytesIO(data))
    except PictureError as error:
        raise DataError(album.path, f"{album.name(image)}: {error}") from None
