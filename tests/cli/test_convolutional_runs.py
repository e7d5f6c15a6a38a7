"""Convolutional networks through the command line: every place of the max-pool, every method."""

from __future__ import annotations

import json

import pytest

POOLS = {
    "none": "{conv: 12}, batch_norm, sign",
    "before_norm": "{conv: 12}, max_pool, batch_norm, sign",
    "average_before_norm": "{conv: 12}, avg_pool, batch_norm, sign",
    "before_sign": "{conv: 12}, batch_norm, max_pool, sign",
    "after_sign": "{conv: 12}, batch_norm, sign, max_pool",
}
SECOND = "{conv: {channels: 20, kernel: 2, stride: 2, padding: valid}}, batch_norm, sign"


def model(pool):
    return f"model={{layers: [{POOLS[pool]}, {SECOND}, flatten, {{dense: 10}}, batch_norm]}}"


def fit(program, folder, *options):
    program.run("fit", "digits", "--epochs", 2, "--run-dir", folder, "-q", *options)
    return json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize(
    ("pool", "method"),
    [
        ("none", "standard"), ("before_norm", "wang2021"), ("before_sign", "standard"),
        ("after_sign", "wang2021"), ("before_norm", "efficient"), ("after_sign", "efficient"),
        ("average_before_norm", "efficient"), ("average_before_norm", "wang2021"),
    ],
)  # fmt: skip
def test_every_pooling_and_method_trains_within_its_plan(program, tmp_path, pool, method):
    options = ("-s", model(pool), "--method", method, "--threads", 1)
    planned = program.json("plan", "digits", *options)
    run = fit(program, tmp_path / "run", *options)
    assert run["status"] == "finished"
    assert run["arena_bytes"] == planned["total_bytes"]
    assert run["test_accuracy"] > 25  # of ten digits
    found = program.json("evaluate", tmp_path / "run")
    assert found["test_accuracy"] == run["test_accuracy"]


def test_weights_do_not_depend_on_threads(program, tmp_path):
    options = ("-s", model("before_norm"))
    runs = [
        fit(program, tmp_path / f"run{threads}", *options, "--threads", threads)
        for threads in (1, 2, 3)
    ]
    assert len({run["weights_sha256"] for run in runs}) == 1


def test_a_run_folder_holds_every_option_of_its_layers(program, tmp_path):
    fit(program, tmp_path / "run", "-s", model("before_norm"))
    shown = program.json("config", "show", tmp_path / "run" / "config.yaml")
    convs = [layer["conv"] for layer in shown["model"]["layers"] if "conv" in layer]
    assert convs == [
        {"channels": 12, "kernel": 3, "stride": 1, "padding": "same"},
        {"channels": 20, "kernel": 2, "stride": 2, "padding": "valid"},
    ]


def test_a_step_is_measured_by_layer(program):
    report = program.json("bench", "--step", "digits", "-s", model("after_sign"), "--threads", 1)
    speeds = {row["layer"] for row in report["kernels"] if row["gmac_per_s"]}
    assert speeds == {"conv1", "conv2", "dense3"}
