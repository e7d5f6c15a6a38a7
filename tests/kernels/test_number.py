"""Conversions, rounding, exp and log."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_case import each_isa

from bnntrain import kernels

HALVES = np.arange(2**16, dtype=np.uint16)


def _to_half(values: np.ndarray, isa: str) -> np.ndarray:
    out = np.zeros((1, values.size), np.uint16)
    kernels.convert_f32_f16(values.reshape(1, -1), out, isa=isa)
    return out[0]


def _from_half(halves: np.ndarray, isa: str) -> np.ndarray:
    out = np.zeros((1, halves.size), np.float32)
    kernels.convert_f16_f32(halves.reshape(1, -1), out, isa=isa)
    return out[0]


def _assert_halves_equal(ours: np.ndarray, values: np.ndarray) -> None:
    """Compare with NumPy's conversion; a NaN only has to be one, of the same sign."""
    with np.errstate(over="ignore"):
        theirs = values.astype(np.float16)
    nan = np.isnan(values)
    np.testing.assert_array_equal(ours[~nan], theirs[~nan].view(np.uint16))
    assert np.isnan(ours[nan].view(np.float16)).all()
    np.testing.assert_array_equal(ours[nan] >> 15, np.signbit(values[nan]))


@each_isa("convert_f16_f32")
def test_every_half_to_float(isa: str) -> None:
    ours, theirs = _from_half(HALVES, isa), HALVES.view(np.float16).astype(np.float32)
    nan = np.isnan(theirs)
    np.testing.assert_array_equal(ours[~nan].view(np.uint32), theirs[~nan].view(np.uint32))
    assert np.isnan(ours[nan]).all()
    np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))


@each_isa("convert_f32_f16")
def test_every_half_comes_back(isa: str) -> None:
    _assert_halves_equal(
        _to_half(HALVES.view(np.float16).astype(np.float32), isa),
        HALVES.view(np.float16).astype(np.float32),
    )


@each_isa("convert_f32_f16")
def test_around_every_boundary_between_halves(isa: str) -> None:
    """The middle of two neighbours and the floats on both sides of it, up to infinity."""
    positive = HALVES[:0x7C00].view(np.float16).astype(np.float64)
    middle = ((positive + np.append(positive[1:], 65536.0)) / 2).astype(np.float32)
    near = [np.nextafter(middle, np.float32(to)) for to in (-np.inf, np.inf)]
    values = np.concatenate([middle, *near])
    _assert_halves_equal(
        _to_half(np.concatenate([values, -values]), isa), np.concatenate([values, -values])
    )


@each_isa("convert_f32_f16")
def test_special_floats(isa: str) -> None:
    bits = [
        0,
        1,
        0x007FFFFF,
        0x00800000,
        0x33000000,
        0x33000001,
        0x7F7FFFFF,
        0x7F800000,
        0x7F800001,
        0x7FC00000,
        0x7FFFFFFF,
    ]
    values = np.array([*bits, *(b | 0x80000000 for b in bits)], np.uint32).view(np.float32)
    _assert_halves_equal(_to_half(values, isa), values)


@each_isa("convert_f32_f16")
@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_float(isa: str, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 2**32, 1000, dtype=np.uint32).view(np.float32)
    _assert_halves_equal(_to_half(values, isa), values)


@each_isa("quantise_f32_i8")
def test_rounding_is_half_to_even_and_saturates(isa: str) -> None:
    values = np.array(
        [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, 127.5, 1e30, -1e30, np.inf, -np.inf, -0.0],
        np.float32,
    )
    q = np.zeros(values.size, np.int8)
    kernels.quantise_f32_i8(values, 1.0, q, isa=isa)
    assert q.tolist() == [0, 2, 2, 0, -2, -2, 126, 127, 127, -127, 127, -127, 0]


def _two_classes(difference: np.ndarray, isa: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (p of the second class, loss of the first) for logits (0, -difference)."""
    rows = difference.size
    z = np.stack([np.zeros(rows, np.float32), -difference], axis=1)
    gradient, loss, correct = np.zeros_like(z), np.zeros(rows), np.zeros(rows, np.uint8)
    kernels.softmax_f32(z, np.zeros(rows, np.uint16), gradient, loss, correct, isa=isa)
    assert correct.all()
    return gradient[:, 1].astype(np.float64), loss


@each_isa("softmax_f32")
def test_exp_to_a_few_roundings(isa: str) -> None:
    """p = e / (1 + e) with e = exp(-d); the division and the sum add half an ulp each."""
    d = np.linspace(0.0, 86.99, 200_001, dtype=np.float32)
    e = np.exp(-d.astype(np.float64))
    p, _ = _two_classes(d, isa)
    assert np.max(np.abs(p / (e / (1 + e)) - 1)) < 5e-7


@each_isa("softmax_f32")
def test_exp_of_very_small_numbers_is_0(isa: str) -> None:
    p, loss = _two_classes(np.array([87.0, 87.5, 100.0, 1e30], np.float32), isa)
    assert not p.any()
    assert not loss.any()


@each_isa("softmax_f32")
@pytest.mark.parametrize("classes", [1, 2, 3, 7, 64, 255, 256])
def test_log_of_the_number_of_classes(isa: str, classes: int) -> None:
    """Equal logits: the loss is log(classes) whatever they are, to the precision of a double."""
    z = np.full((1, classes), 3.25, np.float32)
    loss, correct = np.zeros(1), np.zeros(1, np.uint8)
    kernels.softmax_f32(z, np.zeros(1, np.uint16), None, loss, correct, isa=isa)
    np.testing.assert_allclose(loss[0], np.log(classes), rtol=1e-12, atol=1e-15)


@each_isa("softmax_f32")
def test_the_gradient_may_replace_the_logits(isa: str) -> None:
    z = np.random.default_rng(5).standard_normal((9, 10)).astype(np.float32)
    labels, gradient = np.arange(9, dtype=np.uint16), np.zeros_like(z)
    losses, correct = np.zeros((2, 9)), np.zeros((2, 9), np.uint8)
    kernels.softmax_f32(z, labels, gradient, losses[0], correct[0], smoothing=0.1, isa=isa)
    kernels.softmax_f32(z, labels, z, losses[1], correct[1], smoothing=0.1, isa=isa)
    assert z.tobytes() == gradient.tobytes()
    assert losses[0].tobytes() == losses[1].tobytes()


@each_isa("softmax_f32")
def test_the_first_of_equal_logits_is_the_prediction(isa: str) -> None:
    z = np.array([[1, 2, 2], [1, 2, 2]], np.float32)
    correct = np.zeros(2, np.uint8)
    kernels.softmax_f32(z, np.array([1, 2], np.uint16), None, np.zeros(2), correct, isa=isa)
    assert correct.tolist() == [1, 0]
