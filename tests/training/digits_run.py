"""A few steps on the digits that ship in the package, without a run folder."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from harness import persistent_bytes

from bnntrain import api, kernels
from bnntrain.data.catalog import open_dataset
from bnntrain.data.feeds import Feeds
from bnntrain.layers import build_blocks
from bnntrain.model import Model


@dataclass(frozen=True)
class Steps:
    """Mean loss and hits of every step, and what came of the weights.

    `weights_sha256` is what run.json would hold; `state_sha256` covers momenta and scales as well.
    """

    losses: list[float]
    hits: list[int]
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
    prepared = api.prepare("digits", {"train.seed": 0, "train.threads": threads, **given})
    config, plan = prepared.config, prepared.plan
    blocks = build_blocks(config.model.layers, math.prod(prepared.shape), prepared.method)
    model = Model(
        blocks,
        prepared.method,
        plan,
        config.train.optimizer,
        config.train.label_smoothing,
        config.train.seed,
        isa or kernels.selected_isa(),
    )
    model.initialise()
    feeds = Feeds(open_dataset("digits"), config.data.validation_fraction, config.train.seed)
    losses, hits, batch = [], [], plan.batch_size
    try:
        feeds.shuffle(0)
        for step in range(steps):
            feeds.train.read(step * batch, model.x, model.labels)
            loss, found = model.train_batch(batch, step, rate)
            losses.append(loss / batch)
            hits.append(found)
    finally:
        feeds.close()
    state = hashlib.sha256(persistent_bytes(model)).hexdigest()
    return Steps(losses, hits, model.weights_sha256(), state)
