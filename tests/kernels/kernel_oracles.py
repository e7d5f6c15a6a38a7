"""What the kernels compute, in plain NumPy and from the equations in their headers alone."""

from __future__ import annotations

import numpy as np

MASK64 = 2**64 - 1
F32 = np.float32


def words(bits: int) -> int:
    """Return the 64-bit words of a row of bits."""
    return -(-bits // 64)


def pack(bits: np.ndarray) -> np.ndarray:
    """Pack a boolean matrix, bit 0 of word 0 first, rows padded with 0."""
    rows, columns = bits.shape
    padded = np.zeros((rows, 64 * words(columns)), dtype=bool)
    padded[:, :columns] = bits
    octets = np.packbits(padded, axis=1, bitorder="little")
    return np.ascontiguousarray(octets).view("<u8").astype(np.uint64)


def unpack(packed: np.ndarray, columns: int) -> np.ndarray:
    """Return packed bits as a boolean matrix."""
    octets = np.ascontiguousarray(packed.astype("<u8")).view(np.uint8)
    return np.unpackbits(octets, axis=1, bitorder="little", count=columns).astype(bool)


def signs(bits: np.ndarray) -> np.ndarray:
    """Return +1 where a bit is 0 and -1 where it is 1."""
    return 1 - 2 * bits.astype(np.int64)


def lookup_part(a: np.ndarray, part: str) -> np.ndarray:
    """Return the part of each value that look-up tables are made of: a = 4 * high + low."""
    values = a.astype(np.int64)
    high = np.trunc(values / 4).astype(np.int64)
    return {"whole": values, "high": high, "low": values - 4 * high}[part]


def pool(y: np.ndarray, flip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (largest, argmax) of each four rows; the smallest where `flip`, the first if equal."""
    windows = y.reshape(len(y) // 4, 4, y.shape[1]).astype(np.int64)
    place = np.where(flip, -windows, windows).argmax(axis=1)
    argmax = np.arange(4)[None, :, None] == place[:, None, :]
    return np.take_along_axis(windows, place[:, None, :], 1)[:, 0], argmax.reshape(y.shape)


def splitmix64(state: int) -> tuple[int, int]:
    """Return (next state, output) of SplitMix64."""
    state = (state + 0x9E3779B97F4A7C15) & MASK64
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return state, z ^ (z >> 31)


def key(seed: int, stream: int, layer: int, step: int) -> int:
    """Return the 64-bit key of (seed, stream, layer, step)."""
    _, out = splitmix64(seed)
    _, out = splitmix64(out ^ (stream << 32 | layer))
    _, out = splitmix64(out ^ step)
    return out


def hash32(index: np.ndarray | int, key: int) -> np.ndarray:
    """Return 32 random bits for each index (modulo 2**32) under a key, as uint64."""
    low = np.uint64(0xFFFFFFFF)
    x = (np.asarray(index, dtype=np.uint64) + np.uint64(key & 0xFFFFFFFF)) & low
    x ^= x >> np.uint64(16)
    x = (x * np.uint64(0x21F0AAAD)) & low
    x ^= x >> np.uint64(15)
    x = (x + np.uint64(key >> 32)) & low
    x = (x * np.uint64(0xD35A2D97)) & low
    return x ^ (x >> np.uint64(15))


def element_indices(shape: tuple[int, int], stride: int, first: int) -> np.ndarray:
    """Return the index that each element of a block has in its tensor."""
    rows, columns = np.indices(shape, dtype=np.uint64)
    return rows * np.uint64(stride) + columns + np.uint64(first)


def dither(shape: tuple[int, int], stride: int, first: int, key: int) -> np.ndarray:
    """Return the 24 bits by which each element's rounding is shifted, as int64."""
    return (hash32(element_indices(shape, stride, first), key) >> np.uint64(8)).astype(np.int64)


def dither_bytes(shape: tuple[int, int], stride: int, first: int, key: int) -> np.ndarray:
    """Return the 8 bits by which each gradient's rounding is shifted, as int64.

    Four columns share the hash of the first of them, a byte each.
    """
    return byte_of_four(element_indices(shape, stride, first), np.arange(shape[1]), key)


def byte_of_four(index: np.ndarray, column: np.ndarray, key: int) -> np.ndarray:
    """Return the random byte of elements that stand at `column` of their rows, as int64."""
    part = (column % 4).astype(np.uint64)
    wrapped = (np.asarray(index, np.uint64) - part) & np.uint64(0xFFFFFFFF)
    return (hash32(wrapped, key) >> (np.uint64(8) * part) & np.uint64(255)).astype(np.int64)


def round_by_bytes(
    v: np.ndarray, u: np.ndarray, limit: int = 127, dtype: type = np.int8
) -> np.ndarray:
    """Return float32 values within the limit as integers, rounded down after adding u / 256."""
    steps = np.rint(np.clip(v, F32(-limit), F32(limit)) * F32(256)).astype(np.int64)
    return (steps + u >> 8).astype(dtype)


def affine(
    t: np.ndarray, g: np.ndarray, a: np.ndarray, b: np.ndarray, c0: np.ndarray
) -> np.ndarray:
    """Return a*g + (b*t + c0) in float32, in this order."""
    return a * g.astype(F32) + (b * t.astype(F32) + c0)


def round_to_int8(v: np.ndarray, limit: float = 127.0) -> np.ndarray:
    """Round half to even within +-limit."""
    return np.rint(np.clip(v, F32(-limit), F32(limit))).astype(np.int8)


def half_hashes(shape: tuple[int, int], stride: int, first: int, key: int) -> np.ndarray:
    """Return 16 random bits of each weight, as int64: two columns share a hash."""
    odd = np.arange(shape[1], dtype=np.uint64) % np.uint64(2)
    pair = (element_indices(shape, stride, first) - odd) & np.uint64(0xFFFFFFFF)
    return (hash32(pair, key) >> (np.uint64(16) * odd) & np.uint64(0xFFFF)).astype(np.int64)


def channel_momentum(
    latent: np.ndarray,
    momentum: np.ndarray,
    gradient: np.ndarray,
    multiplier: np.ndarray,
    beta: int,
    step: int,
    u: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (latent, momentum) after a step on gradients of which the size counts."""
    q = round_to_int8(gradient.astype(F32) * multiplier[:, None]).astype(np.int64)
    m = q + (((64 * beta * (momentum - q) + 2**14 >> 15) + u % 64) >> 6)
    moved = latent - (m * step + u >> 16)
    return np.clip(moved, -127, 127).astype(np.int8), m.astype(np.int8)


def sign_momentum(
    latent: np.ndarray,
    momentum: np.ndarray,
    gradient: np.ndarray,
    beta: int,
    rate: int,
    noise: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (latent, momentum) after one integer step; beta = 0 ignores the former momentum."""
    pushed = beta * momentum.astype(np.int64) + (2**15 - beta) * 127 * np.sign(
        gradient.astype(np.int64)
    )
    moved = (pushed + 2**14) >> 15
    stepped = latent.astype(np.int64) - ((moved * rate + noise) >> 24)
    return np.clip(stepped, -127, 127).astype(np.int8), moved.astype(np.int8)


def load_latent(latent: np.ndarray, limit: float) -> np.ndarray:
    """Return latent weights as float32."""
    if latent.dtype.kind == "f":
        return latent.astype(F32)
    return latent.astype(F32) * (F32(limit) / F32(np.iinfo(latent.dtype).max))


def store_latent(w: np.ndarray, dtype: np.dtype, limit: float, noise: np.ndarray) -> np.ndarray:
    """Return float32 weights as stored; integers by stochastic rounding with 24 bits of noise."""
    if np.dtype(dtype).kind == "f":
        return w.astype(dtype)
    largest = F32(np.iinfo(dtype).max)
    dithered = np.floor(w * (largest / F32(limit)) + noise.astype(F32) * F32(2.0**-24))
    return np.clip(dithered, -largest, largest).astype(dtype)


def load_momentum(momentum: np.ndarray) -> np.ndarray:
    """Return a momentum as float32."""
    return (
        momentum.astype(F32) * (F32(1.0) / F32(127.0))
        if momentum.dtype == np.int8
        else momentum.astype(F32)
    )


def store_momentum(m: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return a float32 momentum as stored."""
    return round_to_int8(m * F32(127.0)) if dtype == np.int8 else m.astype(dtype)


def optimise(
    name: str,
    w: np.ndarray,
    m: np.ndarray | None,
    v: np.ndarray | None,
    gradient: np.ndarray,
    step: dict[str, float],
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return (w, m, v) after one step of an optimiser in float32, before clipping."""
    s = {option: F32(value) for option, value in step.items()}
    g = gradient * s["gradient_scale"]
    one = F32(1.0)
    if name == "adam":
        m = s["beta1"] * m + (one - s["beta1"]) * g
        v = s["beta2"] * v + (one - s["beta2"]) * (g * g)
        # NumPy's float32 roots are approximate on 32-bit ARM; those of float64 are not.
        root = np.sqrt((v * s["correction2"]).astype(float)).astype(F32)
        w = w - s["learning_rate"] * (m * s["correction1"]) / (root + s["epsilon"])
    elif name == "sgd":
        m = s["beta1"] * m + g
        w = w - s["learning_rate"] * m
    elif name == "sign-momentum":
        m = s["beta1"] * m + (one - s["beta1"]) * np.sign(gradient)
        w = w - s["learning_rate"] * (m * s["correction1"])
    elif name == "sign":
        w = w - s["learning_rate"] * np.sign(gradient)
    elif name == "bop":
        m = s["beta1"] * m + (one - s["beta1"]) * g
        side = np.where(w < 0, -one, one)
        w = s["range"] * np.where(m * side >= s["threshold"], -side, side)
    return w, m, v


def softmax(
    z: np.ndarray, labels: np.ndarray, smoothing: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (gradient, loss, correct) of a batch in float64."""
    rows, classes = z.shape
    shifted = z.astype(np.float64) - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    target = np.full((rows, classes), smoothing / classes)
    target[np.arange(rows), labels] += 1.0 - smoothing
    return (
        np.exp(log_p) - target,
        -(target * log_p).sum(axis=1),
        (z.argmax(axis=1) == labels).astype(np.uint8),
    )
