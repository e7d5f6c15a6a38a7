"""Each stage of a traced step of a network with convolutions, against `conv_reference`.

As in `checks`, every stage is checked from what the product itself handed to it. A convolution's dY
and dX take the same place, so that dY of all but the first block is never seen: its quantised
values are worked out here, random bits included, and where float32 might round to either of two,
both are allowed for in dX and in sgn(dW).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import checks
import conv_reference as conv
import numpy as np
import rounding
from checks import HALF_LARGEST, close, storage_bound
from harness import (
    Trace,
    as_signs,
    fill_batch,
    make_program,
    scramble_norms,
    traced_step,
)
from rounding import U

from bnntrain import kernels
from bnntrain.config import Config
from bnntrain.graph import Size
from bnntrain.program import Program


def run_checked(
    config: Config,
    shape: int | Size,
    steps: int = 2,
    rows: int | None = None,
    threads: int = 1,
    prepare: Callable = scramble_norms,
    fill: Callable = fill_batch,
    isa: str | None = None,
    degenerate: bool = False,
) -> tuple[Program, list[Trace]]:
    """Train a few steps on random data, each checked; return the model and the last traces."""
    program = make_program(config, shape, threads, isa)
    random = np.random.default_rng(1)
    prepare(program, random)
    rate, smoothing = config.train.learning_rate, config.train.label_smoothing
    for step in range(steps):
        fill(program, random)
        count = rows or config.train.batch_size
        labels = program.labels[:count].copy()  # the buffer is another's after the loss
        traces, loss, correct = traced_step(program, count, step, rate)
        check_step(program, traces, labels, loss, correct, step, rate, smoothing, degenerate)
    return program, traces


def check_step(
    program: Program,
    traces: list[Trace],
    labels: np.ndarray,
    loss: float,
    correct: int,
    step: int,
    rate: float,
    smoothing: float,
    degenerate: bool = False,
) -> None:
    """Check a whole traced step; in a `degenerate` one all of dW may be what rounding left of 0."""
    checks.check_loss(traces[-1], labels, smoothing, loss, correct)
    check_handover(traces)
    for number, trace in enumerate(traces):
        if trace.geometry is None:
            n = checks.check_forward(trace, step == 0)
            checks.check_norm_gradient(trace, n, program, number, step)
            signs = checks.check_products(trace, program, number, step)
        else:
            state = check_forward(trace, step == 0)
            dy, error = check_norm_gradient(trace, state, program, number, step)
            signs = check_products(trace, program, number, step, dy, error, degenerate)
        checks.check_updates(trace, signs, program, number, step, rate, len(labels))


def check_handover(traces: list[Trace]) -> None:
    """Check that each block reads the signs that the one below gives out, in the same order."""
    for below, above in pairwise(traces):
        out = as_signs(below.kept["out"], len(below.kept["out"]), below.outputs)
        assert np.array_equal(out.ravel(), above.x.ravel())


def rows(tensor: np.ndarray) -> np.ndarray:
    """One row per sample and position."""
    return tensor.reshape(-1, tensor.shape[-1])


# Forward ------------------------------------------------------------------------------------------


def state_of(t: Trace, norm: str) -> conv.State:
    """Reference forward pass of a block."""
    gamma = t.state["gamma"].astype(float) if "gamma" in t.state else np.ones(t.outputs)
    layer = conv.Layer(t.geometry, t.signs, gamma, t.state["beta"].astype(float), norm)
    return conv.forward_block(layer, t.x)


def check_forward(t: Trace, first_step: bool) -> conv.State:
    """Check statistics, outputs, masks and running statistics."""
    state = state_of(t, t.method.norm)
    n, pool = state.normalised, t.geometry.pool
    bound = checks.z_bound(n)
    if pool == "after_sign":
        # Rounding may decide the argmax where z is not 0 and yet closer to it than this.
        assert np.all((n.z == 0) | (np.abs(n.z) > 1e-5 * bound))
    if pool in ("before_sign", "after_sign"):
        bound = conv.pick(bound.reshape(state.y.shape), state.argmax)
    checks.check_statistics(t, n, first_step)
    checks.check_outputs(t, rows(state.z), rows(bound))
    return state


# Backward -----------------------------------------------------------------------------------------


def check_norm_gradient(
    t: Trace, state: conv.State, program: Program, number: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Check dbeta, dgamma and the scale of dY; return dY as stored, and how far it may be off.

    Both at every position of the product; int8 gradients in units of their scale.
    """
    method, geometry = t.method, t.geometry
    g = checks.incoming(t, rows(state.z))
    if geometry.pool in ("before_sign", "after_sign"):
        g = rows(conv.spread(g.reshape(state.z.shape), state.argmax, geometry.product))
    wanted, bound = checks.check_parameter_gradients(t, state.normalised, g)
    if method.gradient == "int8":
        limit = 31 if method.gradient_bits == 6 else 127
        checks.check_scale(t.state["scales"][1], t.scales[1], wanted.dy, bound, limit, method)
        scale = float(t.scales[1, 0])
        u = noise(t, program, number, step)
        dy, high = rounding.interval(wanted.dy / scale, bound / scale, limit, u)
        error = high - dy
    else:
        dy, error = wanted.dy, bound + storage_bound(method.gradient, np.abs(wanted.dy) + bound)
        if method.gradient == "float16":
            dy = np.clip(dy, -HALF_LARGEST, HALF_LARGEST)
    check_stored(t, dy, error)
    seen = state.z if geometry.pool in conv.BEFORE_NORM else state.y
    dy, error = dy.reshape(seen.shape), error.reshape(seen.shape)
    if geometry.pool == "before_norm":
        dy = conv.spread(dy, state.argmax, geometry.product)
        error = conv.spread(error, state.argmax, geometry.product)
    if geometry.pool == "average_before_norm":
        dy, error = conv.repeat(dy, geometry.product), conv.repeat(error, geometry.product)
    return dy, error


