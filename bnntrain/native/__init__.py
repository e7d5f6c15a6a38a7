"""What takes time or reads files while a network trains, in C, beside the kernels.

Batches read by position and augmented, phases of a run and a quantity added up over them, limits of
the machine's arithmetic; see ``help(bnntrain.native._native)``. This package knows nothing of
models or configurations, and of the kernels only which instruction sets there are.
"""

from pkgutil import extend_path as _extend_path

# Of a source checkout that stands before the installed package, which has the compiled module.
__path__ = _extend_path(__path__, __name__)

# The module is the list of what there is: a second one here would only fall behind.
from bnntrain.native._native import *  # noqa: F403
