"""Measures kernels against the machine's limit, and a training step by pass and layer.

Measured side by side in one call: limits, kernels and steps see the same clock and the same load.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from bnntrain import kernels, native
from bnntrain.calls import count_step
from bnntrain.data.batches import BatchReaders
from bnntrain.data.catalog import open_dataset
from bnntrain.data.preprocessing import PictureOptions
from bnntrain.evaluation import make_program, read
from bnntrain.isa import selected_isa
from bnntrain.kernel_cases import PRODUCTS, SHAPES, make_elementwise, make_product
from bnntrain.preparation import Prepared
from bnntrain.program import Program

_ROUND_SECONDS = 0.02
_GIGA = 1e9
_APART = "read", "loss"


def _seconds(call: Callable[[], object], rounds: int) -> float:
    """Median seconds of a call over `rounds` timed rounds, each long enough for the clock."""
    call()
    start = time.perf_counter()
    call()
    repeats = max(1, int(_ROUND_SECONDS / max(time.perf_counter() - start, 1e-7)))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        times.append((time.perf_counter() - start) / repeats)
    return statistics.median(times)


def bench_kernels(
    isas: list[str] | None = None, operations: list[str] | None = None, rounds: int = 7
) -> Iterator[dict[str, object]]:
    """Measure kernels, one (operation, instruction set, shape) after the other.

    Parameters
    ----------
    isas : list of str, optional
        Instruction sets; all that this machine runs by default.
    operations : list of str, optional
        Names of operations; by default the products.
    rounds : int
        Timed rounds of which the median is taken.

    Yields
    ------
    dict
        ``op``, ``isa``, ``threads`` (1: a kernel runs in its caller's thread), ``shape``,
        ``gmac_per_s`` and ``limit_gmac_per_s`` (see bnntrain/native/limit/limit.h; None
        where none is known); operations that are no products have ``gvalue_per_s`` instead of the
        former two.
    """
    supported = isas or kernels.supported_isas()
    for op, isa in kernels.implementations():
        if isa not in supported or op not in (operations or PRODUCTS):
            continue
        if op in PRODUCTS:
            for shape in SHAPES:
                yield _bench_product(op, isa, shape, rounds)
        else:
            yield _bench_elementwise(op, isa, rounds)


def _bench_product(
    op: str, isa: str, shape: tuple[int, int, int], rounds: int
) -> dict[str, object]:
    call = make_product(op, np.random.default_rng(0), *shape)
    limit = native.product_limit(op, isa)
    speed = math.prod(shape) / _seconds(lambda: call(isa), rounds)
    # The clock may rise in between: the limit is what the machine reached, before or after.
    after = native.product_limit(op, isa)
    return {
        "op": op,
        "isa": isa,
        "threads": 1,
        "shape": list(shape),
        "gmac_per_s": speed / _GIGA,
        "limit_gmac_per_s": max(limit, after) / _GIGA if limit else None,
    }


def _bench_elementwise(op: str, isa: str, rounds: int) -> dict[str, object]:
    call, values = make_elementwise(op, np.random.default_rng(0))
    speed = values / _seconds(lambda: call(isa), rounds)
    return {"op": op, "isa": isa, "threads": 1, "shape": [values], "gvalue_per_s": speed / _GIGA}


def bench_step(prepared: Prepared, steps: int = 200, warmup: int = 20) -> dict[str, object]:
    """Measure training steps on the configuration's own data, reading included.

    Half of the steps are timed as a user runs them, the other half by pass. A pass is timed on the
    first thread, whose share is never smaller than another's.

    Parameters
    ----------
    prepared : Prepared
        From `bnntrain.preparation.prepare`.
    steps, warmup : int
        Timed and untimed steps.

    Returns
    -------
    dict
        ``config``, ``seconds_per_batch`` (median), ``batch_size``, ``method``, ``isa``,
        ``threads``, ``gmac`` of a step and ``gmac_per_s``, ``kernels`` (``op``: a name of
        `step_table.NAMES`, ``layer``, ``seconds`` per step and ``gmac_per_s``, None where nothing
        is multiplied) and ``outside_kernels_share``: the part of a step's time that no kernel, no
        reading of records and no loss accounts for.
    """
    config, plan = prepared.config, prepared.plan
    gmac = _gmac(prepared)
    dataset = open_dataset(config.data.dataset, PictureOptions.of(config.data))
    isa = selected_isa()
    program = make_program(prepared, isa)
    program.initialise()
    readers = BatchReaders(
        dataset, config.data.validation_fraction, config.train.seed, config.data.augment,
        prepared.decoding,
    )  # fmt: skip
    try:
        readers.shuffle(0)
        stepper = _Stepper(program, readers.train, dataset.train.path, config.train.learning_rate)
        for _ in range(warmup):
            stepper.step()
        # In turn, so that both kinds of step see the same load.
        pairs = [(stepper.step(), stepper.profiled_step()) for _ in range(max(steps // 2, 1))]
    finally:
        readers.close()
    seconds = statistics.median(whole for whole, _ in pairs)
    total = sum(gmac.values())
    return {
        "config": config.name,
        "seconds_per_batch": seconds,
        "batch_size": plan.batch_size,
        "method": prepared.method.name,
        "isa": isa,
        "threads": plan.threads,
        "gmac": total,
        "gmac_per_s": total / seconds,
        **_profile(stepper, [parts for _, parts in pairs], gmac),
    }


def _gmac(prepared: Prepared) -> dict[tuple[str, str], float]:
    """Billions of multiply-accumulates of a step by layer and pass."""
    return {(one.layer, one.name): one.macs / _GIGA for one in count_step(prepared)}


class _Stepper:
    """Takes training steps over the data, with the time of reading and of the loss apart."""

    def __init__(
        self, program: Program, reader: native.BatchReader, path: object, learning_rate: float
    ) -> None:
        self.program, self.reader, self.path = program, reader, path
        self.learning_rate = learning_rate
        self.number = 0
        self.read_seconds = 0.0

    def step(self) -> float:
        """Take one step and return its seconds."""
        batch = len(self.program.x)
        start = time.perf_counter()
        first = self.number % (self.reader.count // batch) * batch
        read(self.reader, first, self.program, batch, self.path)
        self.read_seconds = time.perf_counter() - start
        self.program.train_batch(batch, self.number, self.learning_rate)
        self.number += 1
        return time.perf_counter() - start

    def profiled_step(self) -> tuple[float, list[float]]:
        """Take one step and return its seconds and those of every row of `rows`."""
        seconds = self.program.profile(True)
        total = self.step()
        apart = [self.read_seconds, self.program.native.loss_seconds]
        self.program.profile(False)
        return total, [*apart, *seconds.ravel().tolist()]

    def rows(self) -> list[tuple[str, str]]:
        """Pass and layer of every timed part."""
        return [(op, "all") for op in _APART] + [
            (op, step.name) for step in self.program.steps for op in kernels.ZONES
        ]


def _profile(
    stepper: _Stepper,
    profiled: list[tuple[float, list[float]]],
    gmac: dict[tuple[str, str], float],
) -> dict[str, object]:
    """Sum up profiled steps by medians, so that an interruption shows in no figure."""
    totals, parts = zip(*profiled, strict=True)
    medians = np.median(np.array(parts), axis=0).tolist()
    rows = [
        {
            "op": op,
            "layer": layer,
            "seconds": seconds,
            "gmac_per_s": gmac[layer, op] / seconds if gmac.get((layer, op)) else None,
        }
        for (op, layer), seconds in zip(stepper.rows(), medians, strict=True)
        if seconds > 0
    ]
    outside = [1.0 - sum(part) / total for total, part in zip(totals, parts, strict=True)]
    return {"kernels": rows, "outside_kernels_share": max(0.0, statistics.median(outside))}
