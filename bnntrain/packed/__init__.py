"""Packed models: a trained network as inference needs it, in a file of its own or in memory.

Signs of weights are one bit each, a hidden layer's batch norm and sign are one threshold and one
direction per channel, the last layer's batch norm is a scale and a shift. What is computed from
them is, bit for bit, what the training model computes with its running statistics.

Layout, each file importing only from those above it::

    head.py      what is known of a packed model beside its tensors
    layers.py    sizes and tensors of every layer, from the list of layers
    tensors.py   what tensors must be like
    channel.py   batch norm and sign to thresholds
    pack.py      a training state -> tensors
    run.py       a run folder as a source of tensors
    file.py      .bnn files: written, and read as a source of tensors
    source.py    run folder or file
    plan.py      the memory of inference
    inference.py tensors -> a bound program that classifies and is evaluated
    network.py   the same in memory of its own
"""

from bnntrain.packed.file import SUFFIX, PackedFile, packed_bytes, write_packed
from bnntrain.packed.head import CHECKPOINTS, Head, Source
from bnntrain.packed.inference import Inference
from bnntrain.packed.layers import PackedLayer, packed_layers
from bnntrain.packed.network import Network
from bnntrain.packed.pack import Arrays, pack
from bnntrain.packed.plan import LARGEST_BATCH, plan_evaluation
from bnntrain.packed.source import open_source
from bnntrain.packed.tensors import new_tensors

__all__ = [
    "CHECKPOINTS",
    "LARGEST_BATCH",
    "SUFFIX",
    "Arrays",
    "Head",
    "Inference",
    "Network",
    "PackedFile",
    "PackedLayer",
    "Source",
    "new_tensors",
    "open_source",
    "pack",
    "packed_bytes",
    "packed_layers",
    "plan_evaluation",
    "write_packed",
]
