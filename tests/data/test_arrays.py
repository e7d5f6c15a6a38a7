"""Arrays of images for a network: what is taken, what is refused, and what the advice leads to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.data.arrays import ArrayFaultError, as_samples, image_stack

GREY, COLOUR = (8, 6, 1), (8, 6, 3)
random = np.random.default_rng(3)


def pixels(*shape):
    return random.integers(0, 256, shape, np.uint8)


@given(
    n=st.integers(0, 3), height=st.integers(1, 9), width=st.integers(1, 9),
    channels=st.integers(1, 9), form=st.sampled_from(["whole", "flat", "grey"]),
)  # fmt: skip
def test_samples_of_the_size_of_a_network(n, height, width, channels, form):
    shape = (height, width, 1 if form == "grey" else channels)
    images = pixels(n, *shape)
    sizes = {"whole": shape, "flat": (int(np.prod(shape)),), "grey": shape[:2]}[form]
    np.testing.assert_array_equal(as_samples(images.reshape(n, *sizes), shape), images)


@pytest.mark.parametrize(
    ("images", "shape", "message"),
    [
        (pixels(2, 3, 8, 6), COLOUR, "images of shape (2, 3, 8, 6) have their channels first"),
        (pixels(2, 1, 8, 6), GREY, "(2, 1, 8, 6) have their channels first, expected (N, height"),
        (pixels(2, 8, 6), COLOUR, "images of shape (2, 8, 6), but the network takes [n, 8x6x3]"),
        (pixels(2, 6, 8, 1), GREY, "images of shape (2, 6, 8, 1), but the network takes"),
        (pixels(2, 24, 2), GREY, "images of shape (2, 24, 2), but"),
        (pixels(8, 6, 1)[0, 0, 0], GREY, "images of shape (), but"),
        (pixels(0, 6, 8), GREY, "images of shape (0, 6, 8), but"),
        (pixels(2, 8, 6) / 255, GREY, "images of type float64, expected uint8: save pixels as"),
    ],
)
def test_other_samples(images, shape, message):
    with pytest.raises(ArrayFaultError) as caught:
        as_samples(images, shape)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("network", "given", "stack"),
    [
        (GREY, (8, 6), (1, 8, 6, 1)),
        (GREY, (8, 6, 1), (1, 8, 6, 1)),
        (GREY, (5, 8, 6), (5, 8, 6, 1)),
        (GREY, (3, 8, 6), (3, 8, 6, 1)),
        (GREY, (3, 30, 20), (3, 30, 20, 1)),
        (GREY, (30, 20, 3), (1, 30, 20, 3)),
        (COLOUR, (8, 6, 3), (1, 8, 6, 3)),
        (COLOUR, (5, 30, 20), (5, 30, 20, 1)),
        (COLOUR, (5, 30, 20, 3), (5, 30, 20, 3)),
        (COLOUR, (3, 8, 3), (1, 3, 8, 3)),
        ((3, 3, 1), (3, 3, 3), (3, 3, 3, 1)),
        ((3, 3, 3), (3, 3, 3), (1, 3, 3, 3)),
        ((9, 9, 7), (2, 9, 9, 7), (2, 9, 9, 7)),
    ],
)
def test_stacks(network, given, stack):
    images = pixels(*given)
    np.testing.assert_array_equal(image_stack(images, network), images.reshape(stack))


@pytest.mark.parametrize(
    ("images", "network", "message"),
    [
        (pixels(3, 8, 6), COLOUR, "one picture with channels first or three grey ones: save the"),
        (pixels(3, 30, 20), COLOUR, "numpy.moveaxis(x, 0, -1), the three as x[..., None]"),
        (pixels(2, 3, 30, 20), COLOUR, "(2, 3, 30, 20) have their channels first"),
        (pixels(2, 1, 28, 28), GREY, "have their channels first, expected (N, height, width, chan"),
        (pixels(2, 8, 6, 2), GREY, "expected one picture or a stack, [n, 8, 6, 1]"),
        (pixels(0, 8, 6), GREY, "images of shape (0, 8, 6), expected one picture or a stack"),
        (pixels(6), GREY, "images of shape (6,), expected one picture or a stack"),
        (pixels(1, 1, 8, 6, 1), GREY, "expected one picture or a stack"),
        (pixels(8, 6).astype("i1"), GREY, "images of type int8, expected uint8: convert with (x.a"),
    ],
)
def test_what_is_no_stack(images, network, message):
    with pytest.raises(ArrayFaultError) as caught:
        image_stack(images, network)
    assert message in str(caught.value)


def test_the_advice_for_three_planes():
    one, three = pixels(3, 8, 6), pixels(3, 8, 6)
    assert image_stack(np.moveaxis(one, 0, -1), COLOUR).shape == (1, 8, 6, 3)
    assert image_stack(three[..., None], COLOUR).shape == (3, 8, 6, 1)
