"""The arena: one allocation, exactly as large as the plan says, cut into views."""

from __future__ import annotations

import mmap

import numpy as np

from bnntrain.plan import Layout


class Arena:
    """The memory of a run.

    Parameters
    ----------
    plan : Layout
        Says how large it is and what lies where.

    Attributes
    ----------
    whole : ndarray of uint8
        All of it.
    bytes : int
        Size of the allocation; equals ``plan.total_bytes``.
    views : dict of str to ndarray
        Every buffer by name, in its stored dtype and shape (rows of bits as uint64 words). All
        zero at first. Buffers that share bytes overwrite each other in the order of the plan.
    """

    def __init__(self, plan: Layout) -> None:
        self.plan = plan
        # An anonymous map starts on a page, is zero, and goes back to the system when dropped.
        self._memory = mmap.mmap(-1, plan.total_bytes)
        self.whole = np.frombuffer(self._memory, dtype=np.uint8)
        self.bytes = self.whole.nbytes
        self.views = self.cut(plan)

    def cut(self, layout: Layout) -> dict[str, np.ndarray]:
        """Return a view of every buffer of a layout that is no larger, by name."""
        views = {}
        for item in layout.placed:
            dtype, shape = item.buffer.storage
            part = self.whole[item.offset : item.end]
            views[item.buffer.name] = part.view(dtype).reshape(shape)
        return views

    def persistent(self) -> dict[str, np.ndarray]:
        """Views of what is kept from step to step: weights, moments, norm parameters, scales."""
        return {
            item.buffer.name: self.views[item.buffer.name]
            for item in self.plan.placed
            if item.buffer.persistent
        }
