"""Random numbers: known values, and rounding that is right on average."""

from __future__ import annotations

import kernel_oracles as oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_case import each_isa

from bnntrain import kernels

WORD64 = st.integers(0, 2**64 - 1)
WORD32 = st.integers(0, 2**32 - 1)

# Computed in Python from the papers' constants. They must never change: runs would not repeat.
KEYS = {
    (0, 0, 0, 0): 0x238275BC38FCBE91,
    (0, 4, 0, 1): 0xB2E06A7C2117AF36,
    (42, 5, 3, 1000): 0x9AC94ED48C40B0F5,
    (2**64 - 1, 2**32 - 1, 2**32 - 1, 2**64 - 1): 0x595B17F487C0E71B,
}
HASHES = {
    (0, 0): 0x00000000,
    (1, 0): 0x06D3FA73,
    (0, 0x0123456789ABCDEF): 0x1351B552,
    (2**32 - 1, 2**64 - 1): 0xED13B30B,
}


@pytest.mark.parametrize(("where", "value"), KEYS.items())
def test_known_keys(where: tuple[int, int, int, int], value: int) -> None:
    assert kernels.key(*where) == value


@pytest.mark.parametrize(("where", "value"), HASHES.items())
def test_known_hashes(where: tuple[int, int], value: int) -> None:
    assert kernels.hash32(*where) == value


@given(WORD64, WORD32, WORD32, WORD64)
def test_key_is_splitmix64(seed: int, stream: int, layer: int, step: int) -> None:
    assert kernels.key(seed, stream, layer, step) == oracle.key(seed, stream, layer, step)


@given(WORD32, WORD64)
def test_hash_is_the_mixer(index: int, key: int) -> None:
    assert kernels.hash32(index, key) == int(oracle.hash32(index, key))


def test_streams_differ() -> None:
    streams = [value for name, value in vars(kernels).items() if name.startswith("STREAM_")]
    assert sorted(streams) == [1, 2, 3, 4, 5, 6, 7]
    assert (
        len(
            {
                kernels.key(0, stream, layer, step)
                for stream in streams
                for layer in range(9)
                for step in range(9)
            }
        )
        == 567
    )


@pytest.mark.parametrize(
    "arguments",
    [(-1, 0, 0, 0), (0, 2**32, 0, 0), (0, 0, 2**32, 0), (0, 0, 0, 2**64), (0.0, 0, 0, 0)],
)
def test_numbers_out_of_range(arguments: tuple) -> None:
    with pytest.raises(ValueError, match="expected an integer in 0"):
        kernels.key(*arguments)


def test_bits_are_even() -> None:
    """Each bit of 2**16 hashes is set about half the time: 5 standard deviations are 0.98 %."""
    hashes = np.array([kernels.hash32(i, 0x9E3779B97F4A7C15) for i in range(2**16)])
    shares = (hashes[:, None] >> np.arange(32) & 1).mean(axis=0)
    assert np.abs(shares - 0.5).max() < 0.0098


@each_isa("norm_affine_i8")
@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 0.9, 3.25, -0.3, -7.75, 126.5])
def test_stochastic_rounding_of_gradients_is_unbiased(isa: str, value: float) -> None:
    """Every rounding is a neighbour; the mean of n is within 5 standard deviations."""
    n = 40_000
    t, g = np.zeros((n // 100, 100), np.int32), np.zeros((n // 100, 100), np.int8)
    zero, shift = np.zeros(100, np.float32), np.full(100, value, np.float32)
    kernels.norm_affine_i8(
        t, zero, zero, shift, g, key=kernels.key(7, kernels.STREAM_DY, 0, 0), isa=isa
    )
    fraction = value - np.floor(value)
    assert set(np.unique(g)) <= {np.floor(value), np.ceil(value)}
    assert abs(g.mean() - value) <= 5 * np.sqrt(fraction * (1 - fraction) / n)


@each_isa("update_sign_i8")
@pytest.mark.parametrize("step", [0.01, 0.3, 1.0, 1.7])
@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_integer_steps_are_unbiased(isa: str, step: float, sign: int) -> None:
    """A weight moves by the rate on average, against the gradient; by nothing where that is 0."""
    n = 40_000
    latent, gradient = np.zeros((n // 100, 100), np.int8), np.full((n // 100, 100), sign, np.int32)
    rate = round(step / 127 * 2**24)
    key = kernels.key(3, kernels.STREAM_LATENT, 1, 2)
    kernels.update_sign_i8(latent, gradient, rate=rate, key=key, isa=isa)
    fraction = step % 1
    tolerance = 5 * np.sqrt(fraction * (1 - fraction) / n) + 1e-6 if sign else 0
    assert abs(latent.mean() + sign * step) <= tolerance


@each_isa("update_real")
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_stored_latents_are_unbiased(isa: str, dtype: type) -> None:
    n, largest = 40_000, np.iinfo(dtype).max
    latent, gradient = np.zeros((n // 100, 100), dtype), np.ones((n // 100, 100), np.float32)
    key = kernels.key(3, kernels.STREAM_LATENT, 1, 2)
    rate = 10.3 / largest
    kernels.update_real(
        latent,
        None,
        None,
        gradient,
        optimizer="sign",
        range=1.0,
        learning_rate=rate,
        key=key,
        isa=isa,
    )
    assert set(np.unique(latent)) == {-10, -11}
    assert abs(latent.mean() + 10.3) <= 5 * np.sqrt(0.3 * 0.7 / n)


@each_isa("update_sign_i8")
def test_rounding_does_not_depend_on_how_a_tensor_is_cut(isa: str) -> None:
    latent = np.zeros((6, 130), np.int8)
    gradient = np.ones((6, 130), np.int32)
    whole = latent.copy()
    kernels.update_sign_i8(whole, gradient, rate=50_000, key=99, isa=isa)
    for row in (0, 3):
        for column in (0, 64, 128):
            cut = np.s_[row : row + 3, column : min(column + 64, 130)]
            kernels.update_sign_i8(
                latent[cut], gradient[cut], rate=50_000, key=99, index=row * 130 + column, isa=isa
            )
    assert latent.tobytes() == whole.tobytes()
