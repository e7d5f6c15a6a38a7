"""What an operation states of itself, once: all that other parts know of layers is read from here.

A further kind of layer is a file like those beside this one, a line in `OPERATIONS` and, for
training, a step that runs it (`fusion.PATTERNS` and `bnntrain.steps`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from bnntrain.graph.tensor import Form, Size, Tensor


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the options of a kind of layer; the first field is what ``kind: value`` gives."""

    def plain(self) -> dict[str, object]:
        """Return them as a model file has them, defaults filled in."""
        return msgspec.to_builtins(self)


class LayerError(ValueError):
    """A fault of one layer; `layer` is its place in the list, `message` says what is wrong."""

    def __init__(self, layer: int, message: str) -> None:
        super().__init__(message)
        self.layer, self.message = layer, message


class ShapeError(LayerError):
    """A layer does not fit what comes in."""


@dataclass(frozen=True)
class Published:
    """What an operation adds to the published memory table (see `bnntrain.accounting`).

    Attributes
    ----------
    activations : int
        Values per sample that are retained for the backward pass (X).
    largest : int
        Values per sample of its largest tensor that has a gradient.
    channels : int
        Channels with a mean, a deviation and a shift.
    masked : int
        Values per sample that have a pooling mask.
    weights : int
        Binary parameters.
    """

    activations: int = 0
    largest: int = 0
    channels: int = 0
    masked: int = 0
    weights: int = 0


@dataclass(frozen=True)
class Operation:
    """One operation of a graph.

    Attributes
    ----------
    name : str
        Unique in its graph.
    layer : int
        Place in the model's list of layers, from 0.
    options : Options
        Checked, defaults filled in.
    input, output : Tensor
        What it reads and writes.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[Options]] = Options
    weighs: ClassVar[bool] = False
    """Whether it is a product with weights, with which a step begins."""
    reads: ClassVar[tuple[Form, ...]]
    """Forms of the tensors that it may stand behind."""

    name: str
    layer: int
    options: Options
    input: Tensor
    output: Tensor = field(repr=False)

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes of a tensor."""
        raise NotImplementedError

    @classmethod
    def size_after(cls, options: Options, size: Size, layer: int) -> Size:
        """Return the size of what it makes of a tensor of a size.

        Raises
        ------
        ShapeError
            The tensor is too small.
        """
        return size

    @property
    def weights(self) -> int:
        """Binary parameters."""
        return 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return 0

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        return Published()

    def real_parameters(self, has_gamma: bool) -> int:
        """Return the number of its real parameters, where norms have a gamma or have none."""
        return 0


def images(*kinds: str) -> tuple[Form, ...]:
    """Return the forms of images of some kinds."""
    return tuple(Form(kind, True) for kind in kinds)


def lists(*kinds: str) -> tuple[Form, ...]:
    """Return the forms of lists of values of some kinds."""
    return tuple(Form(kind, False) for kind in kinds)
