"""How far what a batch norm sees may be off, as float32 sums are, and what comes of it there."""

from __future__ import annotations

from dataclasses import dataclass

import checks
import conv_reference as conv
import numpy as np
import reference
import residual_reference as residual
from checks import close
from harness import Trace
from rounding import U


@dataclass(frozen=True)
class RealErrors:
    """Bounds of what comes into a batch norm and what it makes; all 0 if that is exact.

    `y` and `z` [rows][channels] are those of what comes in and of the normalised values, `mean` and
    `inverse` [channels] of the batch's statistics, the latter relative.
    """

    y: np.ndarray
    mean: np.ndarray
    inverse: np.ndarray
    z: np.ndarray
    is_none: bool = False

    @classmethod
    def none(cls) -> RealErrors:
        """Return those of exact products."""
        zero = np.zeros(1)
        return cls(zero, zero, zero, zero, True)

    @classmethod
    def of(cls, state: residual.State) -> RealErrors:
        """Return those of a convolution whose terms are added in any order."""
        layer = state.layer
        size = conv.convolve(layer.geometry, np.abs(state.operand), np.abs(layer.weights))
        return cls.of_norm(state.normalised, conv.flat(layer.geometry.fan_in * U * size))

    @classmethod
    def of_norm(cls, n: reference.Normalised, y: np.ndarray) -> RealErrors:
        """Return those of a norm of values each of which may be off by `y`."""
        if not y.any():
            return cls.none()
        mean = y.mean(axis=0) + 1e-15 * np.abs(n.mean)
        deviation = y + mean
        if n.kind == "l2":
            spread = 2 * (np.abs(n.y - n.mean) * deviation).mean(axis=0) + 1e-15 * n.mean**2
            inverse = 0.5 * n.inverse**2 * spread
        else:
            inverse = n.inverse * deviation.mean(axis=0)
        z = np.abs(n.gamma * n.inverse) * deviation + np.abs(n.z - n.beta) * inverse
        return cls(y, mean, inverse, z)

    @property
    def deviation(self) -> np.ndarray:
        """Of y - mean."""
        return self.y + self.mean

    def check_statistics(self, t: Trace, n: reference.Normalised, first_step: bool) -> None:
        """Check the statistics of the batch and the running ones, as `checks.check_statistics`."""
        if self.is_none:
            checks.check_statistics(t, n, first_step)
            return
        close(t.kept["mean"], n.mean, self.mean)
        close(t.kept["inverse"], n.inverse, (self.inverse + 1e-14) * n.inverse)
        if "magnitude" in t.kept:
            bound = (checks.z_bound(n) + self.z).mean(axis=0)
            close(t.kept["magnitude"], np.abs(n.z).mean(axis=0), bound)
        spread_error = 2 * (n.spread + reference.NORM_EPSILON) * self.inverse
        for tensor, value, error in (
            ("running_mean", n.mean, self.mean), ("running_spread", n.spread, spread_error)
        ):  # fmt: skip
            former = t.state[tensor].astype(float)
            wanted = value if first_step else 0.9 * former + 0.1 * value
            close(t.later[tensor], wanted, 4 * U * (np.abs(former) + np.abs(value)) + error)

    def check_parameter_gradients(
        self, t: Trace, n: reference.Normalised, g: np.ndarray, g_error: np.ndarray | float = 0.0
    ) -> tuple[reference.NormGradient, np.ndarray]:
        """Check dbeta and dgamma, of a g that may be off; return what dY should be, and its bound.
        """
        if self.is_none and not np.any(g_error):
            return checks.check_parameter_gradients(t, n, g)
        wanted, g_error = reference.norm_backward(n, g), g_error + np.zeros(g.shape)
        total, count = np.abs(g).sum(axis=0), len(g)
        off = g_error.sum(axis=0) + 1e-14 * total
        close(t.made["d_beta"], wanted.dbeta, 2 * U * np.abs(wanted.dbeta) + off)
        unit = np.abs((n.y - n.mean) * n.inverse)
        unit_error = n.inverse * self.deviation + unit * self.inverse
        if n.kind == "l1-binary":
            # Rounding may decide about signs of values that are almost 0.
            odd = unsure(n.z, checks.z_bound(n) + self.z)
            magnitude = np.abs(n.z).mean(axis=0)
            mean = np.abs((g * reference.sign(n.z)).mean(axis=0))
            slope, factor, factor_error = magnitude * mean, 1.0, odd
            slope_error = (checks.z_bound(n) + self.z).mean(axis=0) * mean
            slope_error += magnitude * (np.abs(g) * odd + g_error).mean(axis=0)
        else:
            error = ((np.abs(g) + g_error) * unit_error + g_error * unit).sum(axis=0)
            # It is a difference of two sums in double, of y and of its mean.
            spent = n.inverse * (np.abs(g) * (np.abs(n.y) + np.abs(n.mean))).sum(axis=0)
            bound = error + 1e-13 * spent
            close(t.made["d_gamma"], wanted.dgamma, bound + 2 * U * np.abs(wanted.dgamma))
            slope, slope_error = np.abs(wanted.dgamma) / count, error / count
            odd = unsure(n.y - n.mean, self.deviation)
            factor, factor_error = (
                (unit, unit_error) if n.kind == "l2" else (2.0, odd + odd.mean(axis=0))
            )
        gain = np.abs(n.gamma * n.inverse)
        off = gain * ((factor + factor_error) * slope_error + factor_error * slope)
        off += gain * (g_error + g_error.mean(axis=0))
        return wanted, off + np.abs(wanted.dy) * self.inverse + 6 * U * wanted.size


def unsure(values: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return by how much signs of values may be off: exact ones by nothing."""
    return 2.0 * ((np.abs(values) <= error) & (error > 0))
