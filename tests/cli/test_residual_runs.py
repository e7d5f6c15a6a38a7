"""Residual networks through the command line: trained, measured, packed, interrupted."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

BLOCKS = (
    "{repeat: {times: 2, layers: [{residual: {layers: [sign, {conv: 12}, batch_norm]}}]}}, "
    "{residual: {shortcut: [avg_pool, {conv: {channels: 20, kernel: 1, weights: real}}, "
    "batch_norm], layers: [sign, {conv: {channels: 20, stride: 2}}, batch_norm]}}"
)
POOL = "{max_pool: {size: 3, stride: 2, padding: same}}"
# How it begins; the pooled ones as networks for large images do.
BEGINNINGS = {
    "plain": "{conv: {channels: 12, weights: real}}, batch_norm",
    "pooled": f"{{conv: {{channels: 12, weights: real}}}}, batch_norm, relu, {POOL}, batch_norm",
}
HEAD = "relu, global_avg_pool, {dense: {units: classes, weights: real}}"


def options(beginning="plain"):
    layers = f"[{BEGINNINGS[beginning]}, {BLOCKS}, {HEAD}]"
    return "digits", "-s", f"model={{name: small, layers: {layers}}}", "-s", "train.seed=3"


def fit(program, folder, *arguments, beginning="plain", epochs=3):
    program.run(
        "fit", *options(beginning), "--epochs", epochs, "--run-dir", folder, "-q", *arguments
    )
    return summary(folder)


def summary(folder):
    return json.loads((folder / "run.json").read_text())


@pytest.fixture(scope="module")
def residual(program):
    """A run folder."""
    folder = program.cwd / "residual"
    fit(program, folder, "--threads", 1)
    return folder


@pytest.fixture(scope="module")
def packed(program, residual):
    """The run in a file."""
    file = residual.with_name("residual.bnn")
    program.run("export", residual, "-o", file)
    return file


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
def test_every_beginning_and_method_trains_within_its_plan(program, tmp_path, beginning, method):
    given = ("--method", method, "--threads", 1)
    planned = program.json("plan", *options(beginning), *given)
    run = fit(program, tmp_path / "run", *given, beginning=beginning)
    assert run["arena_bytes"] == planned["total_bytes"]
    assert run["test_accuracy"] > 25  # of ten digits
    found = program.json("evaluate", tmp_path / "run")
    assert found["test_accuracy"] == run["test_accuracy"]
    program.run("export", tmp_path / "run", "-o", tmp_path / "run.bnn")
    packed = program.json("evaluate", tmp_path / "run.bnn")
    assert packed["test_accuracy"] == run["test_accuracy"]
    assert packed["test_loss"] == found["test_loss"]


def test_weights_do_not_depend_on_threads_and_instruction_set(program, residual, tmp_path):
    other = fit(program, tmp_path / "threads", "--threads", 3)
    program.run(
        "fit", *options(), "--epochs", 3, "--run-dir", tmp_path / "isa", "-q",
        BNNTRAIN_ISA="portable",
    )  # fmt: skip
    found = {run["weights_sha256"] for run in (summary(residual), other, summary(tmp_path / "isa"))}
    assert len(found) == 1


def test_a_file_has_the_weights_and_scores_of_the_run(program, residual, packed, tmp_path, digit):
    content = packed.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    sha256 = summary(residual)["weights_sha256"]
    assert header["__metadata__"]["weights_sha256"] == sha256
    np.save(tmp_path / "digit.npy", digit)
    given = tmp_path / "digit.npy"
    answers = [program.json("predict", model, given) for model in (residual, packed)]
    assert answers[0] == answers[1]
    for split in ("train", "validation", "test"):
        found = [program.json("evaluate", model, "--split", split) for model in (residual, packed)]
        for each in (f"{split}_accuracy", f"{split}_loss", "samples"):
            assert found[0][each] == found[1][each]


def test_a_picture_of_another_size(program, residual, packed, digit, tmp_path):
    image = pytest.importorskip("PIL.Image")
    large = np.repeat(np.repeat(digit, 5, axis=0), 7, axis=1)
    image.fromarray(large.astype(np.uint8)).save(tmp_path / "large.png")
    given = tmp_path / "large.png"
    answers = [program.json("predict", model, given) for model in (residual, packed)]
    assert answers[0] == answers[1]
    assert "error" not in answers[0][0]


def test_latency(program, residual, packed):
    for model in (residual, packed):
        found = program.json("bench", "--latency", model, "--threads", 1)
        assert found["model_bytes"] == packed.stat().st_size
        assert found["seconds_per_image"] > 0
        assert found["gmac_per_image"] > 0
        assert 0 < found["arena_bytes"] < summary(residual)["arena_bytes"]


def test_a_step_is_measured_by_layer(program):
    report = program.json("bench", "--step", *options(), "--threads", 1)
    layers = {row["layer"] for row in report["kernels"] if row["gmac_per_s"]}
    assert layers == {"conv1", "conv2", "conv3", "conv4", "conv5", "dense6"}


def test_two_methods_beside_each_other(program, tmp_path):
    given = ("--epochs", 1, "--threads", 1, "--run-dir", tmp_path / "two")
    standard, efficient = program.json("compare", *options(), *given)
    assert [run["method"] for run in (standard, efficient)] == ["standard", "efficient"]
    assert standard["status"] == efficient["status"] == "finished"
    assert efficient["weights_sha256"] != standard["weights_sha256"]


def test_a_page(program, residual):
    program.run("report", residual)
    assert "small" in (residual / "report.html").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_and_resumed_gives_the_same_weights(program, tmp_path, number):
    whole = fit(program, tmp_path / "whole", epochs=6)
    folder = tmp_path / "stopped"
    child = program.start("fit", *options(), "--epochs", 6, "--run-dir", folder)
    assert child.stderr.readline().startswith("epoch ")
    child.send_signal(number)
    child.communicate()
    program.run("fit", "--resume", folder, "--threads", 2, "-q")
    assert summary(folder)["weights_sha256"] == whole["weights_sha256"]
