"""One benchmark case per kernel: operands of a typical size, and a call that takes the ISA.

A new operation needs a line here; a test holds this table against `kernels.implementations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bnntrain import kernels

Call = Callable[[str], object]

SHAPES = ((1024, 1024, 1024), (100, 256, 784), (100, 1024, 1024))
"""Rows, columns and depth of the products: the square one, and dense layers at batch 100."""

_ROWS, _COLUMNS = 100, 64
# A tile of the training step is one word of channels; optimisers see a block of weights.
_BLOCK = (64, 256)


def _ints(rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "int8") -> np.ndarray:
    return rng.integers(-127, 128, shape).astype(dtype)


def _bits(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    words = rng.integers(0, 2**64, (rows, -(-columns // 64)), dtype=np.uint64)
    if columns % 64:
        words[:, -1] &= np.uint64((1 << columns % 64) - 1)
    return words


def _xnor(rng: np.random.Generator, rows: int, columns: int, depth: int) -> Call:
    a, b, y = (
        _bits(rng, rows, depth),
        _bits(rng, columns, depth),
        np.empty((rows, columns), "int32"),
    )
    panel = np.empty(kernels.PANEL_BYTES + 64, "uint8")
    return lambda isa: kernels.xnor_gemm_u1_i32(a, b, depth, y, panel=panel, isa=isa)


def _int8_bit(rng: np.random.Generator, rows: int, columns: int, depth: int) -> Call:
    a, b, c = (
        _ints(rng, (rows, depth)),
        _bits(rng, depth, columns),
        np.empty((rows, columns), "int32"),
    )
    panel = np.empty(kernels.PANEL_BYTES + 64, "uint8")
    return lambda isa: kernels.gemm_i8_u1_i32(a, b, c, panel=panel, isa=isa)


def _int8_int8(rng: np.random.Generator, rows: int, columns: int, depth: int) -> Call:
    a, b, c = (
        _ints(rng, (rows, depth)),
        _ints(rng, (depth, columns)),
        np.empty((rows, columns), "int32"),
    )
    panel = np.empty(kernels.PANEL_BYTES + 64, "uint8")
    return lambda isa: kernels.gemm_i8_i8_i32(a, b, c, panel=panel, isa=isa)


def aligned_bytes(*shape: int) -> np.ndarray:
    """Return bytes that start at an address divisible by 64."""
    octets = np.zeros(math.prod(shape) + 63, "uint8")
    first = -octets.ctypes.data % 64
    return octets[first : first + math.prod(shape)].reshape(shape)


_Operands = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _lookup_operands(a: np.ndarray, b: np.ndarray, c: np.ndarray, isa: str) -> _Operands:
    """Tables and, per word of columns, panels in the layout of an instruction set, and their c."""
    groups = -(-a.shape[1] // kernels.LOOKUP_GROUP)
    tables = aligned_bytes(len(a), groups * kernels.LOOKUP_TABLE_BYTES)
    kernels.lookup_tables_i8(a, tables, isa=isa)
    operands = []
    for word in range(b.shape[1]):
        panel = aligned_bytes(groups * kernels.LOOKUP_PANEL_BYTES)
        part = c[:, word * kernels.TILE : (word + 1) * kernels.TILE]
        kernels.lookup_lay_u1(b[:, word : word + 1], part.shape[1], panel, isa=isa)
        operands.append((tables, panel, part))
    return operands


def _lookup(rng: np.random.Generator, rows: int, columns: int, depth: int) -> Call:
    a = rng.integers(-31, 32, (rows, depth)).astype("int8")
    b, c = _bits(rng, depth, columns), np.empty((rows, columns), "int32")
    # Laid out by the first call, which nobody times.
    operands: dict[str, _Operands] = {}

    def call(isa: str) -> None:
        if isa not in operands:
            operands[isa] = _lookup_operands(a, b, c, isa)
        for tables, panel, part in operands[isa]:
            kernels.lookup_gemm_i32(tables, panel, part, isa=isa)

    return call


def _real(rng: np.random.Generator, rows: int, columns: int, depth: int) -> Call:
    a = rng.standard_normal((rows, depth), "float32")
    b = rng.standard_normal((depth, columns), "float32")
    c = np.empty((rows, columns), "float32")
    return lambda isa: kernels.gemm_f32(a, b, c, isa=isa)


PRODUCTS: dict[str, Callable[[np.random.Generator, int, int, int], Call]] = {
    "xnor_gemm_u1_i32": _xnor,
    "gemm_i8_u1_i32": _int8_bit,
    "gemm_i8_i8_i32": _int8_int8,
    "lookup_gemm_i32": _lookup,
    "gemm_f32": _real,
}
"""Products: multiply-accumulates are rows * columns * depth."""


class _Tile:
    """The operands that the tile kernels share."""

    def __init__(self, rng: np.random.Generator) -> None:
        shape = (_ROWS, _COLUMNS)
        self.y = rng.integers(-784, 785, shape, dtype="int32")
        self.g = _ints(rng, shape)
        self.real = rng.standard_normal(shape, "float32")
        self.low = np.full(_COLUMNS, -400, "int32")
        self.high = np.full(_COLUMNS, 400, "int32")
        self.flip = rng.integers(0, 2, _COLUMNS).astype("uint8")
        self.a, self.b, self.c = rng.standard_normal((3, _COLUMNS), "float32") * np.float32(0.01)
        self.sums = [np.zeros(_COLUMNS, "int64") for _ in range(2)]
        self.real_sums = [np.zeros(_COLUMNS) for _ in range(2)]
        self.bits = _bits(rng, _ROWS, _COLUMNS)
        self.out_i8 = np.empty(shape, "int8")
        self.out_f16 = np.empty(shape, "float16")
        self.out_f32 = np.empty(shape, "float32")


def _tile(
    call: Callable[[_Tile, str], object],
) -> Callable[[np.random.Generator], tuple[Call, int]]:
    def build(rng: np.random.Generator) -> tuple[Call, int]:
        tile = _Tile(rng)
        return (lambda isa: call(tile, isa)), _ROWS * _COLUMNS

    return build


def _pack(dtype: str) -> Callable[[np.random.Generator], tuple[Call, int]]:
    def build(rng: np.random.Generator) -> tuple[Call, int]:
        values = _ints(rng, (256, 784)).astype(dtype)
        bits = np.empty((256, 13), "uint64")
        pack = getattr(
            kernels,
            {
                "int8": "pack_i8_u1",
                "int16": "pack_i16_u1",
                "float16": "pack_f16_u1",
                "float32": "pack_f32_u1",
            }[dtype],
        )
        return (lambda isa: pack(values, bits, isa=isa)), values.size

    return build


def _transpose_bits(rng: np.random.Generator) -> tuple[Call, int]:
    bits, out = _bits(rng, 256, 784), np.empty((784, 4), "uint64")
    return (lambda isa: kernels.transpose_u1(bits, 784, out, isa=isa)), 256 * 784


def _transpose_bytes(rng: np.random.Generator) -> tuple[Call, int]:
    values, out = _ints(rng, (_ROWS, 256)), np.empty((256, _ROWS), "int8")
    return (lambda isa: kernels.transpose_i8(values, out, isa=isa)), values.size


def _sign_momentum(rng: np.random.Generator) -> tuple[Call, int]:
    latent, momentum = _ints(rng, _BLOCK), np.zeros(_BLOCK, "int8")
    gradient = _ints(rng, _BLOCK, "int32")
    return (
        lambda isa: kernels.update_sign_momentum_i8(
            latent, momentum, gradient, beta=29491, rate=335544, key=1, isa=isa
        )
    ), latent.size


def _channel_momentum(rng: np.random.Generator) -> tuple[Call, int]:
    latent, momentum = _ints(rng, _BLOCK), np.zeros(_BLOCK, "int8")
    gradient = _ints(rng, _BLOCK, "int32")
    multiplier, magnitude = np.full(len(latent), 0.5, "float32"), np.zeros(len(latent), "int64")
    return (
        lambda isa: kernels.update_channel_momentum_i8(
            latent, momentum, gradient, multiplier, magnitude,
            minus_beta=-29491, step=10413, key=1, isa=isa,
        )
    ), latent.size  # fmt: skip


def _sign(rng: np.random.Generator) -> tuple[Call, int]:
    latent, gradient = _ints(rng, _BLOCK), _ints(rng, _BLOCK, "int32")
    return (
        lambda isa: kernels.update_sign_i8(latent, gradient, rate=335544, key=1, isa=isa)
    ), latent.size


def _real_update(rng: np.random.Generator) -> tuple[Call, int]:
    latent, gradient, m, v = (np.zeros(_BLOCK, "float32") for _ in range(4))
    gradient[...] = rng.standard_normal(_BLOCK)
    return (
        lambda isa: kernels.update_real(
            latent,
            m,
            v,
            gradient,
            optimizer="adam",
            range=1.0,
            learning_rate=1e-3,
            beta1=0.9,
            beta2=0.999,
            epsilon=1e-7,
            isa=isa,
        )
    ), latent.size


def _adam(rng: np.random.Generator) -> tuple[Call, int]:
    value, m, v = (np.zeros(1024, "float32") for _ in range(3))
    gradient = rng.standard_normal(1024, "float32")
    return (
        lambda isa: kernels.adam_f32(
            value,
            m,
            v,
            gradient,
            learning_rate=1e-3,
            beta1=0.9,
            beta2=0.999,
            correction1=1.0,
            correction2=1.0,
            epsilon=1e-7,
            gradient_scale=1.0,
            isa=isa,
        )
    ), 1024


def _lookup_tables(rng: np.random.Generator) -> tuple[Call, int]:
    a = rng.integers(-31, 32, (_ROWS, 128)).astype("int8")
    tables = aligned_bytes(_ROWS, 128 // kernels.LOOKUP_GROUP * kernels.LOOKUP_TABLE_BYTES)
    return (lambda isa: kernels.lookup_tables_i8(a, tables, isa=isa)), a.size


def _lookup_lay(rng: np.random.Generator) -> tuple[Call, int]:
    b = _bits(rng, 1024, _COLUMNS)
    panel = aligned_bytes(1024 // kernels.LOOKUP_GROUP * kernels.LOOKUP_PANEL_BYTES)
    return (lambda isa: kernels.lookup_lay_u1(b, _COLUMNS, panel, isa=isa)), 1024 * _COLUMNS


class _Pool:
    """Windows that fill a tile, and what comes of them."""

    def __init__(self, rng: np.random.Generator) -> None:
        pooled = (_ROWS // kernels.POOL_ROWS, _COLUMNS)
        self.y = rng.integers(-784, 785, (_ROWS, _COLUMNS), dtype="int32")
        self.flip = rng.integers(0, 2, _COLUMNS).astype("uint8")
        self.largest = np.empty(pooled, "int32")
        self.choice = _bits(rng, _ROWS, _COLUMNS)
        self.g, self.real = _ints(rng, pooled), rng.standard_normal(pooled, "float32")
        self.out_i8, self.out_f32 = np.empty((_ROWS, _COLUMNS), "int8"), self.y.astype("float32")
        self.narrow = np.empty((_ROWS, _COLUMNS), "int16")


def _pool(
    call: Callable[[_Pool, str], object],
) -> Callable[[np.random.Generator], tuple[Call, int]]:
    def build(rng: np.random.Generator) -> tuple[Call, int]:
        pool = _Pool(rng)
        return (lambda isa: call(pool, isa)), _ROWS * _COLUMNS

    return build


def _softmax(rng: np.random.Generator) -> tuple[Call, int]:
    z, gradient = rng.standard_normal((2, _ROWS, 10), "float32")
    labels, hit = rng.integers(0, 10, _ROWS).astype("uint16"), np.empty(_ROWS, "uint8")
    loss = np.empty(_ROWS)
    return (lambda isa: kernels.softmax_f32(z, labels, gradient, loss, hit, isa=isa)), z.size


ELEMENTWISE: dict[str, Callable[[np.random.Generator], tuple[Call, int]]] = {
    "pack_i8_u1": _pack("int8"),
    "pack_i16_u1": _pack("int16"),
    "pack_f16_u1": _pack("float16"),
    "pack_f32_u1": _pack("float32"),
    "transpose_u1": _transpose_bits,
    "transpose_i8": _transpose_bytes,
    "norm_sums_i32": _tile(lambda t, isa: kernels.norm_sums_i32(t.y, *t.sums, isa=isa)),
    "norm_deviation_i32": _tile(
        lambda t, isa: kernels.norm_deviation_i32(t.y, _ROWS, t.sums[0], t.sums[1], isa=isa)
    ),
    "norm_magnitude_i32": _tile(
        lambda t, isa: kernels.norm_magnitude_i32(t.y, t.a, t.b, t.real_sums[0], isa=isa)
    ),
    "binarise_i32_u1": _tile(
        lambda t, isa: kernels.binarise_i32_u1(t.y, t.low, t.flip, t.bits, isa=isa)
    ),
    "within_i32_u1": _tile(
        lambda t, isa: kernels.within_i32_u1(t.y, t.low, t.high, t.bits, isa=isa)
    ),
    "normalise_i32_f32": _tile(
        lambda t, isa: kernels.normalise_i32_f32(t.y, t.a, t.b, t.out_f32, isa=isa)
    ),
    "sign_tile_i32": _tile(lambda t, isa: kernels.sign_tile_i32(t.y, t.low, t.flip, isa=isa)),
    "norm_cancel_i8": _tile(
        lambda t, isa: kernels.norm_cancel_i8(t.y, t.low, t.high, t.g, *t.sums, isa=isa)
    ),
    "norm_measure_i8": _tile(
        lambda t, isa: kernels.norm_measure_i8(t.y, t.a, t.b, t.c, t.g, isa=isa)
    ),
    "norm_affine_i8": _tile(
        lambda t, isa: kernels.norm_affine_i8(t.y, t.a, t.b, t.c, t.g, isa=isa)
    ),
    "requantise_i32_i8": _tile(
        lambda t, isa: kernels.requantise_i32_i8(t.y, 0.1, t.out_i8, isa=isa)
    ),
    "largest_i32": _tile(lambda t, isa: kernels.largest_i32(t.y, isa=isa)),
    "mask_i8": _tile(lambda t, isa: kernels.mask_i8(t.bits, t.g, isa=isa)),
    "norm_cancel_f32": _tile(
        lambda t, isa: kernels.norm_cancel_f32(t.y, t.low, t.high, t.real, isa=isa)
    ),
    "mask_f32": _tile(lambda t, isa: kernels.mask_f32(t.bits, t.real, isa=isa)),
    "norm_sums_f32": _tile(
        lambda t, isa: kernels.norm_sums_f32(t.y, t.real, *t.real_sums, isa=isa)
    ),
    "norm_affine_f32": _tile(
        lambda t, isa: kernels.norm_affine_f32(t.y, t.a, t.b, t.c, t.real, isa=isa)
    ),
    "lookup_tables_i8": _lookup_tables,
    "lookup_lay_u1": _lookup_lay,
    "pool_max_i32": _pool(
        lambda p, isa: kernels.pool_max_i32(p.y, p.flip, p.largest, p.choice, isa=isa)
    ),
    "pool_spread_i8": _pool(
        lambda p, isa: kernels.pool_spread_i8(p.g, p.choice, p.out_i8, isa=isa)
    ),
    "pool_spread_f32": _pool(
        lambda p, isa: kernels.pool_spread_f32(p.real, p.choice, p.out_f32, isa=isa)
    ),
    "narrow_i32_i16": _pool(lambda p, isa: kernels.narrow_i32_i16(p.y, p.narrow, isa=isa)),
    "widen_i16_i32": _pool(lambda p, isa: kernels.widen_i16_i32(p.narrow, p.y, isa=isa)),
    "update_sign_momentum_i8": _sign_momentum,
    "update_channel_momentum_i8": _channel_momentum,
    "update_sign_i8": _sign,
    "update_real": _real_update,
    "expand_u1_f32": _tile(lambda t, isa: kernels.expand_u1_f32(t.bits, t.out_f32, isa=isa)),
    "convert_i8_f32": _tile(lambda t, isa: kernels.convert_i8_f32(t.g, t.out_f32, isa=isa)),
    "convert_f16_f32": _tile(lambda t, isa: kernels.convert_f16_f32(t.out_f16, t.out_f32, isa=isa)),
    "convert_f32_f16": _tile(lambda t, isa: kernels.convert_f32_f16(t.real, t.out_f16, isa=isa)),
    "quantise_f32_i8": _tile(
        lambda t, isa: kernels.quantise_f32_i8(
            t.real.reshape(-1), 10.0, t.out_i8.reshape(-1), isa=isa
        )
    ),
    "softmax_f32": _softmax,
    "adam_f32": _adam,
}
"""All other operations, with the number of values that one call works on."""
