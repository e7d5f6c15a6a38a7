"""A picture's file opened by Pillow: its format, what is refused, what must not be printed."""

from __future__ import annotations

import logging
import math
import os
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import IO

from bnntrain.data.decode_size import PictureError, too_large

FORMATS = "PNG, JPEG, WebP, BMP, GIF or TIFF"
"""What is read, for messages."""

AGAIN = "Save it again as PNG or JPEG, or take it out"
"""What can be done about a picture that is no good."""

BITS = 258
"""Tag of the bits of a sample, in TIFF."""

# First bytes and Pillow's name of each format.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"BM", "BMP"),
    (b"GIF87a", "GIF"), (b"GIF89a", "GIF"), (b"RIFF", "WEBP"),
    (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"),
)  # fmt: skip
_MODULES = {
    "PNG": "Png", "JPEG": "Jpeg", "WEBP": "WebP", "BMP": "Bmp", "GIF": "Gif", "TIFF": "Tiff",
}  # fmt: skip
# What Pillow's formats raise over a file that is not theirs.
_NOT_OF_FORMAT = (SyntaxError, IndexError, TypeError, struct.error)
# Half a GiB of RGB, Pillow's own limit; a JPEG that is decoded at a part of its size has no other.
_MOST_PIXELS = (1 << 29) // 3
_NO_LOG = logging.NullHandler()
_SAMPLE_FORMAT, _UNSIGNED = 339, 1


@contextmanager
def guarded() -> Iterator[None]:
    """Turn whatever goes wrong with the pixels of a picture into a `PictureError`."""
    try:
        yield
    except PictureError:
        raise
    except Exception as error:  # over made-up files Pillow raises almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"truncated or damaged picture ({reason}). {AGAIN}") from None


@contextmanager
def opened(file: IO[bytes], nbytes: int) -> Iterator[object]:
    """Open a picture; whatever goes wrong with it, here or in the block, is a `PictureError`."""
    name = _format_of(file)
    from PIL import Image

    # Every format registers itself; all others stay out of the process, and cannot be tried.
    import_module(f"PIL.{_MODULES[name]}ImagePlugin")
    # Without a handler of any kind, what Pillow logs would appear on standard error.
    logging.getLogger("PIL").addHandler(_NO_LOG)
    with (
        guarded(),
        _quiet_libtiff() if name == "TIFF" else nullcontext(),
        # What Pillow only warns of is refused by its size, or harmless.
        warnings.catch_warnings(action="ignore"),
        _opened_as(Image.OPEN, name, file) as picture,
    ):
        if math.prod(picture.size) > _MOST_PIXELS:
            raise too_large("very many", nbytes)
        check_pixels(picture)
        yield picture


def _opened_as(known: Mapping[str, tuple], name: str, file: IO[bytes]) -> object:
    """Open a picture of one format; `Image.open` would load five of them before that."""
    factory, _ = known[name]
    try:
        return factory(file, "")
    except _NOT_OF_FORMAT:
        raise PictureError(f"is no valid {name} file. {AGAIN}") from None


@contextmanager
def _quiet_libtiff() -> Iterator[None]:
    """Keep standard error, to which libtiff writes of damage that Pillow reports too, away."""
    try:
        former = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(former, 2)
        os.close(former)


def _format_of(file: IO[bytes]) -> str:
    head = file.read(16)
    file.seek(0)
    for signature, name in _SIGNATURES:
        if head.startswith(signature) and (name != "WEBP" or head[8:12] == b"WEBP"):
            return name
    raise PictureError(f"is not {FORMATS}. {AGAIN}")


def check_pixels(picture: object) -> None:
    """Refuse pixels whose range would have to be guessed."""
    kind = None
    if picture.format == "TIFF":
        bits, forms = picture.tag_v2.get(BITS, (1,)), picture.tag_v2.get(_SAMPLE_FORMAT, (1,))
        if max(bits) > 16 or any(form != _UNSIGNED for form in forms):
            name = {2: "signed", 3: "floating-point"}.get(forms[0], "unsigned")
            kind = f"{max(bits)}-bit {name} pixels"
    elif picture.mode == "F":
        kind = "floating-point pixels"
    if kind is not None:
        raise PictureError(
            f"{kind}, whose range is not known. Scale them and save it with 8 or 16 unsigned bits"
        )
