"""``representation`` among a layer's options, from the command line: every verb that meets it."""

from __future__ import annotations

import json

import pytest

LAYERS = (
    "[{dense: {units: 32, representation: {latent: int16}}}, batch_norm, sign,"
    " {dense: {units: 16, representation: {activation: float32, mask: retained}}}, batch_norm,"
    " sign, {dense: {units: classes, representation: {%s}}}, batch_norm]"
)
LAST = "norm: l1-binary, weight_gradient: sign"
SHORT = ("--epochs", 2, "--threads", 2, "-q")


def options(last=LAST):
    """Options that put the layers into a configuration."""
    return "-s", f"model={{name: mixed, layers: {LAYERS % last}}}"


@pytest.fixture(scope="module")
def trained(program, tmp_path_factory):
    """Folder and result of a run."""
    folder = tmp_path_factory.mktemp("mixed") / "run"
    return folder, program.json("fit", "digits", *options(), *SHORT, "--run-dir", folder)


def test_summary_says_what_is_held_otherwise(program):
    report = program.json("summary", "digits", *options())
    assert report["layer_representation"] == {
        "dense1": {"weight_gradient": "sign", "latent": "int16", "optimizer": "sign-momentum"},
        "dense2": {"activation": "float32", "mask": "retained"},
        "dense3": {"norm": "l1-binary", "weight_gradient": "sign", "optimizer": "sign-momentum"},
    }
    # Those of the run stay what they are; the layer without gamma has none.
    plain = program.json("summary", "digits")
    assert plain["layer_representation"] == {}
    assert report["representation"] == plain["representation"]
    assert [layer["other_parameters"] for layer in report["layers"]] == [64, 32, 10]
    text = " ".join(program.run("summary", "digits", *options()).stdout.split())
    assert "in dense1 weight_gradient sign, latent int16, optimizer sign-momentum" in text
    assert "in dense2 activation float32, mask retained" in text


def test_plan_shows_it_in_the_buffers(program):
    plan = program.json("plan", "digits", *options(), "--threads", 1)
    bits = {each["name"]: each["bits"] for each in plan["buffers"]}
    assert [bits[f"dense{number}.latent"] for number in (1, 2, 3)] == [16, 8, 8]
    assert [bits[f"dense{number}.X_out"] for number in (1, 2)] == [1, 32]
    assert "dense2.gamma" in bits
    assert "dense3.gamma" not in bits
    assert plan["plan"]["configured"] == plan["total_bytes"]
    assert plan["plan"]["efficient"] < plan["total_bytes"]
    assert "configured" in program.run("plan", "digits", *options()).stdout


def test_what_is_shown_is_the_same_configuration(program, tmp_path):
    shown = program.run("config", "show", "digits", *options()).stdout
    assert "      representation:\n        latent: int16\n" in shown
    (tmp_path / "shown.yaml").write_text(shown)
    assert program.run("config", "show", tmp_path / "shown.yaml").stdout == shown


def test_a_run_of_it_is_what_was_planned(program, trained):
    folder, run = trained
    assert run["arena_bytes"] == run["plan_bytes"]
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["total_bytes"] == run["arena_bytes"]
    assert run["test_accuracy"] > 40


def test_it_goes_on_and_to_the_same_weights(program, trained, tmp_path):
    _, whole = trained
    first = ("fit", "digits", *options(), "--threads", 1, "-q", "-s", "train.schedule=constant")
    program.run(*first, "--epochs", 1, "--run-dir", tmp_path / "a")
    longer = program.json("fit", "--resume", tmp_path / "a", "--epochs", 2, "-q")
    at_once = program.json(*first, "--epochs", 2, "--run-dir", tmp_path / "b")
    assert longer["weights_sha256"] == at_once["weights_sha256"] != whole["weights_sha256"]


def test_other_cells_of_a_layer_are_another_configuration(program, trained):
    folder, _ = trained
    for last in ("norm: l1", ""):
        line = program.error("fit", "digits", *options(last), *SHORT, "--resume", folder)
        assert line.endswith(
            "config.yaml: model.layers: another list there. Resume without changing options"
        )
    again = program.json("fit", "digits", *options(), *SHORT, "--resume", folder)
    assert again["weights_sha256"] == trained[1]["weights_sha256"]


def test_a_packed_model_knows_nothing_of_it(program, trained, tmp_path):
    folder, run = trained
    program.run("export", folder, "-o", tmp_path / "model.bnn")
    content = (tmp_path / "model.bnn").read_bytes()
    assert b"representation" not in content
    assert run["weights_sha256"].encode() in content
    from_file = program.json("evaluate", tmp_path / "model.bnn")
    from_run = program.json("evaluate", folder)
    assert from_file["test_accuracy"] == from_run["test_accuracy"] == run["test_accuracy"]
    assert from_file["test_loss"] == from_run["test_loss"]


def test_what_has_no_kernel_is_refused_before_anything_is_made(program, tmp_path):
    faulty = options("latent: int16, gradient: float16")
    fit = ("fit", "--run-dir", tmp_path / "run")
    for verb in (("config", "show"), ("summary",), ("plan",), fit):
        line = program.error(*verb, "digits", *faulty)
        assert line.startswith(
            "ConfigError: override: model.layers[6].dense.representation.gradient: float16 has no "
            "kernel with int8 in another layer: "
        )
    assert not (tmp_path / "run").exists()


def test_methods_are_compared_with_it(program, tmp_path):
    runs = program.json(
        "compare", "digits", *options("norm: l1"), "--epochs", 1, "-q", "--run-dir", tmp_path / "c"
    )
    assert [run["method"] for run in runs] == ["standard", "efficient"]
    program.run("report", tmp_path / "c")
    assert (tmp_path / "c" / "report.html").stat().st_size > 10_000
