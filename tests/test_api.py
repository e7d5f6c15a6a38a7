"""What scripts call: every form of a configuration, of data, of a run and of images."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bnntrain
from bnntrain.config import config_digest, dump_config, load_config
from bnntrain.errors import BnntrainError, ConfigError, DataError, RunError
from bnntrain.sizes import parse_size

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "model": {"layers": [{"dense": 32}, "batch_norm", "sign", {"dense": "classes"}, "batch_norm"]},
    "train": {"epochs": 2, "batch_size": 50, "threads": 1},
    "meters": {"memory": False},
}


@pytest.fixture(scope="module")
def digits():
    with np.load(files("bnntrain.data") / "digits.npz") as arrays:
        return {key: arrays[key] for key in arrays}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A working directory and a cache of our own."""
    folder = tmp_path_factory.mktemp("api")
    former = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BNNTRAIN_CACHE", str(folder / "cache"))
        os.chdir(folder)
        yield folder
        os.chdir(former)


@pytest.fixture(scope="module")
def run(home):
    return bnntrain.fit({**SMALL, "data": {"dataset": "digits"}, "name": "first"})


@pytest.fixture(scope="module")
def model(run):
    return bnntrain.load(run)


@pytest.fixture(scope="module")
def of_arrays(home, digits):
    return bnntrain.fit(SMALL, data=(digits["x_train"], digits["y_train"]), run_dir="arrays")


def refusal(function, *arguments, **options) -> str:
    """Call what must be refused in one line; return it."""
    with pytest.raises(BnntrainError) as error:
        function(*arguments, **options)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    return str(error.value)


# Names --------------------------------------------------------------------------------------------


def test_all_names_are_shown_without_loading_numpy():
    code = "import sys, bnntrain; print(*dir(bnntrain)); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    names, is_loaded = done.stdout.splitlines()
    assert set(bnntrain.__all__) <= set(names.split())
    assert {"fit", "load", "evaluate", "predict", "prepare", "Run"} <= set(bnntrain.__all__)
    assert is_loaded == "False"
    assert all(callable(getattr(bnntrain, name)) for name in bnntrain.__all__ if name[0] != "_")


# Configurations -----------------------------------------------------------------------------------


def test_a_dict_is_a_configuration_like_a_file(tmp_path):
    config = load_config({**SMALL, "data": {"dataset": "digits"}, "name": "same"})
    path = tmp_path / "same.yaml"
    path.write_text(dump_config(config))
    assert load_config(path) == config
    assert config_digest(load_config(path)) == config_digest(config)


@pytest.mark.parametrize("number", [np.int64(3), np.uint8(3), np.int32(3), np.array(3)])
def test_numbers_may_be_numpys(number):
    config = load_config("digits", {"train.epochs": number, "train": {"seed": number}})
    assert (config.train.epochs, config.train.seed) == (3, 3)
    assert type(config.train.epochs) is int
    within = {"data": {"dataset": "digits"}, "model": "mlp", "train": {"epochs": number}}
    assert load_config(within).train.epochs == 3


def test_other_numbers_may_be_numpys():
    overrides = {
        "train.learning_rate": np.float64(1e-3), "data.validation_fraction": np.float32(0.25),
        "data.augment.flip": np.bool_(True),
    }  # fmt: skip
    config = load_config("digits", overrides)
    assert config.train.learning_rate == 1e-3
    assert config.data.validation_fraction == 0.25
    assert config.data.augment.flip is True
    assert load_config(config_of_before := config) is config_of_before
    assert load_config(config, {"train.epochs": 4}).train.epochs == 4
    assert load_config(config, {"train.epochs": 4}).data == config.data


def test_a_dict_is_left_as_it_was():
    given = {**SMALL, "data": {"dataset": "digits"}, "train": {"epochs": 2, "schedule": "cosine"}}
    before = repr(given)
    load_config(given, {"train.epochs": 5, "train.schedule.warmup_epochs": 1})
    assert repr(given) == before


