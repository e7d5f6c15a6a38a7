"""From a training state to the tensors of a packed model, a piece of the weights at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bnntrain import kernels
from bnntrain.inference.channel import fold_norm
from bnntrain.inference.layers import PackedLayer
from bnntrain.steps import SECOND, TYPES

if TYPE_CHECKING:
    from bnntrain.layer_methods import LayerMethods
    from bnntrain.method import Method

# Bytes of latent weights that are looked at together.
_PIECE = 1 << 16

_PACK = {
    "float32": kernels.pack_f32_u1,
    "float16": kernels.pack_f16_u1,
    "int16": kernels.pack_i16_u1,
    "int8": kernels.pack_i8_u1,
}

LARGEST_INT8 = 127
"""What the largest of real numbers becomes in int8."""

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
        weights = into[f"{layer.name}.weights"]
        channels = (layer.channels,)
        if f"{layer.name}.amax" in into:
            amax = _taken(state, f"{layer.name}.amax", (2,), digest)
            # A training step has an amax of its own; afterwards only the running one is left.
            into[f"{layer.name}.amax"][...] = amax[0], unit_in_int8(amax[0])
        if layer.fused.is_binary:
            _pack_weights(layer, method.latent, state, weights, digest)
        else:
            _round_weights(layer, state, weights, digest)
        if f"{layer.name}.bias" in into:
            bias = _taken(state, f"{layer.name}.bias", channels, digest)
            into[f"{layer.name}.bias"][...] = bias
            continue
        for prefix in norms_of(layer):
            norm = {
                name: _taken(state, f"{layer.name}.{prefix}{name}", channels, digest)
                for name in _norm_names(method)
            }
            for name, values in fold_norm(layer, method, norm).items():
                into[f"{layer.name}.{prefix}{name}"][...] = values


def unit_in_int8(amax: np.float32) -> np.float32:
    """Return what 1 in int8 is of real numbers, the largest of which is `amax`."""
    return amax / np.float32(LARGEST_INT8) if amax > 0 else np.float32(1)


def norms_of(layer: PackedLayer) -> list[str]:
    """Return what names of a layer's norms begin with: a stem has one or two."""
    names = {tensor.name.split(".")[-1] for tensor in layer.tensors}
    return ["", SECOND] if f"{SECOND}scale" in names else [""]


def _norm_names(method: Method) -> list[str]:
    gamma = [] if method.norm == "l1-binary" else ["gamma"]
    return [*gamma, "beta", "running_mean", "running_spread"]


def state_names(layer: PackedLayer, method: Method) -> list[str]:
    """Return the tensors of a training state that `pack` reads for a layer, without its name."""
    tensors = {tensor.name.split(".")[-1] for tensor in layer.tensors}
    found = ["amax"] if "amax" in tensors else []
    found.append("latent")
    if "bias" in tensors:
        return [*found, "bias"]
    return found + [
        prefix + name for prefix in norms_of(layer) for name in _norm_names(method)
    ]


def _title(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    return f"{name} {dtype} {shape}\n".encode()


def _taken(state: State, name: str, shape: tuple[int, ...], digest: Digest) -> np.ndarray:
    """Return a vector of the state, of which `digest` is told."""
    values = np.concatenate(list(state.rows(name, "float32", shape, shape[0])))
    digest(_title(name, "float32", shape))
    digest(values)
    return values


def _round_weights(
    layer: PackedLayer, state: State, weights: np.ndarray, digest: Digest
) -> None:
    """Bring real latent weights [O, fan-in] to [fan-in, O], in int8 as training rounds them."""
    shape, name, start = (layer.channels, layer.product.fan_in), f"{layer.name}.latent", 0
    dtype = TYPES[layer.gradient].latent
    digest(_title(name, dtype, shape))
    most = max(_PIECE // (shape[1] * np.dtype(dtype).itemsize), 1)
    for piece in state.rows(name, dtype, shape, most):
        digest(piece)
        end, rows = start + len(piece), piece.astype(np.float32)
        if weights.dtype == np.int8:
            rows = np.stack([_rounded(row) for row in rows])
        weights[:, start:end] = rows.T
        start = end


def _rounded(row: np.ndarray) -> np.ndarray:
    """Return an output channel's weights in int8, the largest being 127."""
    found = np.empty(row.shape, np.int8)
    kernels.quantise_f32_i8(row, np.float32(1) / unit_in_int8(np.abs(row).max()), found)
    return found


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
