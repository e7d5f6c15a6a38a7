"""What a network consists of: per layer its parameters, operations and deployed size.

Deployed, a hidden block is its packed weights and one 32-bit threshold per channel: batch norm and
sign together are a comparison with an integer, whose direction is folded into the signs of the
weights. The last block has no sign; its batch norm is a scale and a shift. Pooling takes no bytes.
The float32 equivalent is the same network with float32 weights and a scale and a shift per channel
everywhere.

Source: the columns are those of `larq.models.summary`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.graph import Fused
from bnntrain.preparation import Prepared

_INPUT_BITS = 8
_WORD_BYTES = 4


@dataclass(frozen=True)
class Layer:
    """One step in figures; those of operations are per sample.

    Attributes
    ----------
    name, kind : str
        E.g. ``dense1``, ``dense``.
    input_bits : int
        Width of its inputs: 8 for pixels, 1 for signs.
    output_shape : tuple of int
        Of one sample, after any pooling: height, width, channels; only channels of a dense one.
    binary_parameters, other_parameters : int
        Weights; and gamma and beta.
    deployed_bytes, float32_bytes : int
        Size of the trained step, and of its float32 equivalent.
    binary_macs, int8_macs : int
        Multiply-accumulates of 1-bit weights with signs, and with int8 pixels. Those that padding
        skips are counted.
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
    """Return the steps of a prepared configuration, first to last."""
    return [_layer(step.fused, step.has_gamma) for step in prepared.steps]


def totals_of(layers: list[Layer]) -> dict[str, int]:
    """Return the sums of `TOTALS`."""
    return {name: sum(getattr(layer, name) for layer in layers) for name in TOTALS}


def _layer(fused: Fused, has_gamma: bool) -> Layer:
    channels, reads_pixels = fused.channels, fused.reads_pixels
    weights, macs = (sum(getattr(each, name) for each in fused.operations)
                     for name in ("weights", "macs"))  # fmt: skip
    scale_and_shift = 2 * _WORD_BYTES * channels
    normalising = _WORD_BYTES * channels if fused.is_binarised else scale_and_shift
    return Layer(
        name=fused.name,
        kind=fused.kind,
        input_bits=_INPUT_BITS if reads_pixels else 1,
        output_shape=fused.result if fused.product.output.form.is_image else (channels,),
        binary_parameters=weights,
        other_parameters=sum(each.real_parameters(has_gamma) for each in fused.operations),
        deployed_bytes=-(-weights // 8) + normalising,
        float32_bytes=_WORD_BYTES * weights + scale_and_shift,
        binary_macs=0 if reads_pixels else macs,
        int8_macs=macs if reads_pixels else 0,
    )
