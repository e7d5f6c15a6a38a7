"""Bounds of exact sums: none wraps at the largest batch, one would with an image more."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.api import prepare
from bnntrain.compatibility import fit_graph
from bnntrain.config import load_config
from bnntrain.data.catalog import Description
from bnntrain.errors import ConfigError
from bnntrain.exactness import most_images
from bnntrain.graph import PIXELS, LayerSpec, build_graph
from bnntrain.method import METHODS, resolve_method
from bnntrain.steps import GRADIENT_LIMITS

INT32, INT64 = 2**31 - 1, 2**63 - 1

# Representations whose sums differ: norms by squares and by deviation, gradients of 8 and 6 bits.
CHOICES = [
    METHODS["standard"], METHODS["wang2021"], METHODS["efficient"],
    *(
        resolve_method(load_config("digits", {f"representation.{key}": value}))
        for key, value in (("gradient_bits", 8), ("norm", "l1"))
    ),
]  # fmt: skip


NORM, SIGN, POOL = LayerSpec("batch_norm"), LayerSpec("sign"), LayerSpec("max_pool")


@st.composite
def steps(draw):
    """A step within the limits of configurations, that takes in pixels, or signs of another."""
    of_pixels = draw(st.booleans())
    if draw(st.booleans()):
        fan_in = draw(st.integers(1, 65536))
        below, size = LayerSpec("dense", {"units": fan_in}), (1, 1, fan_in if of_pixels else 1)
        layers = [LayerSpec("dense", {"units": 7}), NORM]
    else:
        kernel = draw(st.sampled_from([1, 3, 7]))
        height, width = draw(st.integers(1, 1024)), draw(st.integers(1, 1024))
        most = 65536 // kernel**2
        if of_pixels:
            most = min(most, 2**20 // (height * width))
        channels = draw(st.integers(1, most))
        below, size = LayerSpec("conv", {"channels": channels}), (height, width, channels)
        layers = [LayerSpec("conv", {"channels": 8, "kernel": kernel}), NORM, SIGN]
        if min(height, width) > 1:
            place = draw(st.integers(0, 3))
            layers.insert(max(place, 1), POOL if place else LayerSpec("avg_pool"))
    layers = layers if of_pixels else [below, NORM, SIGN, *layers]
    return build_graph(layers, size).fused()[-1]


def largest_sums(step, method, images):
    """Return the magnitudes that sums reach at worst, and what holds them."""
    of_pixels, product = step.input.form.kind == PIXELS, step.product
    is_added = any(each.kind == "avg_pool" for each in step.operations)
    largest_y = (128 if of_pixels else 1) * product.fan_in * (4 if is_added else 1)
    before_norm = step.norm.input.size, product.output.size
    n, positions = (images * size[0] * size[1] for size in before_norm)
    if method.norm == "l2":
        yield n * largest_y**2, INT64
    else:
        # Half of the values at one end, half at the other: the mean is 0, n times y are added.
        yield n * (n * largest_y), INT64
    if method.gradient == "int8":
        yield n * 127 * largest_y, INT64
        if step.kind == "conv" and not of_pixels:
            yield positions * GRADIENT_LIMITS[method.gradient_bits], INT32


@settings(max_examples=300)
@given(step=steps(), method=st.sampled_from(CHOICES))
def test_the_bound_is_what_sums_hold(step, method):
    most = most_images(step, method)
    assert most >= 2, "no batch would do"
    assert all(size <= held for size, held in largest_sums(step, method, most))
    assert any(size > held for size, held in largest_sums(step, method, most + 1))


@settings(max_examples=100)
@given(step=steps(), method=st.sampled_from(CHOICES))
def test_every_dense_step_holds_the_largest_batch(step, method):
    if step.kind == "dense":
        assert most_images(step, method) >= 65536


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


def in_layer(place, **cells):
    """Change that gives one convolution cells of its own."""
    layers = [dict(item) if isinstance(item, dict) else item for item in LARGE["model.layers"]]
    options = layers[place]["conv"]
    options = options if isinstance(options, dict) else {"channels": options}
    layers[place] = {"conv": {**options, "representation": cells}}
    return {"model.layers": layers}


@pytest.mark.parametrize(
    ("changes", "most", "layer"),
    [
        ({"representation.gradient_bits": 8}, 1348, 3),
        ({"representation.norm": "l1"}, 1765, 0),
        (in_layer(3, gradient_bits=8), 1348, 3),
        (in_layer(0, norm="l1"), 1765, 0),
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
    graph = fit_graph(config, IMAGENET.shape, 1000, IMAGENET.train_count)
    assert graph.operations[layer].output.size[:2] == (112, 112)
