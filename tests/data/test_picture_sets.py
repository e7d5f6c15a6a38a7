"""Own pictures: layouts, sizes, what tests, and conversions that do not replace each other."""

import io
import os

import numpy as np
import pytest
from data_makers import picture, write_files, zip_file

from bnntrain.data.catalog import describe, open_dataset
from bnntrain.data.check import check
from bnntrain.data.preprocessing import PictureOptions
from bnntrain.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
random = np.random.default_rng(3)


def photos(names, size=None):
    """Return pictures of random sizes by name."""
    sizes = random.integers(20, 40, (len(names), 2))
    return {
        name: picture(random.integers(0, 256, (*(size or each), 3), np.uint8))
        for name, each in zip(names, sizes, strict=True)
    }


NAMES = [f"{kind}/{number:02}.png" for kind in ("cat", "dog") for number in range(10)]
SMALL = PictureOptions((16, 16))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("wrapped", ["", "pets/"])
def test_without_parts_a_share_of_each_class_tests(place, packed, wrapped):
    files = photos(NAMES)
    if packed:
        path = place.data / "pets.zip"
        path.write_bytes(zip_file({wrapped + name: text for name, text in files.items()}))
    else:
        path = place.data / "pets"
        write_files(path, files)
    known = describe(str(path), SMALL)
    assert (known.shape, known.classes) == ((16, 16, 3), ["cat", "dog"])
    assert (known.train_count, known.test_count) == (16, 4)
    dataset = open_dataset(str(path), SMALL)
    assert [dataset.test.read(index)[1] for index in range(4)] == [0, 0, 1, 1]
    # Every picture is in one part or the other.
    parts = [(part.read(n)[0].tobytes()) for part in (dataset.train, dataset.test)
             for n in range(part.count)]  # fmt: skip
    assert len(set(parts)) == 20


def test_the_share_hangs_on_seed_and_names_alone(place):
    files = photos(NAMES)
    write_files(place.data / "pets", files)

    def tests(**options):
        test = open_dataset("pets", PictureOptions((16, 16), **options)).test
        return {test.read(index)[0].tobytes() for index in range(test.count)}

    first = tests()
    assert tests() == first
    assert any(tests(test_seed=seed) != first for seed in (1, 2, 3))
    assert len(tests(test_fraction=0.5)) == 10
    assert first < tests(test_fraction=0.5)
    write_files(place.data / "pets", photos([f"cat/new{number}.png" for number in range(2)]))
    assert len(first & tests()) >= 3


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_validation_folders(place, name):
    files = photos([f"train/{each}" for each in NAMES] + [f"{name}/cat/a.png", f"{name}/dog/b.png"])
    write_files(place.data / "pets", files)
    known = describe("pets", SMALL)
    assert (known.train_count, known.test_count) == (20, 2)
    write_files(place.data / "pets", photos(["test/cat/1.png", "test/dog/2.png", "test/dog/3.png"]))
    known = describe("pets", SMALL)
    assert (known.train_count, known.test_count) == (22, 3)


def test_mixed_sizes_name_the_keys(place):
    write_files(place.data / "pets", photos(NAMES))
    with pytest.raises(DataError, match=r"Set data\.image_size, e\.g\. to 64, and data\.resize"):
        open_dataset("pets")


def test_two_configurations_keep_their_conversions(place):
    write_files(place.data / "pets", photos(NAMES))
    options = [SMALL, PictureOptions((16, 16), "pad"), PictureOptions((8, 8), channels="grey")]
    first = [open_dataset("pets", each).train for each in options]
    times = [split.path.stat().st_mtime_ns for split in first]
    assert len({split.path for split in first}) == 3
    assert first[2].shape == (8, 8, 1)
    assert [open_dataset("pets", each).train for each in options] == first
    assert [split.path.stat().st_mtime_ns for split in first] == times


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_check_says_that_the_first_picture_counts(place, form):
    write_files(place.data / "pets", photos(NAMES))
    assert "notes" not in check("pets")
    file = io.BytesIO()
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    write_files(place.data / "pets", {f"cat/z.{form.lower()}": file.getvalue()})
    (note,) = check("pets")["notes"]
    assert note == f"only the first picture counts of several in cat/z.{form.lower()}"


def test_one_colour_picture_makes_the_set_rgb(place):
    grey = {name: picture(random.integers(0, 256, (9, 9), np.uint8)) for name in NAMES}
    write_files(place.data / "pets", grey)
    assert describe("pets").shape == (9, 9, 1)
    write_files(place.data / "pets", photos(["dog/09.png"], (9, 9)))
    assert describe("pets").shape == (9, 9, 3)


def test_litter_and_notes_are_left_alone(place):
    litter = {"cat/Thumbs.db": b"x", "dog/.DS_Store": b"x", "notes.txt": b"x", ".git/x": b"x"}
    write_files(place.data / "pets", photos(NAMES) | litter)
    assert describe("pets", SMALL).train_count == 16
    write_files(place.data / "pets", photos(["stray.jpg"]))
    with pytest.raises(DataError, match=r"stray\.jpg: not a class folder"):
        describe("pets", SMALL)


@pytest.mark.parametrize("packed", [False, True])
def test_one_class_is_no_data_set(place, packed):
    files = photos([f"cat/{number}.png" for number in range(5)])
    if packed:
        (place.data / "pets.zip").write_bytes(zip_file(files))
    else:
        write_files(place.data / "pets", files)
    with pytest.raises(DataError, match=r"only the class folder cat, and a .* needs 2 classes"):
        describe("pets.zip" if packed else "pets", SMALL)


def test_a_class_of_one(place):
    write_files(place.data / "pets", photos([*NAMES, "eel/1.png"]))
    with pytest.raises(DataError, match=r"eel/1\.png: the only image of its class"):
        describe("pets", SMALL)


def test_other_sets_are_not_resized(place):
    with pytest.raises(DataError, match=r"images of 8x8x1.*Leave out data\.image_size"):
        describe("digits", SMALL)
    assert describe("digits", PictureOptions((8, 8))).shape == (8, 8, 1)


def test_check_names_every_bad_picture(place):
    write_files(place.data / "pets", photos(NAMES) | {"cat/x.png": b"no", "dog/y.jpg": b""})
    os.mkfifo(place.data / "pets" / "dog" / "pipe.jpg")
    (place.data / "pets" / "dog" / "circle.jpg").symlink_to("circle.jpg")
    (place.data / "pets" / "dog" / "nowhere.jpg").symlink_to("none.jpg")
    report = check("pets")
    bad = {each["file"]: each["error"] for each in report["bad"]}
    links = {f"dog/{name}.jpg" for name in ("pipe", "circle", "nowhere")}
    assert set(bad) == {"cat/x.png", "dog/y.jpg"} | links
    assert all("or take it out" in bad[name] for name in links)
    with pytest.raises(DataError, match="take it out"):
        open_dataset("pets", SMALL)
    assert report["shape"] is None
    assert report["train"]["count"] + report["test"]["count"] == 25