@pytest.mark.parametrize(
    ("reference", "overrides", "says"),
    [
        ({"train": {"epochs": 2.5}, "model": "mlp", "data": {"dataset": "digits"}}, None,
         "dict: train.epochs: 2.5 is not allowed. Give a whole number"),
        ({"train": {"epochs": 2}, "model": "mlp"}, None, "dict: data"),
        ({"trian": {}}, None, "dict: trian: unknown key. Did you mean 'train'?"),
        ({1: 2}, None, "dict: 1: unknown key"),
        (3, None, "3: is no configuration. Give a .yaml file, a shipped name, a dict or a Config"),
        ("digits", [("train.epochs", 3)], "override: [('train.epochs', 3)] is not allowed"),
        ("digits", {"train.epochs": np.float64(2.5)}, "override: train.epochs: 2.5 is not allowed"),
        ("digits", {"train.epochs": np.arange(3)}, "override: train.epochs: array([0, 1, 2])"),
        ("digits", {"train.epochs": object}, "override: train.epochs: <class 'object'>"),
    ],
)  # fmt: skip
def test_what_is_no_configuration(reference, overrides, says):
    assert refusal(bnntrain.prepare, reference, overrides).startswith(says)


def test_what_is_no_observer():
    text = refusal(bnntrain.fit, "digits", observer=5)
    assert text.startswith("an observer of type int has no start()")


def test_a_dict_within_itself():
    endless: dict[str, object] = {}
    endless["train"] = endless
    with pytest.raises(ConfigError, match=r"^dict: train\.train.*nested too deeply"):
        load_config(endless)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["model", "data", "train", "name", "meters"]), VALUES))
