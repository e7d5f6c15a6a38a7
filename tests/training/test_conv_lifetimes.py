"""Convolutional networks of any shape: no byte of the arena is read that the plan calls dead.

Finer than the plan's buffers is what convolution blocks do with the room that they share: the
gradients' region holds g, then dY, then dX, each from its start, and behind dY a 16-bit copy of y;
``conv.y`` holds another copy within a forward pass. Nothing of it but g outlives a call.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from harness import conv_layers, fill_batch, make_config, make_model, persistent_bytes
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bnntrain.layers import ConvBlock, ShapeError
from bnntrain.layers.conv import GRADIENT, KEPT_Y
from bnntrain.plan import ALIGNMENT

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
        st.sampled_from(["none", "before_norm", "before_sign", "after_sign"]),
    ),
    min_size=1,
    max_size=4,
)
SAMPLES = st.tuples(st.integers(5, 16), st.integers(5, 16), st.integers(1, 4))
# Every y of the first fits behind its dY; of the second the largest one does not.
SMALL = ([conv(40, pool="before_norm"), conv(20, 5, 2), conv(5, pool="after_sign")], (12, 11, 3))
WIDE = ([conv(5), conv(130, pool="before_sign"), conv(9, 2, 2, "valid")], (9, 10, 2))


def build(convs, sample, method="efficient", batch=6, threads=1, shared=True):
    """Return a model, or give the example up where images are too small for it.

    Unless `shared`, every buffer has bytes of its own.
    """
    name, cells = METHODS[method]
    config = make_config(conv_layers(*convs, dense=(33, 10)), name, batch, **cells)
    try:
        model = make_model(config, sample, threads)
    except ShapeError:
        return assume(False)
    return model if shared else make_model(config, sample, threads, plan=apart(model.plan))


def apart(plan):
    """Return a plan in which no two buffers share a byte."""
    placed, offset = [], 0
    for item in plan.placed:
        placed.append(replace(item, offset=offset))
        offset += -(-item.buffer.bytes // ALIGNMENT) * ALIGNMENT
    return replace(plan, placed=tuple(placed), total_bytes=offset)


def live_bytes(model, now, rows):
    """Whether each byte of the arena is of use to the calls at a time, before they are made."""
    live = np.zeros(model.arena.bytes, bool)
    for item in model.plan.placed:
        buffer, end = item.buffer, item.end
        if not buffer.first_use < now <= buffer.last_use or buffer.name in ("scratch", KEPT_Y):
            continue
        if buffer.name == GRADIENT:
            (block,) = (block for block in model.blocks if block.times.backward == now)
            itemsize = model.arena.views[GRADIENT].itemsize
            end = item.offset + rows * block.outputs * itemsize
            assert end <= item.end
        assert not live[item.offset : end].any(), buffer.name
        live[item.offset : end] = True
    return live


class Poisoner:
    """A block, or the loss, before whose every call all dead bytes of the arena are overwritten."""

    def __init__(self, wrapped, model, when=None):
        self._wrapped, self._model, self._when = wrapped, model, when
        self._memory = np.frombuffer(model.arena._memory, np.uint8)
        self._calls = 0

    def __getattr__(self, name):
        return getattr(self._wrapped, name)

    def _poison(self, now, rows):
        self._memory[~live_bytes(self._model, now, rows)] = POISON[self._calls % len(POISON)]
        self._calls += 1

    def forward(self, rows, *arguments):
        self._poison(self._wrapped.times.forward, rows)
        self._wrapped.forward(rows, *arguments)

    def backward(self, rows, step):
        self._poison(self._wrapped.times.backward, rows)
        self._wrapped.backward(rows, step)

    def update(self, step):
        self._poison(self._wrapped.times.end, 0)
        self._wrapped.update(step)

    def __call__(self, rows, training):
        self._poison(self._when, rows)
        return self._wrapped(rows, training)


def train(model, rows):
    """Train and evaluate on random data; return losses, hits and the persistent bytes."""
    random, found = np.random.default_rng(3), []
    for step in range(STEPS):
        fill_batch(model, random)
        found.append(model.train_batch(rows, step, 1e-3))
        fill_batch(model, random)
        found.append(model.evaluate_batch(rows))
    return found, persistent_bytes(model)


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
    model = build(*network)
    model.loss = Poisoner(model.loss, model, model.blocks[-1].times.loss)
    model.blocks = [Poisoner(block, model) for block in model.blocks]
    assert train(model, rows) == wanted


@settings(max_examples=40)
@given(convs=CONVS, sample=SAMPLES, method=st.sampled_from(list(METHODS)), batch=st.integers(2, 9))
@example(*SMALL, "efficient", 9)
@example(*WIDE, "wang2021", 9)
def test_copies_of_y_change_nothing(convs, sample, method, batch):
    """A copy that had been overwritten would differ from a product that is multiplied again."""
    wanted = train(build(convs, sample, method, batch), batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConvBlock, "kept_bytes", lambda block: 0)
        model = build(convs, sample, method, batch)
    assert KEPT_Y not in model.arena.views
    assert train(model, batch) == wanted


def copies_of_y(model):
    """Return where each convolution block keeps y, forward and backward, in bytes of its buffer."""
    found = []
    for block in model.blocks:
        if not isinstance(block, ConvBlock):
            continue
        batch, views = len(model.x), model.arena.views
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
    model = build(convs, sample, method, batch)
    region = model.arena.views[GRADIENT]
    for block, _, backward in copies_of_y(model):
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
