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

    @property
    def fault(self) -> tuple[str, str] | None:
        """An option that does not go with the others, and why; None if they are good."""
        return None


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
        Weights of products.
    reals, pixels : int
        Values per sample that are retained too, for layers with real weights: what such a layer
        reads, and the sample where it is the first.
    """

    activations: int = 0
    largest: int = 0
    channels: int = 0
    masked: int = 0
    weights: int = 0
    reals: int = 0
    pixels: int = 0

    @property
    def retained(self) -> int:
        """Values per sample that are retained, of any kind."""
        return self.activations + self.reals + self.pixels


@dataclass(frozen=True)
class Operation:
    """One operation of a graph.

    Attributes
    ----------
    name : str
        Unique in its graph.
    layer : str
        Its place in the model, see `bnntrain.graph.items`.
    options : Options
        Checked, defaults filled in.
    inputs : tuple of Tensor
        What it reads.
    output : Tensor
        What it writes.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[Options]] = Options
    weighs: ClassVar[bool] = False
    """Whether it is a product with weights."""
    is_binary: ClassVar[bool] = False
    """Whether these are binary."""
    reads: ClassVar[tuple[Form, ...]]
    """Forms of the tensors that it may stand behind."""
    variant: ClassVar[str] = ""
    """Options that tell it from another operation of its kind, as a model file has them."""

    name: str
    layer: str
    options: Options
    inputs: tuple[Tensor, ...]
    output: Tensor = field(repr=False)

    @classmethod
    def of(cls, options: Options) -> type[Operation]:
        """Return the operation of this kind that options ask for."""
        return cls

    @classmethod
    def word(cls) -> str:
        """Return what `fusion.PATTERNS` calls it."""
        return cls.kind

    @classmethod
    def title(cls) -> str:
        """Return what messages call it."""
        return f"{cls.kind} with '{cls.variant}'" if cls.variant else cls.kind

    @classmethod
    def misfit(cls, options: Options, form: Form) -> str | None:
        """Say why no kernel computes it with these options of such a tensor; None if one does."""
        return None

    @property
    def input(self) -> Tensor:
        """What it reads, of several tensors the first."""
        return self.inputs[0]

    @classmethod
    def form_after(cls, form: Form) -> Form:
        """Return the form of what it makes of a tensor."""
        raise NotImplementedError

    @classmethod
    def size_after(cls, options: Options, size: Size, layer: str) -> Size:
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

    @property
    def real_weights(self) -> int:
        """Real parameters of a product: weights and biases."""
        return 0

    def norm_parameters(self, has_gamma: bool) -> int:
        """Return the number of a norm's parameters, where norms have a gamma or have none."""
        return 0


def images(*kinds: str) -> tuple[Form, ...]:
    """Return the forms of images of some kinds."""
    return tuple(Form(kind, True) for kind in kinds)


def lists(*kinds: str) -> tuple[Form, ...]:
    """Return the forms of lists of values of some kinds."""
    return tuple(Form(kind, False) for kind in kinds)