def test_any_dict_is_read_or_refused_in_one_line(values):
    with pytest.raises(ConfigError) as error:  # data.dataset and train.epochs are needed
        load_config(values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("limit", ["64MiB", 64 << 20, np.int64(64 << 20), "67108864", "0.0625 GiB"])
def test_a_limit_of_memory_in_any_form(limit):
    assert parse_size(limit) == 64 << 20
    assert bnntrain.prepare("digits", memory_limit=limit).plan.total_bytes <= 64 << 20


@pytest.mark.parametrize("limit", ["many", "", "-1", -1, 0, 1.5, True, [], "1e999", "64 parsec"])
def test_what_is_no_size(limit):
    text = refusal(bnntrain.prepare, "digits", memory_limit=limit)
    assert text == f"{limit!r} is not a size. Write it as in 64MiB"


# Arrays to train on -------------------------------------------------------------------------------


def test_two_arrays(of_arrays, digits):
    """A fifth of every class is held out to test, whatever the run's seed."""
    assert of_arrays.config.data.dataset.startswith("arrays:")
    labels = np.bincount(digits["y_train"])
    held = sum(int(count * 0.2 + 0.5) for count in labels)
    assert of_arrays.summary["test_samples"] == held
    assert of_arrays.summary["classes"] == [str(number) for number in range(10)]
    assert of_arrays.test_accuracy > 50
    assert bnntrain.evaluate(of_arrays)["test_accuracy"] == of_arrays.test_accuracy


def test_four_arrays_are_what_a_file_of_them_is(home, digits, tmp_path):
    np.savez(tmp_path / "set.npz", **digits)
    keys = ("x_train", "y_train", "x_test", "y_test")
    file = bnntrain.fit(SMALL, {"data.dataset": str(tmp_path / "set.npz")}, tmp_path / "a")
    arrays = bnntrain.fit(SMALL, run_dir=tmp_path / "b", data=[digits[key] for key in keys])
    assert arrays.summary["weights_sha256"] == file.summary["weights_sha256"]
    assert arrays.test_accuracy == file.test_accuracy


def test_the_same_arrays_go_on_and_others_do_not(of_arrays, digits, tmp_path, monkeypatch):
    x, y = digits["x_train"], digits["y_train"]
    longer = {"train.epochs": 3}
    whole = bnntrain.fit(SMALL, longer, tmp_path / "whole", data=(x, y))
    text = refusal(bnntrain.fit, SMALL, longer, of_arrays.path, True, data=(x[::-1], y[::-1]))
    assert "data.dataset: arrays:" in text
    views = x.transpose(0, 2, 1).copy().transpose(0, 2, 1), y.astype(np.int64).reshape(-1, 1)
    assert not views[0].flags.c_contiguous
    more = bnntrain.fit(SMALL, longer, of_arrays.path, True, data=views)
    assert more.summary["weights_sha256"] == whole.summary["weights_sha256"]
    assert bnntrain.fit(resume=more, overrides={"train.epochs": 4}).summary["epochs_done"] == 4
    monkeypatch.setenv("BNNTRAIN_CACHE", str(tmp_path / "empty"))
    with pytest.raises(DataError, match=r"arrays:\w+: these arrays .* not in the cache any more"):
        bnntrain.evaluate(more)
    again = bnntrain.fit(resume=more, overrides={"train.epochs": 4}, data=(x, y))
    assert bnntrain.evaluate(again)["test_accuracy"] == again.test_accuracy


def test_classes_may_be_named(home, digits, tmp_path):
    x, y = digits["x_train"], digits["y_train"]
    chosen = y < 2
    names = np.array(["naught", "one"])
    named = bnntrain.fit(SMALL, run_dir=tmp_path / "a", data=(x[chosen], y[chosen]), classes=names)
    assert named.summary["classes"] == bnntrain.load(named).classes == ["naught", "one"]
    assert type(bnntrain.load(named).classes[0]) is str
    more = bnntrain.fit(resume=named, overrides={"train.epochs": 3}, data=(x[chosen], y[chosen]))
    assert more.summary["classes"] == ["naught", "one"]


def test_features_that_are_no_pictures(home, digits, tmp_path):
    flat = digits["x_train"].reshape(-1, 64)
    run = bnntrain.fit(SMALL, run_dir=tmp_path / "flat", data=(flat, digits["y_train"].tolist()))
    assert run.summary["sample_shape"] == [1, 64, 1]
    assert bnntrain.load(run).predict(flat[:3]).shape == (3, 10)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda x, y: x, "ndarray is neither two nor four arrays. Give data=(x, y)"),
        (lambda x, y: (x, y, x), "neither two nor four arrays"),
        (lambda x, y: (x / 16, y), "images of type float64, expected uint8"),
        (lambda x, y: (x, y[:-1]), "1436 labels, expected 1437, one per image"),
        (lambda x, y: (x, y + 1), "labels are 1 to 10, expected to count from 0"),
        (lambda x, y: (x, y.astype(str)), "labels of type <U3, expected integers"),
        (lambda x, y: (x, y - 1), "no image has label 9"),
        (lambda x, y: (x, y.astype(int) - 1), "label -1 of image"),
        (lambda x, y: (x, [None] * len(x)), "list is no array of numbers"),
        (lambda x, y: ("x.npy", y), "images of type <U5"),
        (lambda x, y: (x[:0], y[:0]), "0 images, expected at least 1"),
        (lambda x, y: (x[:2], [0, 1]), "class 0 has one image"),
        (lambda x, y: (x, y * 0), "a data set needs 2 classes at least"),
        (lambda x, y: (x, y, x[:, :4], y), "test images of shape (4, 8), expected (8, 8)"),
        (lambda x, y: (x, y, x[:2], [3, 10]), "label 10 of image 1 of the test part"),
        (lambda x, y: (np.zeros((9, 3, 8, 8), np.uint8), y[:9]), "have their channels first"),
    ],
)
def test_arrays_that_are_no_data_set(home, digits, make, says):
    text = refusal(bnntrain.fit, SMALL, data=make(digits["x_train"], digits["y_train"]))
    assert text.startswith("data: ")
    assert says in text


