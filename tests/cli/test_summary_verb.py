"""``bnntrain summary``: every figure counted by hand for the digits network 64-256-256-10."""

from __future__ import annotations


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
    }
    assert report["compression"] == (4 * weights + 8 * channels) / sum(deployed)
    assert report["plan_bytes"] == program.json("plan", "digits")["total_bytes"]


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
