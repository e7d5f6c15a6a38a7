"""Sizes of steps against a count that walks every window over every row; the graph's tensors."""

from __future__ import annotations

import pytest

from bnntrain.config import load_config
from bnntrain.graph import POOLS, LayerSpec, ShapeError, build_graph

EXTENTS = range(1, 17)
KERNELS = range(1, 8)


def conv(channels, kernel=3, stride=1, padding="same"):
    return LayerSpec(
        "conv", {"channels": channels, "kernel": kernel, "stride": stride, "padding": padding}
    )


def dense(units):
    return LayerSpec("dense", {"units": units})


def steps_of(layers, sample):
    """Return the fused steps of a network."""
    return build_graph(layers, sample).fused()


POOL, NORM, SIGN, FLATTEN = (
    LayerSpec("max_pool", {"size": 2}), LayerSpec("batch_norm"), LayerSpec("sign"),
    LayerSpec("flatten"),
)  # fmt: skip


def windows(extent, kernel, stride, before, after):
    """Walk a window over the rows -before ... extent + after - 1; list the first row of each."""
    starts = []
    start = -before
    while start + kernel <= extent + after:
        starts.append(start)
        start += stride
    return starts


def least_padding(extent, kernel, stride):
    """Search for the least padding that gives a window to every `stride` rows; more goes below."""
    wanted = len(range(0, extent, stride))
    for total in range(kernel + 1):
        before = total // 2
        if len(windows(extent, kernel, stride, before, total - before)) == wanted:
            return before, total - before
    raise AssertionError("no padding gives that many windows")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_extent_against_the_walk(kernel, stride):
    for height in EXTENTS:
        width = max(EXTENTS) + 1 - height
        before, counts = [], []
        for extent in (height, width):
            padding = least_padding(extent, kernel, stride)
            starts = windows(extent, kernel, stride, *padding)
            # A window that sees nothing of the image would give a constant.
            assert all(-kernel < start < extent for start in starts)
            before.append(padding[0])
            counts.append(len(starts))
        (step,) = steps_of([conv(5, kernel, stride), NORM, SIGN], (height, width, 3))
        assert step.product.output.size == step.output.size == (*counts, 5)
        assert [*step.product.padding] == before


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_extent_without_padding_against_the_walk(kernel, stride):
    for height in EXTENTS:
        width = max(EXTENTS) + 1 - height
        counts = [len(windows(extent, kernel, stride, 0, 0)) for extent in (height, width)]
        layers = [conv(5, kernel, stride, "valid"), NORM, SIGN]
        sample = (height, width, 3)
        if min(counts) == 0:
            with pytest.raises(ShapeError) as caught:
                steps_of(layers, sample)
            assert caught.value.layer == "layers[0]"
            assert f"a window of {kernel} does not fit into the " in caught.value.message
            continue
        (step,) = steps_of(layers, sample)
        assert step.product.output.size == step.output.size == (*counts, 5)
        assert step.product.padding == (0, 0)


