"""Sets of more than 256 classes through every verb that meets their labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

LAYERS = "[{dense: 32}, batch_norm, sign, {dense: classes}, batch_norm]"


@pytest.fixture(scope="module")
def config(program):
    """A function that writes a small configuration of a data set; returns its path."""

    def write(data_set):
        path = program.cwd / f"{data_set.name}.yaml"
        path.write_text(
            f"data:\n  dataset: {data_set}\n  validation_fraction: 0\n"
            f"model:\n  name: small\n  layers: {LAYERS}\n"
            "train:\n  epochs: 2\n  batch_size: 50\n  seed: 1\n"
        )
        return path

    return write


def thousand_classes(program):
    """Write four 4x4 images of each of 1000 classes to train and one to test; return the path."""
    random = np.random.default_rng(3)
    of_class = random.integers(0, 256, (1000, 4, 4))
    labels = np.tile(np.arange(1000), 4)
    noisy = np.clip(of_class[labels] + random.normal(0, 20, (4000, 4, 4)), 0, 255).astype(np.uint8)
    path = program.cwd / "thousand.npz"
    np.savez(
        path, x_train=noisy, y_train=labels,
        x_test=of_class.astype(np.uint8), y_test=np.arange(1000),
    )  # fmt: skip
    return path


def test_an_archive_of_1000_classes(program, config):
    data_set = thousand_classes(program)
    (report,) = program.json("data", "check", data_set)
    assert report["test"]["labels"] == [1] * 1000
    run = program.cwd / "thousand_run"
    trained = program.run("fit", config(data_set), "--threads", 1, "--run-dir", run, "-q")
    assert trained.stderr == ""
    summary = json.loads((run / "run.json").read_text())
    assert summary["classes"][-1] == "999"
    # Of a thousand classes, one in a thousand would be right by chance.
    assert summary["test_accuracy"] > 5
    assert program.json("evaluate", run)["test_accuracy"] == summary["test_accuracy"]
    images = program.cwd / "images.npy"
    np.save(images, np.load(data_set)["x_test"])
    answers = program.json("predict", run, images)
    assert len(answers) == 1000
    right = sum(answer["label"] == number for number, answer in enumerate(answers))
    assert 100 * right / 1000 == summary["test_accuracy"]
    assert max(answer["label"] for answer in answers) > 255
    np.save(images, np.load(images)[:1])
    (answer,) = program.json("predict", run, images, "--top", 2000)
    assert sorted(one["label"] for one in answer["top"]) == list(range(1000))
    assert sum(one["score"] for one in answer["top"]) == pytest.approx(1, abs=1e-5)


def test_a_folder_of_300_classes(program, config):
    image = pytest.importorskip("PIL.Image", reason="Pillow (extra: images) is not installed")
    random = np.random.default_rng(4)
    folder = program.cwd / "three_hundred"
    for number in range(300):
        (folder / f"kind {number:03}").mkdir(parents=True)
        values = random.integers(0, 256, (8, 8), np.uint8)
        for name in ("a", "b"):
            image.fromarray(values).save(folder / f"kind {number:03}" / f"{name}.png")
    lines = program.run("data", "check", folder).stdout.splitlines()
    assert lines[-1].split() == ["kind", "299", "1", "1"]
    run = program.cwd / "three_hundred_run"
    program.run("fit", config(folder), "--epochs", 12, "--threads", 1, "--run-dir", run, "-q")
    summary = json.loads((run / "run.json").read_text())
    assert len(summary["classes"]) == 300
    assert program.json("evaluate", run)["test_accuracy"] == summary["test_accuracy"] > 5
    shown = program.run("predict", run, folder / "kind 299" / "a.png", "--top", 3).stdout.split()
    # The file's folder, and three classes.
    assert shown.count("kind") + shown[0].endswith("kind") == 4
    # It goes on with the converted form, labels of two bytes and all.
    longer = program.run("fit", "--resume", run, "--epochs", 13, "-q")
    assert longer.stderr == ""
