"""What a network consists of: per layer its parameters, operations and deployed size.

Deployed, a hidden block is its packed weights and one 32-bit threshold per channel: batch norm and
sign together are a comparison with an integer, whose direction is folded into the signs of the
weights. The last block has no sign; its batch norm is a scale and a shift. The float32 equivalent
is the same network with float32 weights and a scale and a shift per channel everywhere.

Source: the columns are those of `larq.models.summary`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bnntrain.api import Prepared
from bnntrain.layers import DenseBlock, build_blocks

_INPUT_BITS = 8
_WORD_BYTES = 4


@dataclass(frozen=True)
class Layer:
    """One block in figures; those of operations are per sample.

    Attributes
    ----------
    name, kind : str
        E.g. ``dense1``, ``dense``.
    input_bits : int
        Width of its inputs: 8 for pixels, 1 for signs.
    output_shape : tuple of int
        Of one sample.
    binary_parameters, other_parameters : int
        Weights; and gamma and beta.
    deployed_bytes, float32_bytes : int
        Size of the trained block, and of its float32 equivalent.
    binary_macs, int8_macs : int
        Multiply-accumulates of 1-bit weights with signs, and with int8 pixels.
    """

    name: str
    kind: str
    input_bits: int
    output_shape: tuple[int, ...]
    binary_parameters: int
    other_parameters: int
    deployed_bytes: int
    float32_bytes: int
    binary_macs: int
    int8_macs: int


TOTALS = (
    "binary_parameters", "other_parameters", "deployed_bytes", "float32_bytes", "binary_macs",
    "int8_macs",
)  # fmt: skip
"""Fields of `Layer` that add up."""


def layers_of(prepared: Prepared) -> list[Layer]:
    """Return the blocks of a prepared configuration, first to last."""
    inputs = math.prod(prepared.shape)
    blocks = build_blocks(prepared.config.model.layers, inputs, prepared.method)
    return [_layer(block) for block in blocks]


def totals_of(layers: list[Layer]) -> dict[str, int]:
    """Return the sums of `TOTALS`."""
    return {name: sum(getattr(layer, name) for layer in layers) for name in TOTALS}


def _layer(block: DenseBlock) -> Layer:
    scale_and_shift = 2 * _WORD_BYTES * block.outputs
    normalising = scale_and_shift if block.is_last else _WORD_BYTES * block.outputs
    return Layer(
        name=block.name,
        kind=block.kind,
        input_bits=_INPUT_BITS if block.is_first else 1,
        output_shape=(block.outputs,),
        binary_parameters=block.weights,
        other_parameters=block.norm_parameters,
        deployed_bytes=-(-block.weights // 8) + normalising,
        float32_bytes=_WORD_BYTES * block.weights + scale_and_shift,
        binary_macs=0 if block.is_first else block.weights,
        int8_macs=block.weights if block.is_first else 0,
    )
