"""Convolutional models in configurations: options, orders of layers, the shipped ones."""

from __future__ import annotations

import pytest

from bnntrain.config import load_config, parse_override
from bnntrain.config.models import write_model
from bnntrain.errors import ConfigError

# What is refused: the list of layers, where the message points to, the remedy that it must name.
OPTIONS = [
    ("[conv]", "model.layers[0].conv.channels: missing", "Give a whole number from 1"),
    ("[{conv: 0}]", "model.layers[0].conv.channels: 0 is", "from 1 to 65536"),
    ("[{conv: [4, 3]}]", ".conv.channels: [4, 3] is not", "Give a whole number from 1"),
    ("[{conv: {channel: 4}}]", ".conv.channel: unknown", "Did you mean 'channels'?"),
    ("[{conv: {kernel: 3}}]", "model.layers[0].conv.channels: missing", "from 1 to 65536"),
    ("[{conv: {channels: 4, kernel: 8}}]", ".conv.kernel: 8 is not allowed", "from 1 to 7"),
    ("[{conv: {channels: 4, kernel: 0}}]", ".conv.kernel: 0 is not allowed", "from 1 to 7"),
    ("[{conv: {channels: 4, kernel: [3, 3]}}]", ".conv.kernel: [3, 3] is", "from 1 to 7"),
    ("[{conv: {channels: 4, stride: 3}}]", ".conv.stride: 3 is", "Give one of 1, 2"),
    ("[{conv: {channels: 4, padding: sme}}]", ".conv.padding: 'sme'", "Did you mean 'same'?"),
    ("[{conv: {channels: 4, padding: 1}}]", ".conv.padding: 1 is", "one of same, valid"),
    ("[{max_pool: 4}]", "model.layers[0].max_pool.size: 4 is not allowed", "Give one of 2, 3"),
    ("[{max_pool: 3}]", ".max_pool.padding: valid has no kernel with size 3", "works: same"),
    ("[{max_pool: {padding: same}}]", ".max_pool.padding: same has no kernel", "works: valid"),
    ("[{max_pool: {stride: 1}}]", ".max_pool.stride: 1 is not allowed", "Give 2"),
    ("[{avg_pool: 3}]", "model.layers[0].avg_pool.size: 3 is not allowed", "Give 2"),
    ("[{flatten: 2}]", "model.layers[0].flatten: takes no value", "Leave it out"),
    ("[convolution]", "model.layers[0]: unknown layer", "Known: dense, conv, batch_norm"),
    ("[maxpool]", "model.layers[0]: unknown layer", "Did you mean 'max_pool'?"),
]
# Orders of layers that are refused: the list, the item that the message points to, what it says.
ORDERS = [
    ("max_pool", 0, "max_pool cannot stand as the first layer. Put dense or conv here"),
    ("flatten", 0, "flatten cannot stand as the first layer. Put dense or conv here"),
    ("C sign", 1, "sign cannot stand after conv. Put batch_norm or max_pool or avg_pool"),
    ("C C", 1, "conv cannot stand after conv. Put batch_norm or max_pool or avg_pool"),
    ("C flatten", 1, "flatten cannot stand after conv. Put batch_norm or max_pool or avg_pool"),
    ("C max_pool sign", 2, "sign cannot stand after max_pool. Put batch_norm here"),
    ("C max_pool max_pool", 2, "a second max_pool behind one conv. Put batch_norm here"),
    ("C max_pool N max_pool", 3, "a second max_pool behind one conv. Put sign here"),
    ("C max_pool N sign max_pool", 4, "a second max_pool behind one conv. Put conv or flatten"),
    ("C N max_pool C", 3, "conv cannot stand after max_pool. Put sign here"),
    ("C N max_pool sign max_pool", 4, "a second max_pool behind one conv. Put conv or flatten"),
    ("C avg_pool avg_pool", 2, "a second avg_pool behind one conv. Put batch_norm here"),
    ("C avg_pool max_pool", 2, "max_pool after avg_pool has no kernel. Put batch_norm here"),
    ("C N avg_pool", 2, "avg_pool after batch_norm has no kernel. Put sign or max_pool here"),
    ("C N sign avg_pool", 3, "avg_pool cannot stand after sign. Put conv or flatten or max_pool"),
    ("C N D", 2, "dense cannot stand after batch_norm. Put sign or max_pool here"),
    ("C N sign D", 3, "dense takes a list of values, and conv gives an image. Put flatten before"),
    ("C N sign max_pool D", 4, "dense takes a list of values, and conv gives an image. Put flat"),
    ("C N sign max_pool max_pool", 4, "a second max_pool behind one conv. Put conv or flatten"),
    ("C N sign N", 3, "batch_norm cannot stand after sign. Put conv or flatten or max_pool here"),
    ("C N sign flatten C", 4, "conv cannot stand after flatten. Put dense here"),
    ("C N sign flatten sign", 4, "sign cannot stand after flatten. Put dense here"),
    ("D max_pool", 1, "max_pool cannot stand behind dense, whose outputs have no height and width"),
    ("D N max_pool", 2, "max_pool cannot stand behind dense"),
    ("D N sign max_pool", 3, "max_pool cannot stand behind dense"),
    ("D N sign flatten", 3, "flatten cannot stand behind dense"),
    ("D N sign C", 3, "conv cannot stand behind dense"),
    ("C N sign flatten D N sign C", 7, "conv cannot stand behind dense"),
    ("C", 0, "conv cannot be the last layer. End the list with flatten, dense and batch_norm, w"),
    ("C N", 1, "the last product is a conv, whose outputs are not scores of classes. End the l"),
    ("C max_pool N", 2, "the last product is a conv"),
    ("C N sign", 2, "sign cannot be the last layer. End the list with flatten, dense and batch_"),
    ("C N max_pool", 2, "max_pool cannot be the last layer. End the list with flatten, dense and"),
    ("C N sign flatten", 3, "flatten cannot be the last layer. End the list with flatten, dense"),
    ("C N sign flatten D N sign", 6, "sign cannot be the last layer. End the list with dense and"),
]
GOOD_ORDERS = [
    "C N sign flatten D N",
    "C max_pool N sign flatten D N",
    "C N max_pool sign flatten D N",
    "C N sign max_pool flatten D N",
    "C N sign C N sign max_pool C max_pool N sign flatten D N sign D N",
]