@pytest.mark.parametrize("classes", [[], ["a"] * 10, "0123456789", [""] * 10, 3, ["a"]])
def test_names_that_name_nothing(home, digits, classes):
    data = digits["x_train"], digits["y_train"]
    assert refusal(bnntrain.fit, SMALL, data=data, classes=classes).startswith("data: ")
    assert "data=(x, y)" in refusal(bnntrain.fit, "digits", classes=["a", "b"])


# A run wherever its folder is taken ---------------------------------------------------------------


def test_a_run_is_as_good_as_its_folder(run, digits):
    for form in (run, run.path, str(run.path)):
        assert bnntrain.evaluate(form)["test_accuracy"] == run.test_accuracy
        assert bnntrain.predict(form, digits["x_test"][:3]).shape == (3, 10)
        assert bnntrain.load(form, "best").checkpoint == "best"
        assert bnntrain.fit(resume=form).summary == run.summary


@pytest.mark.parametrize("name", [None, 3, b"runs/a", ["runs/a"], ""])
def test_what_is_no_run(home, name):
    assert refusal(bnntrain.load, name).endswith(("what fit returned", "the folder of a run"))
    if name is not None:
        refusal(bnntrain.fit, "digits", run_dir=name)
        refusal(bnntrain.fit, "digits", resume=name)


@pytest.mark.parametrize("name", ["no-such", "r" * 5000, "runs/\0", "\udce9"])
def test_runs_that_are_not_there(home, name):
    with pytest.raises(RunError):
        bnntrain.load(name)
    refusal(bnntrain.evaluate, Path(name))


def test_checkpoints_that_there_are_not(home):
    assert "Give one of last, best" in refusal(bnntrain.load, "no-such", "first")


# Classifying --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing", [[], (), np.array([]), np.zeros((0, 8, 8), np.uint8), iter(()), [[], []]]
)
def test_no_images_have_no_scores(model, nothing):
    scores = model.predict(nothing)
    assert (scores.shape, scores.dtype) == ((0, 10), np.float32)


def test_every_form_of_an_image_has_the_same_scores(model, digits, tmp_path):
    images = pytest.importorskip("PIL.Image")
    x = digits["x_test"][:120]  # more than two batches
    scores = model.predict(x)
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(x)), abs=1e-5)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, image in enumerate(x):
        images.fromarray(image).save(folder / f"{number:03}.png")
    np.save(tmp_path / "stack.npy", x)
    paths = sorted(folder.iterdir())
    forms = {
        "stack with channels": x[..., np.newaxis],
        "flat": x.reshape(len(x), -1),
        "list": list(x),
        "generator": (image for image in x),
        "stacks": [x[:70], x[70], x[71:]],
        "folder": folder,
        "name of a folder": str(folder),
        "paths": paths,
        ".npy": tmp_path / "stack.npy",
        "pictures": [images.fromarray(image) for image in x],
        "colour": np.repeat(x[..., np.newaxis], 3, axis=3),
        "all sorts": [x[0], paths[1], str(paths[2]), images.fromarray(x[3]), [x[4:60], *x[60:]]],
    }
    for name, form in forms.items():
        assert np.array_equal(model.predict(form), scores), name
    assert np.array_equal(model.predict(x[5]), scores[5:6])
    assert np.array_equal(model.predict(paths[5]), scores[5:6])


def test_images_of_another_size_are_brought_to_the_networks(model, digits):
    images = pytest.importorskip("PIL.Image")
    large = np.kron(digits["x_test"][:20], np.ones((1, 5, 5), np.uint8))
    scores = model.predict(large)
    assert np.array_equal(scores, model.predict([images.fromarray(image) for image in large]))
    small = model.predict(digits["x_test"][:20])
    assert np.mean(scores.argmax(axis=1) == small.argmax(axis=1)) > 0.5


