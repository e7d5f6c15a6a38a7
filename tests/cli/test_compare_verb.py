"""``bnntrain compare``: two real trainings, faults, and Ctrl-C."""

from __future__ import annotations

import json
import signal

import pytest

QUICK = ("--epochs", 2, "--threads", 1)
# 64-256-256-10 in batches of 50, by the rule in bnntrain/accounting.py.
INPUTS, LARGEST, WEIGHTS, CHANNELS = 50 * 576, 50 * 256, 84_480, 522
PUBLISHED = {
    "standard": 4 * (INPUTS + 2 * LARGEST + 4 * WEIGHTS + 4 * CHANNELS),
    "low_memory": INPUTS // 8 + WEIGHTS // 8 + 2 * (2 * LARGEST + 3 * WEIGHTS + 4 * CHANNELS),
}
CONV = (
    "model={layers: [{conv: 12}, max_pool, batch_norm, sign, flatten, {dense: 10}, batch_norm]}",
    "train.batch_size=20",
)


@pytest.fixture(scope="module")
def compared(program):
    """Both methods on digits: JSON, progress, folder."""
    folder = program.cwd / "compared"
    done = program.run("compare", "digits", *QUICK, "--run-dir", folder, "--json")
    return json.loads(done.stdout), done.stderr, folder


def test_json_is_the_list_of_run_json(compared):
    runs, _, folder = compared
    assert [run["method"] for run in runs] == ["standard", "efficient"]
    for run, published in zip(runs, PUBLISHED.values(), strict=True):
        recorded = json.loads((folder / run["method"] / "run.json").read_text())
        assert run == recorded | {"published_bytes": published}
        assert run["epochs"] == run["epochs_done"] == 2
        plan = json.loads((folder / run["method"] / "plan.json").read_text())
        end = max(buffer["offset"] + buffer["bytes"] for buffer in plan["buffers"])
        assert end <= run["arena_bytes"] < end + 64
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


def test_what_has_finished_is_not_trained_again(program, compared):
    runs, _, folder = compared
    arguments = ("compare", "digits", *QUICK, "--run-dir", folder, "--resume", "--json")
    done = program.run(*arguments)
    assert json.loads(done.stdout) == runs
    assert "epoch" not in done.stderr
    line = program.error(*arguments, "--lr", "0.0005", "-q")
    assert "train.learning_rate" in line


def test_table(program, compared):
    folder = program.cwd / "compared-table"
    settings = ("-s", "train.optimizer.name=adam", "--methods", "wang2021,efficient", "-q")
    done = program.run("compare", "digits", *QUICK, *settings, "--run-dir", folder)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    columns = ["accuracy", "time", "arena", "growth", "sampled", "peak", "paper", "energy"]
    assert lines[0].split() == columns
    assert lines[1].split() == ["method", "%", "ms", *["MiB"] * 5, "J"]
    runs = [json.loads((folder / m / "run.json").read_text()) for m in ("wang2021", "efficient")]
    for line, run in zip(lines[2:4], runs, strict=True):
        cells = line.split()
        assert cells[:2] == [run["method"], f"{run['test_accuracy']:.2f}"]
        assert cells[3] == f"{run['arena_bytes'] / 2**20:.2f}"
        assert cells[4] == f"{(run['rss_peak_bytes'] - run['rss_before_bytes']) / 2**20:.2f}"
        assert cells[5] == f"{run['memory']['sampled_peak_bytes'] / 2**20:.2f}"
        assert cells[6] == f"{run['rss_peak_bytes'] / 2**20:.2f}"
        assert cells[7] == f"{PUBLISHED['low_memory'] / 2**20:.2f}"
        assert cells[8] == "-"
    assert "ratio: wang2021 / efficient" in lines
    seconds, arena, _, _, peak, published, energy = lines[5].removeprefix("ratio ").split()
    for cell, name in ((seconds, "seconds_per_batch"), (arena, "arena_bytes")):
        assert cell == f"{runs[0][name] / runs[1][name]:.2f}x"
    assert peak == f"{runs[0]['rss_peak_bytes'] / runs[1]['rss_peak_bytes']:.2f}x"
    assert (published, energy) == ("1.00x", "-")
    points = runs[1]["test_accuracy"] - runs[0]["test_accuracy"]
    assert lines[-2] == f"accuracy of efficient: {points:+.2f} points against wang2021"
    assert lines[-1] == f"runs: {folder}"
    assert "name: adam" in (folder / "efficient" / "config.yaml").read_text()


