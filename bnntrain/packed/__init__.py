"""Packed models: a trained network as `bnntrain.inference` needs it, in a file of its own.

Layout, each file importing only from those above it::

    head.py      what is known of a packed model beside its tensors
    tensors.py   what tensors must be like
    run.py       a run folder as a source of tensors
    file.py      .bnn files: written, and read as a source of tensors
    source.py    run folder or file
    network.py   a source -> a program that classifies, in memory of its own
"""

from bnntrain.packed.file import SUFFIX, PackedFile, packed_bytes, write_packed
from bnntrain.packed.head import CHECKPOINTS, Head, Source
from bnntrain.packed.network import Network
from bnntrain.packed.source import open_source
from bnntrain.packed.tensors import new_tensors

__all__ = [
    "CHECKPOINTS",
    "SUFFIX",
    "Head",
    "Network",
    "PackedFile",
    "Source",
    "new_tensors",
    "open_source",
    "packed_bytes",
    "write_packed",
]
