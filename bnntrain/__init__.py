"""Train binary neural networks on the edge device itself, inside an exact memory plan."""

__version__ = "0.1.0"
