"""Planned lifetimes are the true ones: sharing bytes never shows in a result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from harness import (
    Watcher,
    conv_layers,
    evaluate,
    fill_batch,
    make_config,
    make_program,
    persistent_bytes,
    steps_of,
    time_of,
    train_by_pass,
)

from bnntrain.plan import ALIGNMENT, Placed
from bnntrain.preparation import make_plans

STEPS = 4
# Layers, sample, batch.
NETWORKS = {
    "dense": ([65, 130, 33, 10], 70, 21),
    "conv": (
        conv_layers(
            {"channels": 10, "kernel": 3, "pool": "before_norm"},
            {"channels": 70, "kernel": 3, "pool": "after_sign"},
            {"channels": 12, "kernel": 3, "pool": "before_sign"},
            {"channels": 9, "kernel": 2, "padding": "valid"},
            dense=(33, 10),
        ),
        (21, 18, 3),
        7,
    ),
}
OWN = [
    {"latent": "int16", "mask": "bit"},
    {"activation": "float32", "mask": "retained"},
    {"norm": "l1-binary", "weight_gradient": "float32"},
    {"weight_gradient": "bit", "gradient_bits": 8},
]
CASES = {
    "standard": ("standard", {}),
    "wang2021": ("wang2021", {}),
    "efficient": ("efficient", {}),
    "stored mask": ("efficient", {"mask": "bit"}),
    "retained int8": ("efficient", {"activation": "float32", "mask": "retained"}),
    "l1-binary int8": ("efficient", {"norm": "l1-binary"}),
    "stored dW": ("efficient", {"weight_gradient": "float32"}),
    "stored bits of dW": ("efficient", {"weight_gradient": "bit"}),
    "float32": ("efficient", {"gradient": "float32"}),
    "layers differ": ("efficient", {"own": OWN}),
}
TABLES = (".origins", ".neighbours")
"""Tensors that are made once."""


def config_of(network, case):
    """Configuration of a case."""
    layers, _, batch = NETWORKS[network]
    method, cells = CASES[case]
    return make_config(layers, method, batch, **cells)


def plan_of(network, case, shared):
    """The product's plan, or one in which every buffer has bytes of its own."""
    config = config_of(network, case)
    _, sample, batch = NETWORKS[network]
    plan, _ = make_plans(steps_of(config, sample), batch, 1)
    if shared:
        return plan
    placed, offset = [], 0
    for item in plan.placed:
        placed.append(Placed(item.buffer, offset))
        offset += -(-item.buffer.bytes // ALIGNMENT) * ALIGNMENT
    return replace(plan, placed=tuple(placed), total_bytes=offset)


def is_scratch(buffer):
    """Whether it carries nothing from one call to the next; ``conv.y`` is room within one."""
    return buffer.role == "scratch" or buffer.name == "conv.y"


class Spoiler(Watcher):
    """Spoils all that is not live before every pass."""

    def __init__(self, program):
        self._program = program

    def before(self, step, name, rows):
        now = time_of(self._program, step, name)
        for item in self._program.plan.placed:
            buffer = item.buffer
            if buffer.name.endswith(TABLES):
                continue
            # What is first used now is still to be written; scratch carries nothing between calls.
            if not buffer.first_use < now <= buffer.last_use or is_scratch(buffer):
                self._program.arena.views[buffer.name].view(np.uint8)[...] = 0xFF


def train(network, case, shared=True, spoilt=False, evaluated=False, plan=None):
    """Train on random data; return losses, correct and the persistent bytes."""
    _, sample, batch = NETWORKS[network]
    program = make_program(
        config_of(network, case), sample, plan=plan or plan_of(network, case, shared)
    )
    watcher = Spoiler(program) if spoilt else Watcher()
    random, found = np.random.default_rng(3), []
    for step in range(STEPS):
        fill_batch(program, random)
        found.append(train_by_pass(program, batch, step, 1e-3, watcher))
        if evaluated:
            fill_batch(program, np.random.default_rng(step))
            logits, *rest = evaluate(program, batch - 4)
            found.append((logits.tobytes(), *rest))
    return found, persistent_bytes(program)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("network", NETWORKS)
def test_sharing_bytes_changes_nothing(network, case):
    own = train(network, case, shared=False, evaluated=True)
    assert train(network, case, evaluated=True) == own


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("network", NETWORKS)
def test_only_live_buffers_are_read(network, case):
    # On bytes of their own, so that what is spoilt is exactly what the plan calls dead.
    assert train(network, case, shared=False, spoilt=True) == train(network, case)


@pytest.mark.parametrize("case", ["standard", "wang2021", "efficient"])
@pytest.mark.parametrize("network", NETWORKS)
def test_no_buffer_lives_longer_than_needed(network, case):
    wanted, plan = train(network, case), plan_of(network, case, shared=False)
    for index, item in enumerate(plan.placed):
        buffer = item.buffer
        if buffer.persistent or is_scratch(buffer) or buffer.first_use == buffer.last_use:
            continue
        shorter = replace(item, buffer=replace(buffer, last_use=buffer.last_use - 1))
        placed = (*plan.placed[:index], shorter, *plan.placed[index + 1 :])
        spoilt = train(network, case, spoilt=True, plan=replace(plan, placed=placed))
        assert spoilt != wanted, buffer.name
