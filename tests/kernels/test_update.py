"""Optimiser steps: integers against Python's, every combination of types, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from cases_update_real import LATENT_TYPES, REAL_STEPS, real_step
from kernel_case import LAYOUTS, Case, each_isa, supported

from bnntrain import kernels

COMBINATIONS = [
    (name, momentum, latent)
    for name, kinds in REAL_STEPS.items()
    for momentum in kinds
    for latent in LATENT_TYPES
]


@each_isa("update_sign_momentum_i8")
def test_a_run_of_integer_steps_by_hand(isa: str) -> None:
    """Fifty steps of seven weights, each in Python's integers."""
    random = np.random.default_rng(11)
    latent, momentum = (
        np.array([[-127, -50, -1, 0, 1, 50, 127]], np.int8),
        np.zeros((1, 7), np.int8),
    )
    weights, moments = latent[0].tolist(), [0] * 7
    beta, rate = 29491, 335544
    for step in range(50):
        gradient = random.integers(-2, 3, (1, 7)).astype(np.int32)
        key = kernels.key(1, kernels.STREAM_LATENT, 0, step)
        for i, slope in enumerate(gradient[0].tolist()):
            sign = (slope > 0) - (slope < 0)
            moments[i] = (beta * moments[i] + (32768 - beta) * 127 * sign + 16384) >> 15
            moved = weights[i] - ((moments[i] * rate + (kernels.hash32(100 + i, key) >> 8)) >> 24)
            weights[i] = max(-127, min(127, moved))
        kernels.update_sign_momentum_i8(
            latent, momentum, gradient, beta=beta, rate=rate, key=key, index=100, isa=isa
        )
        assert momentum[0].tolist() == moments
        assert latent[0].tolist() == weights


@each_isa("update_sign_momentum_i8")
def test_without_decay_of_signs_momentum_is_sign(isa: str) -> None:
    """beta = 0 is update_sign_i8."""
    a, b = Case("update_sign_i8", seed=5), Case("update_sign_i8", seed=5)
    a.run(isa)
    kernels.update_sign_momentum_i8(
        **b.operands, **b.options, momentum=np.zeros_like(b.operands["latent"]), beta=0, isa=isa
    )
    assert a.operands["latent"].tobytes() == b.operands["latent"].tobytes()


@pytest.mark.parametrize("isa", supported("update_real"))
@pytest.mark.parametrize("size", [(1, 1), (3, 127), (2, 128), (2, 129), (5, 300)])
@pytest.mark.parametrize(("name", "momentum", "latent"), COMBINATIONS)
def test_every_combination_of_types(
    isa: str, name: str, momentum: str, latent: str, size: tuple[int, int]
) -> None:
    """Runs of 128 weights and what is left over."""
    trial = Case("adam_f32")
    trial.op, (trial.rows, trial.columns) = "update_real", size
    trial.layout = LAYOUTS["strided"]
    for held in (trial.operands, trial.memory, trial.options, trial.expected, trial.tolerance):
        held.clear()
    real_step(trial, name, momentum, np.dtype(latent))
    trial.check(isa)


def test_latents_stay_in_range() -> None:
    for latent in LATENT_TYPES:
        w = np.zeros((1, 8), latent)
        gradient = np.array([[-1, 1] * 4], np.float32)
        for step in range(5):
            kernels.update_real(
                w, None, None, gradient, optimizer="sign", range=0.5, learning_rate=0.3, key=step
            )
        limit = 0.5 if np.dtype(latent).kind == "f" else np.iinfo(latent).max
        assert w.tolist() == [[limit, -limit] * 4]


def test_largest_integer_step() -> None:
    """The bound counts the momentum that the step itself produces."""
    latent, gradient = np.zeros((1, 1), np.int8), np.ones((1, 1), np.int32)
    for start, beta, bound in [(0, 29491, 2130706432 // 13), (127, 29491, 2**24), (0, 0, 2**24)]:
        momentum = np.full((1, 1), start, np.int8)
        with pytest.raises(ValueError, match=f"rate: expected at most {bound} with moments up to"):
            kernels.update_sign_momentum_i8(
                latent, momentum, gradient, beta=beta, rate=bound + 1, key=0
            )
        kernels.update_sign_momentum_i8(latent, momentum, gradient, beta=beta, rate=bound, key=0)
    with pytest.raises(ValueError, match=f"rate: expected at most {2**24} with moments up to 127"):
        kernels.update_sign_i8(latent, gradient, rate=2**24 + 1, key=0)


@pytest.mark.parametrize(
    ("beta", "rate", "named"), [(-1, 0, "beta"), (2**15 + 1, 0, "beta"), (0, -1, "rate")]
)
def test_integer_parameters(beta: int, rate: int, named: str) -> None:
    trial = Case("update_sign_momentum_i8")
    trial.options |= {"beta": beta, "rate": rate}
    with pytest.raises(ValueError, match=f"^{named}: expected an integer in 0"):
        trial.run(None)


F32, F16, I8 = (np.zeros((2, 3), kind) for kind in (np.float32, np.float16, np.int8))


@pytest.mark.parametrize(
    ("optimizer", "moments", "message"),
    [
        (
            "adamw",
            (F32, F32),
            "^optimizer: expected one of adam, sgd, sign-momentum, sign, bop, got 'adamw'",
        ),
        ("adam", (None, None), "^momentum1: adam needs momentum 1"),
        ("adam", (F32, None), "^momentum2: adam needs momentum 2"),
        ("sgd", (F32, F32), "^momentum2: sgd has no momentum 2"),
        ("sign", (F32, None), "^momentum1: sign has no momentum 1"),
        ("adam", (F32, F16), "^momentum2: expected float32"),
        ("adam", (I8, I8), "^momentum1: expected one of float32, float16, got int8"),
        ("bop", (I8, None), "^momentum1: expected one of float32, float16, got int8"),
        (
            "sgd",
            (np.zeros((3, 2), np.float32), None),
            r"^momentum1: expected float32 \[2, 3\], got float32 \[3, 2\]",
        ),
        (
            "sgd",
            (np.zeros((2, 5), np.float32)[:, :3], None),
            "^momentum1: expected the row stride of latent, 3, got 5",
        ),
    ],
)
def test_moments_that_do_not_fit(optimizer: str, moments: tuple, message: str) -> None:
    latent = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=message):
        kernels.update_real(
            latent, *moments, latent.copy(), optimizer=optimizer, range=1.0, learning_rate=0.1
        )


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_range_is_above_0(limit: float) -> None:
    latent = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"^range: expected a number above 0"):
        kernels.update_real(
            latent, None, None, latent.copy(), optimizer="sign", range=limit, learning_rate=0.1
        )


def test_latent_types() -> None:
    gradient = np.zeros((2, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"^latent: expected one of float32, float16, int16, int8, got int32"
    ):
        kernels.update_real(
            gradient.astype(np.int32),
            None,
            None,
            gradient,
            optimizer="sign",
            range=1.0,
            learning_rate=0.1,
        )
