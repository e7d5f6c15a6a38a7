"""Measures how long a trained network takes to classify an image."""

from __future__ import annotations

import statistics
import time

import numpy as np

from bnntrain.errors import UsageError
from bnntrain.inference import LARGEST_BATCH
from bnntrain.isa import selected_isa
from bnntrain.limits import available_threads
from bnntrain.packed import Network, open_source, packed_bytes
from bnntrain.paths import RunLike, run_path

_GIGA = 1e9
_MOST_THREADS = 256
# Calls that are timed: so many, or as many as these seconds hold.
_CALLS, _SECONDS, _WARMUP = 1000, 3.0, 20


def bench_latency(
    run: RunLike, checkpoint: str | None = None, batch_size: int = 1, threads: int = 0
) -> dict[str, object]:
    """Time the forward pass of a trained network, from pixels to scores of the last layer.

    Parameters
    ----------
    run, checkpoint
        As for `bnntrain.load`.
    batch_size : int
        Images that are classified together.
    threads : int
        0 takes as many as classifying does.

    Returns
    -------
    dict
        ``seconds_per_image`` (median over calls, divided by the batch), ``batch_size``,
        ``threads``, ``isa``, ``arena_bytes`` (of inference, weights included), ``model_bytes`` (of
        the packed model as a file), ``gmac_per_image`` and ``gmac_per_s``.

    Raises
    ------
    RunError, UsageError
        See `bnntrain.load`; or a batch that is too large.
    """
    if not 1 <= batch_size <= LARGEST_BATCH:
        raise UsageError(f"--batch-size {batch_size}: give 1 to {LARGEST_BATCH} with --latency")
    if not 0 <= threads <= _MOST_THREADS:
        raise UsageError(f"--threads {threads}: give 1 to {_MOST_THREADS}, or 0 for all there are")
    source = open_source(run_path(run), checkpoint)
    threads = threads or source.threads or available_threads()
    network = Network(source, threads, selected_isa(), batch_size)
    # Any pixels: they do not matter to the time, and NumPy's random numbers take 3 MiB.
    network.x[...] = np.resize(np.arange(-128, 128, dtype=np.int8), network.x.shape)
    seconds = _median_seconds(network, batch_size) / batch_size
    head = network.head
    layers = head.packed_layers()
    macs = sum(layer.product.macs for layer in layers) / _GIGA
    return {
        "seconds_per_image": seconds, "batch_size": batch_size, "threads": threads,
        "isa": selected_isa(), "arena_bytes": network.arena_bytes,
        "model_bytes": packed_bytes(head), "gmac_per_image": macs, "gmac_per_s": macs / seconds,
    }  # fmt: skip


def _median_seconds(network: Network, rows: int) -> float:
    for _ in range(_WARMUP):
        network.run(rows)
    times = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _CALLS and time.perf_counter() < end:
        start = time.perf_counter()
        network.run(rows)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