def test_convolutions_beside_the_published_formula(program):
    folder = program.cwd / "compared-conv"
    settings = ("-s", CONV[0], "-s", CONV[1])
    planned = program.json("plan", "digits", *settings)["published"]
    # 64 pixels, 192 pooled values; 768 before the pool, in each of four roles or as its mask.
    assert planned["standard"] == 4 * (20 * (256 + 2 * 768 + 768) + 4 * (2028 + 22))
    methods = ("--methods", "standard,wang2021,efficient")
    done = program.run("compare", "digits", *QUICK, *settings, *methods, "--run-dir", folder, "-q")
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()[2:5]}
    sizes = (planned["standard"], planned["low_memory"], planned["low_memory"])
    for row, size in zip(rows.values(), sizes, strict=True):
        assert row[7] == f"{size / 2**20:.2f}"
    assert list(rows) == ["standard", "wang2021", "efficient"]
    ratio = planned["standard"] / planned["low_memory"]
    assert done.stdout.splitlines()[6].split()[-2] == f"{ratio:.2f}x"


@pytest.mark.parametrize(
    ("cells", "published"),
    [({}, "low_memory"), ({"activation": "float32", "mask": "retained"}, "standard")],
)
def test_retained_activations_decide_what_it_is_compared_with(program, cells, published):
    folder = program.cwd / f"compared-{published}"
    settings = [part for key, value in cells.items()
                for part in ("-s", f"representation.{key}={value}")]  # fmt: skip
    arguments = ("--methods", "efficient", *settings, "--run-dir", folder, "-q")
    (run,) = program.json("compare", "digits", *QUICK, *arguments)
    assert run["published_bytes"] == PUBLISHED[published]


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
    out, err = child.communicate(timeout=600)
    assert child.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith(f"Interrupted: {folder}/efficient: ")
    assert json.loads((folder / "efficient" / "run.json").read_text())["status"] == "interrupted"
    assert (folder / "efficient" / "checkpoint" / "last.npz").exists()
    assert not (folder / "standard").exists()


def test_an_interrupted_comparison_goes_on(program):
    folder = program.cwd / "continued"
    arguments = (
        "compare", "digits", "--epochs", 30, "--threads", 1, "--run-dir", folder,
        "--methods", "efficient,wang2021",
    )  # fmt: skip
    child = program.start(*arguments)
    lines = [child.stderr.readline() for _ in range(3)]
    assert lines[2].startswith("epoch  2/30")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=600)
    assert child.returncode == 130
    done = program.run(*arguments, "--resume", "--json")
    assert [run["epochs_done"] for run in json.loads(done.stdout)] == [30, 30]
    assert "epoch  1/30" not in done.stderr.partition("wang2021 (2 of 2)")[0]


def test_progress_that_nobody_reads_any_more(program):
    folder = program.cwd / "compared-unread"
    child = program.start("compare", "digits", "--epochs", 30, "--threads", 1, "--run-dir", folder)
    assert child.stderr.readline() == "standard (1 of 2)\n"
    child.stderr.close()
    assert "runs: " in child.stdout.read()
    assert child.wait(60) == 0
    for method in ("standard", "efficient"):
        assert json.loads((folder / method / "run.json").read_text())["epochs_done"] == 30


def test_comparisons_that_start_together_have_folders_of_their_own(program):
    arguments = ("compare", "digits", "--epochs", 1, "--threads", 1, "--methods", "efficient", "-q")
    children = [program.start(*arguments) for _ in range(2)]
    texts = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    folders = {text.splitlines()[-1] for text in texts}
    assert folders == {f"runs: runs/digits-compare-seed0{suffix}" for suffix in ("", "-2")}


def test_resuming_needs_a_folder(program):
    line = program.error("compare", "digits", "--resume")
    assert line == "UsageError: --resume: which comparison? Give its folder with --run-dir"


def test_ctrl_c_on_a_terminal_is_counted_once(program):
    # Twice would stop the training without a checkpoint.
    folder = program.cwd / "interrupted-terminal"
    arguments = ("compare", "digits", "--epochs", 5000, "--threads", 1, "--run-dir", folder)
    text = program.terminal(*arguments, expect=130, keys=(b"epoch    2/5000", b"\x03"))
    assert "a checkpoint is saved" in text
    assert (folder / "standard" / "checkpoint" / "last.npz").exists()
    assert not (folder / "efficient").exists()


def test_a_killed_child_is_reported():
    from bnntrain.cli.compare import _train
    from bnntrain.errors import BnntrainError

    with pytest.raises(BnntrainError, match=r"standard: .* ended by SIGKILL\. Was memory short\?"):
        _train(["sh", "-c", "kill -9 $$"], "standard")
