"""One decoder for data sets and predict: odd pictures, sizes, turned and transparent ones."""

import io
import subprocess
import sys

import numpy as np
import pytest
from data_makers import picture, write_files
from odd_pictures import odd_pictures

from bnntrain.data.catalog import open_dataset
from bnntrain.data.decode import PictureError, PictureSizeError, decode, look
from bnntrain.data.preprocessing import PictureOptions, Preprocessing
from bnntrain.errors import DataError
from bnntrain.images import read_images

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
PngImagePlugin = pytest.importorskip("PIL.PngImagePlugin", reason="Pillow is not installed")
SAMPLE = Preprocessing((12, 12, 3))
NETWORKS = [SAMPLE, Preprocessing((9, 14, 1), "pad"), Preprocessing((7, 5, 3), "stretch")]


def saved(image, form="PNG", **options):
    """Return the bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_odd_pictures_end_in_pixels_or_one_line(kit, place, capfd):
    """None raises anything else; the good ones are the same in a data set and in predict."""
    good, faults = {}, {}
    for name, content in odd_pictures(1):
        path = place.root / "odd" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        try:
            good[name] = read_images(path, SAMPLE)[0]
        except DataError as error:
            faults[name] = str(error)
    assert [name for name, line in faults.items() if "\n" in line or name not in line] == []
    assert len(good) > 150
    # The same files in a data set, half of them in either class.
    names = sorted(good)
    files = {
        f"train/{'ab'[number % 2]}/{name}": (place.root / "odd" / name).read_bytes()
        for number, name in enumerate(names)
    }
    write_files(place.data / "set", files | {f"test/{c}/x.png": picture(PIXELS) for c in "ab"})
    dataset = open_dataset("set", PictureOptions((12, 12), channels="rgb"))
    for position, name in enumerate(names[::2] + names[1::2]):
        np.testing.assert_array_equal(dataset.train.read(position)[0], good[name], name)
    assert capfd.readouterr().err == ""


PIXELS = np.arange(23 * 31 * 3, dtype=np.uint32).astype(np.uint8).reshape(23, 31, 3)


def noted(form, note, exif, number):
    """Return options of `save` that put an orientation into a file."""
    if note == "exif":
        return {"exif": exif}
    xmp = '<x:xmpmeta tiff:Orientation="%d"/>' % number  # noqa: UP031
    if form != "PNG":
        return {"xmp": xmp.encode()}
    text = PngImagePlugin.PngInfo()
    if note == "xmp":
        text.add_itxt("XML:com.adobe.xmp", xmp)
    else:  # as ImageMagick writes it
        data = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
        text.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{data.hex()}\n")
    return {"pnginfo": text}


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("note", ["exif", "xmp", "text"])
def test_every_orientation_wherever_it_stands(form, note):
    """A quarter of the picture is white; upright it is at the top left."""
    if (form == "TIFF" and note == "xmp") or (form != "PNG" and note == "text"):
        pytest.skip("not written there")
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :12] = 255
    turns = {2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180],
             6: [Image.Transpose.ROTATE_90], 8: [Image.Transpose.ROTATE_270]}  # fmt: skip
    for number, (turn,) in turns.items():
        stored = Image.fromarray(upright).transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = number
        content = saved(stored, form, **noted(form, note, exif, number))
        sample = decode(content, Preprocessing((16, 24, 3), "exact"))
        assert abs(sample.astype(int) - upright).max() < 60
        assert look(io.BytesIO(content))[0] == (16, 24)


def test_clear_grey_lies_on_white_and_stays_grey():
    grey = Image.fromarray(np.full((12, 12), 7, np.uint8))
    for content in (saved(grey, transparency=7), saved(Image.new("LA", (12, 12), (7, 0)))):
        assert look(io.BytesIO(content)) == ((12, 12), True)
        assert (decode(content, SAMPLE) == 255).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_no_known_range_are_refused(mode):
    content = saved(Image.new(mode, (12, 12), 1), "TIFF")
    with pytest.raises(PictureError, match=r"32-bit .* pixels, whose range is not known. Scale"):
        decode(content, SAMPLE)


@pytest.mark.parametrize(
    ("resize", "expected"),
    [("crop", [[0, 1], [1, 0]]), ("stretch", [[0, 0], [0, 0]]), ("pad", [[128, 128], [0, 0]])],
)
def test_resize(resize, expected):
    """Of a picture with black left and right ends, twice as wide as high."""
    values = np.zeros((40, 80), np.uint8)
    sample = decode(picture(values), Preprocessing((20, 20, 1), resize))[..., 0]
    if resize == "pad":
        assert (sample[:5] == 128).all()
        assert (sample[5:15] == 0).all()
        assert (sample[15:] == 128).all()
        return
    values[:, :20] = values[:, 60:] = 255
    sample = decode(picture(values), Preprocessing((20, 20, 1), resize))[..., 0]
    assert (sample[:, 2:18].max() == 0) == (resize == "crop")


def test_exact_size():
    with pytest.raises(PictureSizeError, match="23x31 pixels"):
        decode(picture(PIXELS), Preprocessing((31, 23, 3), "exact"))


@pytest.mark.parametrize("wanted", NETWORKS)
def test_an_array_is_fitted_as_its_picture(wanted, tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    (tmp_path / "a.png").write_bytes(picture(PIXELS))
    arrays, pictures = (read_images(tmp_path / f"a.{end}", wanted) for end in ("npy", "png"))
    np.testing.assert_array_equal(arrays, pictures)


def test_large_photographs_take_little(kit, tmp_path):
    """Twelve million pixels of JPEG: a small part of what they are decoded."""
    path = tmp_path / "large.jpg"
    path.write_bytes(saved(Image.new("RGB", (4000, 3000), (9, 99, 199)), "JPEG"))
    script = (
        "import sys; from pathlib import Path; from bnntrain.images import read_images;"
        "from bnntrain.data.preprocessing import Preprocessing;"
        "print(read_images(Path(sys.argv[1]), Preprocessing((64, 64, 3)))[0, 9, 9]);"
        "status = Path('/proc/self/status').read_text().split();"
        "print(status[status.index('VmHWM:') + 1])"
    )
    child = subprocess.run(
        [sys.executable, "-P", "-c", script, path], capture_output=True, text=True, check=True
    )
    colour, kib = child.stdout.splitlines()
    assert colour.startswith("[")
    assert int(kib) < 90 * 1024
