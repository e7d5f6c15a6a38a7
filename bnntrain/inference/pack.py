"""From a training state to the tensors of a packed model, a piece of the weights at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from bnntrain import kernels
from bnntrain.inference.channel import fold_norm
from bnntrain.inference.layers import PackedLayer
from bnntrain.layer_methods import LayerMethods

# Bytes of latent weights that are looked at together.
_PIECE = 1 << 16

_PACK = {
    "float32": kernels.pack_f32_u1,
    "float16": kernels.pack_f16_u1,
    "int16": kernels.pack_i16_u1,
    "int8": kernels.pack_i8_u1,
}


Digest = Callable[[object], None]
"""Is told bytes, e.g. the `update` of a hash."""


def _undigested(_content: object) -> None:
    """Take no notice."""


class State(Protocol):
    """A training state, e.g. a checkpoint: arrays by name."""

    def rows(
        self, name: str, dtype: str, shape: tuple[int, ...], most: int
    ) -> Iterator[np.ndarray]:
        """Yield an array that must be of this type and shape, at most so many rows at a time."""


class Arrays:
    """A training state in memory.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        By name.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays

    def rows(
        self, name: str, dtype: str, shape: tuple[int, ...], most: int
    ) -> Iterator[np.ndarray]:
        """Yield an array of this type and shape, at most so many rows at a time."""
        array = self._arrays[name]
        assert (array.dtype, array.shape) == (np.dtype(dtype), shape)
        for start in range(0, len(array), most):
            yield array[start : start + most]


def pack(
    layers: Sequence[PackedLayer], methods: LayerMethods, state: State,
    into: Mapping[str, np.ndarray], digest: Digest = _undigested,
) -> None:
    """Pack a training state.

    Parameters
    ----------
    layers : sequence of PackedLayer
        The network.
    methods : LayerMethods
        That it was trained by: types of latent weights and activations, kinds of the norms.
    state : State
        Read layer by layer, each array once.
    into : mapping of str to ndarray
        Where the tensors go.
    digest : callable, optional
        Told all bytes of the state, with names, types and shapes, as ``weights_sha256`` hashes
        them.
    """
    for layer in layers:
        method = methods.of(layer.product.layer)
        _pack_weights(layer, method.latent, state, into[f"{layer.name}.weights"], digest)
        channels = (layer.channels,)
        names = ("gamma", "beta", "running_mean", "running_spread")
        norm = {
            name: _whole(state, f"{layer.name}.{name}", channels)
            for name in (names[1:] if method.norm == "l1-binary" else names)
        }
        for name, values in norm.items():
            digest(_title(f"{layer.name}.{name}", "float32", channels))
            digest(values)
        for name, values in fold_norm(layer, method, norm).items():
            into[f"{layer.name}.{name}"][...] = values


def _title(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    return f"{name} {dtype} {shape}\n".encode()


def _whole(state: State, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(list(state.rows(name, "float32", shape, shape[0])))


def _pack_weights(
    layer: PackedLayer, dtype: str, state: State, bits: np.ndarray, digest: Digest
) -> None:
    """Pack signs of latent weights [O, fan-in] into lines, of which an output has one or more."""
    shape = (layer.channels, layer.product.fan_in)
    lines, columns = layer.lines
    per_row = lines // shape[0]
    most = max(_PIECE // (shape[1] * np.dtype(dtype).itemsize), 1)
    name, start = f"{layer.name}.latent", 0
    digest(_title(name, dtype, shape))
    for piece in state.rows(name, dtype, shape, most):
        digest(piece)
        end = start + len(piece) * per_row
        _PACK[dtype](piece.reshape(-1, columns), bits[start:end])
        start = end
