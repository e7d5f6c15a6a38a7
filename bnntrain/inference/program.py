"""A packed model's layers bound to memory: what classifies and is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bnntrain import kernels
from bnntrain.inference.binary import ROWS
from bnntrain.inference.layers import PackedLayer
from bnntrain.inference.network import tensors_of
from bnntrain.plan import Layout

Views = Mapping[str, np.ndarray]


class Inference:
    """A network's forward pass in memory that is given.

    Parameters
    ----------
    layers : sequence of PackedLayer
        The network.
    plan : Layout
        Memory plan of `layers`.
    views : mapping of str to ndarray
        Its buffers by name.
    label_smoothing : float
        Of the loss.
    isa : str
        Instruction set of the kernels.

    Attributes
    ----------
    plan : Layout
        Its memory.
    x : ndarray of int8 [batch, inputs]
        Where samples go: pixel - 128. `run` overwrites it.
    labels : ndarray of uint16 [batch]
        Where class numbers go.
    logits : ndarray of float32 [batch, classes]
        What `run` computes.
    """

    def __init__(
        self, layers: Sequence[PackedLayer], plan: Layout, views: Views, label_smoothing: float,
        isa: str,
    ) -> None:
        self.plan, self._layers, self._views = plan, layers, views
        self._label_smoothing, self._isa = label_smoothing, isa
        self.x, self.labels, self.logits = views["batch.x"], views["batch.labels"], views["logits"]
        self._run: Callable[[int], None] | None = None
        for layer in layers:
            window = layer.window()
            if window is not None:
                window.origins(views[f"{layer.name}.origins"])

    def load(self, read: Callable[[Views], None]) -> None:
        """Take tensors in.

        Parameters
        ----------
        read : callable
            Writes every tensor where it is wanted: all names and shapes of `layers.tensors_of`.
        """
        layers, views = self._layers, self._views
        first = layers[0].name
        into = {tensor.name: views[tensor.name] for tensor in tensors_of(layers)}
        rows = views.get(f"{first}.{ROWS}")
        if rows is None:
            read(into)
        else:  # the weights of binary products with pixels lie transposed
            rows[...] = 0  # the bits behind the last column
            read(into | {f"{first}.weights": rows})
            kernels.transpose_u1(rows, layers[0].lines[1], views[f"{first}.weights"])
        bound, x = [], views["batch.x"]
        for layer in layers:
            if layer.has_tap_sums:
                sums = views[f"{layer.name}.tap_sums"]
                _sum_taps(layer, views[f"{layer.name}.weights"], sums)
            bound.append(layer.bound(views, x))
            x = layer.output(views)
        self._run = kernels.Inference(
            layers=bound, batch=self.plan.batch_size, scratch=views["scratch"],
            threads=self.plan.threads, isa=self._isa,
        )

    def run(self, rows: int) -> None:
        """Compute `logits` of the first `rows` samples of `x`."""
        self._run(rows)

    def scores(self, rows: int) -> np.ndarray:
        """Return the softmax scores (float32 [rows, classes]) of the first `rows` samples."""
        self.run(rows)
        logits = self.logits[:rows]
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def losses(self, rows: int) -> tuple[np.ndarray, int]:
        """Return the loss of each of the first `rows` samples, and how many are correct."""
        self.run(rows)
        loss, correct = np.empty(rows), np.empty(rows, np.uint8)
        kernels.softmax_f32(
            self.logits[:rows], self.labels[:rows], None, loss, correct,
            smoothing=self._label_smoothing, isa=self._isa,
        )
        return loss, int(correct.sum())

    def evaluate(
        self, count: int, group: int, fill: Callable[[int, int], None]
    ) -> dict[str, float]:
        """Measure loss and accuracy.

        Parameters
        ----------
        count : int
            Samples.
        group : int
            Losses are added up in groups of so many, and then the groups' sums: the result does not
            depend on how many samples are worked on together.
        fill : callable
            ``fill(first, rows)`` writes samples to `x` and `labels`.

        Returns
        -------
        dict
            ``loss`` (mean), ``accuracy`` (percent), ``correct`` and ``samples``.
        """
        batch, correct, total, of_group, waiting = self.plan.batch_size, 0, 0.0, 0.0, group
        for first in range(0, count, batch):
            rows = min(batch, count - first)
            fill(first, rows)
            losses, found = self.losses(rows)
            correct += found
            for loss in losses.tolist():
                of_group += loss
                waiting -= 1
                if not waiting:
                    total, of_group, waiting = total + of_group, 0.0, group
        return {
            "loss": (total + of_group) / count, "accuracy": 100.0 * correct / count,
            "correct": correct, "samples": count,
        }  # fmt: skip


def _sum_taps(layer: PackedLayer, weights: np.ndarray, sums: np.ndarray) -> None:
    """Sum the signs of every tap, which is their product with ones."""
    taps, channels = sums.shape
    found = np.empty((1, channels * taps), np.int32)
    ones = np.zeros((1, weights.shape[1]), np.uint64)
    kernels.xnor_gemm_u1_i32(ones, weights, layer.lines[1], found)
    sums[...] = found.reshape(channels, taps).T
