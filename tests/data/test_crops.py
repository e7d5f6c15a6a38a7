"""Random parts and colours of training pictures: inside, within their bounds, the same again."""

import functools
import io
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bnntrain.data.crops import CROP_STREAM, change_colours, draw_box, draws_of
from bnntrain.data.decode import decode, decode_part
from bnntrain.data.preprocessing import Preprocessing

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

SIDES = st.integers(1, 900)
SIZES = st.tuples(SIDES, SIDES)
TARGETS = st.tuples(st.integers(4, 300), st.integers(4, 300))
SEEDS = st.integers(0, 2**32 - 1)


@given(
    size=SIZES, target=TARGETS, area=st.floats(0.01, 1), aspect=st.floats(1, 4), seed=SEEDS,
    epoch=st.integers(0, 1000), record=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_part_lies_inside_the_picture_and_is_drawn_again_alike(
    size, target, area, aspect, seed, epoch, record
):
    left, top, right, bottom = box = draw_box(
        size, target, area, aspect, draws_of(seed, CROP_STREAM, epoch, record)
    )
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert all(type(edge) is int for edge in box)
    again = draw_box(size, target, area, aspect, draws_of(seed, CROP_STREAM, epoch, record))
    assert again == box


@given(
    size=st.tuples(st.integers(300, 900), st.integers(300, 900)), area=st.floats(0.05, 0.3),
    aspect=st.floats(1, 1.5), seed=SEEDS,
)  # fmt: skip
def test_area_and_proportions_keep_to_their_bounds(size, area, aspect, seed):
    """Up to the whole pixels that sides are rounded to."""
    left, top, right, bottom = draw_box(
        size, (224, 224), area, aspect, draws_of(seed, CROP_STREAM, 0, 7)
    )
    across, down = right - left, bottom - top
    assume((across, down) != size)
    slack = 1 + 1.0 / min(across, down)
    assert area / slack**2 <= across * down / (size[0] * size[1]) <= 1
    assert 1 / (aspect * slack**2) <= across / down <= aspect * slack**2


def test_parts_are_spread_over_the_whole_range():
    boxes = [
        draw_box((500, 400), (224, 224), 0.08, 4 / 3, draws_of(3, CROP_STREAM, 0, record))
        for record in range(2000)
    ]
    shares = np.array([(r - x) * (b - y) / 200_000 for x, y, r, b in boxes])
    ratios = np.array([(r - x) / (b - y) for x, y, r, b in boxes])
    assert shares.min() < 0.1
    assert shares.max() > 0.9
    assert ratios.min() < 0.78
    assert ratios.max() > 1.29
    assert 0.4 < np.mean(ratios > 1) < 0.6
    assert len({box[:2] for box in boxes}) > 1500


def test_epochs_records_and_seeds_draw_differently():
    drawn = {
        draw_box((500, 400), (224, 224), 0.08, 4 / 3, draws_of(seed, CROP_STREAM, epoch, record))
        for seed in range(3) for epoch in range(3) for record in range(3)
    }  # fmt: skip
    assert len(drawn) == 27


@pytest.mark.parametrize("size", [(2000, 3), (3, 2000), (1, 1)])
def test_a_picture_of_other_proportions_still_gives_a_part(size):
    for record in range(50):
        left, top, right, bottom = draw_box(
            size, (224, 224), 0.9, 1.1, draws_of(0, CROP_STREAM, 0, record)
        )
        assert right - left <= math.ceil(1.1 * (bottom - top)) + 1
        assert bottom - top <= math.ceil(1.1 * (right - left)) + 1


@functools.cache
def ramp(width, height, **options):
    """Return a JPEG or PNG file whose red tells the column and whose green tells the row."""
    values = np.zeros((height, width, 3), np.uint8)
    values[..., 0] = np.linspace(0, 255, width)[None]
    values[..., 1] = np.linspace(0, 255, height)[:, None]
    file = io.BytesIO()
    Image.fromarray(values).save(file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [{"format": "PNG"}, {"format": "JPEG", "quality": 95, "subsampling": 0}],
    ids=["png", "jpeg"],
)
@pytest.mark.parametrize("size", [(700, 500), (150, 90), (2000, 1700)])
@settings(max_examples=25)
@given(data=st.data())
def test_the_part_that_is_chosen_is_the_part_that_is_decoded(size, options, data):
    """Also of a JPEG that is decoded at a part of its size."""
    left = data.draw(st.integers(0, size[0] - 40))
    top = data.draw(st.integers(0, size[1] - 40))
    right = data.draw(st.integers(left + 40, size[0]))
    bottom = data.draw(st.integers(top + 40, size[1]))
    sample = decode_part(
        ramp(*size, **options), Preprocessing((16, 16, 3)), lambda *_: (left, top, right, bottom)
    )
    step = 255 * max((right - left) / size[0], (bottom - top) / size[1]) / 16
    ends = np.array([left + right, top + bottom]) / 2 * 255 / np.array(size)
    assert sample.shape == (16, 16, 3)
    assert np.abs(sample[..., :2].mean((0, 1)) - ends).max() < 4 + step / 2
    assert np.all(np.diff(sample[..., 0].mean(0)) > -2)


def test_a_picture_that_is_too_large_to_decode_as_a_whole_still_gives_a_small_part():
    """25 megapixels in colour: at half its size, though the part is then less than a sample."""
    file = io.BytesIO()
    small = np.zeros((42, 60, 3), np.uint8)
    small[21:] = 200
    Image.fromarray(small).resize((6000, 4200), Image.Resampling.NEAREST).save(file, "JPEG")
    wanted = Preprocessing((224, 224, 3))
    for top, value in ((100, 0), (3000, 200)):
        sample = decode_part(file.getvalue(), wanted, lambda *_, top=top: (9, top, 309, top + 300))
        assert np.abs(sample.astype(int) - value).max() <= 2


def test_a_turned_picture_is_turned_behind_its_part():
    """Orientation 6: what lies left in the file stands above."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = ramp(60, 40, format="JPEG", quality=95, subsampling=0, exif=exif.tobytes())
    asked = []

    def choose(size, target):
        asked.append((size, target))
        return 0, 0, 30, 40

    sample = decode_part(data, Preprocessing((12, 16, 3)), choose)
    assert asked[0] == ((60, 40), (12, 16))
    assert sample.shape == (12, 16, 3)
    red = sample[..., 0].mean(1)
    assert np.all(np.diff(red) > 0)
    assert red[-1] < 135


def test_the_middle_is_what_a_crop_of_256_leaves_of_224():
    """Seven eighths of the sides of the largest centred piece."""
    data = ramp(512, 512, format="PNG")
    whole = decode(data, Preprocessing((64, 64, 3), "crop"))
    middle = decode(data, Preprocessing((56, 56, 3), "centre"))
    assert np.abs(middle.astype(int) - whole[4:60, 4:60]).max() <= 1


@given(
    strength=st.floats(0, 1), seed=SEEDS, channels=st.sampled_from([1, 3]),
    height=st.integers(1, 6), width=st.integers(1, 6),
)  # fmt: skip
def test_colours_are_bytes_and_drawn_again_alike(strength, seed, channels, height, width):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    before = image.copy()
    changed = change_colours(image, strength, draws_of(seed, 9, 0, 0))
    assert changed.dtype == np.uint8
    assert changed.shape == image.shape
    np.testing.assert_array_equal(changed, change_colours(image, strength, draws_of(seed, 9, 0, 0)))
    np.testing.assert_array_equal(image, before)
    if not strength:
        np.testing.assert_array_equal(changed, image)


def test_grey_stays_grey_in_other_colours():
    grey = np.random.default_rng(0).integers(0, 256, (9, 9, 1), np.uint8)
    changed = change_colours(np.repeat(grey, 3, axis=2), 0.8, draws_of(1, 9, 0, 0))
    assert np.ptp(changed.astype(int), axis=2).max() == 0


def test_factors_of_colours_are_what_is_written():
    image = np.full((4, 4, 3), 100, np.uint8)
    # Brightness by 1.5; a plain grey picture has neither contrast nor saturation.
    brighter = change_colours(image, 1.0, lambda number: 0.75 if number == 0 else 0.5)
    assert (brighter == 150).all()
    image[:2], image[2:] = 50, 150
    flatter = change_colours(image, 1.0, lambda number: 0.25 if number == 1 else 0.5)
    assert (flatter[:2].max(), flatter[2:].min()) == (75, 125)
