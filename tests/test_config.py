"""Configurations: what is refused and how it is said, overrides, names, digests."""

from __future__ import annotations

import msgspec
import pytest

from bnntrain.config import (
    Config,
    config_digest,
    load_config,
    parse_override,
    shipped_configs,
    shipped_models,
    shipped_text,
)
from bnntrain.errors import ConfigError

GOOD = """\
name: trial
model:
  layers: [{dense: 4}, batch_norm, sign, {dense: 2}, batch_norm]
data: {dataset: digits}
train: {epochs: 3}
"""
LAYERS = "[{dense: 4}, batch_norm, sign, {dense: 2}, batch_norm]"
MODEL = f"model:\n  layers: {LAYERS}"

# What stands in GOOD, then: what to put in its place, where the message points to, the remedy that
# it must name.
FAULTY = {
    "epochs: 3": [
        ("epoch: 3", ": train.epoch: unknown key", "Did you mean 'epochs'?"),
        ("epochs: 3, lr: 0.1", ": train.lr: unknown key", "Did you mean 'learning_rate'?"),
        ("epochs: 3, latent: int8", ": train.latent: ", "Did you mean 'representation.latent'?"),
        ("epochs: 3, zz: 1", ": train.zz: unknown key", "Known: epochs, batch_size, learning_rate"),
        ("seed: 3", ": train.epochs: missing", "Give a whole number from 1 to 1000000"),
        ("epochs: ten", ": train.epochs: 'ten' is not allowed", "Give a whole number from 1"),
        ("epochs: 3.0", ": train.epochs: 3.0 is not allowed", "Give a whole number from 1"),
        ("epochs: true", ": train.epochs: true is not allowed", "Give a whole number from 1"),
        ("epochs: yes", ": train.epochs: 'yes' is not allowed", "Give a whole number from 1"),
        ("epochs: 0o7", ": train.epochs: '0o7' is not allowed", "Give a whole number from 1"),
        ("epochs: ~", ": train.epochs: null (no value) is", "Give a whole number from 1"),
        ("epochs: [3]", ": train.epochs: [3] is not allowed", "Give a whole number from 1"),
        ("epochs: 0", ": train.epochs: 0 is not allowed", "Give a whole number from 1 to 1000000"),
        ("epochs: 3, batch_size: 0", ": train.batch_size: 0 is", "from 2 to 65536"),
        ("epochs: 3, learning_rate: 0", ": train.learning_rate: 0 is", "above 0, at most 1"),
        ("epochs: 3, learning_rate: 2", ": train.learning_rate: 2 is", "above 0, at most 1"),
        ("epochs: 3, learning_rate: .nan", ": train.learning_rate: '.nan' is", "a number above 0"),
        ("epochs: 3, seed: 4294967296", ": train.seed: 4294967296 is", "from 0 to 4294967295"),
        ("epochs: 3, threads: -1", ": train.threads: -1 is", "from 0 to 256"),
        ("epochs: 3, label_smoothing: 1", ": train.label_smoothing: 1 is", "from 0, below 1"),
        ("epochs: 3, schedule: cosin", ": train.schedule.kind: 'cosin'", "Did you mean 'cosine'?"),
        ("epochs: 3, schedule: {factor: 1}", ": train.schedule.factor: 1 is", "above 0, below 1"),
        ("epochs: 3, schedule: {warmup_epochs: 4}", ".warmup_epochs: 4 is longer", "at most 3"),
        ("epochs: 3, optimizer: adm", ": train.optimizer.name: 'adm'", "Did you mean 'adam'?"),
        ("epochs: 3, epochs: 4", ":5: train.epochs: duplicate", "first given in line 5. Keep one"),
        ("epochs: 012", ":5: train.epochs: 012 has a leading zero", "Write 12, or '012' for text"),
        ("epochs: 1e999", ":5: train.epochs: 1e999 is not finite", "Give a smaller number"),
        ("3: 3", ":5: train: the key 3 is not text", "Put it in quotes"),
    ],
    "train: {epochs: 3}": [
        ("epochs: 3", ": epochs: unknown key", "Did you mean 'train.epochs'?"),
        ("train: 3", ": train: 3 is not allowed", "Give a mapping with the keys epochs"),
        ("train: {epochs: 3", ":6: ", "Check indentation, quotes and colons"),
        ("train:\n\tepochs: 3", ":6: ", "Check indentation"),
        ("train: {epochs: 3}\n---\na: 1", ":6: ", "Check indentation"),
    ],
    "{dataset: digits}": [
        ("", ": data.dataset: missing", "Give the name of a data set (see 'bnntrain data list')"),
        ("{dataset: 5}", ": data.dataset: 5 is not allowed", "Give the name of a data set"),
        ("{dataset: ''}", ": data.dataset: '' is not allowed", "Give the name of a data set"),
        ("{dataset: d, validation_fraction: 0.9}", ".validation_fraction: 0.9 is", "below 0.9"),
        ("{dataset: d, augment: 4}", ": data.augment: 4 is not", "with the keys shift, crop_padd"),
        ("{dataset: d, augment: {shift: 4}}", ": data.augment.shift: 4 is", "from 0, below 1"),
        ("{dataset: d, augment: {crop_padding: -1}}", ".crop_padding: -1 is", "from 0 to 128"),
        ("{dataset: d, augment: {fill: wrap}}", ".augment.fill: 'wrap' is", "one of edge, zero"),
        ("{dataset: d, augment: {flip: 1}}", ": data.augment.flip: 1 is", "Give true or false"),
        ("{dataset: d, augment: {flips: true}}", ": data.augment.flips: unk", "Did you mean 'fli"),
        ("{dataset: d, shift: 0.1}", ": data.shift: unknown key", "mean 'data.augment.shift'?"),
        (
            "{dataset: d, augment: {shift: 0.1, crop_padding: 4}}",
            ": data.augment.crop_padding: a crop is a shift", "Give one of the two",
        ),
    ],
    "data: {dataset: digits}\ntrain: {epochs: 3}": [
        ("train: {epochs: 3}", ": data: missing", "a mapping with the keys dataset, validation_fr"),
        (
            "data: {dataset: d, validation_fraction: 0}\ntrain: {epochs: 3, schedule: plateau}",
            ": train.schedule.kind: plateau needs", "Set data.validation_fraction above 0",
        ),
    ],
    "name: trial": [
        ("source: x", ": source: unknown key", "Known: model, data, train, name, method"),
        ("name: a/b", ": name: 'a/b' is not allowed", "Give a name of 1 to 100 letters"),
        ("method: eficient", ": method: 'eficient' is not", "Did you mean 'efficient'?"),
        ("representation: {norm: l3}", ".norm: 'l3' is not allowed", "one of l1, l1-binary, l2"),
        ("representation: {gradient_bits: 4}", ".gradient_bits: 4 is", "one of 6, 8, or leave it"),
        ("name: !!python/name:os.system", ":1: name: the tag", "Leave it out"),
        ("name: &a [*a]", ":1: name[0][0]", "Write it out without aliases"),
        ("name: tr\0ial", ": not readable as text", "Save it as UTF-8"),
    ],
    LAYERS: [
        ("[]", ": model.layers: [] is not allowed", "Give a list of layers"),
        ("{a: b}", ": model.layers: {'a': 'b'} is not allowed", "Give a list of layers"),
        ("[batch_norm]", ": model.layers[0]: batch_norm cannot stand as the", "Put dense or conv"),
        ("[{dense: 4}, sign]", ": model.layers[1]: sign cannot stand", "Put batch_norm here"),
        ("[{dense: 4}, batch_norm, {dense: 2}]", ": model.layers[2]: dense", "Put sign here"),
        ("[{dense: 4}]", ": model.layers[0]: dense cannot be the last", "End the list with dense"),
        ("[{dense: 4}, batch_norm, sign]", ": model.layers[2]: sign", "End the list with dense"),
        ("[{dense: 4}, batch_norm, sing]", ": model.layers[2]: unknown", "Did you mean 'sign'?"),
        ("[dense]", ": model.layers[0].dense.units: missing", "Give a whole number from 1"),
        ("[{dense: 0}]", ": model.layers[0].dense.units: 0 is", "from 1 to 65536"),
        ("[{dense: 65537}]", ": model.layers[0].dense.units: 65537 is", "from 1 to 65536"),
        ("[{dense: {unit: 4}}]", ": model.layers[0].dense.unit: ", "Did you mean 'units'?"),
        ("[{sign: 1}]", ": model.layers[0].sign: takes no value", "Leave it out"),
        ("[{dense: 4, sign: }]", ": model.layers[0]: {'dense': 4", "Give one per list item"),
        ("[3]", ": model.layers[0]: 3 is not one layer", "Give one per list item"),
    ],
    MODEL: [
        ("model: {name: a}", ": model.layers: missing", "Give a list of layers"),
        ("model: mpl", ": model: 'mpl' is not a shipped model", "Did you mean 'mlp'?"),
        ("model: no.yaml", "no.yaml: no such file", "Shipped: binarynet, bireal18, bireal18_32"),
        ("model: 5", ": model: 5 is not allowed", "Give the name of a shipped model"),
    ],
    GOOD: [
        ("- a", ": ['a'] is not a configuration", "See 'bnntrain config show digits'"),
        ("", ": null (no value) is not a configuration", "See 'bnntrain config show digits'"),
    ],
}  # fmt: skip
CASES = [(old, *case) for old, cases in FAULTY.items() for case in cases]


