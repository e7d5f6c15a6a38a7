"""Cases of update/ and real/."""

from __future__ import annotations

from dataclasses import replace

import kernel_oracles as oracle
import numpy as np
from kernel_case import Case, case
from kernel_oracles import F32


def _indices(c: Case) -> tuple[int, int]:
    c.options["key"] = key = int(c.random.integers(2**63))
    c.options["index"] = index = int(c.random.choice([0, 77, 2**32 - 9]))
    return key, index


@case
def update_sign_momentum_i8(c: Case) -> None:
    """Steps up to the whole range; gradients of 0 as well."""
    latent = c.integers("latent", c.tile, np.int8, -127, 127)
    momentum = c.integers("momentum", c.tile, np.int8, -127, 127)
    gradient = c.place(
        "gradient", c.random.choice([-(2**31), -1, 0, 1, 2**31 - 1], c.tile).astype(np.int32)
    )
    c.options["beta"] = beta = int(c.random.choice([0, 29491, 2**15]))
    c.options["rate"] = rate = int(c.random.choice([0, 335544, 2**24]))
    key, index = _indices(c)
    noise = oracle.dither(c.tile, c.stride("latent"), index, key)
    after, moved = oracle.sign_momentum(latent, momentum, gradient, beta, rate, noise)
    c.output("latent", after, np.int8)
    c.output("momentum", moved, np.int8)


@case
def update_channel_momentum_i8(c: Case) -> None:
    """Gradients far below, near and far beyond a push; rows whose size is unknown."""
    latent = c.integers("latent", c.tile, np.int8, -127, 127)
    momentum = c.integers("momentum", c.tile, np.int8, -127, 127)
    most = int(c.random.choice([3, 3000, 2**31 - 1]))
    gradient = c.integers("gradient", c.tile, np.int32, -most, most)
    multiplier = c.place(
        "multiplier", c.random.choice([0.0, 0.5, 0.031, 1e-6], c.rows).astype(F32)
    )
    magnitude = c.integers("magnitude", (c.rows,), np.int64, 0, 2**40)
    beta = int(c.random.choice([0, 29491, 2**15]))
    c.options["minus_beta"] = -beta
    c.options["step"] = int(c.random.choice([0, 1, 10413, 32767]))
    c.options["shift"] = int(c.random.choice([0, 0, 2, 7]))
    step = c.options["step"] << c.options["shift"]
    key, index = _indices(c)
    u = oracle.half_hashes(c.tile, c.stride("latent"), index, key)
    after, moved = oracle.channel_momentum(latent, momentum, gradient, multiplier, beta, step, u)
    c.output("latent", after, np.int8)
    c.output("momentum", moved, np.int8)
    sums = np.abs(gradient.astype(np.int64)).sum(axis=1)
    c.output("magnitude", magnitude + sums, np.int64)


@case
def update_sign_i8(c: Case) -> None:
    """The same without momentum."""
    latent = c.integers("latent", c.tile, np.int8, -127, 127)
    gradient = c.place(
        "gradient", c.random.choice([-(2**31), -1, 0, 1, 2**31 - 1], c.tile).astype(np.int32)
    )
    c.options["rate"] = rate = int(c.random.choice([0, 335544, 2**24]))
    key, index = _indices(c)
    noise = oracle.dither(c.tile, c.stride("latent"), index, key)
    after, _ = oracle.sign_momentum(latent, np.zeros_like(latent), gradient, 0, rate, noise)
    c.output("latent", after, np.int8)


# The combinations that update_real has, optimiser by momentum type; latents may have any type.
REAL_STEPS = {
    "adam": ("float32", "float16"),
    "sgd": ("float32", "float16"),
    "sign-momentum": ("float32", "float16", "int8"),
    "sign": (None,),
    "bop": ("float32", "float16"),
}
LATENT_TYPES = ("float32", "float16", "int16", "int8")


@case
def update_real(c: Case) -> None:
    """One combination per seed."""
    choices = [
        (name, kind, latent)
        for name in REAL_STEPS
        for kind in REAL_STEPS[name]
        for latent in LATENT_TYPES
    ]
    name, kind, latent_type = choices[c.seed % len(choices)]
    real_step(c, name, kind, np.dtype(latent_type))


