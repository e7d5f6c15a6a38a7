"""Bounds of exact sums: none wraps at the largest batch, one would with an image more."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.api import prepare
from bnntrain.compatibility import check_fit
from bnntrain.config import load_config
from bnntrain.data.catalog import Description
from bnntrain.errors import ConfigError
from bnntrain.exactness import most_images
from bnntrain.layers import GRADIENT_LIMITS, BlockShape, infer_shapes
from bnntrain.method import METHODS, resolve_method

INT32, INT64 = 2**31 - 1, 2**63 - 1

# Representations whose sums differ: norms by squares and by deviation, gradients of 8 and 6 bits.
CHOICES = [
    METHODS["standard"], METHODS["wang2021"], METHODS["efficient"],
    *(
        resolve_method(load_config("digits", {f"representation.{key}": value}))
        for key, value in (("gradient_bits", 8), ("norm", "l1"))
    ),
]  # fmt: skip


@st.composite
def blocks(draw):
    """A block within the limits of configurations, and whether it takes in pixels."""
    if draw(st.booleans()):
        fan_in = draw(st.integers(1, 65536))
        size = (1, 1, fan_in)
        return BlockShape("dense", 0, size, (1, 1, 7), (1, 1, 7)), draw(st.booleans())
    of_pixels, kernel = draw(st.booleans()), draw(st.sampled_from([1, 3, 7]))
    height, width = draw(st.integers(1, 1024)), draw(st.integers(1, 1024))
    most = 65536 // kernel**2
    channels = draw(st.integers(1, min(most, 2**20 // (height * width)) if of_pixels else most))
    pool = draw(st.sampled_from(["none", "before_norm", "before_sign", "after_sign"]))
    product = (height, width, 8)
    output = product if pool == "none" else (max(1, height // 2), max(1, width // 2), 8)
    shape = BlockShape(
        "conv", 3, (height, width, channels), product, output, kernel=kernel, pool=pool
    )
    return shape, of_pixels


def largest_sums(shape, method, of_pixels, images):
    """Return the magnitudes that sums reach at worst, and what holds them."""
    largest_y = (128 if of_pixels else 1) * shape.fan_in
    normed = shape.output if shape.pool == "before_norm" else shape.product
    n, positions = (images * size[0] * size[1] for size in (normed, shape.product))
    if method.norm == "l2":
        yield n * largest_y**2, INT64
    else:
        # Half of the values at one end, half at the other: the mean is 0, n times y are added.
        yield n * (n * largest_y), INT64
    if method.gradient == "int8":
        yield n * 127 * largest_y, INT64
        if shape.kind == "conv" and not of_pixels:
            yield positions * GRADIENT_LIMITS[method.gradient_bits], INT32


@settings(max_examples=300)
@given(block=blocks(), method=st.sampled_from(CHOICES))
def test_the_bound_is_what_sums_hold(block, method):
    shape, of_pixels = block
    most = most_images(shape, method, of_pixels)
    assert most >= 2, "no batch would do"
    assert all(size <= held for size, held in largest_sums(shape, method, of_pixels, most))
    assert any(size > held for size, held in largest_sums(shape, method, of_pixels, most + 1))


@settings(max_examples=100)
@given(block=blocks(), method=st.sampled_from(CHOICES))
def test_every_dense_block_holds_the_largest_batch(block, method):
    shape, of_pixels = block
    if shape.kind == "dense":
        assert most_images(shape, method, of_pixels) >= 65536


LARGE = {
    "data.dataset": "digits",
    "data.validation_fraction": 0.0,
    "train.batch_size": 4096,
    "model.layers": [
        {"conv": {"channels": 64, "kernel": 7, "stride": 2}}, "batch_norm", "sign",
        {"conv": 64}, "max_pool", "batch_norm", "sign",
        {"conv": {"channels": 128, "stride": 2}}, "max_pool", "batch_norm", "sign",
        {"conv": {"channels": 128, "stride": 2}}, "batch_norm", "sign",
        "flatten", {"dense": 1000}, "batch_norm",
    ],
}  # fmt: skip
IMAGENET = Description((224, 224, 3), [str(number) for number in range(1000)], 1_281_167, 50_000)


def test_4096_images_of_224x224_are_planned():
    """51,380,224 positions of 64 channels; nothing is allocated."""
    prepared = prepare("digits", LARGE, known=IMAGENET)
    plan = prepared.plan
    assert plan.batch_size * 112 * 112 == 51_380_224
    assert plan.total_bytes > 2**32
    for a, b in combinations(plan.placed, 2):
        apart_in_time = a.buffer.last_use < b.buffer.first_use or (
            b.buffer.last_use < a.buffer.first_use
        )
        assert apart_in_time or a.end <= b.offset or b.end <= a.offset, (a, b)
    assert max(item.end for item in plan.placed) <= plan.total_bytes


@pytest.mark.parametrize(
    ("changes", "most", "layer"),
    [
        ({"representation.gradient_bits": 8}, 1348, 3),
        ({"representation.norm": "l1"}, 1765, 0),
        ({"train.batch_size": 5523}, 5522, 3),
    ],
)
def test_a_batch_beyond_the_bound_names_the_largest(changes, most, layer):
    with pytest.raises(ConfigError) as caught:
        prepare("digits", LARGE | changes, known=IMAGENET)
    text = str(caught.value)
    assert "train.batch_size: " in text
    assert f"at model.layers[{layer}] are more than the {most} whose sums are exact" in text
    assert text.endswith(f"Give --batch-size {most} or less")
    config = load_config("digits", LARGE | changes | {"train.batch_size": most})
    check_fit(config, IMAGENET.shape, 1000, IMAGENET.train_count)
    assert infer_shapes(config.model.layers, IMAGENET.shape)[layer // 3].product[:2] == (112, 112)
