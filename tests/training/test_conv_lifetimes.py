"""Convolutional networks of any shape: no byte of the arena is read that the plan calls dead.

Finer than the plan's buffers is what convolution blocks do with the room that they share: the
gradients' region holds g, then dY, then dX, each from its start, and behind dY a 16-bit copy of y;
``conv.y`` holds another copy within a forward pass. Nothing of it but g outlives a call.
"""

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
    time_of,
    train_by_pass,
)
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bnntrain.graph import POOLS, ShapeError
from bnntrain.plan import ALIGNMENT
from bnntrain.steps import ConvStep
from bnntrain.steps.conv import GRADIENT, KEPT_Y

STEPS = 3
POISON = (0xFF, 0x7F, 0x80)
"""As floats not a number, huge, and tiny; as int8 -1, 127 and -128."""

METHODS = {
    "standard": ("standard", {}),
    "wang2021": ("wang2021", {}),
    "efficient": ("efficient", {}),
    "8 bits, current": ("efficient", {"gradient_bits": 8, "gradient_scale": "current"}),
    "stored mask": ("efficient", {"mask": "bit"}),
    "retained": ("efficient", {"activation": "float32", "mask": "retained"}),
    "l1": ("efficient", {"norm": "l1"}),
    "l1-binary": ("efficient", {"norm": "l1-binary"}),
    "stored dW": ("efficient", {"weight_gradient": "bit"}),
    "float16": ("efficient", {"gradient": "float16"}),
}


def conv(channels, kernel=3, stride=1, padding="same", pool="none"):
    """Return a convolution's options."""
    return {"channels": channels, "kernel": kernel, "stride": stride, "padding": padding,
            "pool": pool}  # fmt: skip


CONVS = st.lists(
    st.builds(
        conv,
        st.sampled_from([1, 5, 20, 40, 63, 64, 65, 130]),
        st.integers(1, 5),
        st.sampled_from([1, 2]),
        st.sampled_from(["same", "valid"]),
        st.sampled_from(list(POOLS)),
    ),
    min_size=1,
    max_size=4,
)
SAMPLES = st.tuples(st.integers(5, 16), st.integers(5, 16), st.integers(1, 4))
# Every y of the first fits behind its dY; of the second the largest one does not.
SMALL = ([conv(40, pool="before_norm"), conv(20, 5, 2), conv(5, pool="after_sign")], (12, 11, 3))
WIDE = ([conv(5), conv(130, pool="before_sign"), conv(9, 2, 2, "valid")], (9, 10, 2))


def build(convs, sample, method="efficient", batch=6, threads=1, shared=True):
    """Return a program, or give the example up where images are too small for it.

    Unless `shared`, every buffer has bytes of its own.
    """
    name, cells = METHODS[method]
    config = make_config(conv_layers(*convs, dense=(33, 10)), name, batch, **cells)
    try:
        program = make_program(config, sample, threads)
    except ShapeError:
        return assume(False)
    return program if shared else make_program(config, sample, threads, plan=apart(program.plan))


