"""When things happen in a training step, and hence how long its tensors live.

A time is a small integer: 0 reads the batch, then come the forward passes of the steps, the loss,
the backward passes from the last step to the first, and the update of stored weight gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

from bnntrain.graph import Fused, Tensor

READ = 0
"""When the batch is read."""


class Order:
    """The order in which the passes of a network run.

    Parameters
    ----------
    fused : sequence of Fused
        The network's steps, each behind those whose output it reads.

    Attributes
    ----------
    loss, end : int
        When the loss is computed; the last time, that of the update.
    """

    def __init__(self, fused: Sequence[Fused]) -> None:
        self._fused = list(fused)
        self._places = {step.name: place for place, step in enumerate(fused)}
        self.loss = 1 + len(self._fused)
        self.end = 2 + 2 * len(self._fused)

    def forward(self, step: Fused) -> int:
        """Return when a step's forward pass runs."""
        return 1 + self._places[step.name]

    def backward(self, step: Fused) -> int:
        """Return when its backward pass runs."""
        return self.end - self.forward(step)

    def readers(self, tensor: Tensor) -> list[Fused]:
        """Return the steps that read a tensor."""
        return [step for step in self._fused if tensor in step.inputs]

    def reads(self, tensor: Tensor) -> list[int]:
        """Return when a tensor is read: for the product, and for the weights' gradient."""
        readers = self.readers(tensor)
        return [time(step) for step in readers for time in (self.forward, self.backward)]

    def gradient_writes(self, tensor: Tensor) -> list[int]:
        """Return when parts of a tensor's gradient arrive: from its readers, or from the loss."""
        return [self.backward(step) for step in self.readers(tensor)] or [self.loss]
