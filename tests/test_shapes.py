"""Sizes of blocks against a count that walks every window over every row."""

from __future__ import annotations

import pytest

from bnntrain.config import LayerSpec, load_config
from bnntrain.layers.shapes import POOLS, BlockShape, ShapeError, infer_shapes

EXTENTS = range(1, 17)
KERNELS = range(1, 8)


def conv(channels, kernel=3, stride=1, padding="same"):
    return LayerSpec(
        "conv", {"channels": channels, "kernel": kernel, "stride": stride, "padding": padding}
    )


def dense(units):
    return LayerSpec("dense", {"units": units})


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
        (block,) = infer_shapes([conv(5, kernel, stride)], (height, width, 3))
        assert block.product == block.output == (*counts, 5)
        assert [block.pad_top, block.pad_left] == before


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_extent_without_padding_against_the_walk(kernel, stride):
    for height in EXTENTS:
        width = max(EXTENTS) + 1 - height
        counts = [len(windows(extent, kernel, stride, 0, 0)) for extent in (height, width)]
        layers, sample = [conv(5, kernel, stride, "valid")], (height, width, 3)
        if min(counts) == 0:
            with pytest.raises(ShapeError) as caught:
                infer_shapes(layers, sample)
            assert caught.value.layer == 0
            assert f"a window of {kernel} does not fit into the " in caught.value.message
            continue
        (block,) = infer_shapes(layers, sample)
        assert block.product == block.output == (*counts, 5)
        assert (block.pad_top, block.pad_left) == (0, 0)


def test_same_padding_with_stride_1_keeps_the_size():
    for kernel in KERNELS:
        (block,) = infer_shapes([conv(2, kernel)], (7, 10, 1))
        assert block.output == (7, 10, 2)
        assert block.pad_top == block.pad_left == (kernel - 1) // 2


@pytest.mark.parametrize(
    ("behind", "pool"),
    [
        ([NORM, SIGN], "none"),
        ([POOL, NORM, SIGN], "before_norm"),
        ([NORM, POOL, SIGN], "before_sign"),
        ([NORM, SIGN, POOL], "after_sign"),
    ],
)
def test_pooling_halves_and_drops_the_odd_row(behind, pool):
    assert pool in POOLS
    layers = [conv(4), *behind, FLATTEN, dense(3), NORM]
    for height in range(2, 10):
        first, last = infer_shapes(layers, (height, 11, 2))
        pooled = (len(range(0, height - 1, 2)), 5, 4)
        assert first.product == (height, 11, 4)
        assert first.output == (first.product if pool == "none" else pooled)
        assert first.pool == pool
        assert first.outputs == last.inputs == last.fan_in
        assert last.input == (1, 1, first.outputs)


def test_pooling_needs_two_rows_and_two_columns():
    for sample in ((1, 9, 3), (9, 1, 3)):
        with pytest.raises(ShapeError) as caught:
            infer_shapes([conv(4), POOL, NORM, SIGN], sample)
        assert caught.value.layer == 1
        assert f"{sample[0]}x{sample[1]} positions are too few" in caught.value.message


def test_the_layer_that_does_not_fit_is_named():
    layers = [conv(4), NORM, SIGN, POOL, conv(4, 5, 1, "valid"), NORM, SIGN]
    with pytest.raises(ShapeError, match="into the 4 rows") as caught:
        infer_shapes(layers, (8, 10, 1))
    assert caught.value.layer == 4


def test_counts_of_one_block_by_hand():
    first, last = infer_shapes(
        [conv(6, 3, 2), POOL, NORM, SIGN, FLATTEN, dense(10), NORM], (9, 8, 5)
    )
    assert first == BlockShape(
        "conv", 0, (9, 8, 5), (5, 4, 6), (2, 2, 6), 3, 2, 1, 0, pool="before_norm",
        flattened=True,
    )  # fmt: skip
    assert (first.inputs, first.outputs, first.channels) == (9 * 8 * 5, 2 * 2 * 6, 6)
    assert (first.taps, first.fan_in, first.weights) == (9, 45, 270)
    assert first.macs == 5 * 4 * 270
    assert last == BlockShape("dense", 5, (1, 1, 24), (1, 1, 10), (1, 1, 10))
    assert (last.taps, last.fan_in, last.weights, last.macs) == (1, 24, 240, 240)


def test_a_dense_network_flattens_its_images():
    blocks = infer_shapes([dense(7), NORM, SIGN, dense(2), NORM], (4, 3, 2))
    assert [(block.inputs, block.outputs) for block in blocks] == [(24, 7), (7, 2)]


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
    blocks = infer_shapes(load_config(f"{name}_cifar10").model.layers, (32, 32, 3))
    convolutions = [block for block in blocks if block.kind == "conv"]
    assert [(block.product[0], block.output[0]) for block in convolutions] == positions
    assert all(block.output[0] == block.output[1] for block in convolutions)
    assert [block.channels for block in convolutions] == [n for n in channels for _ in "ab"]
    pool = {"cnv": "after_sign", "binarynet": "before_norm"}[name]
    assert {block.pool for block in convolutions} == {"none", pool}
    units = [block.channels for block in blocks if block.kind == "dense"]
    assert units == {"cnv": [512, 512, 10], "binarynet": [1024, 1024, 10]}[name]
