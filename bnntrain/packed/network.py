"""A packed model bound to its memory: what classifies."""

from __future__ import annotations

import numpy as np

from bnntrain import kernels
from bnntrain.arena import Arena
from bnntrain.errors import MemoryLimitError
from bnntrain.packed.head import Head, Source
from bnntrain.packed.layers import PackedLayer, packed_layers, tensors_of
from bnntrain.packed.plan import plan_inference, usual_batch
from bnntrain.plan import MIB, Layout
from bnntrain.steps import WORD_BITS


class Network:
    """A network that classifies, in an arena of its own.

    Parameters
    ----------
    source : Source
        Its tensors are read into the arena.
    threads : int
        Threads of every layer.
    isa : str
        Instruction set of the kernels.
    batch_size : int, optional
        Most samples at a time; by default what `plan.usual_batch` chooses.

    Attributes
    ----------
    head : Head
        What is known of it.
    plan : Layout
        Its memory.
    arena_bytes : int
        Size of that, weights included.
    x : ndarray of int8 [batch, inputs]
        Where samples go: pixel - 128. `run` overwrites it.
    labels : ndarray of uint16 [batch]
        Where class numbers go.
    logits : ndarray of float32 [batch, classes]
        What `run` computes.

    Raises
    ------
    RunError
        The source is damaged.
    MemoryLimitError
        The system does not give the arena.
    """

    def __init__(
        self, source: Source, threads: int, isa: str, batch_size: int | None = None
    ) -> None:
        head = source.head
        layers = packed_layers(head.layers, head.shape, len(head.classes))
        self.plan = plan_inference(layers, batch_size or usual_batch(layers, threads), threads)
        self._isa = isa
        arena = _arena(self.plan)
        self.arena_bytes, views = arena.bytes, arena.views
        self.x, self.labels, self.logits = views["batch.x"], views["batch.labels"], views["logits"]
        _read(source, layers, views)
        self.head: Head = source.head
        self._run = kernels.Inference(
            layers=_bound(layers, views), batch=self.plan.batch_size, scratch=views["scratch"],
            threads=threads, isa=isa,
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
            smoothing=self.head.label_smoothing, isa=self._isa,
        )
        return loss, int(correct.sum())


def _arena(plan: Layout) -> Arena:
    try:
        return Arena(plan)
    except (OSError, MemoryError, OverflowError):
        need = f"{plan.total_bytes / MIB:,.2f} MiB that this network takes"
        raise MemoryLimitError(f"the system does not give the {need}") from None


def _read(source: Source, layers: list[PackedLayer], views: dict[str, np.ndarray]) -> None:
    """Read all tensors into the arena, and prepare what is computed from them."""
    into = {tensor.name: views[tensor.name] for tensor in tensors_of(layers)}
    first = layers[0]
    name = f"{first.name}.weights"
    weights = np.zeros((first.lines[0], -(-first.lines[1] // WORD_BITS)), np.uint64)
    source.read(into | {name: weights})
    kernels.transpose_u1(weights, first.lines[1], views[name])
    for layer in layers:
        window = layer.window()
        if window is not None:
            window.origins(views[f"{layer.name}.origins"])
        sums = views.get(f"{layer.name}.tap_sums")
        if sums is not None:
            _sum_taps(layer, views[f"{layer.name}.weights"], sums)


def _sum_taps(layer: PackedLayer, weights: np.ndarray, sums: np.ndarray) -> None:
    """Sum the signs of every tap, which is their product with ones."""
    taps, channels = sums.shape
    found = np.empty((1, channels * taps), np.int32)
    ones = np.zeros((1, weights.shape[1]), np.uint64)
    kernels.xnor_gemm_u1_i32(ones, weights, layer.lines[1], found)
    sums[...] = found.reshape(channels, taps).T


def _bound(layers: list[PackedLayer], views: dict[str, np.ndarray]) -> list[dict[str, object]]:
    """Return the arguments of `kernels.Inference`."""
    found, x = [], views["batch.x"]
    for layer in layers:
        own = {tensor: views.get(f"{layer.name}.{tensor}") for tensor in _OWN}
        if layer.is_last:
            own["out"] = views["logits"]
        if own["choice"] is not None and np.array_equal(own["choice"], own["threshold"]):
            own["choice"] = None
        sizes = {"inputs": layer.product.fan_in, "outputs": layer.channels}
        found.append({"window": layer.window(), "x": x, **sizes, **own})
        x = own["out"] if own["flat"] is None else own["flat"]
        if layer.fused.is_flattened and own["flat"] is None:
            x = x.reshape(len(views["batch.x"]), -1)
    return found


_OWN = (
    "weights", "threshold", "choice", "flip", "scale", "shift", "origins", "tap_sums", "out",
    "flat",
)  # fmt: skip
