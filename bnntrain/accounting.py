"""The published memory formula, so that a plan can stand beside the figures it is measured by.

Nothing here describes what `bnntrain` allocates; `bnntrain.plan` does. The rule, per role, for a
batch of B samples (standard: float32; low-memory: float16 where no other type is named):

===============  =============================================================  ===========
role             elements                                                       low-memory
===============  =============================================================  ===========
X                B x the sum over layers of their inputs                        1 bit; see below
dX/Y, dY         B x the largest tensor among all inputs and outputs, each      float16
mu, sigma        2 per output channel of every layer                            float16
W                all weights                                                    float16
dW               all weights                                                    1 bit
beta, dbeta      2 per output channel of every layer                            float16
momenta          all weights, once per moment                                   float16
pooling masks    B x the inputs of every max-pooling layer                      1 bit
===============  =============================================================  ===========

What layers with real weights read stays real: float16, the samples float32; what a shortcut reads
counts before it is pooled.

Source: Wang et al., "Enabling Binary Neural Network Training on the Edge", arXiv 2102.04270. The
rule gives the totals that they print for BinaryNet and the MLP to 0.04 MiB, those of CNV to 4 %,
those of ResNetE-18 and Bi-Real-18 to 0.4 % (`PRINTED`). How samples and pooling masks of the last
two are held is not published: of what the type of each could be, this comes near to both totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnntrain.graph import Published

_FLOAT32_BITS = 32
_FLOAT16_BITS = 16


def published_bytes(
    parts: Sequence[Published], batch: int, low_memory: bool, moments: int = 2
) -> dict[str, int]:
    """Return the published model of a training step's memory.

    Parameters
    ----------
    parts : sequence of Published
        What each of a network's operations adds.
    batch : int
        Samples per step.
    low_memory : bool
        The published low-memory method instead of the standard one.
    moments : int
        Moments per weight: 2 for Adam, 1 for momentum, 0 for neither.

    Returns
    -------
    dict of str to int
        Role to bytes, in the order of the published table. Bits are rounded up to bytes by role.

    Source: the table in this file's header.
    """
    bits = _FLOAT16_BITS if low_memory else _FLOAT32_BITS
    binary_bits = 1 if low_memory else _FLOAT32_BITS
    largest = batch * max(part.largest for part in parts)
    weights = sum(part.weights for part in parts)
    channels = sum(part.channels for part in parts)
    retained = sum(
        part.activations * binary_bits + part.reals * bits + part.pixels * _FLOAT32_BITS
        for part in parts
    )
    sizes_bits = {
        "X": batch * retained,
        "dX/Y": largest * bits,
        "mu, sigma": 2 * channels * bits,
        "dY": largest * bits,
        "W": weights * bits,
        "dW": weights * binary_bits,
        "beta, dbeta": 2 * channels * bits,
        "momenta": moments * weights * bits,
        "pooling masks": batch * sum(part.masked for part in parts) * binary_bits,
    }
    return {role: -(-size // 8) for role, size in sizes_bits.items()}


@dataclass(frozen=True)
class Printed:
    """What a published table prints for one network, with Adam.

    Attributes
    ----------
    standard_mib, low_memory_mib : float
        Totals.
    inputs : tuple of int
        Values per sample that go into its products, by which it is known.
    weights : int
        All its weights, likewise.
    batch : int
        Samples per step.
    """

    standard_mib: float
    low_memory_mib: float
    inputs: tuple[int, ...]
    weights: int
    batch: int = 100

    @property
    def text(self) -> str:
        """Both totals, in GiB if they are so large."""
        if self.low_memory_mib > 1024:
            return f"{self.standard_mib / 1024:.2f} and {self.low_memory_mib / 1024:.2f} GiB"
        return f"{self.standard_mib:.2f} and {self.low_memory_mib:.2f}"


_CNV_SIZES = (3072, 57_600, 12_544, 18_432, 3200, 2304, 256, 512, 512)
_BINARYNET_SIZES = (3072, 131_072, 32_768, 65_536, 16_384, 32_768, 8192, 1024, 1024)
# The sample; a stage's shortcut and its blocks, four times, the first without shortcut; means.
_RESNET18_SIZES = (
    150_528, *[200_704] * 4, *[200_704] * 2, *[100_352] * 3, *[100_352] * 2, *[50_176] * 3,
    *[50_176] * 2, *[25_088] * 3, 512,
)  # fmt: skip
_RESNET18 = Printed(70.11 * 1024, 18.54 * 1024, _RESNET18_SIZES, 11_678_912, 4096)
PRINTED = {
    "mlp": Printed(7.40, 2.65, (784, 256, 256, 256, 256), 399_872),
    "cnv": Printed(134.05, 32.16, _CNV_SIZES, 1_542_848),
    "binarynet": Printed(512.81, 138.15, _BINARYNET_SIZES, 14_022_016),
    "resnete18": _RESNET18,
    "bireal18": _RESNET18,
}
"""By name of the model. Source: the tables of arXiv 2102.04270."""


@dataclass(frozen=True)
class Measured:
    """What was measured of one batch of the published low-memory prototype.

    Attributes
    ----------
    batch : int
        Samples per step.
    seconds, mib, joules : float
        Per batch; memory is the heap of the MLP, and all that was resident for BinaryNet.
    """

    batch: int
    seconds: float
    mib: float
    joules: float


MEASURED_BOARD = "a Raspberry Pi 3B+"
MEASURED = {
    "mlp": Measured(200, 0.98, 5.00, 1.42),
    "binarynet": Measured(40, 121.20, 154.37, 136.53),
}
"""By name of the model. Source: the table of the prototype in arXiv 2102.04270."""


def measured_batch(name: str, parts: Sequence[Published], batch: int) -> Measured | None:
    """Return what was measured of a network and batch size; arguments as for `printed_totals`."""
    row = MEASURED.get(name)
    is_it = row is not None and row.batch == batch and _is_network(PRINTED[name], parts)
    return row if is_it else None


def printed_totals(name: str, parts: Sequence[Published], batch: int) -> Printed | None:
    """Return what the published table prints for a network; None if it has no such row.

    Parameters
    ----------
    name : str
        Of the model.
    parts, batch
        As for `published_bytes`.
    """
    row = PRINTED.get(name)
    if row is None or batch != row.batch:
        return None
    return row if _is_network(row, parts) else None


def _is_network(row: Printed, parts: Sequence[Published]) -> bool:
    inputs = tuple(part.retained for part in parts if part.retained)
    return (inputs, sum(part.weights for part in parts)) == (row.inputs, row.weights)