def real_step(c: Case, name: str, kind: str | None, latent_type: np.dtype) -> None:
    """Fill a case of update_real for one optimiser and its types."""
    limit = 0.25
    step = {
        "range": limit, "learning_rate": 0.02, "beta1": 0.9, "beta2": 0.99,
        "correction1": 1.5, "correction2": 3.0, "epsilon": 1e-4, "gradient_scale": 0.5,
        "threshold": 0.05,
    }  # fmt: skip
    c.options |= {"optimizer": name, **step}
    w = c.random.uniform(-limit, limit, c.tile).astype(F32)
    if latent_type.kind == "i":
        w = np.rint(w * (np.iinfo(latent_type).max / limit))
    latent = c.place("latent", w.astype(latent_type))
    gradient = c.reals("gradient", c.tile)
    c.touch("gradient", gradient, np.zeros(c.columns, F32))
    moments = [None, None]
    for i in range({"adam": 2, "sign": 0}.get(name, 1)):
        m = c.random.uniform(0 if i else -1, 1, c.tile)
        moments[i] = c.place(f"momentum{i + 1}", (m * 127 if kind == "int8" else m).astype(kind))
    c.options |= {f"momentum{i + 1}": None for i in range(2) if moments[i] is None}
    key, index = _indices(c)
    loaded = [None if m is None else oracle.load_momentum(m) for m in moments]
    w, *loaded = oracle.optimise(name, oracle.load_latent(latent, limit), *loaded, gradient, step)
    noise = oracle.dither(c.tile, c.stride("latent"), index, key)
    w = np.clip(w, F32(-limit), F32(limit))
    c.output("latent", oracle.store_latent(w, latent_type, limit, noise), latent_type)
    for i, m in enumerate(loaded):
        if m is not None:
            c.output(f"momentum{i + 1}", oracle.store_momentum(m, np.dtype(kind)), kind)


@case
def expand_u1_f32(c: Case) -> None:
    """Bits to +-1."""
    c.output("out", oracle.signs(c.bits("bits", *c.tile)), F32)


@case
def convert_i8_f32(c: Case) -> None:
    """Exact."""
    c.output("out", c.integers("values", c.tile, np.int8, -128, 127), F32)


@case
def convert_f16_f32(c: Case) -> None:
    """Exact; all halves have a test of their own."""
    c.output("out", c.reals("values", c.tile, 1.0, np.float16), F32)


@case
def convert_f32_f16(c: Case) -> None:
    """To nearest; special values have a test of their own."""
    c.output("out", c.reals("values", c.tile), np.float16)


@case
def quantise_f32_i8(c: Case) -> None:
    """As many values as a tile has; exact halves and saturation."""
    values = c.place("values", (c.random.integers(-800, 800, c.rows * c.columns) / 8).astype(F32))
    c.options["multiplier"] = multiplier = float(c.random.choice([1.0, 2.0, 4.0]))
    c.output("q", oracle.round_to_int8(values * F32(multiplier)), np.int8)


@case
def softmax_f32(c: Case) -> None:
    """Against float64; operands are dense."""
    c.layout = replace(c.layout, gap=0)
    z = c.reals("z", (c.rows, max(c.columns, 1)), 5.0)
    labels = c.place("labels", c.random.integers(0, z.shape[1], c.rows, dtype=np.uint16))
    c.options["smoothing"] = smoothing = float(c.random.choice([0.0, 0.125]))
    gradient, loss, correct = oracle.softmax(z, labels, smoothing)
    # A sum of n float32 terms; the rest is a few roundings of numbers below 1 (loss: 64).
    c.output("gradient", gradient, F32, tolerance=(z.shape[1] + 8) * 6e-8)
    c.output("loss", loss, np.float64, tolerance=(z.shape[1] + 64) * 6e-8)
    c.output("correct", correct, np.uint8)


@case
def adam_f32(c: Case) -> None:
    """As adam in update_real."""
    step = {
        "learning_rate": 0.02, "beta1": 0.9, "beta2": 0.99, "correction1": 1.5, "correction2": 3.0,
        "epsilon": 1e-4, "gradient_scale": 0.5,
    }  # fmt: skip
    c.options |= step
    value, m = c.reals("value", (c.columns,)), c.reals("m", (c.columns,))
    v = c.place("v", c.random.random(c.columns).astype(F32))
    after = oracle.optimise("adam", value, m, v, c.reals("gradient", (c.columns,)), step)
    for name, values in zip(("value", "m", "v"), after, strict=True):
        c.output(name, values, F32)
