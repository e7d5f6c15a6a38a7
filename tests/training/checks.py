"""Each stage of a traced training step against the reference, with a bound for its rounding.

Every stage is checked from what the product itself handed to it, so that no bound grows with depth
or with the number of steps. Integers are exact. A float32 expression may err by half a unit in the
last place (`U`) for every operation, relative to the magnitudes of its terms; a float16 store adds
half a unit of its own; an int8 store may be what any value within the bound is rounded to.
"""

from __future__ import annotations

import numpy as np
import pushes
import reference
import rounding
from harness import Trace, as_signs
from kernel_oracles import hash32
from rounding import U

from bnntrain import kernels
from bnntrain.config import Optimizer
from bnntrain.method import Method
from bnntrain.program import Program

HALF, HALF_TINY, HALF_LARGEST = 2.0**-11, 2.0**-25, 65504.0
"""Of float16: relative, and absolute below its normal numbers; stores saturate at the largest."""
TIE = 1e-9
"""A z closer than this to a boundary may fall on either side of it, unless it is exactly on it."""


def close(got: np.ndarray, wanted: np.ndarray, bound: np.ndarray | float) -> None:
    """Assert abs(got - wanted) <= bound everywhere, NaN nowhere."""
    excess = np.abs(np.asarray(got, float) - wanted) - bound
    assert np.all(excess <= 0), (
        f"exceeds its bound by {np.nanmax(excess)} of {np.nanmax(np.abs(wanted))}"
    )


def storage_bound(kind: str, wanted: np.ndarray) -> np.ndarray:
    """What storing `wanted` as float32 or float16 may change."""
    return (HALF * np.abs(wanted) + HALF_TINY) * (kind == "float16")


def close_stored(got: np.ndarray, wanted: np.ndarray, bound: np.ndarray | float, kind: str) -> None:
    """Assert that `got` is `wanted` in its storage type."""
    stored = np.clip(wanted, -HALF_LARGEST, HALF_LARGEST) if kind == "float16" else wanted
    close(got, stored, bound + storage_bound(kind, np.abs(stored) + bound))


# Forward ------------------------------------------------------------------------------------------


def normalised(t: Trace, norm: str) -> reference.Normalised:
    """Reference batch norm of a block's exact y."""
    gamma = t.state["gamma"].astype(float) if "gamma" in t.state else np.ones(t.outputs)
    return reference.normalise(norm, t.x @ t.signs.T, gamma, t.state["beta"].astype(float))


def z_bound(n: reference.Normalised) -> np.ndarray:
    """Bound of z in float32: y*scale + shift, two roundings each, and the sum."""
    gain = np.abs(n.gamma * n.inverse)
    return 3 * U * (gain * (np.abs(n.y) + np.abs(n.mean)) + np.abs(n.beta) + np.abs(n.z))


def check_forward(t: Trace, first_step: bool) -> reference.Normalised:
    """Check statistics, outputs, masks and running statistics."""
    n = normalised(t, t.method.norm)
    check_statistics(t, n, first_step)
    check_outputs(t, n.z, z_bound(n))
    return n


def check_statistics(t: Trace, n: reference.Normalised, first_step: bool) -> None:
    """Check the statistics of the batch and the running ones."""
    close(t.kept["mean"], n.mean, 1e-15 * np.abs(n.mean))
    # The variance is a difference of exact sums that are rounded once each; the reference's sum of
    # deviations is rounded once a row.
    conditioning = 1 + n.mean**2 / (n.spread + reference.NORM_EPSILON) + 0.1 * len(n.y)
    close(t.kept["inverse"], n.inverse, 1e-15 * conditioning * n.inverse)
    if "magnitude" in t.kept:
        close(t.kept["magnitude"], np.abs(n.z).mean(axis=0), z_bound(n).mean(axis=0))
    for tensor, value in (("running_mean", n.mean), ("running_spread", n.spread)):
        former = t.state[tensor].astype(float)
        wanted = value if first_step else 0.9 * former + 0.1 * value
        slack = 1e-15 * (n.mean**2 + 1 + 0.1 * len(n.y) * n.spread)
        close(t.later[tensor], wanted, 4 * U * (np.abs(former) + np.abs(value)) + slack)


def check_outputs(t: Trace, z: np.ndarray, bound: np.ndarray) -> None:
    """Check what goes out and the mask, given z [rows][outputs]."""
    if t.is_last or t.method.activation == "float32":
        close(t.kept["out"], z, bound)
    else:
        sure = (z == 0) | (np.abs(z) > TIE)
        out = as_signs(t.kept["out"], len(z), t.outputs)
        assert np.array_equal(out[sure], reference.sign(z)[sure])
    if "mask" in t.kept:
        sure = np.abs(np.abs(z) - 1) > TIE
        assert np.array_equal(t.kept["mask"][sure], reference.passes(z)[sure])


