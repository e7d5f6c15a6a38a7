"""Runs on encoded records as a user makes them: same weights, faults, signals, what is reported."""

import json
import os
import signal
import subprocess

import psutil
import pytest
from encoded_kit import jpeg, write_pictures

pytest.importorskip("PIL.Image", reason="Pillow (extra: images) is not installed")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("encoded") / "photos", each=40)


@pytest.fixture(scope="module")
def options(photos):
    """What every run here has in common."""
    sets = (
        f"data.dataset={photos}", "data.image_size=16", "data.resize=centre",
        "data.records=encoded", "data.augment={crop_area: 0.2, flip: true, colour: 0.2}",
    )  # fmt: skip
    return ["photos", *(f"--set={each}" for each in sets), "--batch-size=8", "--threads=1"]


def fit(program, options, folder, *more, **keywords):
    return program.run("fit", *options, "--run-dir", folder, "-q", *more, **keywords)


def summary(folder):
    return json.loads((folder / "run.json").read_text())


def workers(program):
    """Return the processes that decode for runs of these tests."""
    found = []
    for process in psutil.process_iter():
        try:
            if "decoder_process" in " ".join(process.cmdline()):
                own = process.environ().get("BNNTRAIN_CACHE")
                found += [process] * (own == program.environment["BNNTRAIN_CACHE"])
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def whole(program, options):
    """Return the summary of a run of 12 epochs that nothing happens to."""
    folder = program.cwd / "encoded_whole"
    fit(program, options, folder, "--epochs", 12, "-s", "data.workers=1")
    return summary(folder)


def test_weights_do_not_depend_on_who_decodes(program, options, whole):
    for workers in (0, 2):
        folder = program.cwd / f"encoded_{workers}"
        fit(program, options, folder, "--epochs", 12, "-s", f"data.workers={workers}")
        found = summary(folder)
        assert found["weights_sha256"] == whole["weights_sha256"]
        assert found["test_accuracy"] == whole["test_accuracy"]
        assert found["decoding"]["workers"] == workers
        assert (found["decoding"]["buffer_bytes"] > 0) == (workers > 0)
        assert 0 <= found["decoding"]["waiting_share"] <= 1
    assert found["preprocessing"] == {"shape": [16, 16, 3], "resize": "centre"}
    assert found["classes"] == ["ant", "bee", "cow"]


def test_evaluate_and_predict_take_the_middle(program, options, photos, whole):
    folder = program.cwd / "encoded_whole"
    evaluated = program.json("evaluate", folder)
    assert evaluated["test_accuracy"] == whole["test_accuracy"]
    answers = program.json("predict", folder, photos)
    right = sum(answer["class"] in answer["file"] for answer in answers)
    seen = sum(
        program.json("evaluate", folder, "--split", split)["samples"]
        * program.json("evaluate", folder, "--split", split)[f"{split}_accuracy"] / 100
        for split in ("train", "validation", "test")
    )  # fmt: skip
    assert right == round(seen)


def begun(program, options, folder, epochs, **keywords):
    """Start a run and return it when it has ended an epoch and says so."""
    command = program.command(
        "fit", *options, "--run-dir", folder, "--epochs", epochs, "-s", "data.workers=2"
    )
    child = subprocess.Popen(
        command, cwd=program.cwd, env=program.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords,
    )  # fmt: skip
    assert child.stderr.readline().startswith("epoch ")
    return child


def ended(child):
    """Return exit code, standard output, and the lines of standard error but for epochs."""
    out, err = child.communicate()
    lines = [line for line in err.splitlines() if not line.startswith("epoch ")]
    return child.returncode, out, lines


def test_a_killed_worker_costs_one_line_and_nothing_else(program, options, whole):
    folder = program.cwd / "encoded_killed"
    child = begun(program, options, folder, 2000)
    # The first of the two: whoever waits for what it had taken must not wait for ever.
    psutil.Process(child.pid).children()[0].kill()
    code, out, (line,) = ended(child)
    assert (code, out) == (1, "")
    assert line.startswith("WorkerError: data.workers: a process that decodes pictures was ended")
    assert "A checkpoint is saved. Continue with 'bnntrain fit --resume" in line
    assert summary(folder)["status"] == "failed"
    assert workers(program) == []


