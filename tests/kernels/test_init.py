"""Initial weights: against the definition, and as a distribution."""

from __future__ import annotations

import kernel_oracles as oracle
import numpy as np
import pytest
from kernel_oracles import F32

from bnntrain import kernels

TYPES = ["float32", "float16", "int16", "int8"]
KEY = kernels.key(5, kernels.STREAM_INIT, 2, 0)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("count", [0, 1, 63, 1000])
def test_against_numpy(dtype: str, count: int) -> None:
    """Twelve 16-bit numbers per weight, two from each hash."""
    limit, sigma = 0.05, 0.03
    hashes = oracle.hash32(np.arange(6 * count), KEY).reshape(count, 6).astype(np.int64)
    total = (hashes & 0xFFFF).sum(axis=1) + (hashes >> 16).sum(axis=1) - 6 * 65535
    w = F32(sigma) * (total.astype(F32) * F32(2.0**-16))
    w = np.clip(w, F32(-limit), F32(limit))
    if np.dtype(dtype).kind == "i":
        scaled = w * (F32(np.iinfo(dtype).max) / F32(limit))
        w = np.where(np.rint(scaled) == 0, np.where(scaled < 0, -1, 1), np.rint(scaled))
    latent = np.full(count, 7, dtype)
    kernels.init_latent(latent, range=limit, sigma=sigma, key=KEY)
    np.testing.assert_array_equal(latent, w.astype(dtype), strict=True)


def test_moments_are_those_of_a_normal_distribution() -> None:
    """Mean, variance and the share within one sigma of 10**5 weights, each to 5 deviations."""
    latent = np.zeros(100_000, np.float32)
    kernels.init_latent(latent, range=10.0, sigma=1.0, key=KEY)
    assert abs(latent.mean()) < 0.016
    assert abs(latent.var() - 1.0) < 0.022
    assert abs((np.abs(latent) < 1).mean() - 0.6827) < 0.012


def test_signs_stay_balanced_where_most_weights_round_to_nothing() -> None:
    latent = np.zeros(100_000, np.int8)
    kernels.init_latent(latent, range=1.0, sigma=0.1 / 127, key=KEY)
    assert set(np.unique(latent)) == {-1, 1}
    assert abs(latent.mean()) < 0.016


@pytest.mark.parametrize("dtype", TYPES)
def test_clipped_to_the_range(dtype: str) -> None:
    latent = np.zeros(500, dtype)
    kernels.init_latent(latent, range=0.25, sigma=1.0, key=KEY)
    largest = 0.25 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    assert latent.max() == largest
    assert latent.min() == -largest


def test_what_is_refused() -> None:
    latent = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match=r"^range: expected a number above 0"):
        kernels.init_latent(latent, range=0.0, sigma=1.0, key=0)
    with pytest.raises(ValueError, match=r"^key: expected an integer in 0"):
        kernels.init_latent(latent, range=1.0, sigma=1.0, key=-1)
    with pytest.raises(ValueError, match=r"^latent: expected one of float32, .* got float64"):
        kernels.init_latent(latent.astype(float), range=1.0, sigma=1.0, key=0)