def write(folder, text, name="trial.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(*arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(*arguments)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(("old", "new", "place", "remedy"), CASES)
def test_faulty_file_names_file_key_and_remedy(old, new, place, remedy, tmp_path):
    assert GOOD.count(old) == 1
    path = write(tmp_path, GOOD.replace(old, new))
    message = refusal(path)
    assert message.startswith(str(path))
    assert place in message
    assert remedy in message


@pytest.mark.parametrize(
    ("reference", "remedy"),
    [
        ("digit", "Did you mean 'digits'?"),
        ("nowhere.yaml", "no such file. Shipped by name: binarynet_cifar10"),
        ("configs/nowhere.yaml", "no such file. Shipped by name: binarynet_cifar10"),
        (".", "a folder, not a .yaml file. To train on its pictures: bnntrain fit photos"),
        ("", "not a .yaml file"),
        ("runs/trial", "not a .yaml file"),
        ("x" * 5000 + ".yaml", "no such file"),
        ("folder.yaml", "a folder, not a .yaml file. To train on its pictures"),
    ],
)
def test_faulty_reference_names_what_there_is(reference, remedy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    assert remedy in refusal(reference)


def test_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "trial.yaml"
    path.write_bytes(b"name: \xff")
    assert f"{path}: not UTF-8 text (byte 6). Save it as UTF-8" == refusal(path)
    path.write_bytes(b"# " + b"x" * (1 << 20))
    assert "larger than 1 MiB" in refusal(path)


def test_model_file_is_named_in_its_own_errors(tmp_path):
    write(tmp_path, "layers: [{dense: 0}, batch_norm]", "small.yaml")
    path = write(tmp_path, GOOD.replace(MODEL, "model: small.yaml"))
    assert refusal(path).startswith(f"{tmp_path / 'small.yaml'}: layers[0].dense.units: 0 ")
    write(tmp_path, "- dense", "small.yaml")
    assert "Give a mapping with the key layers" in refusal(path)


# Overrides

def test_overrides_win_and_later_checks_see_them(tmp_path):
    step = "epochs: 3, schedule: {kind: step, factor: 0.1}"
    path = write(tmp_path, GOOD.replace("epochs: 3", step))
    config = load_config(
        path,
        {
            "train.epochs": 7,
            "train": {"batch_size": 8, "schedule": {"every_epochs": 2}},
            "train.optimizer": "sign",
            "representation.latent": "int16",
            "model": "mlp",
        },
    )
    assert (config.train.epochs, config.train.batch_size) == (7, 8)
    assert (config.train.schedule.kind, config.train.schedule.factor) == ("step", 0.1)
    assert config.train.schedule.every_epochs == 2
    assert config.train.optimizer.name == "sign"
    assert config.representation.latent == "int16"
    assert config.model == load_config("mlp_mnist").model
    assert load_config(path, {"representation.latent": None}) == load_config(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epoch", 3, "override: train.epoch: unknown key. Did you mean 'epochs'?"),
        ("train.epochs", 0, "override: train.epochs: 0 is not allowed. Give a whole number from 1"),
        ("train.epochs.x", 0, "override: train.epochs.x: {file} gives train.epochs as 3. O"),
        ("train..epochs", 3, "override: train..epochs: has an empty part"),
        ("model", {"layers": ["sign"]}, "override: model.layers[0]: sign cannot stand as the"),
        ("train.learning_rate", float("nan"), "override: train.learning_rate: nan is not allowed"),
        ("data.validation_fraction", 1, "override: data.validation_fraction: 1 is not allowed"),
    ],
)
def test_faulty_override_is_named_as_such(key, value, message, tmp_path):
    path = write(tmp_path, GOOD)
    assert refusal(path, {key: value}).startswith(message.format(file=path))


def test_faulty_file_is_still_named_beside_overrides(tmp_path):
    path = write(tmp_path, GOOD.replace("epochs: 3", "epochs: 0"))
    assert refusal(path, {"train.seed": 1}).startswith(f"{path}: train.epochs: 0 ")
    assert load_config(path, {"train.epochs": 1}).train.epochs == 1


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("train.learning_rate=1e-3", ("train.learning_rate", 1e-3)),
        ("name=yes", ("name", "yes")),
        ("representation={latent: int16}", ("representation", {"latent": "int16"})),
        ("train.optimizer.name=", ("train.optimizer.name", None)),
        ("data.dataset=a=b", ("data.dataset", "a=b")),
    ],
)
def test_parse_override(text, parsed):
    assert parse_override(text) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.epochs", "override: 'train.epochs' is not key=value. Write train.epochs=3"),
        ("=3", "override: '=3' is not key=value"),
        ("train.epochs=012", "override: train.epochs: 012 has a leading zero. Write 12"),
        ("train.epochs=[", "override: train.epochs: "),
        ("train={seed: 1, seed: 2}", "override: train: duplicate key"),
    ],
)
def test_parse_override_refuses(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_override(text)
    assert str(caught.value).startswith(message)


# Names and digests

def test_shipped_names_load_from_any_folder(tmp_path, monkeypatch):
    here = {name: load_config(name) for name in shipped_configs()}
    both = {
        "mlp_mnist", "cnv_cifar10", "cnv_svhn", "binarynet_cifar10", "binarynet_svhn",
        "bireal18_cifar10", "resnete18_cifar10",
    }  # fmt: skip
    alone = {
        "digits", "cifar_smoke", "photos", "resnet20_cifar10", "bireal18_imagenet",
        "resnete18_imagenet",
    }  # fmt: skip
    assert set(here) == {*alone, *both, *(f"{name}_quick" for name in both)}
    assert shipped_models() == [
        "binarynet", "bireal18", "bireal18_32", "cnv", "mlp", "resnet20", "resnete18",
        "resnete18_32",
    ]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # a run folder of the same name is no configuration
    for name, config in here.items():
        assert load_config(name) == config
        assert load_config(f"configs/{name}.yaml") == config
        assert shipped_text(name).startswith("# ")
        assert f"bnntrain fit {name}" in shipped_text(name)
    (tmp_path / "configs").mkdir()
    write(tmp_path / "configs", GOOD, "digits.yaml")
    assert load_config("configs/digits.yaml").name == "trial"
    assert load_config("digits") == here["digits"]


def test_published_model_and_recipe():
    config = load_config("mlp_mnist")
    kinds = [spec.kind for spec in config.model.layers]
    assert kinds == ["dense", "batch_norm", "sign"] * 4 + ["dense", "batch_norm"]
    units = [spec.options["units"] for spec in config.model.layers if spec.kind == "dense"]
    assert units == [256, 256, 256, 256, 10]
    train, schedule = config.train, config.train.schedule
    assert (train.epochs, train.batch_size, train.learning_rate) == (1000, 100, 1e-3)
    assert (schedule.kind, schedule.patience, schedule.factor) == ("plateau", 50, 0.5)


def test_model_path_is_relative_to_the_file_and_falls_back_to_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub" / "models").mkdir(parents=True)
    path = write(tmp_path / "sub", GOOD.replace(MODEL, "model: models/mlp.yaml"))
    assert load_config(path).model == load_config("mlp_mnist").model
    write(tmp_path / "sub" / "models", f"layers: {LAYERS}", "mlp.yaml")
    assert load_config(path).model.layers[0].options == {"units": 4}
    assert load_config(path).model.name == "mlp"
    assert load_config(path, {"model": "sub/models/mlp.yaml"}) == load_config(path)


def test_names_default_to_the_file(tmp_path):
    path = write(tmp_path, GOOD.replace("name: trial\n", ""), ".my (first) run.yaml")
    config = load_config(path)
    assert config.name == config.model.name == "my _first_ run"
    assert config.source == str(path)
    assert load_config(path) == msgspec.structs.replace(config, source="elsewhere")
    assert load_config(path, {"name": "other"}) != config


CHANGES = {
    "method": "standard", "data.dataset": "mnist", "data.validation_fraction": 0.2,
    "data.image_size": [32, 48], "data.resize": "pad", "data.channels": "grey",
    "data.test_fraction": 0.3, "data.test_seed": 1,
    "data.augment.shift": 0.1, "data.augment.crop_padding": 2, "data.augment.fill": "zero",
    "data.augment.flip": True, "data.augment.crop_area": 0.08, "data.augment.crop_aspect": 2,
    "data.augment.colour": 0.4, "data.records": "encoded",
    "train.epochs": 4, "train.batch_size": 7, "train.learning_rate": 0.01, "train.seed": 1,
    "train.label_smoothing": 0.1, "train.schedule.kind": "step", "train.schedule.warmup_epochs": 1,
    "train.schedule.every_epochs": 2, "train.schedule.patience": 2, "train.schedule.factor": 0.4,
    "train.schedule.final": 0.1, "train.optimizer.name": "sgd", "train.optimizer.momentum": 0.5,
    "train.optimizer.beta2": 0.9, "train.optimizer.epsilon": 1e-3,
    "train.optimizer.bop_gamma": 0.1, "train.optimizer.bop_threshold": 0.1,
    "representation.activation": "bit", "representation.mask": "bit", "representation.norm": "l1",
    "representation.gradient": "float16", "representation.gradient_bits": 6,
    "representation.gradient_scale": "current", "representation.gradient_rounding": "nearest",
    "representation.weight_gradient": "bit",
    "representation.latent": "int16", "representation.latent_range": 0.1,
    "representation.momentum": "float16", "model": "mlp",
}  # fmt: skip
# What has a meaning only together with others.
TOGETHER = {
    key: {"data.records": "encoded", "data.image_size": 64}
    for key in ("data.records", "data.augment.crop_area", "data.augment.colour")
}
NEUTRAL = {
    "name": "other", "model.name": "other", "train.threads": 2,
    "data.workers": 2, "data.enlarge": True, "data.classes": 5,
    "meters.memory": False, "meters.memory_backend": "built-in", "meters.memory_kind": "pss",
    "meters.memory_children": True, "meters.memory_interval": 1.0, "meters.energy": "rapl",
    "meters.interval": 0.1, "meters.idle": 60, "meters.bus": 2, "meters.address": 0x41,
    "meters.shunt_ohm": 0.0987, "meters.bus_range": 16, "meters.gain": 2, "meters.averaging": 1,
    "meters.file": "power.csv",
}  # fmt: skip


def all_keys(value, key=""):
    if not isinstance(value, msgspec.Struct):
        return {key}
    fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
    return {k for name, inner in fields for k in all_keys(inner, f"{key}.{name}".strip("."))}


def test_digest_follows_what_affects_the_weights_and_nothing_else(tmp_path):
    config = load_config(write(tmp_path, GOOD))
    assert isinstance(config, Config)
    settable = {key.replace("model.layers", "model") for key in all_keys(config)}
    settable -= {"source", "overridden"}
    assert settable == CHANGES.keys() | NEUTRAL.keys()
    path = write(tmp_path, GOOD)
    alike = {"meters.memory_backend": "memory-profiler"}  # the one that takes all other keys
    for key, value in NEUTRAL.items():
        changed = load_config(path, {**alike, key: value})
        assert changed != load_config(path, alike)
        assert config_digest(changed) == config_digest(config), key
    digests = {
        config_digest(load_config(path, {**TOGETHER.get(key, {}), key: value}))
        for key, value in CHANGES.items()
    }
    assert len(digests | {config_digest(config)}) == len(CHANGES) + 1


def test_a_value_that_is_no_text_is_one_line():
    with pytest.raises(ConfigError, match=r"^override: name: .* is not allowed\. Give a name"):
        load_config("digits", {"name": "a\ud800"})


@pytest.mark.parametrize("given", [-5, 0, 2000, True, [-5, 64]])
def test_a_size_that_is_none_is_quoted_as_it_was_given(given):
    with pytest.raises(ConfigError) as error:
        load_config("photos", {"data.image_size": given})
    shown = str(given).lower() if given is True else str(given)
    assert f"data.image_size: {shown} is not allowed. Give one side or" in str(error.value)
