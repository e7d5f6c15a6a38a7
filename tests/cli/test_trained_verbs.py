"""``evaluate`` and ``predict`` on a real run."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest


def test_evaluate_equals_what_the_run_reported(program, trained):
    run = json.loads((trained / "run.json").read_text())
    last = program.json("evaluate", trained)
    fields = {"test_accuracy", "test_loss", "samples", "checkpoint", "epoch", "data_changed"}
    assert set(last) == fields
    assert last["data_changed"] == []
    assert last["test_accuracy"] == run["test_accuracy"]
    assert last["test_loss"] == run["test_loss"]
    assert (last["samples"], last["checkpoint"], last["epoch"]) == (360, "last", 3)
    best = program.json("evaluate", trained, "--checkpoint", "best")
    assert best["test_accuracy"] == run["best_test_accuracy"]


def test_times_of_a_run_add_up(trained):
    run = json.loads((trained / "run.json").read_text())
    with (trained / "metrics.csv").open(newline="") as file:
        epochs = [float(row["seconds"]) for row in csv.DictReader(file)]
    batches = len(epochs) * (run["train_samples"] // run["batch_size"])
    assert run["seconds_per_batch_mean"] * batches == pytest.approx(sum(epochs), rel=1e-6)
    assert run["seconds_total"] == pytest.approx(sum(epochs), rel=1e-6)
    assert run["seconds_wall"] >= run["seconds_total"]


def test_evaluate_other_splits(program, trained):
    run = json.loads((trained / "run.json").read_text())
    held_out = program.json("evaluate", trained, "--split", "validation", "--checkpoint", "best")
    assert held_out["validation_accuracy"] == run["best_epoch_val_accuracy"]
    assert held_out["epoch"] == run["best_epoch"]
    assert held_out["samples"] == run["validation_samples"]
    assert program.json("evaluate", trained, "--split", "train")["samples"] == run["train_samples"]


def test_evaluate_in_words(program, trained):
    done = program.run("evaluate", trained)
    accuracy = json.loads((trained / "run.json").read_text())["test_accuracy"]
    assert done.stdout.startswith(f"test accuracy {accuracy:.2f} %, loss ")
    assert done.stdout.endswith("(360 samples, last epoch (3))\n")
    assert done.stderr == ""


def test_predict_gives_array_and_picture_the_same_class(program, trained, digit, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow (extra: images) is not installed")
    np.save(tmp_path / "digit.npy", digit)
    image.fromarray(digit).save(tmp_path / "digit.png")
    image.fromarray(255 - digit).save(tmp_path / "ink.png")
    files = [tmp_path / name for name in ("digit.npy", "digit.png")]
    array, picture = program.json("predict", trained, *files)
    (ink,) = program.json("predict", trained, tmp_path / "ink.png", "--invert")
    assert set(array) == {"file", "index", "class", "label", "score", "top"}
    assert array["file"] == str(files[0])
    for other in (picture, ink):
        assert {**other, "file": array["file"]} == array


def test_predict_agrees_with_evaluate(program, trained, tmp_path):
    from bnntrain.data.published import DIGITS_FILE

    with np.load(DIGITS_FILE) as arrays:
        images, labels = arrays["x_test"], arrays["y_test"]
    np.save(tmp_path / "all.npy", images.reshape(-1, 8, 8))
    answers = program.json("predict", trained, tmp_path / "all.npy")
    correct = sum(answer["label"] == label for answer, label in zip(answers, labels, strict=True))
    assert [answer["index"] for answer in answers] == list(range(len(labels)))
    assert 100 * correct / len(labels) == program.json("evaluate", trained)["test_accuracy"]


def test_predict_top(program, trained, digit, tmp_path):
    np.save(tmp_path / "two.npy", np.stack([digit, 255 - digit]))
    answers = program.json("predict", trained, tmp_path / "two.npy", "--top", 3)
    for answer in answers:
        scores = [one["score"] for one in answer["top"]]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
        assert answer["score"] == scores[0]
    everything = program.json("predict", trained, tmp_path / "two.npy", "--top", 99)
    assert sum(one["score"] for one in everything[0]["top"]) == pytest.approx(1, abs=1e-5)
    lines = program.run("predict", trained, tmp_path / "two.npy", "--top", 2).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [f"{tmp_path}/two.npy[{n}]" for n in (0, 1)]
    first = answers[0]["top"][0]
    assert lines[0].split()[1:3] == [first["class"], f"{first['score']:.3f}"]


def test_every_verb_takes_the_last_epoch_and_says_so(program, trained, digit, tmp_path):
    np.save(tmp_path / "digit.npy", digit)
    done = program.run("predict", trained, tmp_path / "digit.npy")
    assert done.stderr == "weights: last epoch (3)\n"
    best = program.run("predict", trained, tmp_path / "digit.npy", "--checkpoint", "best")
    epoch = json.loads((trained / "run.json").read_text())["best_epoch"]
    assert best.stderr == f"weights: best epoch ({epoch})\n"
    assert "(360 samples, best epoch" in program.run(
        "evaluate", trained, "--checkpoint", "best").stdout  # fmt: skip


def test_predict_needs_no_data_set(program, tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 6, 5), dtype=np.uint8)
    labels = np.arange(60, dtype=np.uint8) % 3
    data = tmp_path / "own.npz"
    np.savez(data, x_train=images, y_train=labels, x_test=images, y_test=labels)
    layers = [{"dense": 3}, "batch_norm"]
    (tmp_path / "own.yaml").write_text(
        json.dumps(
            {
                "model": {"layers": layers},
                "data": {"dataset": str(data)},
                "train": {"epochs": 1, "batch_size": 10},
            }
        )
    )
    program.run("fit", tmp_path / "own.yaml", "--run-dir", tmp_path / "run", "-q")
    np.save(tmp_path / "image.npy", images[0])
    before = program.run("predict", tmp_path / "run", tmp_path / "image.npy").stdout
    data.unlink()
    assert program.run("predict", tmp_path / "run", tmp_path / "image.npy").stdout == before


def test_evaluate_says_what_has_changed_since(program, tmp_path):
    """A test part of other images is said; what makes a figure meaningless is refused."""
    images = np.random.default_rng(5).integers(0, 256, (60, 4, 6), np.uint8)
    labels = np.arange(60, dtype=np.uint8) % 3
    data, run = tmp_path / "own.npz", tmp_path / "run"

    def save(train=images, test=images, y=labels):
        np.savez(data, x_train=train, y_train=y, x_test=test, y_test=y)

    save()
    config = {
        "model": {"layers": [{"dense": 3}, "batch_norm"]}, "data": {"dataset": str(data)},
        "train": {"epochs": 1, "batch_size": 10},
    }  # fmt: skip
    (tmp_path / "own.yaml").write_text(json.dumps(config))
    program.run("fit", tmp_path / "own.yaml", "--run-dir", run, "-q")
    save(test=255 - images)
    done = program.run("evaluate", run)
    assert done.stderr == "warning: the test part of the data has changed since this run was made\n"
    assert program.json("evaluate", run)["data_changed"] == ["test"]
    assert program.json("evaluate", run, "--split", "validation")["data_changed"] == ["test"]
    save(train=255 - images)
    assert program.json("evaluate", run)["data_changed"] == ["train"]
    for split in ("train", "validation"):
        line = program.error("evaluate", run, "--split", split)
        assert f"own.npz has changed since, its {split} part too" in line
    save(y=labels % 2)
    assert "was trained on other classes than" in program.error("evaluate", run)
    # A run of an earlier version has the checksum of its training part only.
    save(train=255 - images)
    summary = json.loads((run / "run.json").read_text())
    del summary["data_crc32"]
    (run / "run.json").write_text(json.dumps(summary))
    assert program.json("evaluate", run)["data_changed"] == ["train"]
