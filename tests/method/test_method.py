"""The method table: its columns, what follows from single cells, and what is refused."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace

import pytest
from method_rules import CHOICES, has_kernel

from bnntrain.config import load_config, parse_override
from bnntrain.errors import ConfigError
from bnntrain.method import METHODS, Method, cell_labels, resolve_method


def resolve(overrides) -> Method:
    return resolve_method(load_config("digits", overrides))


def resolve_or_refuse(overrides) -> tuple[Method | None, str]:
    try:
        return resolve(overrides), ""
    except ConfigError as error:
        return None, str(error)


def nearest(message: str) -> dict[str, object]:
    """Read the remedy of a message back as overrides."""
    head, _, remedy = message.partition(". Nearest that works: ")
    _, key, _ = head.split(": ", 2)
    parts = [part.replace(": ", "=", 1) for part in remedy.split(", ")]
    parts = parts if "=" in remedy.replace(": ", "=") else [f"{key}={remedy}"]
    return dict(parse_override(part) for part in parts)


def check(overrides) -> bool:
    """Hold one combination to the rules; returns whether it was accepted."""
    method, message = resolve_or_refuse(overrides)
    if method is not None:
        assert has_kernel(method, overrides.get("train.learning_rate", 1e-3)), overrides
        for key, value in overrides.items():
            cell = key.replace("train.optimizer.name", "optimizer").rpartition(".")[2]
            if cell not in ("method", "learning_rate", "gradient_scale"):
                assert getattr(method, cell) == value
        return True
    assert message.startswith("override: ")
    assert len(message.splitlines()) == 1
    remedy = nearest(message)
    repaired = resolve(overrides | remedy)
    assert has_kernel(repaired, (overrides | remedy).get("train.learning_rate", 1e-3))
    return False


@pytest.mark.parametrize("name", METHODS)
def test_rows_resolve_to_themselves(name):
    assert resolve({"method": name}) == METHODS[name]
    assert has_kernel(METHODS[name], 1e-3)


def test_columns_are_those_of_the_design():
    columns = {name: [*asdict(method).values()][1:] for name, method in METHODS.items()}
    assert columns == {
        "standard": [
            "float32", "retained", "l2", "float32", 8, "current", "nearest", "float32", "float32",
            1.0, "float32", "adam",
        ],
        "wang2021": [
            "bit", "bit", "l1-binary", "float16", 8, "current", "nearest", "bit", "float16", 1.0,
            "float16", "adam",
        ],
        "efficient": [
            "bit", "recompute", "l2", "int8", 6, "delayed", "stochastic", "integer", "int8",
            0.025, "int8", "channel-momentum",
        ],
    }  # fmt: skip
    assert [method.moments for method in METHODS.values()] == [2, 2, 1]


@pytest.mark.parametrize("name", METHODS)
def test_every_pair_of_overrides_works_or_names_what_does(name):
    accepted = []
    for (one, ones), (two, twos) in itertools.combinations(CHOICES.items(), 2):
        accepted += [
            check({"method": name, one: a, two: b}) for a, b in itertools.product(ones, twos)
        ]
    assert any(accepted)
    assert not all(accepted)


GROUPS = [
    ("representation.activation", "representation.mask"),
    ("representation.gradient", "representation.gradient_bits", "representation.gradient_scale"),
    ("representation.weight_gradient", "representation.momentum", "train.optimizer.name"),
    ("representation.latent", "representation.latent_range", "train.learning_rate"),
]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].rpartition(".")[2])
def test_every_combination_of_cells_that_a_rule_joins(group):
    names = [(None, *CHOICES[key]) for key in group]
    for name, *values in itertools.product(METHODS, *names):
        chosen = {key: value for key, value in zip(group, values, strict=True) if value is not None}
        overrides = {"method": name, **chosen}
        accepted = check(overrides)
        if len(chosen) == len(group):
            cells = {
                key.replace("optimizer.name", "optimizer").rpartition(".")[2]: value
                for key, value in chosen.items()
                if key != "train.learning_rate"
            }
            wanted = replace(METHODS[name], **cells)
            types = (wanted.gradient, wanted.latent)
            if "optimizer" not in cells and name == "efficient" and types != ("int8", "int8"):
                wanted = replace(wanted, optimizer="sign-momentum", weight_gradient="sign")
            if wanted.gradient != "int8":  # normalised, never a reason to refuse
                wanted = replace(wanted, gradient_scale="current")
            assert accepted == has_kernel(wanted, chosen.get("train.learning_rate", 1e-3))


@pytest.mark.parametrize(
    ("overrides", "cells"),
    [
        ({"train.optimizer": "adam"}, {"momentum": "float32", "moments": 2}),
        ({"train.optimizer": "sgd"}, {"momentum": "float32", "moments": 1}),
        ({"train.optimizer": "bop"}, {"momentum": "float32", "moments": 1}),
        ({"train.optimizer": "sign"}, {"momentum": "int8", "moments": 0}),
        ({"train.optimizer": "sign"}, {"weight_gradient": "sign"}),
        ({"train.optimizer": "sign-momentum"}, {"momentum": "int8", "weight_gradient": "sign"}),
        ({"representation.weight_gradient": "sign"}, {"optimizer": "sign-momentum"}),
        ({"representation.weight_gradient": "float32"}, {"optimizer": "sign-momentum"}),
        ({"representation.momentum": "float16"}, {"optimizer": "sign-momentum"}),
        ({"representation.latent": "int16"}, {"optimizer": "sign-momentum", "momentum": "int8"}),
        ({"representation.gradient": "float32"}, {"optimizer": "sign-momentum"}),
        ({"train.optimizer": "channel-momentum", "method": "standard",
          "representation.gradient": "int8", "representation.latent": "int8"},
         {"momentum": "int8", "weight_gradient": "integer"}),
        ({"train.optimizer": "sgd", "method": "wang2021"}, {"momentum": "float16", "moments": 1}),
        ({"train.optimizer": "bop", "method": "wang2021"}, {"momentum": "float32"}),
        ({"representation.latent": "float16"}, {"latent_range": 1.0}),
        ({"representation.latent": "int16"}, {"latent_range": 0.025}),
        ({"representation.latent": "int8", "method": "standard"}, {"latent_range": 0.025}),
        ({"representation.latent": "float32", "representation.latent_range": 0.1},
         {"latent_range": 0.1}),
        ({"representation.gradient": "float16"}, {"gradient_scale": "current"}),
        ({"representation.gradient_scale": "delayed", "method": "standard"},
         {"gradient_scale": "current"}),
        ({"representation.gradient": "int8", "representation.gradient_bits": 6,
          "method": "standard"}, {"gradient_scale": "current", "gradient_bits": 6}),
        ({"train.learning_rate": 0.0125}, {"latent_range": 0.025}),
        ({"train.learning_rate": 1.0, "method": "standard"}, {"latent_range": 1.0}),
    ],
)  # fmt: skip
def test_open_cells_follow_those_that_are_set(overrides, cells):
    method = resolve(overrides)
    assert {cell: getattr(method, cell) for cell in cells} == cells


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"train.optimizer": "adam", "representation.momentum": "int8"},
            "representation.momentum: int8 has no kernel with optimizer adam. "
            "Nearest that works: float32",
        ),
        (
            {"method": "wang2021", "representation.weight_gradient": "float32"},
            "representation.weight_gradient: float32 has no kernel with momentum float16 and "
            "optimizer adam. Nearest that works: representation.momentum: float32",
        ),
        (
            {"representation.activation": "float32"},
            "representation.activation: float32 has no kernel with mask recompute. "
            "Nearest that works: representation.mask: retained",
        ),
        (
            {"method": "standard", "representation.gradient_bits": 6},
            "representation.gradient_bits: 6 has no kernel with gradient float32. "
            "Nearest that works: 8",
        ),
        (
            {"train.learning_rate": 0.1},
            "train.learning_rate: 0.1 is more than half the range of latent weights with latent "
            "int8 and latent_range 0.025. Nearest that works: 0.0125",
        ),
        (
            {"method": "standard", "train.optimizer": "channel-momentum"},
            "train.optimizer.name: channel-momentum has no kernel with gradient float32. Nearest "
            "that works: sign-momentum",
        ),
        (
            {"representation.weight_gradient": "integer", "train.optimizer": "adam"},
            "representation.weight_gradient: integer has no kernel with optimizer adam. Nearest "
            "that works: sign",
        ),
        (
            {"representation.activation": "float32", "train.learning_rate": 0.1},
            "representation.activation: float32 has no kernel with mask recompute. Nearest that "
            "works: representation.mask: retained, train.learning_rate: 0.0125",
        ),
    ],
)
def test_refusals_say_what_and_what_instead(overrides, message):
    assert resolve_or_refuse(overrides) == (None, f"override: {message}")


def test_labels_are_the_cells_of_the_design():
    labels = {name: cell_labels(method) for name, method in METHODS.items()}
    assert labels["standard"]["straight-through mask"] == "from retained X"
    assert labels["standard"]["momenta"] == "2 x float32 (adam)"
    assert labels["wang2021"]["batch norm"] == "l1, published approximation, beta"
    assert labels["wang2021"]["max-pool choice"] == "recomputed"
    assert labels["efficient"]["retained activations X"] == "1 bit"
    assert labels["efficient"]["latent W"] == "int8 on +-0.025, stochastic rounding"
    assert labels["efficient"]["momenta"] == "1 x int8 (channel-momentum)"
    assert cell_labels(resolve({"train.optimizer": "sign"}))["momenta"] == "none (sign)"
    assert len({tuple(cells) for cells in labels.values()}) == 1
    assert all(text.isascii() for cells in labels.values() for text in cells.values())
