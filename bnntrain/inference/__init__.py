"""A trained network's forward pass, from signs of weights that are packed once.

Signs of weights are one bit each, a hidden layer's batch norm and sign are one threshold and one
direction per channel, the last layer's batch norm is a scale and a shift. What is computed from
them is, bit for bit, what the training model computes with its running statistics. Training is
evaluated so, and packed models (`bnntrain.packed`) classify so.

Layout, each file importing only from those above it::

    layers.py    what layers have in common: their tensors and buffers
    binary.py    dense layers and convolutions
    residual.py  layers that read or write a stream
    network.py   from the list of layers to those of a packed model
    channel.py   batch norm and sign to thresholds
    pack.py      a training state -> tensors
    plan.py      the memory of inference, alone and in the arena of training
    program.py   tensors -> a bound program that classifies and is evaluated
"""

from bnntrain.inference.binary import PackedBinary
from bnntrain.inference.layers import PackedLayer, Tensor
from bnntrain.inference.network import as_packed, packed_layers, tensors_of
from bnntrain.inference.pack import LARGEST_INT8, Arrays, pack, unit_in_int8
from bnntrain.inference.plan import LARGEST_BATCH, plan_evaluation, plan_inference, usual_batch
from bnntrain.inference.program import Inference
from bnntrain.inference.residual import PackedHead, PackedRealConv, PackedResidual

__all__ = [
    "LARGEST_BATCH",
    "LARGEST_INT8",
    "Arrays",
    "Inference",
    "PackedBinary",
    "PackedHead",
    "PackedLayer",
    "PackedRealConv",
    "PackedResidual",
    "Tensor",
    "as_packed",
    "pack",
    "packed_layers",
    "plan_evaluation",
    "plan_inference",
    "tensors_of",
    "unit_in_int8",
    "usual_batch",
]