def test_a_picture_of_pillows_is_read_as_its_file_is(model, tmp_path):
    images = pytest.importorskip("PIL.Image")
    picture = images.new("RGBA", (30, 20), (200, 10, 10, 40))
    picture.paste((0, 90, 200, 255), (3, 3, 12, 9))
    path = tmp_path / "clear.png"
    picture.save(path)
    assert np.array_equal(model.predict(picture), model.predict(path))
    picture.getexif()[0x0112] = 6
    assert not np.array_equal(model.predict(picture), model.predict(path))
    text = refusal(model.predict, images.new("F", (8, 8)))
    assert "floating-point pixels" in text
    assert "no pixels" in refusal(model.predict, images.new("L", (0, 8)))


@pytest.mark.parametrize(
    "images",
    [
        None, 3, b"bytes", [3], [None], [[1, 2], [3, 4]], {"a": 1}.values(), np.array(["a"]),
        np.array([object()]), np.zeros((2, 8, 8)), np.zeros((1, 1, 8, 8, 1), np.uint8),
        np.zeros(5, np.uint8), np.zeros((2, 3, 8, 8), np.uint8), "none.png", Path("none"), "",
        {}, {"a": 1},
    ],
)  # fmt: skip
def test_what_is_no_image(model, images):
    refusal(model.predict, images)


@given(VALUES)
def test_whatever_is_given_is_classified_or_refused_in_one_line(model, images):
    try:
        assert model.predict(images).shape[1:] == (10,)
    except BnntrainError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_evaluating_does_not_load_anew(model, run, digits, monkeypatch):
    for name in ("open_source", "Network"):
        monkeypatch.delattr(f"bnntrain.classifier.{name}")
    x, y = digits["x_test"], digits["y_test"]
    own = model.evaluate()
    other = model.evaluate(data=(x, y))
    assert own["test_accuracy"] == other["accuracy"] == run.test_accuracy
    assert own["test_loss"] == pytest.approx(other["loss"])
    assert set(other) == {"accuracy", "loss", "samples", "checkpoint", "epoch"}
    assert model.evaluate("train")["samples"] == run.summary["train_samples"]
    half = model.evaluate(data=(list(x[:7]), y[:7].tolist()))
    assert half["samples"] == 7
    assert np.array_equal(model.predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"split": "tests"}, "no split 'tests'. Give one of"),
        ({"data": np.zeros((2, 8, 8), np.uint8)}, "Give data=(x, y)"),
        ({"data": ([], [])}, "no images to evaluate on"),
        ({"data": (np.zeros((2, 8, 8), np.uint8), [0])}, "1 labels, expected 2"),
        ({"data": (np.zeros((2, 8, 8), np.uint8), [0, 10])}, "label 10 of image 1, expected 0 to"),
        ({"data": (np.zeros((2, 8, 8), np.uint8), ["a", "b"])}, "labels of type <U1"),
    ],
)
def test_evaluating_on_what_is_no_data(model, arguments, says):
    assert says in refusal(model.evaluate, **arguments)


# The page about all this --------------------------------------------------------------------------

_EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    """In order, as one script; pictures of mixed sizes stand for photographs."""
    images = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BNNTRAIN_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for number in range(36):
        kind, size = number % 3, [(64, 48), (48, 64), (100, 75)][number // 3 % 3]
        pixels = random.integers(0, 90, (*size[::-1], 3), dtype=np.uint8)
        pixels[..., kind] += 150
        for folder in (f"my_photos/{'rgb'[kind]}", "new_photos"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            images.fromarray(pixels).save(Path(folder, f"{number:02}.jpg"))
    examples = _EXAMPLE.findall((ROOT / "docs" / "api.md").read_text())
    assert len(examples) > 5
    exec(compile("\n".join(examples), "docs/api.md", "exec"), {})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "new_photos" in line]
    assert len(lines) == 36
    right = sum("rgb"[int(Path(name).stem) % 3] == kind for name, kind, _ in lines)
    assert right >= 30