def check_loss(
    t: Trace, labels: np.ndarray, smoothing: float, loss: float, correct: int
) -> None:
    """Check loss, correct and gradient of the logits, from the logits that the last block left."""
    logits = t.kept["out"].astype(float)
    wanted, gradient = reference.cross_entropy(logits, labels, smoothing)
    assert abs(loss - wanted) <= 1e-6 * (abs(wanted) + len(labels))
    assert correct == int((logits.argmax(axis=1) == labels).sum())
    # exp's polynomial: 2e-7 relative; the sum over classes adds a few units.
    error = 1e-6 * np.abs(gradient) + 4e-7
    if t.method.gradient != "int8":
        close_stored(t.g, gradient, error, t.method.gradient)
        return
    scale = float(t.scales[0, 0])
    close(scale * 127, np.abs(gradient).max() or 127.0, 2e-6)
    # The block's own g has been cancelled and replaced since; t.g was copied before.
    close(t.g * scale, gradient, error + 0.5 * scale)


# Backward -----------------------------------------------------------------------------------------


def incoming(t: Trace, z: np.ndarray) -> np.ndarray:
    """g after cancellation, as real numbers."""
    g = t.g.astype(float)
    if t.method.gradient == "int8":
        g = g * float(t.scales[0, 0])
    if t.is_last:
        return g
    if t.method.mask == "retained":
        return g * reference.passes(t.kept["out"].astype(float))
    assert np.all(np.abs(np.abs(z) - 1) > TIE)
    return g * reference.passes(z)


def check_norm_gradient(
    t: Trace, n: reference.Normalised, program: Program, number: int, step: int
) -> None:
    """Check dbeta, dgamma and dY, given the incoming gradient."""
    method = t.method
    wanted, bound = check_parameter_gradients(t, n, incoming(t, n.z))
    if method.gradient != "int8":
        close_stored(t.dy, wanted.dy, bound, method.gradient)
        return
    limit = 31 if method.gradient_bits == 6 else 127
    check_scale(t.state["scales"][1], t.scales[1], wanted.dy, bound, limit, method)
    assert np.abs(t.dy).max() <= limit
    scale = float(t.scales[1, 0])
    exact = wanted.dy / scale
    u = rounding.noise(program, kernels.STREAM_DY, number, step, rounding.indices(exact))
    rounding.check(t.dy, exact, bound / scale, limit, u)


def check_parameter_gradients(
    t: Trace, n: reference.Normalised, g: np.ndarray
) -> tuple[reference.NormGradient, np.ndarray]:
    """Check dbeta and dgamma; return what dY should be, and the bound of its rounding."""
    wanted = reference.norm_backward(n, g)
    total = np.abs(g).sum(axis=0)
    close(t.made["d_beta"], wanted.dbeta, 2 * U * np.abs(wanted.dbeta) + 1e-14 * total)
    if wanted.dgamma is not None:
        spent = n.inverse * (np.abs(g) * (np.abs(n.y) + np.abs(n.mean))).sum(axis=0)
        # The second sum is formed from y, the first from g: their difference cancels in double.
        close(t.made["d_gamma"], wanted.dgamma, 2 * U * np.abs(wanted.dgamma) + 1e-13 * spent)
    bound = 6 * U * wanted.size
    if "magnitude" in t.kept:
        error = np.abs(t.kept["magnitude"] - np.abs(n.z).mean(axis=0))
        bound = bound + n.inverse * error * np.abs((g * reference.sign(n.z)).mean(axis=0))
    return wanted, bound


def check_scale(
    before: np.ndarray,
    after: np.ndarray,
    values: np.ndarray,
    bound: np.ndarray | float,
    limit: int,
    method: Method,
) -> None:
    """Check a scale (used, next): measured in this step, or left by the step before."""
    largest, error = np.abs(values).max(), float(np.max(bound)) + 4 * U * np.abs(values).max()
    if largest > error:
        close(after[1] * limit, largest, error)
    if method.gradient_scale == "delayed" and before[1] > 0:
        assert after[0] == before[1]
    elif largest > error:
        close(after[0] * limit, largest, error)


def check_products(t: Trace, program: Program, number: int, step: int) -> np.ndarray:
    """Check dX and dW as far as it can be seen; return what moves the weights, as below."""
    method, dy = t.method, t.dy.astype(float)
    dw = dy.T @ t.x
    integer = method.gradient == "int8"
    dw_bound = np.zeros(dw.shape) if integer else len(dy) * U * (np.abs(dy).T @ np.abs(t.x))
    if t.dx is not None:
        bound = 0.0 if integer else t.outputs * U * np.abs(dy).sum(axis=1, keepdims=True)
        check_input_gradient(t, program, number, step, dy @ t.signs, bound)
    return check_weight_gradient(t, program, step, dw, dw_bound)


