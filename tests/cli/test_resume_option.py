"""``--resume``: with a folder, with a configuration, alone; and runs that start together."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys

import pytest

FEW = ("--epochs", 2, "--threads", 1)


@pytest.fixture
def elsewhere(program, tmp_path, monkeypatch):
    """The program in an empty working directory."""
    monkeypatch.setattr(program, "cwd", tmp_path)
    return program


def interrupted(program, *arguments):
    """Start a run and interrupt it after its first epoch; return how it ended."""
    child = program.start("fit", "digits", *arguments)
    child.stderr.readline()
    child.send_signal(signal.SIGINT)
    err = child.communicate(timeout=60)[1]
    assert child.returncode == 130, err
    return err.splitlines()[-1]


def test_a_run_goes_on_from_its_folder_alone(elsewhere):
    options = ("--epochs", 400, "--threads", 1, "--batch-size", 80, "-s", "data.augment.shift=0.1")
    line = interrupted(elsewhere, *options, "--run-dir", "a")
    assert line.endswith("a: a checkpoint is saved. Continue with 'bnntrain fit --resume a'")
    done = elsewhere.json("fit", "--resume", "a", "-q")
    whole = elsewhere.json("fit", "digits", *options, "--run-dir", "b", "-q")
    assert done["weights_sha256"] == whole["weights_sha256"]
    # The folder may stand behind --run-dir, and the configuration anywhere.
    for arguments in (("--run-dir", "a", "--resume"), ("digits", *options, "--resume", "a"),
                      ("--resume", "digits", *options, "--run-dir", "a")):  # fmt: skip
        assert elsewhere.json("fit", *arguments, "-q") == done


def test_a_finished_run_is_made_longer(elsewhere):
    elsewhere.run("fit", "digits", *FEW, "--run-dir", "a", "-q")
    done = elsewhere.run("fit", "--resume", "a", "--epochs", 3)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("extended from 2 to 3 epochs: the cosine rate of the new length")
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "resuming in epoch 3 of 3, batch 1 of 25", "epoch 3/3",
    ]  # fmt: skip
    assert "last epoch (3)" in done.stdout


def test_the_newest_unfinished_run_of_a_configuration(elsewhere):
    line = elsewhere.error("fit", "digits", *FEW, "--resume")
    assert line.startswith("RunError: runs: holds no run of this configuration. ")
    elsewhere.run("fit", "digits", *FEW, "-q")
    interrupted(elsewhere, "--epochs", 400, "--threads", 1)
    interrupted(elsewhere, "--epochs", 400, "--threads", 1, "--batch-size", 80)
    names = {path.name for path in (elsewhere.cwd / "runs").iterdir()}
    assert names == {f"digits-efficient-seed0{suffix}" for suffix in ("", "-2", "-3")}
    line = elsewhere.error("fit", "digits", "--epochs", 400, "--batch-size", 20, "--resume")
    assert "runs/digits-efficient-seed0-3: train.batch_size: 80 there, now 20" in line
    done = elsewhere.run("fit", "digits", "--epochs", 400, "--resume", "--threads", 1)
    assert done.stderr.startswith("resuming runs/digits-efficient-seed0-2\nresuming in epoch ")
    assert done.stdout.endswith("run: runs/digits-efficient-seed0-2\n")
    # With none left to finish, what has finished is reported.
    done = elsewhere.run("fit", "--resume", "digits", *FEW)
    assert done.stderr == "resuming runs/digits-efficient-seed0\n"


def test_a_run_that_another_process_trains_is_left_alone(elsewhere):
    child = elsewhere.start("fit", "digits", "--epochs", 5000, "--threads", 1)
    child.stderr.readline()
    line = elsewhere.error("fit", "digits", "--epochs", 5000, "--resume")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert "runs/digits-efficient-seed0: is in use by another bnntrain" in line


def test_runs_that_start_together_have_folders_of_their_own(elsewhere):
    children = [elsewhere.start("fit", "digits", *FEW, "--json", "-q") for _ in range(3)]
    texts = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len({json.loads(text)["weights_sha256"] for text in texts}) == 1
    names = {path.name for path in (elsewhere.cwd / "runs").iterdir()}
    assert names == {f"digits-efficient-seed0{suffix}" for suffix in ("", "-2", "-3")}


def test_a_run_that_cannot_start_leaves_no_folder(elsewhere):
    elsewhere.error("fit", "mlp_mnist_quick")
    assert not (elsewhere.cwd / "runs").exists()


def test_a_folder_of_a_like_name_is_named(elsewhere, trained):
    shutil.copytree(trained, elsewhere.cwd / "runs" / "digits-a")
    for arguments in (("fit", "--resume"), ("evaluate",)):
        line = elsewhere.error(*arguments, "digits-b")
        assert "no such run folder. Did you mean 'runs/digits-a'?" in line


@pytest.mark.parametrize("moment", range(12))
def test_ctrl_c_while_the_program_is_imported(program, moment, tmp_path):
    # The entry imports one thing after the other: here each of some imports is interrupted.
    script = (
        "import sys, _signal\n"
        "left = [int(sys.argv.pop(1))]\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        left[0] -= 1\n"
        "        if left[0] < 0: _signal.raise_signal(_signal.SIGINT)\n"
        "from bnntrain.__main__ import main\n"
        "_signal.signal(_signal.SIGINT, _signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(moment * 9), "fit", "digits", "--run-dir",
         str(tmp_path / "run")],
        capture_output=True, text=True, check=False, env=program.environment,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert done.stderr.startswith("Interrupted: stopped at once. ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