def norm_order(geometry: conv.Geometry) -> list[int]:
    """Place of each position that batch norm sees, in scan order, among the stored ones."""
    if geometry.pool in conv.BEFORE_NORM:
        return list(range(geometry.output[0] * geometry.output[1]))
    stored = {place: index for index, place in enumerate(geometry.stored_positions())}
    return [stored[place] for place in np.ndindex(geometry.product)]


def noise(t: Trace, program: Program, number: int, step: int) -> np.ndarray | None:
    """The random bytes that round each dY, which are those of the places where dY is stored."""
    order = np.array(norm_order(t.geometry))
    places = (np.arange(len(t.x))[:, None] * len(order) + order).reshape(-1, 1)
    index = places * t.outputs + np.arange(t.outputs)
    return rounding.noise(program, kernels.STREAM_DY, number, step, index)


def check_stored(t: Trace, dy: np.ndarray, error: np.ndarray) -> None:
    """Check dY itself where it can be seen."""
    if t.dy is None:
        return
    order = np.array(norm_order(t.geometry))
    stored = t.dy.reshape(len(t.x), len(order), t.outputs)
    got = stored[:, order].reshape(-1, t.outputs).astype(float)
    if t.method.gradient != "int8":
        close(got, dy, error)
        return
    assert np.all((got >= dy) & (got <= dy + error))


def check_products(
    t: Trace,
    program: Program,
    number: int,
    step: int,
    dy: np.ndarray,
    error: np.ndarray,
    degenerate: bool = False,
) -> np.ndarray:
    """Check dX and dW as far as it can be seen; return what moves the weights (see `checks`)."""
    geometry, integer = t.geometry, t.method.gradient == "int8"
    size = np.abs(dy) + error
    if t.dx is not None:
        ones = np.ones(t.signs.shape)
        bound = conv.input_gradient(geometry, error, ones)
        if not integer:
            terms = geometry.kernel**2 * t.outputs
            bound += terms * U * conv.input_gradient(geometry, size, ones)
        dx = conv.input_gradient(geometry, dy, t.signs)
        checks.check_input_gradient(t, program, number, step, rows(dx), rows(bound))
    dw = conv.weight_gradient(geometry, dy, t.x)
    bound = conv.weight_gradient(geometry, error, np.abs(t.x))
    if not integer:
        # What a skipped tap added as if it were +1 may have been taken off again.
        skipped = 0.0 if t.is_first else rows(size).sum(axis=0)[:, None]
        terms = conv.weight_gradient(geometry, size, np.abs(t.x)) + 2 * skipped
        bound += len(rows(dy)) * U * terms
    moves = checks.check_weight_gradient(t, program, step, dw, bound)
    if not degenerate and t.method.weight_gradient == "integer":
        assert np.isnan(moves).mean() < 0.1
    elif not degenerate:
        # What rounding may decide are small values, or this would show nothing.
        assert not np.isnan(moves[np.abs(dw) > 0.1 * np.abs(dw).max()]).any()
    return moves