def loaded(layers):
    """Read the digits configuration with another list of layers."""
    return load_config("digits", {"model": {"name": "trial", "layers": layers}}).model


def refusal(layers):
    with pytest.raises(ConfigError) as caught:
        loaded(layers)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message.removeprefix("override: ")


def written_out(order):
    """Write out a list of layers: C is a conv, D a dense layer, N a batch norm."""
    short = {"C": {"conv": 4}, "D": {"dense": 4}, "N": "batch_norm"}
    return [short.get(word, word) for word in order.split()]


@pytest.mark.parametrize(("layers", "place", "remedy"), OPTIONS)
def test_faulty_option(layers, place, remedy):
    message = refusal(parse_override(f"x={layers}")[1])
    assert place in message
    assert remedy in message


@pytest.mark.parametrize(("order", "item", "message"), ORDERS)
def test_faulty_order_of_layers(order, item, message):
    assert refusal(written_out(order)).startswith(f"model.layers[{item}]: {message}")


@pytest.mark.parametrize("order", GOOD_ORDERS)
def test_good_order_of_layers(order):
    model = loaded(written_out(order))
    words = {"conv": "C", "dense": "D", "batch_norm": "N"}
    assert " ".join(words.get(spec.kind, spec.kind) for spec in model.layers) == order


def test_options_of_a_convolution_and_their_defaults():
    full = {"channels": 8, "kernel": 5, "stride": 2, "padding": "valid"}
    layers = [
        {"conv": 64}, "max_pool", "batch_norm", "sign",
        {"conv": full}, "batch_norm", "sign", {"max_pool": {"size": 2}},
        "flatten", {"dense": 2}, "batch_norm",
    ]  # fmt: skip
    model = loaded(layers)
    short = {"channels": 64, "kernel": 3, "stride": 1, "padding": "same"}
    assert [spec.options for spec in model.layers if spec.kind == "conv"] == [short, full]
    assert [spec.options for spec in model.layers if spec.kind == "max_pool"] == [{"size": 2}] * 2
    assert [spec.options for spec in model.layers if spec.kind == "flatten"] == [{}]
    # Written out in full, so that it reads the same whatever a later version's defaults are.
    assert write_model(model)["layers"] == [
        {"conv": short}, {"max_pool": 2}, "batch_norm", "sign",
        {"conv": full}, "batch_norm", "sign", {"max_pool": 2},
        "flatten", {"dense": 2}, "batch_norm",
    ]  # fmt: skip
    assert loaded(write_model(model)["layers"]) == model


@pytest.mark.parametrize("dataset", ["cifar10", "svhn"])
@pytest.mark.parametrize("model", ["cnv", "binarynet"])
def test_published_convolutional_recipes(model, dataset):
    long, quick = load_config(f"{model}_{dataset}"), load_config(f"{model}_{dataset}_quick")
    assert long.model == quick.model == load_config("digits", {"model": model}).model
    for config in (long, quick):
        assert (config.method, config.data.dataset) == ("efficient", dataset)
        assert (config.train.batch_size, config.train.learning_rate) == (100, 1e-3)
        assert (config.data.augment.shift, config.data.augment.fill) == (0.15, "edge")
        assert config.data.augment.flip == (dataset == "cifar10")
    schedule = long.train.schedule
    assert (long.train.epochs, schedule.kind) == (1000, "plateau")
    assert (schedule.patience, schedule.factor) == (50, 0.5)
    assert (quick.train.epochs, quick.train.schedule.kind) == (20, "cosine")
