"""What a pooled stem makes behind its first batch norm, and its gradient on the way there.

As in `residual_checks`, from what the product handed on: integers exactly, or either of two where
float32 may round to both; floats within their bounds.

Source: `kernels/stem/stem.h`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import checks
import conv_reference as conv
import numpy as np
import pool_reference as pool
import reference
import residual_reference as residual
import rounding
from checks import close
from harness import Trace
from residual_errors import RealErrors, unsure
from residual_kit import Seen
from residual_units import LIMIT, ONE

from bnntrain.steps.stem import SECOND

FINE, LARGEST = 16, 2**21
"""Gradients of pooled z are rounded to this part of the stream gradient's unit; the largest."""


@dataclass(frozen=True)
class Behind:
    """The checks of one stem.

    `z_error` bounds the pooled z. The second norm is of integers in units of the stream in
    ``efficient``, else of real numbers; `errors` are its own, those of y `first`.
    """

    one: Seen
    state: residual.State
    first: RealErrors
    z_error: np.ndarray
    second: reference.Normalised | None
    errors: RealErrors

    @classmethod
    def of(cls, one: Seen, state: residual.State, first: RealErrors) -> Behind:
        """Prepare the checks of a stem whose y may be off by `first`."""
        pooled, n = state.pooled, state.normalised
        error = in_window(state, checks.z_bound(n) + first.z, first)
        if not pooled.layer.has_norm:
            return cls(one, state, first, error, None, RealErrors.none())
        u, u_error = pooled.u, error
        if one.method.gradient == "int8":
            u, high = rounding.interval(ONE * u, ONE * error, LIMIT, None)
            u_error = high - u
        second = pool.normalise(pooled.layer, n.kind, u)
        errors = RealErrors.of_norm(second, conv.flat(u_error))
        return cls(one, state, first, error, second, errors)

    @property
    def is_whole(self) -> bool:
        """Whether it computes in integers."""
        return self.one.method.gradient == "int8"

    @property
    def out(self) -> np.ndarray:
        """What goes out, as real numbers that are not yet rounded."""
        return self.state.pooled.u if self.second is None else self.second.z

    @property
    def bound(self) -> np.ndarray:
        """How far `out` may be off."""
        if self.second is None:
            return self.z_error
        return checks.z_bound(self.second) + self.errors.z

    @property
    def trace(self) -> Trace:
        """The second norm's tensors, by the names of a norm's."""
        t = self.one.trace
        state, kept, made, later = (
            {k.removeprefix(SECOND): view for k, view in part.items() if k.startswith(SECOND)}
            for part in (t.state, t.kept, t.made, t.later)
        )
        return replace(t, state=state, kept=kept, made=made, later=later)

    def check_forward(self, first_step: bool) -> None:
        """Check pooled y, and the second norm's statistics."""
        n, pooled = self.state.normalised, self.state.pooled
        y = conv.flat(pool.take(n.y.reshape(self.state.shape), pooled.choice))
        error = in_window(self.state, self.first.y, self.first)
        close(self.one.kept["pooled"][: len(y)], y, conv.flat(error))
        if self.second is not None:
            self.errors.check_statistics(self.trace, self.second, first_step)

    def check_backward(self, g: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
        """Check the second norm's gradients; return those of all z [rows][channels], and how far
        they may be off."""
        error = np.zeros(g.shape)
        if self.second is not None:
            wanted, error = self.errors.check_parameter_gradients(self.trace, self.second, g)
            per_u = ONE if self.is_whole else 1
            g, error = wanted.dy * per_u, error * per_u
        if self.is_whole:
            fine = unit / FINE
            low, high = rounding.interval(g / fine, error / fine, LARGEST, None)
            g, error = low * fine, (high - low) * fine
        shape = self.state.out.shape
        return self._to_positions(*self._through_relu(g.reshape(shape), error.reshape(shape)))

    def check_update(self, rows: int, step: int, rate: float) -> None:
        """Check how the second norm's parameters move."""
        if self.second is not None:
            checks.check_parameters(self.trace, rows, step, rate)

    def _through_relu(self, g: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pooled = self.state.pooled
        if not pooled.layer.relu:
            return g, error
        passed, either = pooled.z > 0, unsure(pooled.z, self.z_error) > 0
        return g * passed, np.where(either, np.abs(g) + error, error * passed)

    def _to_positions(self, g: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pooled = self.state.pooled
        found, off = pool.spread(pooled, g), pool.spread(pooled, error)
        if not self.first.is_none:  # of y that are almost equal either may be the largest
            y = self.state.normalised.y.reshape(self.state.shape)
            values, numbers = pool.windows(np.where(self.state.normalised.gamma < 0, -y, y))
            slack = 2 * in_window(self.state, self.first.y, self.first)
            near = values >= np.nanmax(values, axis=0) - slack
            near &= near.sum(axis=0) > 1
            for each, number in zip(near, numbers, strict=True):
                choice = np.broadcast_to(np.maximum(number, 0)[..., None], g.shape)
                off += pool.spread(pooled, each * (np.abs(g) + error), choice)
        return conv.flat(found), conv.flat(off)


def in_window(state: residual.State, error: np.ndarray, first: RealErrors) -> np.ndarray:
    """Return the error of pooled values: of those chosen, or the largest where that is unsure."""
    error = (error + np.zeros(state.normalised.y.shape)).reshape(state.shape)
    if first.is_none:
        return pool.take(error, state.pooled.choice)
    return np.nanmax(pool.windows(error)[0], axis=0)
