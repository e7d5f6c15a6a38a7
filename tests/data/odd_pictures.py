"""Several hundred odd pictures: every mode in every format, cut, garbled, turned, enormous by name.

Run as a program it writes them into a folder: ``python tests/data/odd_pictures.py FOLDER``.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
OTHERS = ("PPM", "TGA", "DDS", "ICO", "PCX", "SGI", "EPS", "PDF", "JPEG2000", "SPIDER", "MSP")
MODES = (
    "1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F",
    "I;16", "I;16B",
)  # fmt: skip
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="%d"></x:xmpmeta>'


def odd_pictures(per_picture: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents; `per_picture` damaged versions of every good one."""
    random = np.random.default_rng(seed)
    for name, content in good_pictures(random):
        yield name, content
        for number in range(per_picture):
            yield f"damaged{number}-{name}", _damaged(content, random)
    yield from _claims()


def good_pictures(random: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Yield pictures of every mode, format and orientation that Pillow writes."""
    from PIL import Image

    colour = Image.fromarray(random.integers(0, 256, (23, 31, 3), np.uint8))
    for mode in MODES:
        picture = _of_mode(colour, mode)
        for form in (*FORMATS, *OTHERS):
            content = _saved(picture, form)
            if content is not None:
                yield f"{mode.replace(';', '-')}.{form.lower()}", content
    clear = (("L", 7), ("RGB", (1, 2, 3)), ("P", 3), ("1", 0))
    for mode, value in clear:
        content = _saved(_of_mode(colour, mode), "PNG", transparency=value)
        yield f"clear-{mode}.png", content
    for form in ("PNG", "JPEG", "WEBP", "TIFF"):
        for turn in range(10):
            exif = Image.Exif()
            exif[0x0112] = turn
            yield f"turned{turn}.{form.lower()}", _saved(colour, form, exif=exif)
            yield f"xmp{turn}.{form.lower()}", _saved(colour, form, xmp=_XMP % turn)
    for form, options in (
        ("JPEG", {"progressive": True}), ("JPEG", {"subsampling": 0, "quality": 100}),
        ("PNG", {"compress_level": 0}), ("WEBP", {"lossless": True}),
        ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"}),
        ("TIFF", {"compression": "packbits"}), ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ):  # fmt: skip
        title = "-".join(map(str, options.items()))
        yield f"{title}.{form.lower()}", _saved(colour, form, **options)
    frames = [colour.quantize(8), colour.rotate(90).quantize(8)]
    for form in ("GIF", "PNG", "WEBP", "TIFF"):
        content = _saved(frames[0], form, save_all=True, append_images=frames[1:])
        yield f"frames.{form.lower()}", content


def _of_mode(picture: object, mode: str) -> object:
    from PIL import Image

    if mode == "I;16B":
        grey = np.asarray(picture.convert("L")).astype(">u2") << 8
        return Image.frombytes(mode, picture.size, grey.astype(">u2").tobytes())
    if mode in ("I;16", "HSV", "YCbCr", "LAB"):
        return picture.convert("L").convert(mode) if mode == "I;16" else picture.convert(mode)
    return picture.convert(mode)


def _saved(picture: object, form: str, **options: object) -> bytes | None:
    """Return a file, None where Pillow does not write that mode in that format."""
    buffer = io.BytesIO()
    try:
        picture.save(buffer, form, **options)
    except (OSError, KeyError, ValueError, SystemError, TypeError, AttributeError):
        return None
    return buffer.getvalue()


def _damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Return a file that is cut off, or has some bytes changed, mostly in its header."""
    data = bytearray(content)
    if random.random() < 0.3:
        return bytes(data[: random.integers(1, len(data))])
    reach = len(data) if random.random() < 0.3 else min(len(data), 200)
    for _ in range(random.integers(1, 8)):
        data[random.integers(0, reach)] = random.integers(0, 256)
    return bytes(data)


def _claims() -> Iterator[tuple[str, bytes]]:
    """Yield small files that claim to be enormous, and files that are something else."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    zeros = zlib.compress(bytes(1 << 20))
    for side in (2000, 4000, 9000, 30_000, 1 << 30):
        for bits, colour in ((8, 2), (16, 0), (16, 6), (1, 3)):
            header = struct.pack(">2I5B", side, side, bits, colour, 0, 0, 0)
            body = chunk(b"IHDR", header) + chunk(b"PLTE", bytes(6)) + chunk(b"IDAT", zeros)
            yield f"claim-{side}-{bits}-{colour}.png", b"\x89PNG\r\n\x1a\n" + body
        short = min(side, 65_535)
        size = struct.pack("<2H", short, short)
        yield f"claim-{side}.gif", b"GIF89a" + size + b"\xf7\0\0" + bytes(768)
        bitmap = struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
        yield f"claim-{side}.bmp", b"BM" + bitmap
        tags = ((256, side), (257, side), (258, 8), (259, 5), (262, 1), (273, 8), (277, 1),
                (278, side), (279, 100))  # fmt: skip
        entries = b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in tags)
        yield f"claim-{side}.tif", b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 24)))
    header = chunk(b"IHDR", struct.pack(">2I5B", 9, 9, 8, 2, 0, 0, 0))
    yield "text-bomb.png", b"\x89PNG\r\n\x1a\n" + header + text * 80 + chunk(b"IDAT", zeros)
    yield "empty.png", b""
    yield "text.jpg", b"This is no picture."
    yield "page.jpg", b"<html><body>Not found</body></html>"
    yield "postscript.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    yield "dds.png", b"DDS " + struct.pack("<I", 124) + bytes(range(120))
    for signature in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF89a", b"II*\0", b"MM\0*"):
        yield f"only-{signature[:3].hex()}.png", signature
    yield "only-webp.webp", b"RIFF\x10\0\0\0WEBP"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for file, contents in odd_pictures(4):
        (target / file).write_bytes(contents)
