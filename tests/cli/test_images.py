"""Reading images for prediction: forms of arrays, kinds of pictures, faults."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bnntrain.data.preprocessing import Preprocessing
from bnntrain.errors import DataError, UsageError
from bnntrain.images import read_images

GREY, COLOUR = (8, 6, 1), (8, 6, 3)
random = np.random.default_rng(7)


def read(path, shape, resize="exact", **options):
    """Read a file as a network of a shape takes it."""
    return read_images(path, Preprocessing(shape, resize), **options)


def saved(folder, array):
    path = folder / "images.npy"
    np.save(path, array)
    return path


@pytest.mark.parametrize(
    ("network", "given", "count"),
    [
        (GREY, (8, 6), 1), (GREY, (8, 6, 1), 1), (GREY, (5, 8, 6), 5), (GREY, (5, 8, 6, 1), 5),
        (GREY, (1, 8, 6), 1), (COLOUR, (8, 6, 3), 1), (COLOUR, (5, 8, 6, 3), 5),
        ((3, 3, 1), (3, 3, 3), 3), ((3, 3, 3), (3, 3, 3), 1),
    ],
)  # fmt: skip
def test_forms_of_arrays(tmp_path, network, given, count):
    array = random.integers(0, 256, given, np.uint8)
    images = read(saved(tmp_path, array), network)
    np.testing.assert_array_equal(images, array.reshape(count, *network))
    inverted = read(saved(tmp_path, array), network, invert=True)
    np.testing.assert_array_equal(inverted, 255 - images)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((8, 6)), "images of type float64, expected uint8: save pixels as 0 to 255"),
        (np.zeros((9, 6), np.uint8), "9x6 pixels (height x width), expected 8x6. Give --resize"),
        (np.zeros((2, 9, 6), np.uint8), "Give --resize"),
        (np.zeros((0, 8, 6), np.uint8), "expected one picture or a stack"),
        (np.zeros(48, np.uint8), "expected one picture or a stack"),
        (np.zeros((1, 1, 8, 6, 1), np.uint8), "expected one picture or a stack"),
        (np.zeros((2, 8, 6, 2), np.uint8), "expected one picture or a stack"),
    ],
)
def test_wrong_arrays(tmp_path, array, message):
    with pytest.raises(DataError, match=r"images\.npy") as caught:
        read(saved(tmp_path, array), GREY)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.npy", np.lib.format.MAGIC_PREFIX + b"\x01\x00", "cannot be read"),
        ("empty.npy", b"", "cannot be read"),
        ("text.npy", b"hello", "cannot be read"),
        ("zip.npy", b"PK\x03\x04 hello", "cannot be read"),
        ("text.png", b"hello", "is not PNG, JPEG, WebP, BMP, GIF or TIFF. Save"),
        ("empty.jpg", b"", "is empty (0 bytes). Save it again"),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    if not name.endswith(".npy"):
        pytest.importorskip("PIL", reason="Pillow (extra: images) is not installed")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name) as caught:
        read(tmp_path / name, GREY)
    assert message in str(caught.value)


def test_pickled_array_is_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    remedy = r"of type object is refused, expected plain numbers .*: save a plain array"
    with pytest.raises(DataError, match=remedy):
        read(tmp_path / "objects.npy", GREY)


@pytest.mark.parametrize("name", ["none.npy", "none.png"])
def test_missing_file(tmp_path, name):
    if name.endswith(".png"):
        pytest.importorskip("PIL", reason="Pillow (extra: images) is not installed")
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / name, GREY)


def test_without_pillow_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    (tmp_path / "digit.png").write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    with pytest.raises(UsageError, match=r"pip install 'bnntrain\[images\]'"):
        read(tmp_path / "digit.png", GREY)
    array = np.zeros((8, 6), np.uint8)
    assert read(saved(tmp_path, array), GREY).shape == (1, 8, 6, 1)
    # The size is named before Pillow is asked for.
    with pytest.raises(DataError, match="--resize"):
        read(saved(tmp_path, np.zeros((9, 6), np.uint8)), GREY)
    with pytest.raises(UsageError, match="Pillow"):
        read(saved(tmp_path, np.zeros((9, 6), np.uint8)), GREY, resize="stretch")


class TestPictures:
    """All that Pillow reads."""

    @pytest.fixture(autouse=True)
    def _pillow(self, tmp_path):
        self.image = pytest.importorskip(
            "PIL.Image", reason="Pillow (extra: images) is not installed"
        )
        self.folder = tmp_path

    def read(self, picture, network=GREY, **options):
        path = self.folder / "picture.png"
        picture.save(path)
        return read(path, network, **options)

    def test_grey_is_read_exactly(self):
        grey = random.integers(0, 256, (8, 6), np.uint8)
        images = self.read(self.image.fromarray(grey))
        np.testing.assert_array_equal(images, grey[np.newaxis, ..., np.newaxis])
        # Through colour and back nothing changes either.
        images = self.read(self.image.fromarray(grey).convert("RGB"))
        np.testing.assert_array_equal(images, grey[np.newaxis, ..., np.newaxis])

    def test_grey_for_a_colour_network(self):
        grey = random.integers(0, 256, (8, 6), np.uint8)
        images = self.read(self.image.fromarray(grey), COLOUR)
        np.testing.assert_array_equal(images, np.stack([grey] * 3, axis=-1)[np.newaxis])

    def test_sixteen_bits_keep_their_upper_eight(self):
        grey = random.integers(0, 65536, (8, 6)).astype(np.uint16)
        images = self.read(self.image.fromarray(grey))
        np.testing.assert_array_equal(images[0, ..., 0], grey >> 8)

    def test_palette(self):
        grey = random.integers(0, 256, (8, 6), np.uint8)
        picture = self.image.fromarray(grey).convert("P")
        expected = np.asarray(picture.convert("RGB"))
        np.testing.assert_array_equal(self.read(picture, COLOUR)[0], expected)

    def test_clear_parts_are_white(self):
        pixels = np.zeros((8, 6, 4), np.uint8)
        pixels[2, 3, 3] = 255
        expected = np.full((8, 6), 255, np.uint8)
        expected[2, 3] = 0
        images = self.read(self.image.fromarray(pixels))
        np.testing.assert_array_equal(images[0, ..., 0], expected)

    def test_resize(self):
        picture = self.image.new("L", (60, 80), 90)
        images = self.read(picture, resize="stretch")
        np.testing.assert_array_equal(images, np.full((1, *GREY), 90))

    def test_upright_by_its_own_note(self):
        grey = random.integers(0, 256, (6, 8), np.uint8)
        picture = self.image.fromarray(grey)
        exif = picture.getexif()
        exif[0x0112] = 6  # turned by 90 degrees
        path = self.folder / "photo.png"
        picture.save(path, exif=exif)
        np.testing.assert_array_equal(read(path, GREY)[0, ..., 0], np.rot90(grey, -1))

    def test_cut_off(self):
        path = self.folder / "cut.png"
        self.image.fromarray(random.integers(0, 256, (8, 6), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:50])
        with pytest.raises(DataError, match=r"cut\.png"):
            read(path, GREY)
