"""``bnntrain compare``: two real trainings, faults, and Ctrl-C."""

from __future__ import annotations

import json
import signal

import pytest

QUICK = ("--epochs", 2, "--threads", 1)


@pytest.fixture(scope="module")
def compared(program):
    """Both methods on digits: JSON, progress, folder."""
    folder = program.cwd / "compared"
    done = program.run("compare", "digits", *QUICK, "--run-dir", folder, "--json")
    return json.loads(done.stdout), done.stderr, folder


def test_json_is_the_list_of_run_json(compared):
    runs, _, folder = compared
    assert [run["method"] for run in runs] == ["standard", "efficient"]
    for run in runs:
        assert run == json.loads((folder / run["method"] / "run.json").read_text())
        assert run["epochs"] == run["epochs_done"] == 2
        assert run["arena_bytes"] == run["plan_bytes"]
        assert run["seed"] == 0


def test_progress_is_passed_on(compared):
    lines = compared[1].splitlines()
    assert lines[0] == "standard (1 of 2)"
    assert lines[1].startswith("epoch 1/2")
    assert lines[3] == "efficient (2 of 2)"
    assert len(lines) == 6


def test_runs_that_exist_are_refused_before_any_training(program, compared):
    _, _, folder = compared
    before = sorted(folder.rglob("*"))
    line = program.error("compare", "digits", *QUICK, "--run-dir", folder)
    assert line == f"RunError: {folder}/standard: exists already. Give another --run-dir"
    line = program.error(
        "compare", "digits", *QUICK, "--run-dir", folder, "--methods", "wang2021,efficient"
    )
    assert line == f"RunError: {folder}/efficient: exists already. Give another --run-dir"
    assert sorted(folder.rglob("*")) == before


def test_table(program, compared):
    folder = program.cwd / "compared-table"
    settings = ("-s", "train.optimizer.name=adam", "--methods", "wang2021,efficient", "-q")
    done = program.run("compare", "digits", *QUICK, *settings, "--run-dir", folder)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[1].split() == ["method", "%", "ms/batch", "MiB", "MiB", "MiB", "J/batch"]
    runs = [json.loads((folder / m / "run.json").read_text()) for m in ("wang2021", "efficient")]
    for line, run in zip(lines[2:4], runs, strict=True):
        cells = line.split()
        assert cells[:2] == [run["method"], f"{run['test_accuracy']:.2f}"]
        assert cells[3] == f"{run['arena_bytes'] / 2**20:.2f}"
        assert cells[6] == "-"
    assert lines[5].startswith("wang2021 / efficient")
    ratio = runs[0]["arena_bytes"] / runs[1]["arena_bytes"]
    assert f"{ratio:.2f}x" in lines[5]
    assert lines[-1] == f"runs: {folder}"
    assert "name: adam" in (folder / "efficient" / "config.yaml").read_text()


def test_a_childs_error_is_passed_on(program):
    folder = program.cwd / "no-data"
    line = program.error("compare", "mlp_mnist_quick", "--run-dir", folder, "-q")
    assert line.startswith("DataError: ")
    assert "data set 'mnist' not found" in line
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits", "--methods", "standard,eficient"), "'eficient' is none of standard, wang2021"),
        (("digits", "--methods", "efficient,efficient"), "a method is named twice"),
        (("digits", "--methods", ""), "'' is none of standard"),
        (("digits", "-s", "method=standard"), "Give --methods instead"),
        (("digits", "--lr", "0.9"), "train.learning_rate"),
        (("digits", "-s", "representation.momentum=int8"), "representation.momentum"),
        (("nothing",), "no such shipped configuration"),
    ],
)
def test_faults_are_found_before_any_training(program, arguments, message):
    folder = program.cwd / "faults"
    assert message in program.error("compare", *arguments, "--run-dir", folder)
    assert not folder.exists()


def test_ctrl_c_saves_a_checkpoint_and_stops(program):
    folder = program.cwd / "interrupted"
    child = program.start(
        "compare", "digits", "--epochs", 5000, "--threads", 1, "--run-dir", folder,
        "--methods", "efficient,standard",
    )  # fmt: skip
    assert child.stderr.readline() == "efficient (1 of 2)\n"
    assert child.stderr.readline().startswith("epoch    1/5000")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith(f"Interrupted: {folder}/efficient: ")
    assert json.loads((folder / "efficient" / "run.json").read_text())["status"] == "interrupted"
    assert (folder / "efficient" / "checkpoint" / "last.npz").exists()
    assert not (folder / "standard").exists()


def test_ctrl_c_on_a_terminal_is_counted_once(program):
    # Twice would stop the training without a checkpoint.
    folder = program.cwd / "interrupted-terminal"
    arguments = ("compare", "digits", "--epochs", 5000, "--threads", 1, "--run-dir", folder)
    text = program.terminal(*arguments, expect=130, keys=(b"epoch    2/5000", b"\x03"))
    assert "interrupted; a checkpoint is saved" in text
    assert (folder / "standard" / "checkpoint" / "last.npz").exists()
    assert not (folder / "efficient").exists()


def test_a_killed_child_is_reported():
    from bnntrain.cli.compare import _train
    from bnntrain.errors import BnntrainError

    with pytest.raises(BnntrainError, match=r"standard: .* ended by SIGKILL\. Was memory short\?"):
        _train(["sh", "-c", "kill -9 $$"], "standard")