def test_same_padding_with_stride_1_keeps_the_size():
    for kernel in KERNELS:
        (step,) = steps_of([conv(2, kernel), NORM, SIGN], (7, 10, 1))
        assert step.output.size == (7, 10, 2)
        assert step.product.padding == ((kernel - 1) // 2,) * 2


@pytest.mark.parametrize(
    ("behind", "pool"),
    [
        ([NORM, SIGN], "none"),
        ([POOL, NORM, SIGN], "before_norm"),
        ([LayerSpec("avg_pool"), NORM, SIGN], "average_before_norm"),
        ([NORM, POOL, SIGN], "before_sign"),
        ([NORM, SIGN, POOL], "after_sign"),
    ],
)
def test_pooling_halves_and_drops_the_odd_row(behind, pool):
    assert pool in POOLS
    layers = [conv(4), *behind, FLATTEN, dense(3), NORM]
    for height in range(2, 10):
        first, last = steps_of(layers, (height, 11, 2))
        pooled = (len(range(0, height - 1, 2)), 5, 4)
        product = first.product.output.size
        assert product == (height, 11, 4)
        assert first.result == (product if pool == "none" else pooled)
        assert first.pool == pool
        assert first.output.values == last.input.values == last.product.fan_in
        assert last.input.size == (1, 1, first.output.values)


def test_pooling_needs_two_rows_and_two_columns():
    for sample in ((1, 9, 3), (9, 1, 3)):
        with pytest.raises(ShapeError) as caught:
            steps_of([conv(4), POOL, NORM, SIGN], sample)
        assert caught.value.layer == "layers[1]"
        assert f"{sample[0]}x{sample[1]} positions are too few" in caught.value.message


def test_the_layer_that_does_not_fit_is_named():
    layers = [conv(4), NORM, SIGN, POOL, conv(4, 5, 1, "valid"), NORM, SIGN]
    with pytest.raises(ShapeError, match="into the 4 rows") as caught:
        steps_of(layers, (8, 10, 1))
    assert caught.value.layer == "layers[4]"


def test_counts_of_one_step_by_hand():
    first, last = steps_of(
        [conv(6, 3, 2), POOL, NORM, SIGN, FLATTEN, dense(10), NORM], (9, 8, 5)
    )
    assert (first.name, first.kind, first.pool) == ("conv1", "conv", "before_norm")
    assert (first.input.size, first.product.output.size) == ((9, 8, 5), (5, 4, 6))
    assert (first.result, first.output.size) == ((2, 2, 6), (1, 1, 2 * 2 * 6))
    assert (first.is_binarised, first.is_flattened) == (True, True)
    product = first.product
    assert (product.layer, product.padding, product.channels) == ("layers[0]", (1, 0), 6)
    assert (product.taps, product.fan_in, product.weights) == (9, 45, 270)
    assert product.macs == 5 * 4 * 270
    assert (last.name, last.kind, last.pool) == ("dense2", "dense", "none")
    assert (last.is_binarised, last.is_flattened) == (False, False)
    product = last.product
    assert (product.layer, product.taps, product.fan_in) == ("layers[5]", 1, 24)
    assert (product.weights, product.macs, last.output.size) == (240, 240, (1, 1, 10))


def test_tensors_have_one_name_each_and_one_reader():
    graph = build_graph([conv(6), POOL, NORM, SIGN, FLATTEN, dense(10), NORM], (8, 8, 1))
    tensors = [graph.sample, *(operation.output for operation in graph.operations)]
    names = ["sample", "conv1", "max_pool1", "batch_norm1", "sign1", "flatten1", "dense2"]
    assert [tensor.name for tensor in tensors] == [*names, "batch_norm2"]
    kinds = ["pixels", "products", "products", "real", "signs", "signs", "products", "real"]
    assert [tensor.form.kind for tensor in tensors] == kinds
    assert [operation.input for operation in graph.operations] == tensors[:-1]
    assert graph.output == tensors[-1]


def test_a_dense_network_flattens_its_images():
    steps = steps_of([dense(7), NORM, SIGN, dense(2), NORM], (4, 3, 2))
    assert [(step.input.values, step.output.values) for step in steps] == [(24, 7), (7, 2)]


@pytest.mark.parametrize(
    ("name", "positions", "channels"),
    [
        ("cnv", [(30, 30), (28, 14), (12, 12), (10, 5), (3, 3), (1, 1)], [64, 128, 256]),
        (
            "binarynet",
            [(32, 32), (32, 16), (16, 16), (16, 8), (8, 8), (8, 4)], [128, 256, 512],
        ),
    ],
)  # fmt: skip
def test_published_models(name, positions, channels):
    steps = steps_of(load_config(f"{name}_cifar10").model.layers, (32, 32, 3))
    convolutions = [step for step in steps if step.kind == "conv"]
    sizes = [(step.product.output.size, step.result) for step in convolutions]
    assert [(product[0], result[0]) for product, result in sizes] == positions
    assert all(result[0] == result[1] for _, result in sizes)
    assert [step.channels for step in convolutions] == [n for n in channels for _ in "ab"]
    pool = {"cnv": "after_sign", "binarynet": "before_norm"}[name]
    assert {step.pool for step in convolutions} == {"none", pool}
    units = [step.channels for step in steps if step.kind == "dense"]
    assert units == {"cnv": [512, 512, 10], "binarynet": [1024, 1024, 10]}[name]
