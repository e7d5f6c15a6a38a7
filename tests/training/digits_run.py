"""A few steps on the digits that ship in the package, or on another data set, without a run folder.

`CONV_NETS` are convolutional networks for them and `RESIDUAL_NETS` residual ones, small enough that
a step takes milliseconds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from harness import conv_layers, persistent_bytes
from residual_kit import STEMS, half, layers_of, same

from bnntrain import api, kernels
from bnntrain.data.batches import BatchReaders
from bnntrain.data.catalog import open_dataset
from bnntrain.evaluation import make_program

# 8 x 8 positions of one channel. Channels fill no whole words; some products leave a row and a
# column over that no pooling window takes; flattened rows have gaps.
CONV_NETS = {
    "same": conv_layers(
        {"channels": 20, "kernel": 3, "pool": "before_norm"},
        {"channels": 40, "kernel": 5, "stride": 2},
        dense=(33, 10),
    ),
    "valid": conv_layers(
        {"channels": 20, "kernel": 4, "padding": "valid", "pool": "before_sign"},
        {"channels": 70, "kernel": 2, "padding": "valid"},
        dense=(10,),
    ),
    "mixed": conv_layers(
        {"channels": 40, "kernel": 5, "stride": 2},
        {"channels": 64, "kernel": 3, "pool": "after_sign"},
        {"channels": 21, "kernel": 2, "padding": "valid"},
        dense=(10,),
    ),
}
# Shortcuts of every kind: none, to half the size, to other channels; a stem that pools, with ReLU
# and a second batch norm; and a rate that they learn at.
RESIDUAL_NETS = {
    "residual": layers_of(
        {"channels": 20}, same(20), half(70), same(70), same(36), relu=True, classes=10
    ),
    "stem": layers_of(
        {"channels": 20, "kernel": 7}, same(20), half(36), relu=True, classes=10, behind=STEMS[-1]
    ),
}
RESIDUAL_RATE = 5e-3
AUGMENT = {"data.augment.shift": 0.15, "data.augment.flip": True, "data.augment.fill": "zero"}


def conv_net(name: str) -> dict[str, object]:
    """Return the override that puts a network of these into a configuration."""
    return {"model": {"name": name, "layers": (CONV_NETS | RESIDUAL_NETS)[name]}}


@dataclass(frozen=True)
class Steps:
    """Mean loss and correct of every step, and what came of the weights.

    `weights_sha256` is what run.json would hold; `state_sha256` covers moments and scales as well.
    """

    losses: list[float]
    correct: list[int]
    weights_sha256: str
    state_sha256: str


def digits_steps(
    steps: int = 10,
    isa: str | None = None,
    threads: int = 1,
    rate: float = 1e-3,
    **overrides: object,
) -> Steps:
    """Train the shipped digits configuration for a few steps at a constant rate.

    Overrides are dotted keys with ``__`` for the dot: ``representation__norm="l1"``.
    """
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return train_steps("digits", given, steps, isa, threads, rate)


def train_steps(
    reference: str,
    overrides: dict[str, object],
    steps: int,
    isa: str | None = None,
    threads: int = 1,
    rate: float = 1e-3,
) -> Steps:
    """Train any configuration for some steps at a constant rate."""
    prepared = api.prepare(reference, {"train.seed": 0, "train.threads": threads, **overrides})
    config, batch = prepared.config, prepared.plan.batch_size
    program = make_program(prepared, isa or kernels.selected_isa())
    program.initialise()
    data = config.data
    readers = BatchReaders(
        open_dataset(data.dataset), data.validation_fraction, config.train.seed, data.augment
    )
    losses, correct = [], []
    per_epoch = readers.train.count // batch
    try:
        for step in range(steps):
            epoch, place = divmod(step, per_epoch)
            if place == 0:
                readers.shuffle(epoch)
            readers.train.read(place * batch, program.x, program.labels)
            loss, found = program.train_batch(batch, step, rate)
            losses.append(loss / batch)
            correct.append(found)
    finally:
        readers.close()
    state = hashlib.sha256(persistent_bytes(program)).hexdigest()
    return Steps(losses, correct, program.weights_sha256(), state)