def apart(plan):
    """Return a plan in which no two buffers share a byte."""
    placed, offset = [], 0
    for item in plan.placed:
        placed.append(replace(item, offset=offset))
        offset += -(-item.buffer.bytes // ALIGNMENT) * ALIGNMENT
    return replace(plan, placed=tuple(placed), total_bytes=offset)


def live_bytes(program, now, rows):
    """Whether each byte of the arena is of use to the calls at a time, before they are made."""
    live = np.zeros(program.arena.bytes, bool)
    for item in program.plan.placed:
        buffer, end = item.buffer, item.end
        if not buffer.first_use < now <= buffer.last_use or buffer.name in ("scratch", KEPT_Y):
            continue
        if buffer.name == GRADIENT:
            (step,) = (step for step in program.steps if step.backward == now)
            itemsize = program.arena.views[GRADIENT].itemsize
            end = item.offset + rows * step.outputs * itemsize
            assert end <= item.end
        assert not live[item.offset : end].any(), buffer.name
        live[item.offset : end] = True
    return live


class Poisoner(Watcher):
    """Overwrites all dead bytes of the arena before every pass."""

    def __init__(self, program):
        self._program, self._passes = program, 0
        self._memory = np.frombuffer(program.arena._memory, np.uint8)

    def before(self, step, name, rows):
        now = time_of(self._program, step, name)
        rows = 0 if name == "update" else rows
        poison = POISON[self._passes % len(POISON)]
        self._memory[~live_bytes(self._program, now, rows)] = poison
        self._passes += 1


def train(program, rows, watcher=None):
    """Train and evaluate on random data; return losses, correct and the persistent bytes."""
    random, found = np.random.default_rng(3), []
    for step in range(STEPS):
        fill_batch(program, random)
        found.append(train_by_pass(program, rows, step, 1e-3, watcher or Watcher()))
        fill_batch(program, random)
        logits, *rest = evaluate(program, rows)
        found.append((logits.tobytes(), *rest))
    return found, persistent_bytes(program)


@settings(max_examples=60)
@given(
    convs=CONVS,
    sample=SAMPLES,
    method=st.sampled_from(list(METHODS)),
    batch=st.integers(2, 9),
    threads=st.integers(1, 3),
    missing=st.integers(0, 2),
)
@example(*SMALL, "efficient", 9, 1, 0)
@example(*WIDE, "efficient", 9, 2, 2)
@example(*SMALL, "standard", 9, 2, 1)
@example(*WIDE, "wang2021", 9, 1, 0)
def test_dead_bytes_are_not_read(convs, sample, method, batch, threads, missing):
    network, rows = (convs, sample, method, batch, threads), max(1, batch - missing)
    wanted = train(build(*network, shared=False), rows)
    program = build(*network)
    assert train(program, rows, Poisoner(program)) == wanted


@settings(max_examples=40)
@given(convs=CONVS, sample=SAMPLES, method=st.sampled_from(list(METHODS)), batch=st.integers(2, 9))
@example(*SMALL, "efficient", 9)
@example(*WIDE, "wang2021", 9)
def test_copies_of_y_change_nothing(convs, sample, method, batch):
    """A copy that had been overwritten would differ from a product that is multiplied again."""
    wanted = train(build(convs, sample, method, batch), batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConvStep, "kept_bytes", lambda block: 0)
        program = build(convs, sample, method, batch)
    assert KEPT_Y not in program.arena.views
    assert train(program, batch) == wanted


def copies_of_y(program):
    """Return where each convolution block keeps y, forward and backward, in bytes of its buffer."""
    found = []
    for block in program.steps:
        if not isinstance(block, ConvStep):
            continue
        batch, views = len(program.x), program.arena.views
        places = []
        for name, start in ((KEPT_Y, 0), (GRADIENT, batch * block.norm_values)):
            copy = block._kept(views.get(name), start, batch)
            if copy is None:
                places.append(None)
                continue
            first = copy.ctypes.data - views[name].ctypes.data
            assert copy.shape == (batch * block.window.norm_positions, block.channels)
            assert first + copy.nbytes <= views[name].nbytes
            places.append(first)
        found.append((block, *places))
    return found


@settings(max_examples=40)
@given(convs=CONVS, sample=SAMPLES, method=st.sampled_from(list(METHODS)), batch=st.integers(1, 9))
@example(*SMALL, "efficient", 9)
@example(*WIDE, "float16", 9)
def test_a_copy_of_y_lies_behind_the_gradient(convs, sample, method, batch):
    program = build(convs, sample, method, batch)
    region = program.arena.views[GRADIENT]
    for block, _, backward in copies_of_y(program):
        most = max(block.norm_values, block.outputs, 0 if block.is_first else block.inputs)
        assert batch * most <= region.size
        if backward is not None:
            assert backward >= batch * block.norm_values * region.itemsize
            assert backward % 64 == 0


def test_the_examples_have_blocks_with_and_without_copies():
    # Otherwise these tests would say nothing of one or the other.
    kept = [
        (forward is not None, backward is not None)
        for network in (SMALL, WIDE)
        for _, forward, backward in copies_of_y(build(*network))
    ]
    assert {pair[0] for pair in kept} == {pair[1] for pair in kept} == {True, False}
