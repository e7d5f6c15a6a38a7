"""Residuals, repeats and real layers in configurations: what is read, written and refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.config import config_digest, dump_config, load_config, parse_override
from bnntrain.config.models import write_model
from bnntrain.errors import ConfigError
from bnntrain.graph import ShapeError, build_graph
from bnntrain.preparation import prepare

REAL = "conv: {channels: 4, weights: real}"
HEAD = "global_avg_pool, {dense: {units: 10, weights: real}}"
BLOCK = "{residual: {layers: [sign, {conv: 4}, batch_norm]}}"
HALF = "{conv: {channels: 8, stride: 2}}"

# What is refused while it is read: the list, the key, and what must stand in the message.
KEYS = [
    ("[residual]", "layers[0].residual.layers", "missing. Give a list of layers"),
    ("[{residual: [sign]}]", "layers[0].residual", "Give a mapping with the keys layers, shortcut"),
    ("[{residual: {layers: []}}]", "layers[0].residual.layers", "[] is not allowed. Give a list"),
    ("[{residual: {layers: sign}}]", "layers[0].residual.layers", "'sign' is not allowed"),
    ("[{residual: {layers: [sign], shortcuts: [sign]}}]", "layers[0].residual.shortcuts",
     "Did you mean 'shortcut'?"),
    ("[{residual: {layers: [sign], shortcut: []}}]", "layers[0].residual.shortcut", "[] is not"),
    ("[{residual: {layers: [sign], shortcut: null}}]", "layers[0].residual.shortcut", "null (no v"),
    ("[{residual: {layers: [sgn]}}]", "layers[0].residual.layers[0]", "Did you mean 'sign'?"),
    ("[{residual: {layers: [{conv: 0}]}}]", "layers[0].residual.layers[0].conv.channels",
     "from 1 to 65536"),
    ("[{residul: {layers: [sign]}}]", "layers[0]", "Did you mean 'residual'?"),
    ("[{repeat: 3}]", "layers[0].repeat", "Give a mapping with the keys times, layers"),
    ("[{repeat: {times: 3}}]", "layers[0].repeat.layers", "missing. Give a list of layers"),
    ("[{repeat: {times: 0, layers: [sign]}}]", "layers[0].repeat.times", "0 is not allowed"),
    ("[{repeat: {times: 1.5, layers: [sign]}}]", "layers[0].repeat.times", "1.5 is not allowed"),
    ("[{repeat: {times: 2, layers: [{repeat: {times: 2, layers: [sgn]}}]}}]",
     "layers[0].repeat.layers[0].repeat.layers[0]", "Did you mean 'sign'?"),
    ("[{repeat: {times: 4096, layers: [sign, sign]}}]", "layers", "8192 layers when repeats are"),
    ("[{conv: {channels: 4, weights: float}}]", "layers[0].conv.weights", "one of binary, real"),
    ("[{conv: {channels: 4, weights: real, representation: {latent: int16}}}]",
     "layers[0].conv.representation", "is of layers with binary weights. Leave it out"),
    ("[{conv: 4}, {batch_norm: {weights: real}}]", "layers[1].batch_norm.weights",
     "Give it to model.layers[0].conv"),
]  # fmt: skip
# What stands where it cannot: the list, the place, what is said. R begins a stream, B is a
# residual, H the head, C a binary convolution.
WORDS = {
    "R": f"{{{REAL}}}, batch_norm", "B": BLOCK, "H": HEAD, "C": "{conv: 4}", "N": "batch_norm",
    "D": "{dense: 10}", "rC": f"{{{REAL}}}",
    "r1": "{conv: {channels: 4, kernel: 1, weights: real}}",
    "rD": "{dense: {units: 10, weights: real}}", "P3": "{max_pool: {size: 3, padding: same}}",
}  # fmt: skip
NO_STREAM = "residual adds to a real stream, and there is none before it. Begin the list with conv"
NEXT = "Put residual or relu or global_avg_pool here"
ORDERS = [
    ("B H", "layers[0]", NO_STREAM),
    ("C N B H", "layers[2]", NO_STREAM),
    ("C N sign B H", "layers[3]", NO_STREAM),
    ("rC B H", "layers[1]", "residual after conv has no kernel. Put batch_norm here"),
    ("R relu B H", "layers[3]", "residual after relu has no kernel. Put global_avg_pool"),
    ("R H B", "layers[4]", "residual after dense has no kernel. End the list before it"),
    ("R B C", "layers[3]", f"conv cannot stand after residual. {NEXT}"),
    ("R B sign", "layers[3]", f"sign after residual has no kernel. {NEXT}"),
    ("R B R H", "layers[3]", f"conv with 'weights: real' after residual has no kernel. {NEXT}"),
    ("R B rD", "layers[3]", f"dense with 'weights: real' cannot stand after residual. {NEXT}"),
    ("R B avg_pool", "layers[3]", f"avg_pool after residual has no kernel. {NEXT}"),
    ("R B max_pool", "layers[3]", f"max_pool cannot stand after residual. {NEXT}"),
    ("R B relu relu", "layers[4]", "a second relu behind one conv. Put global_avg_pool here"),
    ("R B global_avg_pool D", "layers[4]", "dense cannot stand after global_avg_pool. Put dense w"),
    ("R H N", "layers[4]", "batch_norm cannot stand after dense. End the list before it"),
    ("C N sign flatten rD", "layers[4]", "dense with 'weights: real' cannot stand after flatten. "
     "Leave 'weights: real' out"),
    ("C N sign rC", "layers[3]", "conv with 'weights: real' cannot stand after sign. Leave 'wei"),
    ("rD", "layers[0]", "dense with 'weights: real' cannot stand as the first layer"),
    ("P3", "layers[0]", "max_pool with 'size: 3' cannot stand as the first layer"),
    ("relu", "layers[0]", "relu cannot stand as the first layer. Put dense or conv here"),
    ("rC", "layers[0]", "conv cannot be the last layer. End the list with batch_norm, global_avg"),
    ("R", "layers[1]", "the list ends with a real stream, whose values are not scores of classes. "
     "End the list with global_avg_pool and dense with 'weights: real'"),
    ("R B", "layers[2]", "the list ends with a real stream, whose values are not scores"),
    ("R B relu", "layers[3]", "the list ends with a real stream, whose values are not scores"),
    ("R B global_avg_pool", "layers[3]", "global_avg_pool cannot be the last layer. End the list "
     "with dense with 'weights: real'"),
]  # fmt: skip
LAYERS_OF_RESIDUALS = [
    ("C N", 0, "conv reads signs, and a real stream comes in. Put sign here"),
    ("N", 0, "batch_norm as the first layer of the list of a residual's layers has no kernel"),
    ("sign rC N", 1, "conv with 'weights: real' cannot stand after sign. Leave 'weigh"),
    ("sign D N", 1, "dense cannot stand after sign. Put conv here"),
    ("sign C", 1, "conv cannot be the last layer of the list of a residual's layers. Put batch_n"),
    ("sign", 0, "sign cannot be the last layer of the list of a residual's layers. Put conv beh"),
    ("sign C N sign C N", 3, "a second sign behind one conv. End the list of a residual's layers "
     "before it, and begin another residual"),
    ("B", 0, "a residual in a residual has no kernel. Put them one behind the other"),
]  # fmt: skip
SHORTCUTS = [
    ("C N", 0, "conv reads signs, and a real stream comes in. Put avg_pool or conv with 'weights"),
    ("N", 0, "batch_norm as the first layer of the shortcut has no kernel. Put avg_pool or conv"),
    ("avg_pool", 0, "avg_pool cannot be the last layer of the shortcut. Put conv with 'weights:"),
    ("avg_pool r1", 1, "conv cannot be the last layer of the shortcut. Put batch_norm behind it"),
    ("avg_pool rC N", 1, "a real conv of a stream has no kernel with kernel 3 and stride 1. Near"),
    ("r1 N r1 N", 2, "a second conv with 'weights: real' behind one conv. End the shortcut before"),
    ("B", 0, "a residual in a residual has no kernel. Put them one behind the other"),
]
# Two tensors that cannot be added, of 8x8 images: the residual, what is said of it.
WIDER = "{conv: {channels: 8, kernel: 1, weights: real}}, batch_norm"
SHAPES = [
    ("layers: [sign, {conv: 8}, batch_norm]", "its layers give 8x8x8, its input is 8x8x4. Give it "
     "a shortcut of conv: {channels: 8, kernel: 1, weights: real} and batch_norm"),
    ("layers: [sign, {conv: {channels: 4, stride: 2}}, batch_norm]", "its layers give 4x4x4, its "
     "input is 8x8x4. Give it a shortcut of avg_pool, conv: {channels: 4, kernel: 1, weights: re"),
    (f"layers: [sign, {HALF}, batch_norm], shortcut: [{WIDER}]", "its layers give 4x4x8, its "
     "shortcut 8x8x8. Put avg_pool first in the shortcut"),
    (f"layers: [sign, {{conv: 8}}, batch_norm], shortcut: [avg_pool, {WIDER}]", "its layers give "
     "8x8x8, its shortcut 4x4x8. Give the conv among its layers stride: 2 and padding: same"),
    (f"layers: [sign, {{conv: 4}}, batch_norm], shortcut: [{WIDER}]", "its layers give 8x8x4, its "
     "shortcut 8x8x8. Give the shortcut's conv channels: 4"),
    (f"layers: [sign, {{conv: {{channels: 8, stride: 2, padding: valid}}}}, batch_norm], shortcut: "
     f"[avg_pool, {WIDER}]", "its layers give 3x3x8, its shortcut 4x4x8. Give the conv among its "
     "layers padding: same"),
    ("layers: [sign, {conv: {channels: 4, padding: valid}}, batch_norm]", "its layers give 6x6x4, "
     "its input is 8x8x4. Give the conv among its layers stride: 1 and padding: same"),
]  # fmt: skip


def model(text):
    """Return overrides that put a list, written as YAML in one line, into a configuration."""
    return {"model": {"name": "trial", "layers": parse_override(f"x={text}")[1]}}


def loaded(text):
    return load_config("digits", model(text)).model


def network(layers):
    return load_config("digits", {"model": {"name": "trial", "layers": layers}})


def refusal(text, read=load_config):
    with pytest.raises(ConfigError) as caught:
        read("digits", model(text))
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message.removeprefix("override: model.")


def spelt(order):
    """Spell a list out."""
    return ", ".join(WORDS.get(word, word) for word in order.split())


@pytest.mark.parametrize(("text", "key", "remedy"), KEYS)
def test_faulty_key(text, key, remedy):
    message = refusal(text)
    assert message.startswith(f"{key}: ")
    assert remedy in message


@pytest.mark.parametrize(("order", "place", "message"), ORDERS)
def test_faulty_order(order, place, message):
    assert refusal(f"[{spelt(order)}]").startswith(f"{place}: {message}")


@pytest.mark.parametrize(("order", "item", "message"), LAYERS_OF_RESIDUALS)
def test_faulty_layers_of_a_residual(order, item, message):
    text = f"[{WORDS['R']}, {{residual: {{layers: [{spelt(order)}]}}}}, {HEAD}]"
    assert refusal(text).startswith(f"layers[2].residual.layers[{item}]: {message}")


@pytest.mark.parametrize(("order", "item", "message"), SHORTCUTS)
def test_faulty_shortcut(order, item, message):
    layers = "sign, {conv: 4}, batch_norm"
    text = f"[{WORDS['R']}, {{residual: {{shortcut: [{spelt(order)}], layers: [{layers}]}}}}]"
    assert refusal(text).startswith(f"layers[2].residual.shortcut[{item}]: {message}")


@pytest.mark.parametrize(("residual", "message"), SHAPES)
def test_tensors_that_cannot_be_added(residual, message):
    text = f"[{WORDS['R']}, {{residual: {{{residual}}}}}, {HEAD}]"
    assert refusal(text, prepare).startswith(f"layers[2].residual: {message}")


def test_of_an_odd_image_both_halves_are_named():
    halving = f"layers: [sign, {HALF}, batch_norm], shortcut: [avg_pool, {WIDER}]"
    network = loaded(f"[{WORDS['R']}, {{residual: {{{halving}}}}}, {HEAD}]")
    with pytest.raises(ShapeError) as caught:
        build_graph(network.layers, (7, 7, 1))
    assert caught.value.layer == "layers[2]"
    assert caught.value.message == (
        "its layers give 4x4x8, its shortcut 3x3x8. Give images whose height and width are even "
        "numbers up to here"
    )


def test_the_copy_that_does_not_fit_is_named():
    copies = "{repeat: {times: 2, layers: [{conv: 4}, batch_norm]}}"
    assert refusal(f"[{copies}]").startswith(
        "layers[0].repeat.layers[0]: in copy 2 of 2, conv cannot stand after batch_norm. Put sign"
    )
    halving = f"layers: [sign, {HALF}, batch_norm], shortcut: [avg_pool, {WIDER}]"
    copies = f"{{repeat: {{times: 5, layers: [{{residual: {{{halving}}}}}]}}}}"
    text = f"[{WORDS['R']}, {copies}, {HEAD}]"
    assert refusal(text, prepare).startswith(
        "layers[2].repeat.layers[0].residual.shortcut[0].avg_pool: in copy 4 of 5, 1x1 positions"
    )


def test_lists_that_are_nested_too_deeply():
    text = "sign"
    for _ in range(6):
        text = f"{{repeat: {{times: 1, layers: [{text}]}}}}"
    assert refusal(f"[{text}]").endswith("nested too deeply. Write it flatter")


def test_nested_lists_are_written_as_they_were_read():
    text = (
        f"[{WORDS['R']}, {{repeat: {{times: 3, layers: [{BLOCK}]}}}}, {{residual: {{shortcut: "
        f"[avg_pool, {WIDER}], layers: [sign, {HALF}, batch_norm]}}}}, relu, {HEAD}]"
    )
    found = write_model(loaded(text))["layers"]
    full = {"kernel": 3, "stride": 1, "padding": "same"}
    block = {"residual": {"layers": ["sign", {"conv": {"channels": 4} | full}, "batch_norm"]}}
    narrow = {"channels": 8, "kernel": 1, "stride": 1, "padding": "same", "weights": "real"}
    assert found == [
        {"conv": {"channels": 4} | full | {"weights": "real"}},
        "batch_norm",
        {"repeat": {"times": 3, "layers": [block]}},
        {"residual": {
            "shortcut": [{"avg_pool": 2}, {"conv": narrow}, "batch_norm"],
            "layers": ["sign", {"conv": {"channels": 8} | full | {"stride": 2}}, "batch_norm"],
        }},
        "relu",
        "global_avg_pool",
        {"dense": {"units": 10, "weights": "real"}},
    ]  # fmt: skip
    assert network(found).model == loaded(text)


def test_overlapping_max_pool_is_written_in_full_and_the_other_in_short():
    found = write_model(loaded(f"[{WORDS['R']}, {WORDS['P3']}, {HEAD}]"))["layers"]
    assert found[2] == {"max_pool": {"size": 3, "stride": 2, "padding": "same"}}
    text = "[{conv: 4}, max_pool, batch_norm, sign, flatten, {dense: 10}, batch_norm]"
    assert write_model(loaded(text))["layers"][1] == {"max_pool": 2}


# Lists at random --------------------------------------------------------------------------------

LAYER = st.sampled_from([
    "sign", "batch_norm", "relu", "avg_pool", "max_pool", "flatten", "global_avg_pool",
    {"conv": 4}, {"conv": {"channels": 8, "stride": 2}}, {"dense": 10},
    {"conv": {"channels": 4, "weights": "real"}},
    {"conv": {"channels": 8, "kernel": 1, "weights": "real"}},
    {"dense": {"units": 10, "weights": "real"}}, {"max_pool": {"size": 3, "padding": "same"}},
])  # fmt: skip


def nesting(items):
    """Draw items that nest lists of items."""
    lists = st.lists(items, min_size=1, max_size=4)
    residual = st.fixed_dictionaries({"layers": lists}, optional={"shortcut": lists})
    repeat = st.fixed_dictionaries({"times": st.integers(1, 3), "layers": lists})
    return residual.map(lambda own: {"residual": own}) | repeat.map(lambda own: {"repeat": own})


ANYTHING = st.lists(st.recursive(LAYER, nesting, max_leaves=8), min_size=1, max_size=8)


@st.composite
def streams(draw):
    """Draw lists that begin and end as residual networks do, with any stages between."""
    channels, stages = draw(st.integers(1, 9)), []
    layers = [{"conv": {"channels": channels, "weights": "real"}}, "batch_norm"]
    for _ in range(draw(st.integers(0, 4))):
        wanted, stride = draw(st.integers(1, 9)), draw(st.sampled_from([1, 2]))
        own = ["sign", {"conv": {"channels": wanted, "stride": stride}}, "batch_norm"]
        residual = {"layers": own}
        if wanted != channels or stride == 2:
            real = {"conv": {"channels": wanted, "kernel": 1, "weights": "real"}}
            residual["shortcut"] = [*["avg_pool"] * (stride - 1), real, "batch_norm"]
            stages.append({"residual": residual})
        else:
            times = draw(st.integers(1, 3))
            stages.append({"repeat": {"times": times, "layers": [{"residual": residual}]}})
        channels = wanted
    end = ["relu"] * draw(st.integers(0, 1))
    return [*layers, *stages, *end, "global_avg_pool", {"dense": {"units": 10, "weights": "real"}}]


@given(layers=ANYTHING)
def test_any_list_is_a_graph_or_one_line(layers):
    try:
        graph = build_graph(network(layers).model.layers, (8, 8, 1))
    except (ConfigError, ShapeError) as error:
        message = str(error)
    else:
        message = ""
        assert sum((step.operations for step in graph.fused()), ()) == graph.operations
    assert len(message.splitlines()) <= 1


@given(layers=streams())
def test_stages_of_a_residual_network(layers):
    config = network(layers)
    graph = build_graph(config.model.layers, (32, 32, 3))
    steps = graph.fused()
    assert sum((step.operations for step in steps), ()) == graph.operations
    assert [steps[0].kind, steps[-1].kind] == ["real_conv", "head"]
    written = load_config("digits", {"model": write_model(config.model)})
    assert written.model == config.model
    assert dump_config(written) == dump_config(config)
    assert config_digest(written) == config_digest(config)
    known = {graph.sample}
    for step in steps:
        assert known.issuperset(step.inputs)
        known.add(step.output)
    for step in (step for step in steps if step.kind == "residual"):
        assert step.addend.size == step.output.size
        assert step.is_identity == (step.addend == step.input)
