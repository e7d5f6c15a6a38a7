"""When things happen in a training step, and hence how long its tensors live.

A time is a small integer: 0 reads the batch, then come the forward passes of the steps, the loss,
the backward passes from the last step to the first, and the update of stored weight gradients. One
pair goes back in the order in which it came: what a real shortcut retains is gone before the
convolution beside it needs room for its gradients.
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
        self._readers: dict[str, list[Fused]] = {}
        for step in fused:
            for tensor in step.inputs:
                self._readers.setdefault(tensor.name, []).append(step)
        self._places = {step.name: place for place, step in enumerate(fused)}
        self._turns = {place: turn for turn, place in enumerate(_backward(self._fused))}
        self.loss = 1 + len(self._fused)
        self.end = 2 + 2 * len(self._fused)

    def forward(self, step: Fused) -> int:
        """Return when a step's forward pass runs."""
        return 1 + self._places[step.name]

    def backward(self, step: Fused) -> int:
        """Return when its backward pass runs."""
        return self.loss + 1 + self._turns[self._places[step.name]]

    @property
    def backward_places(self) -> list[int]:
        """Places of the steps in the order of their backward passes."""
        return list(self._turns)

    def readers(self, tensor: Tensor) -> list[Fused]:
        """Return the steps that read a tensor."""
        return self._readers.get(tensor.name, [])

    def reads(self, tensor: Tensor) -> list[int]:
        """Return when a tensor is read: for the product, and for the weights' gradient."""
        readers = self.readers(tensor)
        return [time(step) for step in readers for time in (self.forward, self.backward)]

    def gradient_writes(self, tensor: Tensor) -> list[int]:
        """Return when parts of a tensor's gradient arrive: from its readers, or from the loss."""
        return [self.backward(step) for step in self.readers(tensor)] or [self.loss]


def _backward(fused: Sequence[Fused]) -> list[int]:
    """Return the places of steps in the order in which they go back."""
    places = list(reversed(range(len(fused))))
    for turn in range(len(places) - 1):
        beside, shortcut = (fused[place] for place in places[turn : turn + 2])
        if shortcut.kind == "real_conv" and beside.kind == "residual" and (
            beside.addend == shortcut.output and beside.input == shortcut.input
        ):
            places[turn : turn + 2] = reversed(places[turn : turn + 2])
    return places