def check_input_gradient(
    t: Trace, program: Program, number: int, step: int, dx: np.ndarray, bound: np.ndarray | float
) -> None:
    """Check dX, given what it should be in units of dY and how far that may be off."""
    method = t.method
    if method.gradient != "int8":
        close_stored(t.dx, dx, bound, method.gradient)
        return
    used = float(t.scales[1, 0])
    check_scale(t.dx_scale_before, t.dx_scale, dx * used, np.max(bound) * used, 127, method)
    ratio = used / float(t.dx_scale[0])
    u = rounding.noise(program, kernels.STREAM_DX, number, step, rounding.indices(dx))
    rounding.check(t.dx, dx * ratio, bound * ratio + 2 * U * np.abs(dx) * ratio, 127, u)


def check_weight_gradient(
    t: Trace, program: Program, step: int, dw: np.ndarray, bound: np.ndarray
) -> np.ndarray:
    """Check a stored dW, given in units of dY; return its signs or pushes, NaN where unsure."""
    method = t.method
    if method.weight_gradient == "integer":
        pushes.check_magnitude(t, program, len(t.x), dw, bound)
        return pushes.pushes(t, program, step, len(t.x), dw, bound)
    if method.weight_gradient == "float32":
        unit = float(t.scales[1, 0]) if method.gradient == "int8" else 1.0
        close(t.made["dW"], dw * unit, (bound + 4 * U * np.abs(dw)) * unit)
    if method.weight_gradient == "bit":
        signs = t.made["dW"]
        sure = np.abs(dw) > bound
        assert np.array_equal(signs[sure], np.sign(dw)[sure])
        assert np.all(signs[(dw == 0) & (bound == 0)] == 1)
        return signs
    return np.where((np.abs(dw) > bound) | (bound == 0), np.sign(dw), np.nan)


# Update -------------------------------------------------------------------------------------------


def check_parameters(t: Trace, rows: int, step: int, rate: float) -> None:
    """Check Adam's step of gamma and beta, or of a bias, on the mean gradient."""
    for name in ("gamma", "beta", "bias"):
        if name not in t.state:
            continue
        w, m, v = (t.state[f"{name}{suffix}"].astype(float) for suffix in ("", "_adam1", "_adam2"))
        g = t.made[f"d_{name}"] / rows
        wanted = reference.adam(w, m, v, g, rate, 0.9, 0.999, 1e-7, step + 1)
        close(t.later[name], wanted[0], 1e-3 * rate + 2 * U * np.abs(w))
        close(t.later[f"{name}_adam1"], wanted[1], 8 * U * (np.abs(m) + np.abs(g)))
        close(t.later[f"{name}_adam2"], wanted[2], 3e-5 * wanted[2] + 1e-38)


def dither(program: Program, number: int, step: int, shape: tuple[int, int]) -> np.ndarray:
    """24 random bits of every weight, as int64."""
    key = kernels.key(program.seed, kernels.STREAM_LATENT, number, step)
    return (hash32(np.arange(shape[0] * shape[1]), key).astype(np.int64) >> 8).reshape(shape)


def check_integer_update(
    t: Trace, push: np.ndarray, program: Program, number: int, step: int, rate: float
) -> None:
    """Check the all-integer path: every bit of latent and momentum where `push` is no NaN."""
    method, beta = t.method, program.optimizer.momentum
    bits, sure = dither(program, number, step, push.shape), ~np.isnan(push)
    latent, push = t.state["latent"].astype(np.int64), np.nan_to_num(push).astype(np.int64)
    if method.optimizer == "sign":
        wanted = reference.integer_sign(
            latent, push, int(rate / method.latent_range * 2**24 + 0.5), bits
        )
    else:
        exact = rate / method.latent_range / (1 - beta ** (step + 1))
        momentum, of_beta = t.state["momentum1"].astype(np.int64), int(beta * 2**15 + 0.5)
        if method.optimizer == "channel-momentum":
            wanted, m = pushes.update(t, push, program, number, step, exact, of_beta)
        else:
            wanted, m = reference.integer_sign_momentum(
                latent, momentum, push, of_beta, int(exact * 2**24 + 0.5), bits
            )
        assert np.array_equal(t.later["momentum1"][sure], m[sure])
    assert np.array_equal(t.later["latent"][sure], wanted[sure])


UNITS = {"float32": 1.0, "float16": 1.0, "int8": 127.0}


