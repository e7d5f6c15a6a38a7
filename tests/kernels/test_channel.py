"""One channel's arithmetic: against z itself, and against numerical derivatives."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain import kernels

# Dyadic numbers: z is exact in a double, and so is every comparison that the tests make.
QUARTERS = st.integers(-200, 200).map(lambda n: n / 4)
GAMMAS = st.sampled_from([-2.0, -1.0, -0.25, 0.0, 0.25, 0.5, 1.0, 4.0])
INVERSES = st.sampled_from([0.0625, 0.25, 1.0, 2.0])
Y = range(-2000, 2001, 97)


def _around(*levels: int) -> list[int]:
    """Return the int32 numbers next to some levels, and some others."""
    near = [level + i for level in levels for i in range(-2, 3)]
    return [*Y, *(y for y in near if -(2**31) <= y < 2**31)]


def _z(y: int, mean: float, inverse: float, gamma: float, beta: float) -> Fraction:
    return Fraction(gamma) * (y - Fraction(mean)) * Fraction(inverse) + Fraction(beta)


@given(QUARTERS, INVERSES, GAMMAS, QUARTERS)
def test_threshold_is_the_sign_of_z(mean: float, inverse: float, gamma: float, beta: float) -> None:
    threshold, flip = kernels.channel_threshold(mean, inverse, gamma, beta)
    for y in _around(threshold):
        assert ((y < threshold) ^ bool(flip)) == (_z(y, mean, inverse, gamma, beta) < 0), y


@given(QUARTERS, INVERSES, GAMMAS, QUARTERS)
def test_interval_is_where_z_is_within_1(
    mean: float, inverse: float, gamma: float, beta: float
) -> None:
    low, high = kernels.channel_interval(mean, inverse, gamma, beta)
    for y in _around(low, high):
        assert (low <= y <= high) == (abs(_z(y, mean, inverse, gamma, beta)) <= 1), y


@pytest.mark.parametrize("gamma", [1e-300, -1e-300, 5e-324])
@pytest.mark.parametrize("beta", [-3.0, 3.0])
def test_gamma_close_to_0_saturates(gamma: float, beta: float) -> None:
    """z is beta wherever y can be."""
    threshold, flip = kernels.channel_threshold(0.0, 1.0, gamma, beta)
    low, high = kernels.channel_interval(0.0, 1.0, gamma, beta)
    for y in (-(2**29), -1, 0, 1, 2**29):
        assert ((y < threshold) ^ bool(flip)) == (beta < 0)
        assert not low <= y <= high


SAMPLES = np.array([-7, -7, -3, 0, 1, 4, 4, 10, 22], np.int64)


def test_spread_of_both_kinds() -> None:
    n, total = SAMPLES.size, int(SAMPLES.sum())
    mean, variance = kernels.channel_spread("l2", n, total, int((SAMPLES**2).sum()))
    assert mean == pytest.approx(SAMPLES.mean(), rel=1e-15)
    assert variance == pytest.approx(SAMPLES.var(), rel=1e-14)
    deviations = int(np.abs(n * SAMPLES - total).sum())
    for kind in ("l1", "l1-binary"):
        mean, deviation = kernels.channel_spread(kind, n, total, deviations)
        assert mean == pytest.approx(SAMPLES.mean(), rel=1e-15)
        assert deviation == pytest.approx(np.abs(SAMPLES - SAMPLES.mean()).mean(), rel=1e-14)


def test_equal_values_have_no_spread() -> None:
    """The difference of two squares may come out below 0."""
    n, y = 3, 94906267
    _, variance = kernels.channel_spread("l2", n, n * y, n * y * y)
    assert variance >= 0


def test_inverse() -> None:
    assert kernels.channel_inverse("l2", 4.0) == pytest.approx(
        (4.0 + kernels.NORM_EPSILON) ** -0.5, rel=1e-15
    )
    assert kernels.channel_inverse("l1", 4.0) == pytest.approx(
        1 / (4.0 + kernels.NORM_EPSILON), rel=1e-15
    )


def _forward(kind: str, y: np.ndarray, gamma: float, beta: float) -> np.ndarray:
    centred = y - y.mean()
    if kind == "l2":
        return gamma * centred / np.sqrt((centred**2).mean() + kernels.NORM_EPSILON) + beta
    return gamma * centred / (np.abs(centred).mean() + kernels.NORM_EPSILON) + beta


@pytest.mark.parametrize("kind", ["l2", "l1"])
@pytest.mark.parametrize("gamma", [1.0, -0.7])
def test_gradient_by_central_difference(kind: str, gamma: float) -> None:
    """L = sum g * z for a fixed g."""
    random = np.random.default_rng(1)
    y, beta = SAMPLES.astype(np.float64), 0.3
    g = random.standard_normal(y.size)
    spread = y.var() if kind == "l2" else np.abs(y - y.mean()).mean()
    t = y if kind == "l2" else np.sign(y - y.mean())
    out = kernels.channel_backward(
        kind,
        y.mean(),
        kernels.channel_inverse(kind, spread),
        gamma,
        beta,
        y.size,
        g.sum(),
        (g * y).sum(),
        t.mean(),
    )
    step = 1e-4
    wiggles = np.eye(y.size) * step
    numerical = [
        (g @ _forward(kind, y + wiggle, gamma, beta) - g @ _forward(kind, y - wiggle, gamma, beta))
        / (2 * step)
        for wiggle in wiggles
    ]
    np.testing.assert_allclose(out["a"] * g + (out["b"] * t + out["c"]), numerical, atol=1e-7)
    by_gamma = (
        g @ _forward(kind, y, gamma + step, beta) - g @ _forward(kind, y, gamma - step, beta)
    ) / (2 * step)
    assert out["grad_gamma"] == pytest.approx(by_gamma, rel=1e-6)
    assert out["grad_beta"] == pytest.approx(g.sum(), rel=1e-12)


def test_published_approximation() -> None:
    """Wang et al. 2021: dy = inverse * (g - mean g - mean(g * sgn z) * mean |z| * sgn z)."""
    g, y, beta = np.arange(-4.0, 5.0), SAMPLES.astype(np.float64), 0.3
    inverse = 1 / (np.abs(y - y.mean()).mean() + kernels.NORM_EPSILON)
    z = (y - y.mean()) * inverse + beta
    t = np.where(z < 0, -1.0, 1.0)
    magnitude = np.abs(z).mean()
    out = kernels.channel_backward(
        "l1-binary",
        y.mean(),
        inverse,
        1.0,
        beta,
        y.size,
        g.sum(),
        (g * t).sum(),
        magnitude=magnitude,
    )
    wanted = inverse * (g - g.mean() - (g * t).mean() * magnitude * t)
    np.testing.assert_allclose(
        out["a"] * g + (out["b"] * t + out["c"]), wanted, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.channel_inverse("l3", 1.0),
        lambda: kernels.channel_spread(None, 1, 0, 0),
    ],
)
def test_unknown_kind(call: object) -> None:
    with pytest.raises(ValueError, match="kind: expected one of l2, l1, l1-binary"):
        call()


def test_an_empty_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="n: expected at least 1"):
        kernels.channel_spread("l2", 0, 0, 0)
    with pytest.raises(ValueError, match="n: expected at least 1"):
        kernels.channel_backward("l2", 0.0, 1.0, 1.0, 0.0, 0, 0.0, 0.0)
