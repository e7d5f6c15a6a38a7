"""Single cells of the method table, as a configuration gives them.

For the whole network in a section of its own, for one layer among its options. Which combinations
have kernels is in `bnntrain.method`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Representation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How tensors are held in training; None keeps what is above it: the run's or the method's."""

    activation: Literal["float32", "bit"] | None = None
    mask: Literal["retained", "bit", "recompute"] | None = None
    norm: Literal["l2", "l1", "l1-binary"] | None = None
    gradient: Literal["float32", "float16", "int8"] | None = None
    gradient_bits: Literal[8, 6] | None = None
    gradient_scale: Literal["delayed", "current"] | None = None
    gradient_rounding: Literal["nearest", "stochastic"] | None = None
    weight_gradient: Literal["float32", "bit", "sign", "integer"] | None = None
    latent: Literal["float32", "float16", "int16", "int8"] | None = None
    latent_range: Annotated[float, Meta(gt=0, le=1)] | None = None
    momentum: Literal["float32", "float16", "int8"] | None = None