def real_update(
    t: Trace,
    g: np.ndarray,
    optimizer: Optimizer,
    step: int,
    rate: float,
    unit: float,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Reference optimiser on the stored state; moments are kept in units of `unit`, its square."""
    method = t.method
    latent_unit = {"int16": 32767, "int8": 127}.get(method.latent)
    w = t.state["latent"].astype(float) * (
        method.latent_range / latent_unit if latent_unit else 1.0
    )
    moments = [
        t.state[f"momentum{i}"].astype(float) / UNITS[method.momentum] * unit**i
        for i in range(1, method.moments + 1)
    ]
    match method.optimizer:
        case "adam":
            w, *moments = reference.adam(
                w,
                *moments,
                g,
                rate,
                optimizer.momentum,
                optimizer.beta2,
                optimizer.epsilon,
                step + 1,
            )
        case "sgd":
            w, *moments = reference.sgd(w, *moments, g, rate, optimizer.momentum)
        case "sign-momentum":
            w, *moments = reference.sign_momentum(
                w, *moments, g, rate, optimizer.momentum, step + 1
            )
        case "sign":
            w = reference.sign_only(w, g, rate)
        case "bop":
            w, *moments = reference.bop(
                w, *moments, g, optimizer.bop_gamma, optimizer.bop_threshold
            )
            w = w * method.latent_range
    w = np.clip(w, -method.latent_range, method.latent_range)
    return w, [m / unit**i for i, m in enumerate(moments, 1)]


def check_real_update(
    t: Trace, signs: np.ndarray, program: Program, number: int, step: int, rate: float, rows: int
) -> None:
    """Check the float path: moments and latents to their storage."""
    method = t.method
    attenuation = 1 / np.sqrt(t.inputs)
    if method.weight_gradient == "float32":
        g, unit = t.made["dW"].astype(float) / rows, 1.0
    else:
        g = signs * attenuation
        unit = 1.0 if method.optimizer in ("sgd", "sign-momentum") else attenuation
    w, moments = real_update(t, g, program.optimizer, step, rate, unit)
    sure = ~np.isnan(g)
    for i, wanted in enumerate(moments, 1):
        got = t.later[f"momentum{i}"].astype(float) / UNITS[method.momentum]
        former = np.abs(t.state[f"momentum{i}"]) / UNITS[method.momentum]
        bound = 8 * U * (former + np.abs(wanted)) + 5e-5 * np.abs(wanted) * (i == 2) + 1e-38
        bound = bound + (1 - program.optimizer.momentum) * 8 * U * np.abs(g) / unit
        if method.momentum == "int8":
            bound = np.full(wanted.shape, 0.5 / 127 + 4 * U)
        close(got[sure], wanted[sure], (bound + storage_bound(method.momentum, wanted))[sure])
    check_latent(t, w, sure, program, number, step, rate)


def check_latent(
    t: Trace,
    w: np.ndarray,
    sure: np.ndarray,
    program: Program,
    number: int,
    step: int,
    rate: float,
) -> None:
    """Check stored latents: rounded to nearest (floats) or by the seeded dither (integers)."""
    method, got = t.method, t.later["latent"]
    error = 1e-3 * rate + 4 * U * np.abs(w)
    if method.latent in ("float32", "float16"):
        close(got[sure], w[sure], (error + storage_bound(method.latent, w))[sure])
        return
    most = 32767 if method.latent == "int16" else 127
    exact = w * (most / method.latent_range) + dither(program, number, step, w.shape) * 2.0**-24
    # Where float32 may fall on the other side of an integer, both neighbours are right.
    slack = error * (most / method.latent_range) + 4 * U * most
    low, high = np.floor(exact - slack), np.floor(exact + slack)
    got, low, high = got[sure], np.clip(low, -most, most)[sure], np.clip(high, -most, most)[sure]
    assert np.all((got >= low) & (got <= high))


# Everything ---------------------------------------------------------------------------------------


def has_integer_update(method: Method) -> bool:
    """Whether weights move by integers alone."""
    integers = method.latent == "int8" and method.gradient == "int8"
    integers = integers and method.weight_gradient in ("sign", "integer")
    return integers and (
        method.optimizer in ("sign", "channel-momentum")
        or (method.optimizer, method.momentum) == ("sign-momentum", "int8")
    )


def check_updates(
    t: Trace, signs: np.ndarray, program: Program, number: int, step: int, rate: float, rows: int
) -> None:
    """Check what the step did to a block's parameters, given sgn(dW)."""
    check_parameters(t, rows, step, rate)
    if has_integer_update(t.method):
        check_integer_update(t, signs, program, number, step, rate)
    else:
        check_real_update(t, signs, program, number, step, rate, rows)
