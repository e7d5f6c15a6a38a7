"""Comparing a packed network with what the equations give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import reference
from packing import Memory

from bnntrain import kernels
from bnntrain.packed import Network
from bnntrain.program import Program


def check(
    logits_of: Callable[[Program, np.ndarray], np.ndarray], program: Program, source: Memory,
    isa: str | None = None, threads: int = 1,
) -> None:
    """Compare logits, scores, losses and correct samples of a batch with those of an oracle."""
    rows = len(program.x) - 2
    network = Network(source, threads, isa or kernels.selected_isa(), len(program.x))
    network.x[...], network.labels[...] = program.x, program.labels
    logits, labels = logits_of(program, program.x[:rows].astype(float)), program.labels[:rows]
    losses, correct = network.losses(rows)
    np.testing.assert_array_equal(network.logits[:rows], logits)
    assert correct == (logits.argmax(axis=1) == labels).sum()
    wanted, slope = reference.cross_entropy(logits.astype(float), labels)
    np.testing.assert_allclose(losses.sum(), wanted, rtol=1e-5)
    network.x[...] = program.x  # `run` has overwritten it
    is_label = np.arange(logits.shape[1]) == labels[:, None]
    np.testing.assert_allclose(network.scores(rows), slope + is_label, atol=1e-6)
