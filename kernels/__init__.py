"""Kernels in C: one function per operation, plus which instruction sets there are.

Equations, shapes and types are in the docstrings (``help(bnntrain.kernels._native)``), the
conventions that all share in ``kernels/README.md``. This package knows nothing of models, files or
configurations.
"""

# The module is the list of operations: a second one here would only fall behind.
from bnntrain.kernels._native import *  # noqa: F403
