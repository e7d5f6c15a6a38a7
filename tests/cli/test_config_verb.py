"""``bnntrain config``: list, show, init."""

from __future__ import annotations

import pytest

from bnntrain.config import load_config, shipped_configs, shipped_text


def test_list(program):
    shipped = program.json("config", "show")
    assert all(set(entry) == {"name", "kind", "about"} for entry in shipped)
    names = [entry["name"] for entry in shipped if entry["kind"] == "configuration"]
    assert names == shipped_configs()
    assert "models/mlp" in [entry["name"] for entry in shipped]
    assert all(entry["about"] for entry in shipped)
    lines = program.run("config", "show").stdout.splitlines()
    first = [line for line in lines[1:] if not line.startswith(" ")]
    assert [line.split()[0] for line in first] == [entry["name"] for entry in shipped]
    text = " ".join(" ".join(lines).split())
    assert all(f"{entry['name']} {entry['about']}" in text for entry in shipped)


@pytest.mark.parametrize("name", shipped_configs())
def test_what_is_shown_is_the_same_configuration(program, tmp_path, name):
    shown = program.run("config", "show", name, "--epochs", 7, "-s", "train.schedule=constant")
    (tmp_path / "shown.yaml").write_text(shown.stdout)
    overrides = {"train.epochs": 7, "train.schedule": "constant"}
    assert load_config(tmp_path / "shown.yaml") == load_config(name, overrides)


def test_show_json(program):
    shown = program.json("config", "show", "digits", "--seed", 5)
    assert shown["train"]["seed"] == 5
    assert shown["model"]["layers"][0] == {"dense": 256}


def test_show_model(program):
    assert program.run("config", "show", "models/mlp").stdout == shipped_text("models/mlp")


def test_init_copies_with_comments_and_never_overwrites(program, tmp_path):
    path = tmp_path / "new" / "mine.yaml"
    done = program.run("config", "init", path, "--from", "mlp_mnist_quick")
    assert done.stdout.endswith(f"Train with: bnntrain fit {path}\n")
    assert path.read_text() == shipped_text("mlp_mnist_quick")
    assert load_config(path) == load_config("mlp_mnist_quick")
    line = program.error("config", "init", path)
    assert line == f"UsageError: {path}: exists already. Give another name, or remove it first"
    assert path.read_text() == shipped_text("mlp_mnist_quick")
    assert [file.name for file in path.parent.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("init", "mine.txt"), "UsageError", "ends in .yaml"),
        (("init", "mine.yaml", "--from", "digit"), "ConfigError", "no such shipped"),
        (("show", "digit"), "ConfigError", "Did you mean 'digits'?"),
        (("show", "models/nothing"), "ConfigError", "no such shipped"),
        (("show", "models/mlp", "--epochs", 3), "UsageError", "belong to a configuration"),
        (("show", "--epochs", 3), "UsageError", "overrides need the NAME"),
        (("show", "digits", "-s", "representation.mask=bit", "-s", "method=standard"),
         "ConfigError", "has no kernel"),
        (("show", "digits", "--epochs", 3, "-s", "train.epochs=4"), "UsageError", "Give it once"),
    ],
)  # fmt: skip
def test_faults(program, arguments, kind, message):
    line = program.error("config", *arguments)
    assert line.startswith(f"{kind}: ")
    assert message in line
    assert not (program.cwd / "mine.yaml").exists()


def test_init_where_nobody_may_write(program, tmp_path):
    (tmp_path / "file").write_text("")
    line = program.error("config", "init", tmp_path / "file" / "mine.yaml", expect=1)
    assert line.startswith("WriteError: ")
    assert "Give a file in a folder" in line
