"""Each stage of a traced step of a residual network, against `residual_reference`.

As in `checks`, every stage is checked from what the product itself handed to it, so that no bound
grows with depth. Integers are exact: stream, signs, masks, products, and, random bits included,
what gradients are rounded to; where float32 might round to either of two integers both are allowed.
What is not stored is checked in what comes of it: dY of real convolutions, and their dW.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import checks
import conv_reference as conv
import numpy as np
import reference
import residual_reference as residual
import rounding
from checks import close, close_stored
from harness import as_signs, fill_batch, unpack
from residual_errors import RealErrors
from residual_kit import Seen, program_of, reference_of, scramble, traced_step
from residual_real import (
    check_real_operands,
    check_real_update,
    real_layer,
    unit_of_sent,
    unit_of_weights,
)
from residual_stem import Behind
from residual_units import LIMIT, ONE, in_units, limited
from rounding import U

from bnntrain import kernels
from bnntrain.config import Config
from bnntrain.graph import Size
from bnntrain.program import Program

TINY = 1e-38
"""What float32 may lose below its normal numbers."""
OF_STEP, OF_FIRST = 8191.0, 1023.0
"""What the amax of an int16 gradient becomes, of a former step's and of a first part's: room above
both for what others add."""


def run_checked(
    config: Config,
    sample: Size,
    steps: int = 2,
    rows: int | None = None,
    threads: int = 1,
    isa: str | None = None,
    prepare: Callable = scramble,
) -> tuple[Program, list[Seen]]:
    """Train a few steps on random data, each checked; return the program and what was last seen."""
    program, random = program_of(config, sample, threads, isa), np.random.default_rng(1)
    prepare(program, random)
    train, count = config.train, rows or config.train.batch_size
    for step in range(steps):
        fill_batch(program, random)
        labels = program.labels[:count].copy()  # the buffer is another's after the loss
        seen, loss, correct = traced_step(program, count, step, train.learning_rate)
        check_loss(seen[-1], labels, train.label_smoothing, loss, correct)
        StepCheck(program, seen, step, train.learning_rate).run()
    return program, seen


def check_loss(
    head: Seen, labels: np.ndarray, smoothing: float, loss: float, correct: int
) -> None:
    """Check loss, correct and gradient of the logits, which is float32 in every method."""
    logits = head.out.astype(float)
    wanted, gradient = reference.cross_entropy(logits, labels, smoothing)
    assert abs(loss - wanted) <= 1e-6 * (abs(wanted) + len(labels))
    assert correct == int((logits.argmax(axis=1) == labels).sum())
    close(head.arrived, gradient, 1e-6 * np.abs(gradient) + 4e-7)


class StepCheck:
    """The checks of one step."""

    def __init__(self, program: Program, seen: list[Seen], step: int, rate: float) -> None:
        self.program, self.seen, self.step, self.rate = program, seen, step, rate
        self.rows = len(seen[0].read)
        self._begun: set[str] = set()  # gradients of streams

    def run(self) -> None:
        """Check all layers, as they go back: who writes first to a gradient begins it."""
        layers = {layer.name: layer for layer in reference_of(self.seen)}
        for number, one in sorted(enumerate(self.seen), key=lambda each: each[1].step.backward):
            check = self._check_head if one.step.is_last else self._check_conv
            check(number, one, layers[one.name])

    # Convolutions -------------------------------------------------------------------------------

    def _check_conv(self, number: int, one: Seen, layer: residual.Conv) -> None:
        read = one.read if layer.reads == residual.PIXELS else in_units(one.read)
        errors = RealErrors.none()
        if layer.is_binary:
            self._check_bits(one)
            addend = in_units(one.addend)
            state = residual.convolved(layer, read, residual.operand_of(layer, read), addend)
        else:
            check_real_operands(one, layer, self.step == 0)
            layer, state, errors = real_layer(one, layer, read)
        self._check_forward(one, state, errors)
        self._check_backward(number, one, state, errors)

    def _check_bits(self, one: Seen) -> None:
        """Check the signs and the mask that are kept of a stream, which are exact."""
        if "X" not in one.kept:
            return
        r = in_units(one.read).reshape(-1, one.read.shape[-1])
        assert np.array_equal(as_signs(one.kept["X"], len(r), r.shape[1]), reference.sign(r))
        mask = unpack(one.kept["mask"][: len(r)], r.shape[1])
        assert np.array_equal(mask, reference.passes(r))

    def _check_forward(self, one: Seen, state: residual.State, errors: RealErrors) -> None:
        errors.check_statistics(one.trace, state.normalised, self.step == 0)
        z, bound = state.normalised.z, checks.z_bound(state.normalised) + errors.z
        if state.pooled is not None:
            stem = Behind.of(one, state, errors)
            stem.check_forward(self.step == 0)
            z, bound = stem.out, stem.bound
        z, bound = z.reshape(state.out.shape), bound.reshape(state.out.shape)
        if one.out.dtype == np.int16:
            low, high = rounding.interval(ONE * z, ONE * bound, LIMIT, None)
            below = 0 if one.addend is None else one.addend.astype(float)
            assert np.all((one.out >= limited(below + low)) & (one.out <= limited(below + high)))
            return
        bound += 2 * U * np.abs(state.out) + TINY
        close_stored(one.out, state.out, bound, str(one.out.dtype))

    def _check_backward(
        self, number: int, one: Seen, state: residual.State, errors: RealErrors
    ) -> None:
        t, n, layer, shape = one.trace, state.normalised, state.layer, state.shape
        g, off = conv.flat(one.arrived.astype(float) * self._unit(one, "arrived")), 0.0
        if state.pooled is not None:
            stem = Behind.of(one, state, errors)
            g, off = stem.check_backward(g, self._unit(one, "arrived"))
            stem.check_update(self.rows, self.step, self.rate)
        wanted, bound = errors.check_parameter_gradients(t, n, g, off)
        dy, error, unit = self._dy(number, one, wanted, bound)
        dy, error = dy.reshape(shape), error.reshape(shape)
        dw = conv.weight_gradient(layer.geometry, dy, state.operand)
        dw_error = conv.weight_gradient(layer.geometry, error, np.abs(state.operand))
        if one.method.gradient != "int8":
            size = conv.weight_gradient(layer.geometry, np.abs(dy) + error, np.abs(state.operand))
            # What a skipped tap added as if it were +1 may have been taken off again.
            skipped = 2 * np.abs(conv.flat(dy)).sum(axis=0)[:, None] if layer.is_binary else 0.0
            dw_error += len(conv.flat(dy)) * U * (size + skipped)
        if layer.is_binary:
            t.x, t.scales = state.operand, np.array([one.scales["dY"][1]] * 2) if unit else None
            moves = checks.check_weight_gradient(t, self.program, self.step, dw, dw_error)
            checks.check_updates(
                t, moves, self.program, number, self.step, self.rate, self.rows
            )
        else:
            of_weights = unit_of_weights(one, layer, unit)
            checks.check_parameters(t, self.rows, self.step, self.rate)
            check_real_update(
                t, dw * of_weights, dw_error * of_weights, self.step, self.rate, self.rows
            )
        if layer.reads != residual.PIXELS:
            self._check_sent(number, one, state, dy, error)

    def _unit(self, one: Seen, which: str) -> float:
        return float(one.scales[which][1][0]) if which in one.scales else 1.0

    def _dy(
        self, number: int, one: Seen, wanted: reference.NormGradient, bound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float | None]:
        """Check dY as far as it is stored; return it, how far it may be off, and its scale."""
        method, t = one.method, one.trace
        if method.gradient != "int8":
            if t.dy is None:
                return wanted.dy, bound, None
            close_stored(t.dy, wanted.dy, bound, method.gradient)
            return t.dy.astype(float), np.zeros(bound.shape), None
        limit = 127 if t.dy is None or method.gradient_bits == 8 else 31
        before, after = one.scales["dY"]
        checks.check_scale(before, after, wanted.dy, bound, limit, method)
        unit = float(after[0])
        exact = wanted.dy / unit
        u = self._noise(number, kernels.STREAM_DY, rounding.indices(exact))
        if t.dy is not None:
            rounding.check(t.dy, exact, bound / unit, limit, u)
            return t.dy.astype(float), np.zeros(bound.shape), unit
        low, high = rounding.interval(exact, bound / unit, limit, u)
        return low, high - low, unit

    def _noise(self, number: int, stream: int, index: np.ndarray) -> np.ndarray | None:
        return rounding.noise(self.program, stream, number, self.step, index)

    # What goes on to the stream -------------------------------------------------------------------

    def _check_sent(
        self, number: int, one: Seen, state: residual.State, dy: np.ndarray, error: np.ndarray
    ) -> None:
        layer, geometry = state.layer, state.layer.geometry
        weights = np.abs(layer.weights)
        dx = conv.input_gradient(geometry, dy, layer.weights)
        bound = conv.input_gradient(geometry, error, weights)
        size = conv.input_gradient(geometry, np.abs(dy) + error, weights)
        if one.method.gradient != "int8":
            bound += (geometry.kernel**2 * geometry.outputs + 3) * U * size
        unit = unit_of_sent(one, layer, self._unit(one, "dY"))
        state = replace(state, read=in_units(one.read))
        part, bound = residual.to_read(state, dx), residual.to_read(state, bound)
        touched = residual.to_read(replace(state, read=0 * state.read), np.ones(dx.shape)) != 0
        largest = np.abs(dx).max() * unit / layer.side**2
        self._check_gathered(number, one, part * unit, bound * unit, largest, touched)

    def _check_gathered(
        self,
        number: int,
        one: Seen,
        part: np.ndarray,
        bound: np.ndarray,
        largest: float,
        touched: np.ndarray,
    ) -> None:
        """Check the gradient of what was read, of which a layer makes a part."""
        name = one.step.incoming_stream.gradient
        begins = name not in self._begun
        self._begun.add(name)
        base = 0.0 if begins else one.before.astype(float)
        if one.after.dtype != np.int16:
            total = base + part
            close_stored(one.after, total, bound + 2 * U * np.abs(total), str(one.after.dtype))
            return
        self._check_stream_scale(one, begins, largest, float(np.max(bound)), touched)
        scale = self._unit(one, "read")
        exact = conv.flat(part) / scale
        slack = conv.flat(np.broadcast_to(bound, part.shape)) / scale + 4 * U * np.abs(exact)
        u = self._noise(number, kernels.STREAM_DX, rounding.indices(exact))
        low, high = rounding.interval(exact, slack, LIMIT, u)
        base, after = conv.flat(base + np.zeros(part.shape)), conv.flat(one.after)
        assert np.all((after >= limited(base + low)) & (after <= limited(base + high)))

    def _check_stream_scale(
        self, one: Seen, begins: bool, largest: float, bound: float, touched: np.ndarray
    ) -> None:
        """Check an int16 gradient's scale, of its first part or the step before, and the next."""
        before, after = one.scales["read"]
        is_known = one.method.gradient_scale == "delayed" and before[1] > 0
        if not begins or is_known:
            assert after[0] == (before[1] if begins else before[0])
        else:
            wanted = largest / OF_FIRST or 1.0
            close(after[0], wanted, 1e-5 * wanted + bound / OF_FIRST)
        amax = np.abs(one.after.astype(float))[touched].max() * after[0] / OF_STEP
        wanted = amax if begins else max(amax, float(before[1]))
        close(after[1], wanted, 4 * U * wanted)

    # The head -------------------------------------------------------------------------------------

    def _check_head(self, number: int, one: Seen, layer: residual.Head) -> None:
        r, t = in_units(one.read), one.trace
        state = residual.scored(layer, r)
        features = one.kept["features"][: self.rows]
        close(features, state.features, 2 * U * np.abs(r).mean(axis=(1, 2)))
        weights, bias = layer.weights.astype(np.float32), layer.bias.astype(np.float32)
        assert np.array_equal(one.out, in_order(features, weights.T) + bias)
        g = one.arrived
        gradient = residual.head_backward(state, g.astype(float))
        close(t.made["d_bias"], gradient.dbeta, self.rows * U * np.abs(g).sum(axis=0))
        dw = in_order(g.T, features).astype(float)
        checks.check_parameters(t, self.rows, self.step, self.rate)
        check_real_update(t, dw, np.zeros(dw.shape), self.step, self.rate, self.rows)
        positions = r.shape[1] * r.shape[2]
        spread = in_order(g, weights) * np.float32(1) / np.float32(positions)
        passed = (r > 0) if layer.relu else np.ones(r.shape)
        part = spread.astype(float)[:, None, None, :] * passed
        bound = 4 * U * np.abs(part)
        if "read" in one.scales:  # in 65536ths of a unit first
            bound = bound + 2.0**-15 * self._unit(one, "read")
        self._check_gathered(
            number, one, part, bound, np.abs(spread).max(), np.ones(r.shape, bool)
        )


def in_order(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a product of float32 matrices that adds in the order of their depth."""
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for left, right in zip(a.T, b, strict=True):
        total += np.outer(left, right)
    return total
