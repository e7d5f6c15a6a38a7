"""``export``, and what takes a packed model in place of a run."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture(scope="module")
def packed(program, trained):
    """The trained run, exported."""
    path = program.cwd / "digits.bnn"
    program.run("export", trained, "-o", path)
    return path


def test_export_says_what_it_wrote(program, trained, packed, tmp_path):
    run = json.loads((trained / "run.json").read_text())
    done = program.json("export", trained, "-o", tmp_path / "a.bnn")
    assert done == {
        "file": str(tmp_path / "a.bnn"), "format": "bnn", "bytes": packed.stat().st_size,
        "checkpoint": "last", "epoch": 3, "weights_sha256": run["weights_sha256"],
    }  # fmt: skip
    assert (tmp_path / "a.bnn").read_bytes() == packed.read_bytes()
    words = program.run("export", trained, "-o", tmp_path / "a.bnn").stdout
    assert words == f"{tmp_path}/a.bnn: {packed.stat().st_size:,} bytes, last epoch (3)\n"


def test_export_of_a_packed_model_is_a_copy(program, packed, tmp_path):
    program.run("export", packed, "-o", tmp_path / "model", "--format", "bnn")
    assert (tmp_path / "model").read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_evaluate_gives_the_same_before_and_after(program, trained, packed, split):
    before, after = (program.json("evaluate", each, "--split", split) for each in (trained, packed))
    assert before == after
    if split == "test":
        run = json.loads((trained / "run.json").read_text())
        assert after["test_loss"] == run["test_loss"]
        assert after["test_accuracy"] == run["test_accuracy"]


def test_predict_gives_the_same_before_and_after(program, trained, packed, digit, tmp_path):
    from bnntrain.data.published import DIGITS_FILE

    with np.load(DIGITS_FILE) as arrays:
        np.save(tmp_path / "all.npy", arrays["x_test"].reshape(-1, 8, 8))
    answers = [program.json("predict", each, tmp_path / "all.npy", "--top", 10)
               for each in (trained, packed)]  # fmt: skip
    assert len(answers[0]) == 360
    assert answers[0] == answers[1]
    np.save(tmp_path / "one.npy", digit)
    done = program.run("predict", packed, tmp_path / "one.npy")
    assert done.stderr == "weights: last epoch (3)\n"
    assert done.stdout == program.run("predict", trained, tmp_path / "one.npy").stdout


def test_the_best_epoch(program, trained, tmp_path):
    path = tmp_path / "best.bnn"
    program.run("export", trained, "-o", path, "--checkpoint", "best")
    run = json.loads((trained / "run.json").read_text())
    for more in ((), ("--checkpoint", "best")):
        found = program.json("evaluate", path, *more)
        assert (found["checkpoint"], found["epoch"]) == ("best", run["best_epoch"])
        assert found["test_accuracy"] == run["best_test_accuracy"]
    line = program.error("evaluate", path, "--checkpoint", "last")
    assert "holds the weights of the best epoch alone. Leave out --checkpoint" in line


def test_evaluate_where_the_data_have_another_name(program, tmp_path, digit):
    """A file that has been brought to another machine, in words and where the data lie."""
    random = np.random.default_rng(0)
    arrays = {
        "x_train": random.integers(0, 256, (90, 4, 4), np.uint8), "y_train": np.arange(90) % 10,
        "x_test": random.integers(0, 256, (30, 4, 4), np.uint8), "y_test": np.arange(30) % 10,
    }  # fmt: skip
    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    np.savez(here, **arrays)
    run, path = tmp_path / "run", tmp_path / "a.bnn"
    program.run(
        "fit", "digits", "-s", f"data.dataset={here}", "--epochs", 1, "--batch-size", 30,
        "--run-dir", run, "-q",
    )  # fmt: skip
    program.run("export", run, "-o", path)
    before = program.json("evaluate", path)
    here.rename(there)
    line = program.error("evaluate", path)
    assert str(here) in line
    assert line.endswith("Give --data with the name or path that it has here")
    assert program.json("evaluate", path, "--data", there) == before
    arrays["y_test"] = (arrays["y_test"] + 1) % 10
    np.savez(there, **arrays)
    done = program.run("evaluate", path, "--data", there)
    assert done.stderr == "warning: the test part of the data has changed since this run was made\n"
    line = program.error("evaluate", path, "--data", "digits")
    assert "other images than digits has" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-o", "model"), "its name says no format. End it in .bnn, or give --format bnn"),
        (("-o", "model.onnx"), "its name says no format. End it in .bnn, or give --format bnn"),
        (("-o", "."), "End it in .bnn"), (("-o", "no/a.bnn"), "no: no such folder. Make it"),
        (("-o", "a.bnn", "--format", "onnx"), "'bnn'"), ((), "--output"),
        (("-o", "trained", "--format", "bnn"), "trained: is a folder. Give the name of a file"),
    ],
)  # fmt: skip
def test_export_to_nowhere(program, trained, arguments, says):
    assert says in program.error("export", trained, *arguments)


@pytest.mark.parametrize("verb", ["evaluate", "predict", "export", "bench"])
def test_damaged_files(program, packed, tmp_path, verb):
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 4
    (tmp_path / "bad.bnn").write_bytes(content)
    (tmp_path / "cut.bnn").write_bytes(content[:-1])
    (tmp_path / "text").write_text("hello")
    more = {"predict": ("x.npy",), "export": ("-o", tmp_path / "b.bnn"), "bench": ("--latency",)}
    before, after = ((), more.get(verb, ())) if verb != "bench" else (more["bench"], ())
    for name, says in (
        ("bad.bnn", "damaged packed model (its checksum is wrong). Export it again"),
        ("cut.bnn", "damaged packed model"), ("text", "is a file, but no packed model"),
        ("none.bnn", "no such file. Give what 'bnntrain export' wrote"),
    ):  # fmt: skip
        line = program.error(verb, *before, tmp_path / name, *after)
        assert line.startswith(f"RunError: {tmp_path / name}: ")
        assert says in line
    assert not (tmp_path / "b.bnn").exists()


def test_a_disk_without_room_leaves_the_former_file(program, trained, packed, tmp_path):
    path = tmp_path / "a.bnn"
    shutil.copy(packed, path)
    before = path.read_bytes()
    done = subprocess.run(
        program.command("export", trained, "-o", path), cwd=program.cwd, env=program.environment,
        capture_output=True, text=True, timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"WriteError: {path}: the file size limit is reached")
    assert len(done.stderr.splitlines()) == 1
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.bnn"]


def test_latency(program, trained, packed):
    fields = {
        "seconds_per_image", "batch_size", "threads", "isa", "arena_bytes", "model_bytes",
        "gmac_per_image", "gmac_per_s",
    }  # fmt: skip
    for model in (trained, packed):
        found = program.json("bench", "--latency", model, "--threads", 1)
        assert set(found) == fields
        assert (found["batch_size"], found["threads"]) == (1, 1)
        assert found["model_bytes"] == packed.stat().st_size
        assert found["seconds_per_image"] > 0
    many = program.json("bench", "--latency", packed, "--threads", 2, "--batch-size", 32)
    assert many["arena_bytes"] > found["arena_bytes"]
    assert "weights included" in program.run("bench", "--latency", packed).stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--epochs", 2), "--batch-size and --threads"), (("--step", "digits"), "one of them"),
        (("--batch-size", 0), "--batch-size 0"), (("--batch-size", 9999), "give 1 to 256"),
        (("--threads", -1), "--threads"), (("--threads", 9999), "--threads"),
    ],
)  # fmt: skip
def test_latency_of_what_has_no_meaning(program, packed, options, says):
    assert says in program.error("bench", "--latency", packed, *options)


# Memory ------------------------------------------------------------------------------------------


def run_python(program, code, *arguments, **environment):
    """Run Python code with arguments; return what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments], cwd=program.cwd, capture_output=True,
        env={**program.environment, **environment}, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


