"""What products with weights have in common, those with binary weights and those with real ones."""

from __future__ import annotations

from typing import Literal

from bnntrain.graph.operation import Operation, Options, Published
from bnntrain.graph.representation import Representation


class ProductOptions(Options, frozen=True, kw_only=True):
    """Options of every product, behind its own.

    Attributes
    ----------
    representation : Representation
        Of the tensors of this layer alone, and of the norm and the sign behind it.
    weights : str
        ``binary``, or ``real`` where a residual network has real layers.
    """

    representation: Representation = Representation()
    weights: Literal["binary", "real"] = "binary"

    def plain(self) -> dict[str, object]:
        """Return them as a model file has them; what is as everywhere is left out."""
        values = super().plain()
        if not values["representation"]:
            del values["representation"]
        if values["weights"] == "binary":
            del values["weights"]
        return values

    @property
    def fault(self) -> tuple[str, str] | None:
        """An option that does not go with the others, and why; None if they are good."""
        if self.weights == "real" and self.representation != Representation():
            return "representation", "is of layers with binary weights. Leave it out"
        return None


class Product(Operation):
    """A product with weights: y = X sgn(W)^T, without bias; of real ones y = X W^T."""

    weighs = True
    is_binary = True

    @property
    def taps(self) -> int:
        """Positions of the window."""
        return 1

    @property
    def fan_in(self) -> int:
        """Inputs of one product: taps times input channels."""
        return self.taps * self.input.size[2]

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.output.size[2]

    @property
    def parameters(self) -> int:
        """Weights, of whatever kind."""
        return self.fan_in * self.channels

    @property
    def weights(self) -> int:
        """Binary parameters."""
        return self.parameters if self.is_binary else 0

    @property
    def real_weights(self) -> int:
        """Real parameters."""
        return 0 if self.is_binary else self.parameters

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample; taps that padding skips are counted."""
        height, width, _ = self.output.size
        return height * width * self.parameters

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        largest = max(self.input.values, self.output.values)
        return Published(
            activations=self.input.values, largest=largest, weights=self.parameters
        )
