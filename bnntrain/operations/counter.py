"""What the counting of dense and convolution blocks shares."""

from __future__ import annotations

from bnntrain.operations.calls import Pass
from bnntrain.plan import Plan
from bnntrain.steps import GRADIENT_LIMITS, Step

TILE = 64
"""Channels of a product (BNN_TILE)."""

_UPDATES = {
    "channel-momentum": "update_channel_momentum_i8",
    "sign-momentum": "update_sign_momentum_i8",
    "sign": "update_sign_i8",
}


def pieces_of(count: int, most: int) -> list[tuple[int, int]]:
    """Cut `count` into pieces of `most`: sizes and how many there are of each."""
    whole, rest = divmod(count, most)
    return [(size, times) for size, times in ((most, whole), (rest, 1)) if size and times]


def ceil_div(count: int, by: int) -> int:
    return -(-count // by)


def shares_of(count: int, threads: int, unit: int = 1) -> list[tuple[int, int]]:
    """Cut `count` into the shares of threads (bnn_own_share): sizes and how many of each."""
    return pieces_of(count, ceil_div(ceil_div(count, threads), unit) * unit)


class BlockCounter:
    """What both kinds of block share."""

    def __init__(self, block: Step, plan: Plan) -> None:
        self.block, self.plan, self.batch = block, plan, plan.batch_size
        self.inputs, self.outputs = block.fan_in, block.channels
        self.limit = GRADIENT_LIMITS[plan.method.gradient_bits]
        self.updates = _UPDATES[plan.method.optimizer]
        self.momenta = plan.method.momenta

    def new(self, name: str, units: int = 0) -> Pass:
        return Pass(self.block.name, name, units=units)

    @property
    def tiles(self) -> list[tuple[int, int]]:
        """Widths of the tiles of output channels."""
        return pieces_of(self.outputs, TILE)

    def pack_rows(self, one: Pass) -> None:
        """Signs of W as a dense block packs them, and its transposition for int8 inputs."""
        for width, times in self.tiles:
            one.add("pack_i8_u1", width, self.inputs, times=times)
            if self.block.is_first:
                one.add("transpose_u1", width, self.inputs, times=times)
        one.stream(self.block.product.weights)

    def stream_weights(self, one: Pass) -> None:
        """Latent weights and momenta, read and written."""
        one.stream(self.block.product.weights, 2)
        if self.momenta:
            one.stream(self.block.product.weights * self.momenta, 2)

    def update(self) -> Pass:
        one = self.new("update", 1)
        one.add("adam_f32", self.outputs, times=2 if self.block.has_gamma else 1)
        return one
