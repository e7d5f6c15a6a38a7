"""``bnntrain summary``: every figure counted by hand for two networks on 8x8 digits."""

from __future__ import annotations

import pytest

LAYERS = (
    "[{conv: 4}, max_pool, batch_norm, sign,"
    " {conv: {channels: 6, kernel: 2, stride: 2, padding: valid}}, batch_norm, sign,"
    " flatten, {dense: 10}, batch_norm]"
)


def test_counts(program):
    report = program.json("summary", "digits")
    assert report["input_shape"] == [8, 8, 1]
    figures = [
        (layer["name"], layer["input_bits"], layer["output_shape"], layer["binary_parameters"],
         layer["other_parameters"], layer["binary_macs"], layer["int8_macs"])
        for layer in report["layers"]
    ]  # fmt: skip
    assert figures == [
        ("dense1", 8, [256], 64 * 256, 2 * 256, 0, 64 * 256),
        ("dense2", 1, [256], 256 * 256, 2 * 256, 256 * 256, 0),
        ("dense3", 1, [10], 256 * 10, 2 * 10, 256 * 10, 0),
    ]
    # Bits of the weights, a 4-byte threshold per hidden channel, scale and shift of the last layer.
    deployed = [64 * 256 // 8 + 4 * 256, 256 * 256 // 8 + 4 * 256, 256 * 10 // 8 + 8 * 10]
    assert [layer["deployed_bytes"] for layer in report["layers"]] == deployed
    weights, channels = 64 * 256 + 256 * 256 + 256 * 10, 256 + 256 + 10
    assert report["totals"] == {
        "binary_parameters": weights,
        "other_parameters": 2 * channels,
        "deployed_bytes": sum(deployed),
        "float32_bytes": 4 * weights + 8 * channels,
        "binary_macs": 256 * 256 + 256 * 10,
        "int8_macs": 64 * 256,
        "real_parameters": 0,
        "real_macs": 0,
        "int8_parameters": 0,
    }
    assert report["compression"] == (4 * weights + 8 * channels) / sum(deployed)
    assert report["plan_bytes"] == program.json("plan", "digits")["total_bytes"]


def test_counts_of_convolutions(program):
    report = program.json("summary", "digits", "-s", f"model={{layers: {LAYERS}}}")
    layers = report["layers"]
    shown = [(layer["name"], layer["kind"], layer["input_bits"]) for layer in layers]
    assert shown == [("conv1", "conv", 8), ("conv2", "conv", 1), ("dense3", "dense", 1)]
    assert [layer["output_shape"] for layer in layers] == [[4, 4, 4], [2, 2, 6], [10]]
    # Taps x input channels x output channels; and that times positions, before any pooling.
    weights, macs = [9 * 1 * 4, 4 * 4 * 6, 2 * 2 * 6 * 10], [8 * 8 * 36, 2 * 2 * 96, 240]
    assert [layer["binary_parameters"] for layer in layers] == weights
    assert [layer["int8_macs"] for layer in layers] == [macs[0], 0, 0]
    assert [layer["binary_macs"] for layer in layers] == [0, *macs[1:]]
    assert [layer["other_parameters"] for layer in layers] == [8, 12, 20]
    deployed = [5 + 4 * 4, 12 + 4 * 6, 30 + 8 * 10]
    assert [layer["deployed_bytes"] for layer in layers] == deployed
    assert report["totals"]["float32_bytes"] == 4 * sum(weights) + 8 * (4 + 6 + 10)
    assert report["plan_bytes"] > 0


def test_published_norm_has_no_gamma(program):
    report = program.json("summary", "digits", "--method", "wang2021")
    assert report["totals"]["other_parameters"] == 256 + 256 + 10


def test_table(program):
    done = program.run("summary", "mlp_mnist_quick", "--threads", 1)
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert max(map(len, lines)) <= 100
    cells = {line.split()[0]: line.split() for line in lines if line}
    assert cells["dense1"] == ["dense1", "8", "256", "200,704", "512", "26,112", "-", "200,704"]
    assert cells["total"] == ["total", "399,872", "2,068", "54,160", "199,168", "200,704"]
    assert cells["deployed"][1:3] == ["52.89", "KiB:"]
    assert "latent W                int8 on +-" in done.stdout


def test_table_of_a_convolutional_network(program):
    done = program.run("summary", "binarynet_cifar10", "--threads", 1)
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert max(map(len, lines)) <= 100
    assert lines[0] == "binarynet: images of 32x32x3 from cifar10"
    cells = {line.split()[0]: line.split() for line in lines if line}
    pixels = f"{1024 * 27 * 128:,}"
    assert cells["conv1"] == ["conv1", "8", "32x32x128", "3,456", "256", "944", "-", pixels]
    signs = f"{1024 * 9 * 128 * 128:,}"
    assert cells["conv2"] == [
        "conv2", "1", "16x16x128", "147,456", "256", "18,944", signs, "-"
    ]  # fmt: skip
    assert cells["dense9"][:4] == ["dense9", "1", "10", "10,240"]
    assert cells["total"][1] == "14,022,016"


def test_table_of_a_residual_network(program):
    done = program.run("summary", "digits", "--set", "model=resnet20", "--threads", 1)
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert max(map(len, lines)) <= 80
    assert lines[2].split() == ["input", "output", "1-bit", "other", "deployed", "1-bit", "real"]
    cells = {line.split()[0]: line.split() for line in lines if line}
    assert cells["conv1"] == ["conv1", "8", "8x8x16", "-", "176", "272", "-", "0.009"]
    assert cells["conv2"] == ["conv2", "1", "8x8x16", "2,304", "32", "416", "0.147", "-"]
    assert cells["dense22"] == ["dense22", "32", "10", "-", "650", "2,600", "-", "0.001"]
    # Real weights: 144 of the stem, 512 and 2048 of the shortcuts, 650 of the last layer.
    totals = program.json("summary", "digits", "--set", "model=resnet20")["totals"]
    assert (totals["real_parameters"], totals["int8_parameters"]) == (3354, 2704)
    assert cells["total"][:3] == ["total", "267,264", f"{3354 + 1568:,}"]
    text = " ".join(done.stdout.split())
    assert "1-bit weights, 2.64 KiB in int8, 2.54 KiB in float32" in text


@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
def test_labels_of_streams_are_what_is_planned(program, method):
    options = ("digits", "--set", "model=resnet20", "--method", method)
    labels = program.json("summary", *options)["representation"]
    buffers = {each["name"]: each for each in program.json("plan", *options)["buffers"]}
    stream, gradient = buffers["conv1.stream"], buffers["conv1.stream_gradient"]
    kind, bits = labels["stream"].split(",")[0], stream["bits"]
    assert kind.endswith(str(bits))
    assert labels["dX, Y"].startswith(f"{kind}, ")
    assert gradient["bits"] == bits
    assert (labels["straight-through mask"] == "1 bit") == ("conv2.mask" in buffers)
    assert ("retained" in labels["stream"]) == ("conv2.stream" in buffers)
    assert labels["dY"].split()[0].endswith(str(buffers["conv2.dY"]["bits"]))
