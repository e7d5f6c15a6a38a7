"""What a network consists of: per layer its parameters, operations and deployed size.

Deployed, a hidden block is its packed weights and one 32-bit threshold per channel: batch norm and
sign together are a comparison with an integer, whose direction is folded into the signs of the
weights. The last block has no sign; its batch norm is a scale and a shift. Pooling takes no bytes.
The float32 equivalent is the same network with float32 weights and a scale and a shift per channel
everywhere.

Weights of real convolutions are deployed as the method multiplies them, in int8 or float32, those
of the last layer in float32. All but that one have a scale and a shift per channel, as has the
batch norm of a residual, whose result is added and not compared.

Source: the columns are those of `larq.models.summary`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.graph import PIXELS, SIGNS, Fused
from bnntrain.method import Method
from bnntrain.preparation import Prepared
from bnntrain.steps import TYPES

_INT8_BITS = 8
_BITS = {PIXELS: _INT8_BITS, SIGNS: 1}
_FLOAT32_KIND = "head"  # of the real layers, by every method
WORD_BYTES = 4
"""Of a threshold, a scale, a shift and a real weight."""


@dataclass(frozen=True)
class Layer:
    """One step in figures; those of operations are per sample.

    Attributes
    ----------
    name, kind : str
        E.g. ``dense1``, ``dense``.
    input_bits : int
        Width of what its product reads: 8 for pixels and int8, 1 for signs, 32 for float32.
    output_shape : tuple of int
        Of one sample, after any pooling: height, width, channels; only channels of a dense one.
    binary_parameters, other_parameters : int
        Weights; and gamma and beta.
    deployed_bytes, float32_bytes : int
        Size of the trained step, and of its float32 equivalent.
    binary_macs, int8_macs : int
        Multiply-accumulates of 1-bit weights with signs, and with int8 pixels. Those that padding
        skips are counted.
    real_parameters, real_macs : int
        Weights and biases of a layer with real weights, and its multiply-accumulates.
    int8_parameters : int
        Those of them that are deployed in int8.
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
    real_parameters: int
    real_macs: int
    int8_parameters: int


TOTALS = (
    "binary_parameters", "other_parameters", "deployed_bytes", "float32_bytes", "binary_macs",
    "int8_macs", "real_parameters", "real_macs", "int8_parameters",
)  # fmt: skip
"""Fields of `Layer` that add up."""


def layers_of(prepared: Prepared) -> list[Layer]:
    """Return the steps of a prepared configuration, first to last."""
    return [layer_of(step.fused, step.method) for step in prepared.steps]


def totals_of(layers: list[Layer]) -> dict[str, int]:
    """Return the sums of `TOTALS`."""
    return {name: sum(getattr(layer, name) for layer in layers) for name in TOTALS}


def layer_of(fused: Fused, method: Method) -> Layer:
    """Return a step in figures, held as a method says."""
    product, channels = fused.product, fused.channels
    binary, real, macs = product.weights, product.real_weights, product.macs
    input_bits = _input_bits(fused, method)
    int8 = real if _is_int8(fused, method) else 0
    scale_and_shift = 2 * WORD_BYTES * channels * len(fused.norms)
    normalising = WORD_BYTES * channels if fused.is_binarised else scale_and_shift
    has_gamma = method.norm != "l1-binary"
    return Layer(
        name=fused.name,
        kind=fused.kind,
        input_bits=input_bits,
        output_shape=fused.result if product.output.form.is_image else (channels,),
        binary_parameters=binary,
        other_parameters=sum(each.norm_parameters(has_gamma) for each in fused.operations),
        deployed_bytes=-(-binary // 8) + int8 + WORD_BYTES * (real - int8) + normalising,
        float32_bytes=WORD_BYTES * (binary + real) + scale_and_shift,
        binary_macs=macs if input_bits == 1 else 0,
        int8_macs=macs if product.is_binary and input_bits > 1 else 0,
        real_parameters=real,
        real_macs=0 if product.is_binary else macs,
        int8_parameters=int8,
    )


def _input_bits(fused: Fused, method: Method) -> int:
    if fused.product.input.form.kind in _BITS:
        return _BITS[fused.product.input.form.kind]
    return _INT8_BITS if _is_int8(fused, method) else 8 * WORD_BYTES


def _is_int8(fused: Fused, method: Method) -> bool:
    """Whether operands of a step with real weights are int8."""
    return fused.kind != _FLOAT32_KIND and TYPES[method.gradient].multiplied == "int8"
