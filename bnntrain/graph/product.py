"""What products with binary weights have in common."""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.graph.operation import Operation, Options, Published
from bnntrain.graph.representation import Representation


class ProductOptions(Options, frozen=True, kw_only=True):
    """Options of every product, behind its own.

    Attributes
    ----------
    representation : Representation
        Of the tensors of this layer alone, and of the norm and the sign behind it.
    """

    representation: Representation = Representation()

    def plain(self) -> dict[str, object]:
        """Return them as a model file has them; a representation that sets nothing is left out."""
        values = super().plain()
        if not values["representation"]:
            del values["representation"]
        return values


@dataclass(frozen=True)
class Product(Operation):
    """A product with binary weights: y = X sgn(W)^T, without bias."""

    weighs = True

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
    def weights(self) -> int:
        """Binary parameters."""
        return self.fan_in * self.channels

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample; taps that padding skips are counted."""
        height, width, _ = self.output.size
        return height * width * self.weights

    @property
    def published(self) -> Published:
        """What it adds to the published memory table."""
        largest = max(self.input.values, self.output.values)
        return Published(
            activations=self.input.values, largest=largest, weights=self.weights
        )
