"""What a residual network gives with its running statistics, in NumPy, from the equations alone.

Sums of `efficient` are exact. Of the other methods, real products add in float32 in the order of
depth. Everything else is elementwise float32, in the order of the equations, so that nothing here
is approximate.

Sources: `kernels/stream/stream.h`, `kernels/real_conv/real_conv.h`, `kernels/stem/stem.h`,
`kernels/head/head.h`.
"""

from __future__ import annotations

from collections.abc import Mapping

import conv_reference as conv
import numpy as np
import pool_reference as pool
import reference
from harness import own_views
from residual_kit import geometry_of
from residual_real import shift_of
from residual_units import LIMIT, ONE, limited

from bnntrain.program import Program
from bnntrain.steps import SECOND, Step

F32 = np.float32
LARGEST_F16 = 65504

Views = Mapping[str, np.ndarray]


def logits_of(program: Program, x: np.ndarray) -> np.ndarray:
    """Return the logits (float32) of samples."""
    tensors, images = {}, x.reshape(len(x), *program.steps[0].fused.input.size)
    for step in program.steps:
        views, fused = own_views(program, step.name), step.fused
        read = tensors.get(fused.input.name, images)
        if fused.kind == "head":
            return _scores(step, views, read)
        if fused.kind == "residual":
            y = conv.convolve(geometry_of(step), reference.sign(read), _signs(views))
            z = _normalised(step, views, y)
            tensors[fused.output.name] = _stored(step, z, tensors[fused.addend.name])
            continue
        z = _real_z(step, views, read)
        tensors[fused.output.name] = _stored(step, z, None)
    raise AssertionError


def _is_whole(step: Step) -> bool:
    return step.method.gradient == "int8"


def _signs(views: Views) -> np.ndarray:
    return reference.sign(views["latent"].astype(float))


def _normalised(step: Step, views: Views, y: np.ndarray, prefix: str = "") -> np.ndarray:
    """Return z in float32."""
    norm = {name: views[prefix + name].astype(float) for name in ("running_mean", "beta")}
    spread = views[f"{prefix}running_spread"].astype(float)
    gain = reference.inverse_of(step.method.norm, spread)
    gain = gain * views.get(f"{prefix}gamma", np.ones(1)).astype(float)
    shift = norm["beta"] - gain * norm["running_mean"]
    return y.astype(F32) * gain.astype(F32) + shift.astype(F32)


def _units(z: np.ndarray) -> np.ndarray:
    """Return z (float32) in units of an int16 stream, limited to what is added to one."""
    return np.rint(np.clip(z * F32(ONE), -LIMIT, LIMIT))


def _stored(step: Step, z: np.ndarray, addend: np.ndarray | None) -> np.ndarray:
    """Return what a stream keeps of z and what z is added to."""
    if _is_whole(step):
        z = z if step.fused.kind == "stem" else _units(z)
        return limited(z if addend is None else z + addend).astype(np.int16)
    z = z if addend is None else z + addend.astype(F32)
    if step.method.gradient == "float16":
        return np.clip(z, -LARGEST_F16, LARGEST_F16).astype(np.float16)
    return z


def _in_order(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the products [rows][columns] of float32 matrices, added up in the order of depth."""
    found = np.zeros((len(a), b.shape[1]), F32)
    for column, row in zip(a.T, b, strict=True):
        found += column[:, None] * row
    return found


def _real_z(step: Step, views: Views, read: np.ndarray) -> np.ndarray:
    """Return what a real convolution or a stem makes: z, of integers a stem's are in units."""
    y = _real_y(step, views, read)
    if step.fused.kind != "stem":
        return _normalised(step, views, y)
    gamma = views.get("gamma", np.ones(y.shape[-1]))
    u = _normalised(step, views, pool.take(y, pool.choose(y, gamma)))
    u = np.maximum(u, 0) if step.fused.has_relu else u
    u = _units(u).astype(F32) if _is_whole(step) else u
    if not step.fused.has_second_norm:
        return u
    z = _normalised(step, views, u, SECOND)
    return _units(z) if _is_whole(step) else z


def _real_y(step: Step, views: Views, read: np.ndarray) -> np.ndarray:
    geometry, latent = geometry_of(step), views["latent"].astype(F32)
    if not step.fused.reads_pixels:
        read = _operand(step, views, read)
    patches = conv.patches(geometry, read)
    if not _is_whole(step):
        lines = patches.reshape(-1, geometry.fan_in).astype(F32)
        return _in_order(lines, latent.T).reshape(*patches.shape[:3], -1)
    unit = np.abs(latent).max(axis=1, keepdims=True) / F32(127)
    unit[unit == 0] = 1
    weights = np.clip(np.rint(latent * (F32(1) / unit)), -127, 127).astype(float)
    return np.floor(patches @ weights.T / 2 ** shift_of(geometry.fan_in))


def _operand(step: Step, views: Views, read: np.ndarray) -> np.ndarray:
    """Return what a real convolution multiplies of a stream."""
    side = step.fused.pooled
    if _is_whole(step):
        sums = read.astype(float) if side == 1 else conv.windows(read.astype(float)).sum(axis=3)
        amax = views["amax"][0]
        unit = amax / F32(127) if amax > 0 else F32(1)
        return np.clip(np.rint(sums.astype(F32) * (F32(1) / unit)), -127, 127)
    if side == 1:
        return read.astype(F32)
    windows, found = conv.windows(read.astype(F32)), 0
    for tap in range(4):
        found = found + windows[:, :, :, tap]
    return found * F32(0.25)


def _scores(step: Step, views: Views, read: np.ndarray) -> np.ndarray:
    values = read.astype(float)
    values = np.maximum(values, 0) if step.fused.has_relu else values
    lines = values.reshape(len(values), -1, values.shape[-1])
    # In the order of positions, which exact sums need not.
    sums = np.add.accumulate(lines, axis=1)[:, -1]
    one = ONE if _is_whole(step) else 1
    features = (sums / (float(one) * lines.shape[1])).astype(F32)
    return _in_order(features, views["latent"].astype(F32).T) + views["bias"]