RUN = "import sys; from bnntrain.cli.main import run; run(sys.argv[1:]); "


@pytest.fixture(scope="module")
def picture(program):
    """A grey picture of the digits' size."""
    path = program.cwd / "one.png"
    pytest.importorskip("PIL.Image").new("L", (8, 8), 90).save(path)
    return path


@pytest.mark.parametrize("model", ["packed", "trained"])
def test_classifying_brings_nothing_of_size_into_memory(program, picture, request, model):
    """What only training, data sets and other formats need, `predict` does without."""
    loaded = run_python(
        program, f"{RUN}print(*sys.modules, file=sys.stderr)", "predict",
        request.getfixturevalue(model), picture,
    )  # fmt: skip
    heavy = {
        "hashlib", "yaml", "zipfile", "subprocess", "importlib.resources", "numpy.random",
        "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "bnntrain.engine", "bnntrain.data.catalog",
    }  # fmt: skip
    assert set(loaded.split()) & heavy == set()


def test_arrays_are_classified_without_pillow(program, packed, digit, tmp_path):
    np.save(tmp_path / "one.npy", digit)
    loaded = run_python(
        program, f"{RUN}print(*sys.modules, file=sys.stderr)", "predict", packed,
        tmp_path / "one.npy",
    )  # fmt: skip
    assert "PIL" not in loaded.split()


@pytest.mark.parametrize("model", ["packed", "trained"])
def test_the_peak_of_classifying_one_picture(program, picture, tmp_path, request, model):
    """At most 10 MiB above a Python that has imported NumPy and click, but for the arena."""
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}

    def peak_kib(code, *arguments):
        told = "print(open('/proc/self/status').read(), file=sys.stderr)"
        for _ in range(2):  # the first one compiles what it imports
            status = run_python(program, code + told, *arguments, **compiled)
        return int(status.split("VmHWM:")[1].split()[0])

    path = request.getfixturevalue(model)
    arena = program.json("bench", "--latency", path, "--threads", 1)["arena_bytes"] >> 10
    before = peak_kib("import sys; import click, numpy; ")
    assert peak_kib(RUN, "predict", path, picture) - before - arena < 10 << 10


def test_a_configuration_that_was_edited_is_read_again(program, trained, tmp_path):
    """`run.json` tells of ``config.yaml`` only as long as that has the same text."""
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("dataset: digits", "dataset: other"))
    assert "other: unknown data set" in program.error("evaluate", run)
    config.write_text(config.read_text().replace("dataset: other", "dataset: digits  # again"))
    assert program.json("evaluate", run) == program.json("evaluate", trained)
