"""Kernels in C: one function per operation, plus which instruction sets there are.

The functions, their equations and shapes are documented where they are bound (``help(bnntrain.kernels)`` lists them); the
conventions they share stand in ``kernels/README.md``. This package knows nothing of models, files or configurations.
"""

# The module is the list of operations: a second one here would only fall behind.
from bnntrain.kernels._native import *  # noqa: F403
