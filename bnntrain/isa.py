"""The instruction set that kernels run on."""

from __future__ import annotations

from bnntrain import kernels
from bnntrain.errors import KernelError


def selected_isa() -> str:
    """Return the instruction set to run on.

    Raises
    ------
    KernelError
        ``BNNTRAIN_ISA`` names one that this machine cannot run.
    """
    try:
        return kernels.selected_isa()
    except ValueError as error:
        raise KernelError(str(error)) from None
