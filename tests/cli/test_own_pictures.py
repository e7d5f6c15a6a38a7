"""From a folder of photographs to predictions, as the README says, and what may go wrong."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from preloaded import Preloaded

from bnntrain.config import config_digest, load_config

Image = pytest.importorskip("PIL.Image", reason="Pillow (extra: images) is not installed")
CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder of 45 photographs of three classes, upright and lying, of two sizes."""
    folder = tmp_path_factory.mktemp("own") / "my_photos"
    random = np.random.default_rng(1)
    sizes = [(64, 48), (48, 64), (102, 77), (77, 102)]
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(15):
            values = random.integers(0, 120, (*sizes[number % 4], 3), np.uint8)
            values[..., 2 - label] += 100
            Image.fromarray(values).save(folder / name / f"IMG_{number:03}.jpg", quality=90)
    return folder


@pytest.fixture(scope="module")
def run(program, photos):
    """Return a run on them, by the shipped configuration with fewer epochs."""
    folder = program.cwd / "photos_run"
    program.run(
        "fit", "photos", "--set", f"data.dataset={photos}", "--set", "data.image_size=16",
        "--epochs", 20, "--batch-size", 8, "--threads", 1, "--run-dir", folder, "-q",
    )  # fmt: skip
    return folder


def test_photographs_are_learnt_and_named(program, photos, run):
    summary = json.loads((run / "run.json").read_text())
    assert summary["classes"] == list(CLASSES)
    assert summary["preprocessing"] == {"shape": [16, 16, 3], "resize": "crop"}
    assert (summary["train_samples"] + summary["validation_samples"], summary["test_samples"]) == (
        36, 9,
    )  # fmt: skip
    assert summary["test_accuracy"] > 60
    answers = program.json("predict", run, photos)
    assert [answer["file"] for answer in answers] == [str(p) for p in sorted(photos.rglob("*.jpg"))]
    right = sum(answer["class"] in answer["file"] for answer in answers)
    assert right > 0.6 * len(answers)
    assert program.json("evaluate", run)["samples"] == 9


def test_a_finished_run_resumes_with_the_same_options(program, photos, run):
    program.run(
        "fit", "photos", "--set", f"data.dataset={photos}", "--set", "data.image_size=16",
        "--epochs", 20, "--batch-size", 8, "--threads", 1, "--run-dir", run, "--resume", "-q",
    )  # fmt: skip


def test_a_bad_picture_costs_its_own_answer(program, photos, run, tmp_path):
    good = photos / "red" / "IMG_000.jpg"
    (tmp_path / "bad.jpg").write_bytes(good.read_bytes()[:400])
    done = program.run("predict", run, good, tmp_path / "bad.jpg", "none.png", good, expect=2)
    assert len(done.stdout.splitlines()) == 2
    weights, *lines = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["DataError"] * 2
    assert weights.startswith("weights: ")
    assert "bad.jpg: truncated or damaged" in lines[0]
    assert "none.png: no such file" in lines[1]
    answers = program.json("predict", run, good, tmp_path / "bad.jpg", expect=2)
    assert ["error" in answer for answer in answers] == [False, True]


def test_what_is_no_file_is_never_waited_for(program, photos, run, tmp_path):
    good = tmp_path / "a" / "good.jpg"
    good.parent.mkdir()
    good.write_bytes((photos / "red" / "IMG_000.jpg").read_bytes())
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    os.mkfifo(tmp_path / "a" / "pipe.npy")
    done = program.run("predict", run, tmp_path, "/dev/zero", expect=2)
    (row,) = done.stdout.splitlines()
    assert row.split()[0] == str(good)
    assert done.stderr.count("not a regular file") == 3
    assert "a/pipe.jpg: a folder" not in done.stderr
    line = program.error("data", "check", tmp_path / "a" / "pipe.jpg")
    assert line.startswith("DataError: ")


def test_an_empty_name_is_refused(program, run):
    assert "a FILE has an empty name" in program.error("predict", run, "a.jpg", "")


