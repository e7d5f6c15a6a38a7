"""Residual networks: planned lifetimes are the true ones, and streams lie where they should."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from harness import (
    Watcher,
    fill_batch,
    make_config,
    make_program,
    persistent_bytes,
    steps_of,
    time_of,
    train_by_pass,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from residual_kit import METHODS, STEMS, half, layers_of, plan_of, same
from test_conv_lifetimes import POISON, apart
from test_residual_determinism import BLOCKS, CONVS

STEPS, SAMPLE = 2, (32, 32, 3)
CASES = {
    "standard": ("standard", {}),
    "wang2021": ("wang2021", {}),
    "efficient": ("efficient", {}),
    "8 bits, current": ("efficient", {"gradient_bits": 8, "gradient_scale": "current"}),
    "l1": ("efficient", {"norm": "l1"}),
    "stored dW": ("efficient", {"weight_gradient": "bit"}),
    "float16": ("efficient", {"gradient": "float16"}),
    "retained": ("efficient", {"activation": "float32", "mask": "retained", "gradient": "float32"}),
}
LITTLE = ({"channels": 5, "stride": 2}, [same(5), half(9), same(9), same(6)])
NETWORK = ({"channels": 20, "stride": 2}, [same(20), same(20), half(70), same(70), same(36)])


def config_of(network, case, batch=6, relu=False, behind=()):
    """Configuration of a case."""
    stem, blocks = network
    name, cells = CASES[case]
    return make_config(layers_of(stem, *blocks, relu=relu, behind=behind), name, batch, **cells)


def is_scratch(buffer):
    """Whether it carries nothing from one call to the next."""
    return buffer.role == "scratch"


class Poisoner(Watcher):
    """Overwrites all dead bytes of the arena before every pass."""

    def __init__(self, program):
        self._program, self._passes = program, 0

    def before(self, step, name, rows):
        now, live = time_of(self._program, step, name), np.zeros(self._program.arena.bytes, bool)
        for item in self._program.plan.placed:
            buffer = item.buffer
            if buffer.first_use < now <= buffer.last_use and (
                buffer.constant or not is_scratch(buffer)
            ):
                assert not live[item.offset : item.end].any(), buffer.name
                live[item.offset : item.end] = True
        self._program.arena.whole[~live] = POISON[self._passes % len(POISON)]
        self._passes += 1


def train(config, rows, threads=1, plan=None, spoilt=False):
    """Train on random data; return losses, correct and the persistent bytes."""
    plan = plan or plan_of(config, SAMPLE, threads)
    program = make_program(config, SAMPLE, threads, plan=plan)
    watcher = Poisoner(program) if spoilt else Watcher()
    random, found = np.random.default_rng(3), []
    for step in range(STEPS):
        fill_batch(program, random)
        found.append(train_by_pass(program, rows, step, 1e-3, watcher))
    return found, persistent_bytes(program)


@settings(max_examples=30)
@given(
    network=st.tuples(CONVS, BLOCKS),
    behind=st.sampled_from(STEMS),
    case=st.sampled_from(list(CASES)),
    relu=st.booleans(),
    batch=st.integers(1, 5),
    threads=st.integers(1, 3),
    missing=st.integers(0, 2),
)
@example(NETWORK, STEMS[-1], "standard", True, 5, 2, 1)
@example(NETWORK, STEMS[0], "wang2021", False, 5, 1, 0)
@example(NETWORK, STEMS[-1], "efficient", True, 5, 3, 2)
def test_dead_bytes_are_not_read(network, behind, case, relu, batch, threads, missing):
    config, rows = config_of(network, case, batch, relu, behind), max(1, batch - missing)
    plan = plan_of(config, SAMPLE, threads)
    check_apart(plan)
    wanted = train(config, rows, threads, apart(plan))
    assert train(config, rows, threads, plan, spoilt=True) == wanted


def check_apart(plan):
    """Assert that no two buffers that live at a time share a byte, and all lie in the arena."""
    for one, other in combinations(plan.placed, 2):
        mine, others = one.buffer, other.buffer
        if mine.first_use <= others.last_use and others.first_use <= mine.last_use:
            assert one.end <= other.offset or other.end <= one.offset, (mine.name, others.name)
    assert max(item.end for item in plan.placed) <= plan.total_bytes


@pytest.mark.parametrize(("relu", "behind"), [(False, STEMS[0]), (True, STEMS[-1])])
@pytest.mark.parametrize("case", METHODS)
def test_no_buffer_lives_longer_than_needed(case, relu, behind):
    config = config_of(LITTLE, case, batch=3, relu=relu, behind=behind)
    wanted, plan = train(config, 3), apart(plan_of(config, SAMPLE))
    for index, item in enumerate(plan.placed):
        buffer = item.buffer
        if buffer.is_kept or is_scratch(buffer) or buffer.first_use == buffer.last_use:
            continue
        shorter = replace(item, buffer=replace(buffer, last_use=buffer.last_use - 1))
        placed = (*plan.placed[:index], shorter, *plan.placed[index + 1 :])
        spoilt = train(config, 3, plan=replace(plan, placed=placed), spoilt=True)
        assert spoilt != wanted, buffer.name


# Streams ------------------------------------------------------------------------------------------


def streams(case):
    """Buffers of streams, and of their gradients, by name."""
    plan = plan_of(config_of(NETWORK, case), SAMPLE)
    return [
        {item.buffer.name: item.buffer for item in plan.placed if item.buffer.name.endswith(end)}
        for end in (".stream", ".stream_gradient")
    ]


@pytest.mark.parametrize("case", ["wang2021", "efficient"])
def test_a_stream_of_bits_is_one_buffer(case):
    # The stem's, that of half the size, that of other channels.
    found, gradients = streams(case)
    assert len(found) == len(gradients) == 3
    steps = steps_of(config_of(NETWORK, case), SAMPLE)
    assert set(found) == {f"{s.name}.stream" for s in steps if s.fused.kind == "real_conv"}
    # Read last by the step that makes the next stream, and gone in the backward pass.
    assert all(buffer.last_use < steps[0].order.loss for buffer in found.values())


def test_a_retained_stream_is_a_buffer_for_every_tensor():
    found, gradients = streams("standard")
    steps = steps_of(config_of(NETWORK, "standard"), SAMPLE)
    assert set(found) == {f"{step.name}.stream" for step in steps[:-1]}
    assert len(gradients) == 3


def test_a_stream_of_bits_lives_on_where_relu_needs_its_signs():
    plan = plan_of(config_of(NETWORK, "efficient", relu=True), SAMPLE)
    steps = steps_of(config_of(NETWORK, "efficient", relu=True), SAMPLE)
    ends = {item.buffer.name: item.buffer.last_use for item in plan.placed}
    *others, last = [f"{s.name}.stream" for s in steps if s.fused.kind == "real_conv"]
    assert ends[last] == steps[-1].backward
    assert all(ends[name] < steps[0].order.loss for name in others)
