"""What reads files or follows time while a network trains, in C, beside the kernels.

Batches read by position and augmented, phases of a run and a quantity added up over them, limits of
the machine's arithmetic; see ``help(bnntrain.native._native)``. This package knows nothing of
models or configurations, and of the kernels only which instruction sets there are.
"""

from bnntrain import __path__ as _places

# In a checkout the compiled module may be that of the installed package, as with the kernels.
__path__ += [_place for each in _places if (_place := f"{each}/native") not in __path__]

# The module is the list of what there is: a second one here would only fall behind.
from bnntrain.native._native import *  # noqa: E402, F403
