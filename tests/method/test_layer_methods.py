"""``representation`` among a layer's options: what follows from it, and what is refused."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_rules import CHOICES, has_kernel

from bnntrain.config import config_digest, dump_config, load_config, parse_override
from bnntrain.config.models import write_model
from bnntrain.errors import ConfigError
from bnntrain.layer_methods import LayerMethods, resolve_methods
from bnntrain.method import METHODS

PLACES = tuple(f"layers[{item}]" for item in (0, 3, 6))  # of the products in the list of layers
KEYS = [f"model.{place}.dense.representation" for place in PLACES]
CELLS = {
    key.rpartition(".")[2]: values for key, values in CHOICES.items() if "representation" in key
} | {"gradient_rounding": ("nearest", "stochastic")}  # fmt: skip
EFFICIENT = METHODS["efficient"]


def network(*own):
    """Override with three dense layers, each with cells of its own."""
    layers = []
    for units, cells in zip((32, 16, 10), own, strict=True):
        layers += [{"dense": {"units": units, "representation": cells}}, "batch_norm", "sign"]
    return {"model": {"name": "trial", "layers": layers[:-1]}}


def resolve(own, run=None) -> LayerMethods:
    return resolve_methods(load_config("digits", network(*own) | (run or {})))


def refusal(own, run=None) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(own, run)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def rows(methods):
    return [methods.of(place) for place in PLACES]


# What follows ------------------------------------------------------------------------------------


def test_layers_that_set_nothing_are_the_runs():
    for run in ({}, {"method": "wang2021"}, {"representation.norm": "l1"}):
        methods = resolve([{}, {}, {}], run)
        assert methods.differing == {}
        assert rows(methods) == [methods.run] * 3


@pytest.mark.parametrize("method", METHODS)
def test_cells_in_every_layer_are_cells_of_the_run(method):
    """But for those of the signs, which the last layer has not."""
    for cell, values in CELLS.items():
        for value in values if cell not in ("activation", "mask") else ():
            try:
                wanted = resolve([{}] * 3, {"method": method, f"representation.{cell}": value}).run
            except ConfigError:
                refusal([{cell: value}] * 3, {"method": method})
                continue
            assert rows(resolve([{cell: value}] * 3, {"method": method})) == [wanted] * 3


@pytest.mark.parametrize(
    ("own", "run", "wanted"),
    [
        ({"latent": "int16"}, {},
         {"latent": "int16", "optimizer": "sign-momentum", "weight_gradient": "sign"}),
        ({"latent": "float32"}, {},
         {"latent": "float32", "latent_range": 1.0, "optimizer": "sign-momentum",
          "weight_gradient": "sign"}),
        ({"norm": "l1"}, {}, {"norm": "l1"}),
        ({"gradient_bits": 8, "gradient_scale": "current"}, {},
         {"gradient_bits": 8, "gradient_scale": "current"}),
        ({"activation": "float32", "mask": "retained"}, {},
         {"activation": "float32", "mask": "retained"}),
        ({"weight_gradient": "sign"}, {"method": "standard"}, {"weight_gradient": "sign"}),
        # A layer may be what the method is where the run is not.
        ({"latent": "int8"}, {"representation.latent": "int16"},
         {"latent": "int8", "optimizer": "channel-momentum", "weight_gradient": "integer"}),
        # As in the run: what is set stays, what is not follows.
        ({"latent": "int8"}, {"method": "standard"}, {"latent": "int8", "latent_range": 0.025}),
        ({"latent": "int8"}, {"method": "standard", "representation.latent_range": 0.5},
         {"latent": "int8"}),
        ({"norm": "l1"}, {"representation.norm": "l1"}, {}),
    ],
)  # fmt: skip
def test_a_layers_row_is_the_runs_but_for_its_cells(own, run, wanted):
    methods = resolve([{}, own, {}], run)
    assert rows(methods) == [methods.run, replace(methods.run, **wanted), methods.run]
    assert methods.own_cells(PLACES[1]) == {
        cell: value for cell, value in wanted.items() if asdict(methods.run)[cell] != value
    }


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "run", "message"),
    [
        (
            [{"activation": "float32"}, {}, {}], {},
            f"{KEYS[0]}.activation: float32 has no kernel with mask recompute. Nearest that works: "
            f"{KEYS[0]}.mask: retained",
        ),
        (
            [{}, {}, {"activation": "float32", "mask": "retained"}], {},
            f"{KEYS[2]}.activation: the last layer gives scores, and has no signs to retain. "
            "Leave it out",
        ),
        (
            [{}, {"gradient": "float16"}, {}], {},
            f"{KEYS[1]}.gradient: float16 has no kernel with int8 in another layer: gradients go "
            "from layer to layer in one type, which representation.gradient sets. "
            "Nearest that works: int8",
        ),
        (
            [{}, {"gradient": "float16"}, {"gradient": "float32"}], {},
            f"{KEYS[1]}.gradient: float16 has no kernel with int8 in another layer: gradients go "
            "from layer to layer in one type, which representation.gradient sets. "
            f"Nearest that works: {KEYS[1]}.gradient: int8, {KEYS[2]}.gradient: int8",
        ),
        (
            [{}, {"weight_gradient": "float32"}, {}], {"method": "wang2021"},
            f"{KEYS[1]}.weight_gradient: float32 has no kernel with momentum float16 and optimizer "
            f"adam. Nearest that works: {KEYS[1]}.momentum: float32",
        ),
        (
            [{}, {"latent": "int16"}, {}], {"train.optimizer": "channel-momentum"},
            f"{KEYS[1]}.latent: int16 has no kernel with optimizer channel-momentum. "
            "Nearest that works: int8",
        ),
        (
            [{"norm": "l1", "latent": "int16"}, {}, {}],
            {"representation.weight_gradient": "integer"},
            f"{KEYS[0]}.latent: int16 has no kernel with weight_gradient integer and optimizer "
            f"sign-momentum. Nearest that works: {KEYS[0]}.weight_gradient: sign",
        ),
        (
            [{}, {"latent": "int8"}, {}], {"method": "standard", "train.learning_rate": 0.1},
            "train.learning_rate: 0.1 is more than half the range of latent weights with latent "
            "int8 and latent_range 0.025 of model.layers[3].dense. Nearest that works: 0.0125",
        ),
        (
            [{}, {"latent": "int3"}, {}], {},
            f"{KEYS[1]}.latent: 'int3' is not allowed. Give one of float16, float32, int16, int8, "
            "or leave it out. Did you mean 'int8'?",
        ),
        (
            [{}, {"latents": "int8"}, {}], {},
            f"{KEYS[1]}.latents: unknown key. Did you mean 'latent'?",
        ),
        (
            [{}, {"optimizer": "adam"}, {}], {},
            f"{KEYS[1]}.optimizer: unknown key. Did you mean 'train.optimizer'?",
        ),
        (
            [{}, "int16", {}], {},
            f"{KEYS[1]}: 'int16' is not allowed. Give a mapping with the keys activation, mask, ",
        ),
    ],
)  # fmt: skip
def test_refusals_name_the_layer_and_what_works(own, run, message):
    assert refusal(own, run).startswith(f"override: {message}")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"dense": 9}, {"batch_norm": {"representation": {"norm": "l1"}}}, "sign"],
         "model.layers[1].batch_norm.representation: is an option of layers with weights. "
         "Give it to model.layers[0].dense"),
        ([{"conv": 9}, "batch_norm", "sign", {"max_pool": {"representation": {}}}],
         "model.layers[3].max_pool.representation: is an option of layers with weights. "
         "Give it to model.layers[0].conv"),
        ([{"flatten": {"representation": {}}}],
         "model.layers[0].flatten.representation: is an option of layers with weights. "
         "Give it to dense or conv"),
    ],
)  # fmt: skip
def test_layers_without_weights_say_where_it_belongs(layers, message):
    layers = [*layers, {"dense": 10}, "batch_norm"]
    with pytest.raises(ConfigError) as caught:
        load_config("digits", {"model": {"layers": layers}})
    assert str(caught.value) == f"override: {message}"


def test_the_line_names_the_file(tmp_path):
    path = tmp_path / "trial.yaml"
    path.write_text(
        "model:\n  layers:\n    - dense: {units: 8, representation: {mask: retained}}\n"
        "    - batch_norm\n    - sign\n    - dense: 10\n    - batch_norm\n"
        "data: {dataset: digits}\ntrain: {epochs: 1}\n"
    )
    with pytest.raises(ConfigError) as caught:
        resolve_methods(load_config(path))
    assert str(caught.value) == (
        f"{path}: model.layers[0].dense.representation.mask: retained has no kernel with "
        "activation bit. Nearest that works: bit"
    )


# Any cells ----------------------------------------------------------------------------------------

SOME_CELLS = st.fixed_dictionaries(
    {}, optional={cell: st.sampled_from(values) for cell, values in CELLS.items()}
)
RUNS = st.fixed_dictionaries(
    {},
    optional={"method": st.sampled_from([*METHODS])}
    | {key: st.sampled_from(CHOICES[key]) for key in ("train.optimizer.name", "train.learning_rate",
                                                      "representation.latent",
                                                      "representation.weight_gradient")},
)  # fmt: skip


def repair(own, run, message):
    """Do what a message says."""
    head, _, remedy = message.partition(". Nearest that works: ")
    key = head.split(": ")[1]
    if not remedy:
        assert head.endswith(". Leave it out")
        del own[KEYS.index(key.rpartition(".")[0])][key.rpartition(".")[2]]
        return
    pairs = [part.partition(": ") for part in remedy.split(", ")]
    for name, _, text in pairs if ": " in remedy else [(key, "", remedy)]:
        value, (section, _, cell) = parse_override(f"x={text}")[1], name.rpartition(".")
        if section in KEYS:
            own[KEYS.index(section)][cell] = value
        else:
            run[name] = value


def resolve_or_refuse(own, run):
    try:
        return resolve(own, run), ""
    except ConfigError as error:
        return None, str(error)


@given(own=st.tuples(SOME_CELLS, SOME_CELLS, SOME_CELLS), run=RUNS)
def test_any_cells_have_kernels_or_a_remedy(own, run):
    own, run = [dict(cells) for cells in own], dict(run)
    for _ in range(12):  # each message is of one layer or of the run
        methods, message = resolve_or_refuse(own, run)
        if methods is not None:
            break
        assert message.startswith("override: ")
        assert len(message.splitlines()) == 1
        repair(own, run, message)
    for cells, row in zip(own, rows(methods), strict=True):
        assert has_kernel(row, run.get("train.learning_rate", 1e-3))
        assert row.gradient == methods.run.gradient or len({r.gradient for r in rows(methods)}) == 1
        given_cells = {cell: value for cell, value in cells.items() if cell != "gradient_scale"}
        assert given_cells.items() <= asdict(row).items()


# Reading and writing ------------------------------------------------------------------------------


def test_what_sets_nothing_is_not_there():
    plain = load_config("digits", {"model": {"name": "m", "layers": [{"dense": 10}, "batch_norm"]}})
    for empty in ({}, None, {"latent": None}):
        layers = [{"dense": {"units": 10, "representation": empty}}, "batch_norm"]
        config = load_config("digits", {"model": {"name": "m", "layers": layers}})
        assert write_model(config.model) == write_model(plain.model)
        assert config_digest(config) == config_digest(plain)


def test_it_is_written_out_and_part_of_the_digest():
    config = load_config("digits", network({}, {"latent": "int16", "latent_range": 0.5}, {}))
    item = write_model(config.model)["layers"][3]
    own = {"latent": "int16", "latent_range": 0.5}
    assert item == {"dense": {"units": 16, "representation": own}}
    assert "representation:\n        latent: int16\n" in dump_config(config)
    others = [load_config("digits", network(*each)) for each in (
        [{}, {}, {}], [own, {}, {}], [{}, own | {"latent": "int8"}, {}],
    )]  # fmt: skip
    assert config_digest(config) not in map(config_digest, others)


# Of nested lists ---------------------------------------------------------------------------------


def residual_network(cells):
    """Override with two copies of a residual whose convolution has cells of its own."""
    conv = {"conv": {"channels": 4, "representation": cells}}
    block = {"residual": {"layers": ["sign", conv, "batch_norm"]}}
    layers = [
        {"conv": {"channels": 4, "weights": "real"}}, "batch_norm",
        {"repeat": {"times": 2, "layers": [block]}},
        "global_avg_pool", {"dense": {"units": 10, "weights": "real"}},
    ]  # fmt: skip
    return {"model": {"name": "trial", "layers": layers}}


def test_copies_of_a_repeat_share_what_their_layer_sets():
    methods = resolve_methods(load_config("digits", residual_network({"latent": "int16"})))
    place = "layers[2].repeat.layers[0].residual.layers[1]"
    assert methods.differing.keys() == {place}
    assert methods.own_cells(place)["latent"] == "int16"
    assert methods.of("layers[0]") == methods.run


def test_a_nested_layer_is_named_by_its_place():
    with pytest.raises(ConfigError) as caught:
        resolve_methods(load_config("digits", residual_network({"mask": "retained"})))
    place = "model.layers[2].repeat.layers[0].residual.layers[1].conv.representation.mask"
    assert str(caught.value).startswith(f"override: {place}: retained has no kernel")


RETAINED = {"activation": "float32", "mask": "retained"}


@pytest.mark.parametrize("cells", [RETAINED, {"mask": "bit"}], ids=str)
def test_signs_of_a_stream_are_retained_in_one_way(cells):
    with pytest.raises(ConfigError) as caught:
        resolve_methods(load_config("digits", residual_network(cells)))
    place = "model.layers[2].repeat.layers[0].residual.layers[1].conv.representation"
    assert str(caught.value).startswith(f"override: {place}.{next(iter(cells))}: signs of a stream")


@pytest.mark.parametrize(
    ("method", "cells", "message"),
    [
        (
            "efficient", RETAINED,
            "activation: float32 has no kernel with gradient int8 in a residual. "
            "Nearest that works: representation.activation: bit, representation.mask: bit",
        ),
        (
            "standard", {"gradient": "float16"},
            "gradient: float16 has no kernel with activation float32 in a residual. "
            "Nearest that works: float32",
        ),
    ],
)  # fmt: skip
def test_a_retained_stream_is_of_the_type_of_its_gradient(method, cells, message):
    given = {"method": method} | {f"representation.{name}": cell for name, cell in cells.items()}
    with pytest.raises(ConfigError) as caught:
        resolve_methods(load_config("digits", residual_network({}) | given))
    assert str(caught.value) == f"override: representation.{message}"
    fix = {"representation.activation": "bit", "representation.mask": "bit"}
    nearest = fix if method == "efficient" else {"representation.gradient": "float32"}
    resolve_methods(load_config("digits", residual_network({}) | given | nearest))
