"""What channel-momentum makes of exact weight gradients, and how it remembers their size."""

from __future__ import annotations

import numpy as np
from harness import Trace
from kernel_oracles import hash32
from reference import integer_momentum
from rounding import U

from bnntrain import kernels
from bnntrain.program import Program

USUAL = 32
"""Push that stands for the usual gradient of a channel: sqrt(pi/2) times the mean magnitude."""
LARGEST = 127


def check_magnitude(
    t: Trace, program: Program, rows: int, dw: np.ndarray, bound: np.ndarray | float
) -> None:
    """Check each channel's running mean of abs(dW) per sample, dW given in units of dY."""
    decay, unit = program.optimizer.beta2, float(t.scales[1, 0]) / rows
    former = t.state["dW_magnitude"].astype(float)
    wanted = decay * former + (1 - decay) * np.abs(dw).mean(axis=1) * unit
    error = (1 - decay) * np.broadcast_to(bound, dw.shape).mean(axis=1) * unit
    # 1 - beta2 is a difference of float32 numbers, relative to which its error is larger.
    slack = error + 4 * U * (former + wanted) + U * np.abs(dw).mean(axis=1) * unit
    assert np.all(np.abs(t.made["dW_magnitude"] - wanted) <= slack)


def pushes(
    t: Trace, program: Program, step: int, rows: int, dw: np.ndarray, bound: np.ndarray | float
) -> np.ndarray:
    """Return the integer push of every weight, NaN where rounding may decide between two."""
    if step == 0:
        return np.zeros(dw.shape)  # no size is known yet
    decay, unit = program.optimizer.beta2, float(t.scales[1, 0]) / rows
    usual = np.sqrt(np.pi / 2) * t.state["dW_magnitude"].astype(float) / (1 - decay**step)
    factor = np.divide(USUAL * unit, usual, out=np.zeros_like(usual), where=usual > 0)[:, None]
    exact = np.clip(dw * factor, -LARGEST - 1, LARGEST + 1)
    slack = bound * factor + 1e-6 * np.abs(exact)
    low, high = (np.clip(np.rint(exact + s), -LARGEST, LARGEST) for s in (-slack, slack))
    return np.where(low == high, low, np.nan)


def random_halves(t: Trace, program: Program, number: int, step: int) -> np.ndarray:
    """Return the 16 random bits of every weight [outputs, inputs]; two channels share a hash."""
    channels = t.inputs if t.geometry is None or t.is_first else t.geometry.channels
    odd = np.arange(t.inputs) % channels % 2
    index = np.arange(t.outputs * t.inputs).reshape(t.outputs, t.inputs) - odd
    hashes = hash32(index, kernels.key(program.seed, kernels.STREAM_LATENT, number, step))
    return (hashes.astype(np.int64) >> 16 * odd) & 0xFFFF


def fixed_point(rate: float) -> int:
    """Return a rate with the 15 significant bits that the kernels keep."""
    shift = 0
    while rate / 2**shift > 2**15 - 1:
        shift += 1
    return int(rate / 2**shift + 0.5) << shift


def update(
    t: Trace, push: np.ndarray, program: Program, number: int, step: int, rate: float, beta_q15: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return latent and momentum after a step; `rate` is in units of the range, corrected."""
    return integer_momentum(
        t.state["latent"].astype(np.int64),
        t.state["momentum1"].astype(np.int64),
        push,
        beta_q15,
        fixed_point(rate * 127 / USUAL * 2**16),
        random_halves(t, program, number, step),
    )
