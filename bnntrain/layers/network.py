"""From a list of layers to the blocks that run."""

from __future__ import annotations

from collections.abc import Sequence

from bnntrain.config import LayerSpec
from bnntrain.layers.buffers import Times
from bnntrain.layers.dense import DenseBlock
from bnntrain.method import Method

# Kinds of layer that open a block; the layers behind them up to the next opener belong to it.
_OPENERS = {"dense": lambda spec: spec.options["units"]}


def build_blocks(layers: Sequence[LayerSpec], inputs: int, method: Method) -> list[DenseBlock]:
    """Group layers into blocks.

    Parameters
    ----------
    layers : sequence of LayerSpec
        A model's layers, already checked by `bnntrain.config`.
    inputs : int
        Values per sample of the data set.
    method : Method
        Representations of their tensors.

    Returns
    -------
    list of DenseBlock
        First to last, not yet bound to memory.
    """
    openers = [spec for spec in layers if spec.kind in _OPENERS]
    blocks = []
    for index, spec in enumerate(openers):
        outputs = _OPENERS[spec.kind](spec)
        times = Times(index, len(openers))
        blocks.append(DenseBlock(f"{spec.kind}{index + 1}", inputs, outputs, times, method))
        inputs = outputs
    return blocks
