"""Costs of the calls of a training step, and of the code between them, on the cores of the boards.

Each is found once, by `pi_cycles`, and kept beside the program that was run for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pi_cycles import BUILD, CORES, GATHERING, SETUP, Cost, Estimator, Program, build

from bnntrain.calls import Call, Pass
from bnntrain.graph import POOLS
from bnntrain.steps import GRADIENT_LIMITS, ConvStep

CPU = "cortex-a76"
"""Emulated for counting: it runs the instructions of all boards."""

ISAS = ("neon", "neondot")

_RUNS = 24  # of the driver, whose costs are found and kept together
_FEW_ROWS, _BLOCK_ROWS = 16, 8


def batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Cut into lists of `size`."""
    rest = list(items)
    for first in range(0, len(rest), size):
        yield rest[first : first + size]


class CycleModel:
    """Costs of calls and of the code between them; found once, and kept beside the program."""

    def __init__(self) -> None:
        self.program, self.estimator = Program(build()), Estimator()
        self.store = BUILD / "costs.json"
        rules = (Path(__file__).with_name(f"pi_{name}.py") for name in ("costs", "cycles", "rates"))
        stamp = max(path.stat().st_mtime_ns for path in (self.program.path, *rules))
        known = json.loads(self.store.read_text()) if self.store.exists() else {}
        self.costs = known.get("costs", {}) if known.get("stamp") == stamp else {}
        self.stamp = stamp

    def learn(self, runs: Iterable[tuple[str, str, tuple[object, ...]]]) -> None:
        """Find the costs of runs of the driver: part of the program, instruction set, arguments."""
        new = {_key(*run): run for run in runs if _key(*run) not in self.costs}
        for some in batched(new, _RUNS):
            blocks = {}
            for key in some:
                part, isa, arguments = new[key]
                blocks[key] = self.program.blocks(part, CPU, (isa, *arguments))
                if part == "between":
                    ran = blocks[key]
                    blocks[_gather(key)] = [one for one in ran if one.function in GATHERING]
                    blocks[key] = [one for one in ran if one.function not in (*GATHERING, *SETUP)]
            self.estimator.learn(blocks.values())
            for key, of_run in blocks.items():
                self.costs[key] = asdict(self.estimator.cost(of_run))
            self.store.write_text(json.dumps({"stamp": self.stamp, "costs": self.costs}))

    def learn_calls(self, calls: Iterable[Call]) -> None:
        """Find the costs of calls on both instruction sets, together."""
        self.learn(
            _kernel(isa, part) for isa in ISAS for call in set(calls) for part, _ in samples(call)
        )

    def learn_step(self, passes: Sequence[Pass], blocks: Sequence[object], plan: object) -> None:
        """Find all costs of a training step."""
        self.learn_calls(call for one in passes for call in one.calls)
        self.learn(_code(block, plan) for block in blocks)

    def call(self, isa: str, call: Call) -> Cost:
        """Return the cost of one call."""
        self.learn(_kernel(isa, part) for part, _ in samples(call))
        parts = [(self.cost(_kernel(isa, part)), weight) for part, weight in samples(call)]
        cycles = {core: sum(cost.cycles[core] * w for cost, w in parts) for core in CORES}
        last = parts[-1][0]
        return replace(
            last, cycles=cycles, instructions=sum(cost.instructions * w for cost, w in parts),
            loop_count=sum(cost.loop_count * w for cost, w in parts),
        )  # fmt: skip

    def between(self, block: object, plan: object) -> dict[str, Cost]:
        """Return the costs of a block's code between the kernels in a training step, by pass."""
        run = _code(block, plan)
        self.learn([run])
        gathering = Cost(**self.costs[_gather(_key(*run))])
        return {"gather": gathering, "between_kernels": self.cost(run)}

    def whole(self, isa: str, block: object, plan: object) -> Cost:
        """Return the cost of a block's training step, emulated as one run with its kernels."""
        kind, *sizes = _block_arguments(block, plan)
        run = ("kernels", isa, (f"whole-{kind}", *sizes))
        self.learn([run])
        return self.cost(run)

    def cost(self, run: tuple[str, str, tuple[object, ...]]) -> Cost:
        """Return the cost of a run that has been learnt."""
        return Cost(**self.costs[_key(*run)])


def _key(part: str, isa: str, arguments: Sequence[object]) -> str:
    return " ".join(map(str, (part, isa, *arguments)))


def _gather(key: str) -> str:
    return f"gather {key}"


def _kernel(isa: str, call: Call) -> tuple[str, str, tuple[object, ...]]:
    return "kernels", isa, (call.op, *call.sizes)


def _code(block: object, plan: object) -> tuple[str, str, tuple[object, ...]]:
    return "between", "portable", tuple(_block_arguments(block, plan))


def samples(call: Call) -> list[tuple[Call, float]]:
    """Return smaller calls and their weights: cost is linear in rows, but for the first ones.

    Emulation of a call with all rows would take too long.
    """
    rows, *others = call.sizes
    if not call.macs or rows <= 2 * _FEW_ROWS + rows % _BLOCK_ROWS:
        return [(call, 1.0)]
    rest = rows % _BLOCK_ROWS
    few, more = _FEW_ROWS + rest, 2 * _FEW_ROWS + rest
    beyond = (rows - few) / _FEW_ROWS
    return [
        (Call(call.op, (few, *others)), 1.0 - beyond),
        (Call(call.op, (more, *others)), beyond),
    ]


def _block_arguments(block: object, plan: object) -> Sequence[object]:
    batch, threads = plan.batch_size, plan.threads
    if not isinstance(block, ConvStep):
        flags = (int(block.is_first), int(block.is_last))
        return ("dense", block.fan_in, block.channels, batch, threads, *flags)
    fused, window, options = block.fused, block.window, block.product.options
    sizes = {placed.buffer.name: placed.buffer.bytes for placed in plan.placed}
    kept = block.keeps_y(sizes, batch)
    flat = f"{block.name}.X_flat" in sizes
    return (
        "conv", *fused.input.size, options.kernel, options.stride, *fused.product.padding,
        *fused.product.output.size[:2], list(POOLS).index(fused.pool), block.channels, batch,
        threads, int(block.is_first), *(int(keep) for keep in kept),
        GRADIENT_LIMITS[block.method.gradient_bits], int(flat), int(window.skips),
    )  # fmt: skip