def test_ctrl_c_saves_a_checkpoint_and_leaves_nobody(program, options, whole):
    """It reaches all of the terminal's processes; those that decode have a group of their own."""
    folder = program.cwd / "encoded_stopped"
    child = begun(program, options, folder, 2000, start_new_session=True)
    os.killpg(child.pid, signal.SIGINT)
    code, _, (line,) = ended(child)
    assert code == 130
    assert line.startswith("Interrupted: ")
    assert workers(program) == []


def test_killed_and_resumed_with_other_workers_gives_the_same_weights(program, options, whole):
    folder = program.cwd / "encoded_resumed"
    child = begun(program, options, folder, 12)
    child.send_signal(signal.SIGINT)
    child.communicate()
    done = program.run("fit", "--resume", folder, "-s", "data.workers=0", "-q")
    assert done.stderr == ""
    assert summary(folder)["weights_sha256"] == whole["weights_sha256"]


def test_a_run_that_is_killed_leaves_nobody(program, options, whole):
    folder = program.cwd / "encoded_gone"
    child = begun(program, options, folder, 2000)
    mine = psutil.Process(child.pid).children()
    child.kill()
    child.communicate()
    gone, alive = psutil.wait_procs(mine, timeout=60)
    assert (len(gone), alive) == (2, [])


def test_plan_counts_what_decoding_takes(program, options):
    report = program.json("plan", *options, "-s", "data.workers=2")
    assert report["decoding"] == {
        "workers": 2, "most_workers": 2, "buffer_bytes": 8 * (16 * 16 * 3 + 2 + 4),
    }  # fmt: skip
    text = program.run("plan", *options, "-s", "data.workers=2").stdout
    assert "pictures: decoded by 2 workers, 6.05 KiB between" in text
    assert max(map(len, text.splitlines())) <= 80
    text = program.run("plan", *options, "-s", "data.workers=0").stdout
    assert "pictures: decoded by the process that trains" in text
    assert program.json("plan", "digits")["decoding"] is None


def test_what_goes_together_is_said(program, photos):
    name = f"--set=data.dataset={photos}"
    line = program.error("fit", "digits", name, "-s", "data.records=encoded")
    assert "data.image_size: missing. Encoded records have any size" in line
    for key in ("crop_area", "colour"):
        line = program.error("fit", "photos", name, "-s", f"data.augment.{key}=0.5")
        assert f"data.augment.{key}: needs pictures that are decoded in every epoch" in line
    line = program.error("fit", "photos", name, "-s", "data.records=jpeg")
    assert "Give one of encoded, pixels" in line


def test_faults_of_pictures_are_one_line_before_training(program, options, tmp_path):
    folder = write_pictures(tmp_path / "set", each=4)
    run = tmp_path / "run"

    def line():
        given = [each.replace(options[1], f"--set=data.dataset={folder}") for each in options]
        text = program.error("fit", *given, "--run-dir", run, "-q")
        assert not run.exists()
        return text

    (folder / "bee" / "001.jpg").write_bytes(jpeg(5)[:200])
    assert "bee/001.jpg: truncated or damaged" in line()
    (folder / "bee" / "001.jpg").write_bytes(jpeg(5, (40, 12)))
    assert "bee/001.jpg: 12x40 pixels, smaller than data.image_size" in line()
    (folder / "bee" / "001.jpg").unlink()
    (folder / "dog").mkdir()
    assert "dog: empty class folder" in line()


def test_plan_needs_no_pictures_where_their_size_and_classes_are_given(program, photos):
    given = ["photos", "-s", "data.image_size=96", "-s", "data.classes=1000", "--batch-size=4096"]
    missing = program.json("plan", *given, "-s", "data.dataset=./not_there")
    assert missing["batch_size"] == 4096
    (pixels,) = (each for each in missing["buffers"] if each["name"] == "batch.x")
    assert pixels["bytes"] == 4096 * 96 * 96 * 3
    summary = program.json("summary", *given, "-s", "data.dataset=./not_there")
    assert summary["layers"][-1]["output_shape"] == [1000]
    for verb in ("plan", "fit"):
        line = program.error(verb, *given, "-s", f"data.dataset={photos}")
        assert "has 3 classes, and data.classes is 1000. Give 3, or leave it out" in line
    line = program.error("fit", *given, "-s", "data.dataset=./not_there")
    assert "no such folder" in line
    line = program.error("plan", "photos", "-s", "data.dataset=./not_there")
    assert "no such folder" in line