def test_what_may_not_be_read_costs_its_own_answer(
    program, photos, run, tmp_path, permissions_bind
):
    content = (photos / "red" / "IMG_000.jpg").read_bytes()
    for name in ("shut/1.jpg", "open/2.jpg", "shut.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "shut").chmod(0)
    (tmp_path / "shut.jpg").chmod(0)
    files = map(str, (run, tmp_path, tmp_path / "shut.jpg"))
    try:
        with Preloaded(program.environment) as preloaded:
            code, out, err = preloaded.run(
                ["predict", *files], tmp_path, program.environment, is_bound=True
            )
    finally:
        (tmp_path / "shut").chmod(0o700)
    assert code == 2
    (row,), err = out.decode().splitlines(), err.decode()
    assert row.split()[0] == str(tmp_path / "open" / "2.jpg")
    faults = [line for line in err.splitlines() if line.startswith("DataError")]
    assert len(faults) == 3
    assert all("Permission denied" in line and "Check its permissions" in line for line in faults)


def test_a_name_stays_on_its_line(program, photos, run, tmp_path):
    path = tmp_path / "a\nb\x1b[31m.jpg"
    path.write_bytes((photos / "red" / "IMG_000.jpg").read_bytes())
    (row,) = program.run("predict", run, path).stdout.splitlines()
    assert row.split()[0] == str(tmp_path / r"a\nb\x1b[31m.jpg")


def test_of_an_animation_the_first_picture_counts(program, run, tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in CLASSES]
    frames[0].save(tmp_path / "all.gif", save_all=True, append_images=frames[1:])
    done = program.run("predict", run, tmp_path, tmp_path / "all.gif")
    _, note = done.stderr.splitlines()
    assert note.startswith("note: only the first picture counts of several in ")
    assert note.endswith("all.gif and 1 more")
    assert len(program.json("predict", run, tmp_path)) == 1


def test_rows_are_printed_as_they_come(program, photos, run):
    """An answer is there before the next picture has been read."""
    paths = sorted(photos.rglob("*.jpg"))[:1]
    child = subprocess.Popen(
        program.command("predict", run, *paths, "-"), cwd=program.cwd, env=program.environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout.readline().split()[0].decode() == str(paths[0])
        out, err = child.communicate(paths[0].read_bytes())
    finally:
        child.kill()
    assert out.startswith(b"- ")
    assert err.startswith(b"weights: last epoch (20)")


def test_standard_input(program, photos, run):
    path = photos / "blue" / "IMG_003.jpg"
    done = subprocess.run(
        program.command("predict", run, "-", "--json"), input=path.read_bytes(),
        cwd=program.cwd, env=program.environment, capture_output=True, check=True,
    )  # fmt: skip
    (answer,) = json.loads(done.stdout)
    (same,) = program.json("predict", run, path)
    assert (answer["file"], answer["score"]) == ("-", same["score"])


def test_without_resizing_another_size_is_refused(program, photos, run):
    line = program.error("predict", run, photos / "red" / "IMG_000.jpg", "--no-resize")
    assert "64x48 pixels (height x width), expected 16x16. Give --resize" in line


def test_a_configuration_for_a_folder(program, photos, tmp_path):
    file = tmp_path / "mine.yaml"
    done = program.run("config", "init", "--data", photos, file)
    assert f"bnntrain fit {file}" in done.stdout
    text = file.read_text()
    assert "# 3 classes: blue, green, red." in text
    assert "image_size: 48" in text
    shown = program.json("plan", file, "-s", "train.threads=1")
    assert shown["buffers"]
    assert "exists already" in program.error("config", "init", "--data", photos, file)
    assert "unknown data set" in program.error("config", "init", "--data", "nothing", "x.yaml")
    assert "FILE is missing" in program.error("config", "init")


def test_check_names_bad_pictures(program, photos, tmp_path):
    for name in CLASSES[:2]:
        (tmp_path / name).mkdir()
        content = (photos / name / "IMG_000.jpg").read_bytes()
        for number in range(3):
            (tmp_path / name / f"{number}.jpg").write_bytes(content)
    (tmp_path / "blue" / "cut.jpg").write_bytes(content[:500])
    done = program.run("data", "check", tmp_path, expect=2)
    (line,) = done.stderr.splitlines()
    assert "blue/cut.jpg: truncated or damaged picture" in line
    assert "1 bad picture" in done.stdout


def test_without_a_folder_the_key_is_named(program):
    assert "Set data.dataset to the path of a folder" in program.error("fit", "photos")


def test_a_run_knows_its_pictures_from_anywhere_and_after_they_moved(
    program, photos, tmp_path, monkeypatch
):
    shutil.copytree(photos, tmp_path / "start" / "pictures")
    (tmp_path / "other").mkdir()
    options = (
        "fit", "photos", "--set", "data.dataset=./pictures", "--set", "data.image_size=16",
        "--batch-size", 8, "--threads", 1, "-q",
    )  # fmt: skip
    monkeypatch.setattr(program, "cwd", tmp_path / "start")
    program.run(*options, "--epochs", 1)
    run = tmp_path / "start" / "runs" / "photos-efficient-seed0"
    program.run(*options, "--epochs", 1, "--run-dir", run, "--resume")
    monkeypatch.setattr(program, "cwd", tmp_path / "other")
    assert program.json("evaluate", run)["samples"] == 9
    program.run("fit", "--resume", run, "--epochs", 2, "-q")
    (tmp_path / "start" / "pictures").rename(tmp_path / "moved")
    remedy = f"Set data.dataset in {run}/config.yaml to where it is now"
    assert remedy in program.error("evaluate", run)
    assert remedy in program.error("fit", "--resume", run, "--epochs", 3)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace(str(tmp_path / "start/pictures"), "../moved"))
    program.run("fit", "--resume", run, "--epochs", 2, "-q")
    moved = program.json("fit", "--resume", run, "--epochs", 3, "-q")
    monkeypatch.setattr(program, "cwd", photos.parent)
    whole = program.json(*options[:3], "data.dataset=my_photos", *options[4:], "--epochs", 3)
    # The path is none of what the weights depend on; a cosine that was extended differs.
    assert (moved["epochs_done"], whole["epochs_done"]) == (3, 3)
    assert moved["data_crc32"] == whole["data_crc32"]


def test_a_run_with_a_relative_path_resumes_from_its_folder(
    program, photos, run, tmp_path, monkeypatch
):
    """As runs of former versions have it, whose checkpoints do not tell the path either."""
    shutil.copytree(run, tmp_path / "old")
    monkeypatch.setattr(program, "cwd", photos.parent)
    config, last = tmp_path / "old/config.yaml", tmp_path / "old/checkpoint/last.npz"
    config.write_text(config.read_text().replace(str(photos), "./my_photos"))
    with np.load(last) as archive:
        arrays = dict(archive)
    state = json.loads(arrays["state"].tobytes())
    del state["dataset"]
    state["config"] = config_digest(load_config(config))
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    np.savez(last, **arrays)
    given = ("fit", "photos", "--set", f"data.dataset={photos}", "--set", "data.image_size=16",
             "--batch-size", 8, "--threads", 1, "--run-dir", tmp_path / "old", "-q")  # fmt: skip
    summary = program.json(*given, "--epochs", 21, "--resume")
    assert (summary["dataset"], summary["epochs_done"]) == ("./my_photos", 21)
