"""Networks whose layers are held in different ways: whole steps against the reference.

As in `test_step` and `test_conv_step`; each layer is checked as what its own row says.
"""

from __future__ import annotations

import numpy as np
import pytest
from conv_checks import run_checked
from harness import conv_layers, fill_batch, make_config, make_program, persistent_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from method_rules import CHOICES

from bnntrain import kernels
from bnntrain.errors import ConfigError
from bnntrain.layer_methods import resolve_methods

# Layers, sample, products.
NETWORKS = {
    "dense": ([33, 66, 20, 7], (1, 1, 35), 4),
    "conv": (
        conv_layers(
            {"channels": 10, "kernel": 3, "pool": "before_norm"},
            {"channels": 66, "kernel": 2, "pool": "after_sign"},
            {"channels": 9, "kernel": 2, "padding": "valid", "pool": "before_sign"},
            dense=(20, 7),
        ),
        (14, 15, 3),
        5,
    ),
}
BATCH = 9
CELLS = (
    {"latent": "int16"},
    {"activation": "float32", "mask": "retained", "gradient_bits": 8},
    {"norm": "l1-binary", "latent": "float32", "momentum": "float16"},
    {"gradient_scale": "current", "weight_gradient": "float32", "latent": "float16"},
    {"mask": "bit", "norm": "l1", "weight_gradient": "bit", "gradient_rounding": "nearest"},
)


def cells_of(network, turn):
    """Give every layer cells; those of the signs not to the last, which has none."""
    *_, count = NETWORKS[network]
    own = [dict(CELLS[(place + turn) % len(CELLS)]) for place in range(count)]
    for cell in ("activation", "mask"):
        own[-1].pop(cell, None)
    return own


def config_of(network, own, method="efficient", **options):
    layers, *_ = NETWORKS[network]
    return make_config(layers, method, BATCH, own=own, **options)


@pytest.mark.parametrize("turn", range(len(CELLS)))
@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_is_what_its_cells_say(network, turn):
    own = cells_of(network, turn)
    program, traces = run_checked(config_of(network, own), NETWORKS[network][1], 3, threads=2)
    for trace, step, cells in zip(traces, program.steps, own, strict=True):
        latent = trace.state["latent"].dtype
        assert latent == cells.get("latent", "int8")
        assert step.method.norm == cells.get("norm", "l2")
        assert ("gamma" in trace.state) == (step.method.norm != "l1-binary")
        assert ("dW_magnitude" in trace.state) == (step.method.optimizer == "channel-momentum")
    assert len({step.method for step in program.steps}) >= 4


@pytest.mark.parametrize("method", ["standard", "wang2021"])
@pytest.mark.parametrize("network", NETWORKS)
def test_one_layer_of_integers_in_a_method_of_floats(network, method):
    own = [{}, {"latent": "int8", "weight_gradient": "sign"}, {"norm": "l2", "latent": "int16"}]
    run_checked(config_of(network, own, method), NETWORKS[network][1], 3)


# Any cells ----------------------------------------------------------------------------------------

SIGNS = st.sampled_from(
    [{}, {}, {"activation": "float32", "mask": "retained"}, {"activation": "bit", "mask": "bit"},
     {"activation": "bit", "mask": "recompute"}, {"mask": "bit"}]
)  # fmt: skip
FREE = ("norm", "gradient_bits", "gradient_scale", "weight_gradient", "latent", "momentum")
SOME_CELLS = st.builds(
    lambda signs, others: signs | others,
    SIGNS,
    st.fixed_dictionaries(
        {},
        optional={cell: st.sampled_from(CHOICES[f"representation.{cell}"]) for cell in FREE}
        | {"gradient_rounding": st.sampled_from(["nearest", "stochastic"])},
    ),
)
LAST_CELLS = SOME_CELLS.map(
    lambda cells: {cell: v for cell, v in cells.items() if cell not in ("activation", "mask")}
)


@settings(max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("network", NETWORKS)
def test_any_cells_are_refused_or_trained_as_they_say(network, data):
    _, sample, count = NETWORKS[network]
    own = [*(data.draw(SOME_CELLS) for _ in range(count - 1)), data.draw(LAST_CELLS)]
    method = data.draw(st.sampled_from(["standard", "wang2021", "efficient"]))
    optimizer = data.draw(st.sampled_from([None, None, "adam", "sgd", "sign-momentum", "sign"]))
    config = config_of(network, own, method, optimizer={"name": optimizer})
    try:
        resolve_methods(config)
    except ConfigError as error:
        message = str(error)
    else:
        run_checked(config, sample, degenerate=True)
        return
    assert len(message.splitlines()) == 1
    assert message.startswith("test: model.layers[")
    assert ". Nearest that works: " in message


# Bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_threads_and_instruction_sets_do_not_show(network):
    config, found = config_of(network, cells_of(network, 0)), set()
    for isa in kernels.supported_isas():
        for threads in (1, 3):
            program = make_program(config, NETWORKS[network][1], threads, isa)
            random = np.random.default_rng(2)
            for step in range(3):
                fill_batch(program, random)
                program.train_batch(BATCH, step, 1e-3)
            found.add(persistent_bytes(program))
    assert len(found) == 1


@pytest.mark.parametrize("network", NETWORKS)
def test_cells_in_every_layer_train_as_cells_of_the_run(network):
    _, sample, count = NETWORKS[network]
    cells = {"latent": "int16", "norm": "l1", "gradient_bits": 8}
    found = []
    for config in (config_of(network, [cells] * count), config_of(network, [], **cells)):
        program = make_program(config, sample)
        fill_batch(program, np.random.default_rng(2))
        program.train_batch(BATCH, 0, 1e-3)
        found.append(persistent_bytes(program))
    assert found[0] == found[1]
