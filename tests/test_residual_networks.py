"""The shipped residual networks: their sizes, their steps, and figures of layers by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bnntrain.compatibility import fit_graph, with_classes
from bnntrain.config import load_config
from bnntrain.errors import ConfigError
from bnntrain.graph import build_graph
from bnntrain.inventory import layer_of, totals_of
from bnntrain.method import METHODS
from bnntrain.steps import Order

SMALL, LARGE = (32, 32, 3), (224, 224, 3)


def network(name, sample, classes):
    config = with_classes(load_config("digits", {"model": name}), classes)
    return build_graph(config.model.layers, sample)


def layers(graph, method="efficient"):
    return [layer_of(step, METHODS[method]) for step in graph.fused()]


@pytest.mark.parametrize(
    ("name", "sample", "classes", "binary", "real", "binary_macs", "real_macs"),
    [
        # 64, 128, 256, 512 channels, four blocks each; the figures of the publications.
        ("resnete18", LARGE, 1000, 10_985_472, 694_440, 1_676_279_808, 137_793_536),
        ("bireal18", LARGE, 1000, 10_985_472, 694_440, 1_676_279_808, 137_793_536),
        # A stem of 3x3x3x64 weights, three shortcuts, ten scores and their biases.
        ("resnete18_32", SMALL, 10, 10_985_472, 1728 + 172_032 + 5130, 547_356_672, 8_066_048),
        ("bireal18_32", SMALL, 10, 10_985_472, 1728 + 172_032 + 5130, 547_356_672, 8_066_048),
        ("resnet20", SMALL, 10, 267_264, 432 + 512 + 2048 + 650, 40_108_032, 705_152),
    ],
)
def test_weights_and_multiplications(name, sample, classes, binary, real, binary_macs, real_macs):
    totals = totals_of(layers(network(name, sample, classes)))
    assert (totals["binary_parameters"], totals["real_parameters"]) == (binary, real)
    assert (totals["binary_macs"], totals["real_macs"]) == (binary_macs, real_macs)
    assert totals["int8_macs"] == 0


@pytest.mark.parametrize(
    ("name", "sample", "begin", "blocks", "stages", "has_relu"),
    [
        ("resnete18", LARGE, "stem", 4, 4, True), ("bireal18", LARGE, "stem", 4, 4, False),
        ("resnete18_32", SMALL, "real_conv", 4, 4, True),
        ("bireal18_32", SMALL, "real_conv", 4, 4, False),
        ("resnet20", SMALL, "real_conv", 6, 3, False),
    ],
)  # fmt: skip
def test_steps(name, sample, begin, blocks, stages, has_relu):
    steps = network(name, sample, 10).fused()
    later = [*["real_conv"], *["residual"] * blocks]
    assert [step.kind for step in steps] == [
        begin, *["residual"] * blocks, *later * (stages - 1), "head",
    ]  # fmt: skip
    assert [step.name.strip("convdse") for step in steps] == [str(n + 1) for n in range(len(steps))]
    assert steps[-1].has_relu == has_relu
    shortcuts = [step for step in steps[1:] if step.kind == "real_conv"]
    assert [step.pooled for step in shortcuts] == [2] * (stages - 1)
    residuals = [step for step in steps if step.kind == "residual"]
    assert [step.is_identity for step in residuals].count(False) == stages - 1
    for before, step in pairwise(steps):
        if step.kind == "residual" and not step.is_identity:
            # The shortcut runs first, and both read the stage before.
            assert (before.kind, step.addend) == ("real_conv", before.output)
            assert step.inputs == (before.input, before.output)
        elif step.kind == "residual":
            assert step.inputs == (step.input,) == (before.output,)


def test_copies_of_a_repeat_share_a_place_and_have_weights_of_their_own():
    steps = network("resnet20", SMALL, 10).fused()
    copies = steps[1:7]
    assert {step.product.layer for step in copies} == {
        "layers[2].repeat.layers[0].residual.layers[1]"
    }
    assert [step.name for step in copies] == [f"conv{number}" for number in range(2, 8)]


def test_figures_of_one_layer_of_each_kind_by_hand():
    found = {layer.name: layer for layer in layers(network("resnet20", SMALL, 10), "standard")}
    stem, block, shortcut, head = (found[name] for name in ("conv1", "conv2", "conv8", "dense22"))
    shapes = [layer.output_shape for layer in (stem, block, shortcut, head)]
    assert shapes == [(32, 32, 16), (32, 32, 16), (16, 16, 32), (10,)]
    assert [layer.input_bits for layer in (stem, block, shortcut, head)] == [8, 1, 32, 32]
    assert (stem.real_parameters, stem.other_parameters) == (27 * 16, 2 * 16)
    assert (stem.real_macs, stem.binary_parameters) == (32 * 32 * 27 * 16, 0)
    # float32 weights, a scale and a shift; trained and in float32 it is the same size.
    assert stem.deployed_bytes == stem.float32_bytes == 4 * 27 * 16 + 8 * 16
    assert (block.binary_parameters, block.other_parameters) == (9 * 16 * 16, 2 * 16)
    assert (block.binary_macs, block.real_parameters) == (32 * 32 * 9 * 16 * 16, 0)
    # Its result is added to a real stream: a scale and a shift per channel, no threshold.
    assert block.deployed_bytes == 9 * 16 * 16 // 8 + 8 * 16
    assert block.float32_bytes == 4 * 9 * 16 * 16 + 8 * 16
    # A 1x1 convolution of what pooling leaves.
    assert (shortcut.real_parameters, shortcut.real_macs) == (16 * 32, 16 * 16 * 16 * 32)
    assert (head.real_parameters, head.other_parameters) == (64 * 10 + 10, 0)
    assert (head.real_macs, head.deployed_bytes, head.float32_bytes) == (640, 2600, 2600)


def test_both_norms_of_a_stem_count():
    stem, _, *_ = layers(network("resnete18", LARGE, 1000))
    plain, _, *_ = layers(network("bireal18", LARGE, 1000))
    assert (stem.name, stem.kind, stem.output_shape) == ("conv1", "stem", (56, 56, 64))
    assert (stem.real_parameters, stem.real_macs) == (9408, 112 * 112 * 9408)
    assert (stem.other_parameters, plain.other_parameters) == (4 * 64, 2 * 64)
    assert (stem.deployed_bytes, plain.deployed_bytes) == (9408 + 1024, 9408 + 512)


def test_norms_without_gamma_have_half_the_parameters():
    graph = network("resnet20", SMALL, 10)
    counts = [
        totals_of(layers(graph, method))["other_parameters"] for method in ("standard", "wang2021")
    ]
    assert counts == [1568, 784]


def test_integer_methods_deploy_real_convolutions_in_int8():
    graph = network("resnet20", SMALL, 10)
    found = {layer.name: layer for layer in layers(graph)}
    stem, block, shortcut, head = (found[name] for name in ("conv1", "conv2", "conv8", "dense22"))
    assert [layer.input_bits for layer in (stem, block, shortcut, head)] == [8, 1, 8, 32]
    assert (stem.int8_parameters, stem.deployed_bytes) == (432, 432 + 8 * 16)
    assert (shortcut.int8_parameters, shortcut.deployed_bytes) == (512, 512 + 8 * 32)
    assert (block.int8_parameters, head.int8_parameters, head.deployed_bytes) == (0, 0, 2600)
    assert totals_of(layers(graph, "standard"))["int8_parameters"] == 0


def test_what_a_stage_makes_has_two_readers():
    graph = network("resnet20", SMALL, 10)
    steps = graph.fused()
    order = Order(steps)
    shortcut = next(step for step in steps[1:] if step.kind == "real_conv")
    stage = shortcut.input
    assert [step.name for step in order.readers(stage)] == ["conv8", "conv9"]
    assert order.readers(graph.output) == []
    # What the shortcut retains is gone before the convolution beside it goes back.
    assert order.gradient_writes(stage) == [order.backward(step) for step in order.readers(stage)]
    assert min(order.gradient_writes(stage)) == order.backward(shortcut)


def test_products_that_are_too_wide_are_refused_where_they_stand():
    config = with_classes(load_config("digits", {"model": "resnet20"}), 10)
    widest = 65_536 // 9
    assert fit_graph(config, (8, 8, widest), 10, 1000)
    with pytest.raises(ConfigError) as caught:
        fit_graph(config, (8, 8, widest + 1), 10, 1000)
    assert str(caught.value) == (
        "override: model.layers[0].conv: 65538 inputs are more than the 65536 that sums are exact "
        "for. Give fewer channels before it or a smaller kernel"
    )
