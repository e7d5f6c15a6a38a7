"""Costs of the calls of a training step, and of the code between them, on the cores of the boards.

Each is found once, by `pi_cycles`, and kept beside the program that was run for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pi_blocks import arguments_of, samples_of
from pi_cycles import BUILD, CORES, GATHERING, SETUP, Cost, Estimator, Program, build

from bnntrain.calls import Call, Pass
from bnntrain.plan import Plan
from bnntrain.steps import Step

CPU = "cortex-a76"
"""Emulated for counting: it runs the instructions of all boards."""

ISAS = ("neon", "neondot")

Run = tuple[str, str, tuple[object, ...]]
"""Of the driver: part of the program, instruction set, arguments."""

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

    def learn(self, runs: Iterable[Run]) -> None:
        """Find the costs of runs of the driver."""
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

    def learn_step(self, passes: Sequence[Pass], blocks: Sequence[Step], plan: Plan) -> None:
        """Find all costs of a training step."""
        self.learn_calls(call for one in passes for call in one.calls)
        self.learn(run for block in blocks for run, _ in _code(block, plan))

    def call(self, isa: str, call: Call) -> Cost:
        """Return the cost of one call."""
        self.learn(_kernel(isa, part) for part, _ in samples(call))
        return _sum([(self.cost(_kernel(isa, part)), weight) for part, weight in samples(call)])

    def between(self, block: Step, plan: Plan) -> dict[str, Cost]:
        """Return the costs of a block's code between the kernels in a training step, by pass."""
        runs = _code(block, plan)
        self.learn(run for run, _ in runs)
        gathering = [(Cost(**self.costs[_gather(_key(*run))]), weight) for run, weight in runs]
        code = [(self.cost(run), weight) for run, weight in runs]
        return {"gather": _sum(gathering), "between_kernels": _sum(code)}

    def whole(self, isa: str, block: Step, plan: Plan) -> Cost:
        """Return the cost of a block's training step, emulated as one run with its kernels."""
        kind, *sizes = arguments_of(block, plan)
        run = ("kernels", isa, (f"whole-{kind}", *sizes))
        self.learn([run])
        return self.cost(run)

    def cost(self, run: Run) -> Cost:
        """Return the cost of a run that has been learnt."""
        return Cost(**self.costs[_key(*run)])


def _key(part: str, isa: str, arguments: Sequence[object]) -> str:
    return " ".join(map(str, (part, isa, *arguments)))


def _gather(key: str) -> str:
    return f"gather {key}"


def _kernel(isa: str, call: Call) -> Run:
    return "kernels", isa, (call.op, *call.sizes)


def _code(block: Step, plan: Plan) -> list[tuple[Run, float]]:
    """Return runs of a block's code between the kernels, and their weights."""
    return [(("between", "portable", sizes), weight) for sizes, weight in samples_of(block, plan)]


def _sum(parts: Sequence[tuple[Cost, float]]) -> Cost:
    """Add up weighted costs; the inner loop is the last one's."""
    cycles = {core: sum(cost.cycles[core] * w for cost, w in parts) for core in CORES}
    return replace(
        parts[-1][0], cycles=cycles, instructions=sum(cost.instructions * w for cost, w in parts),
        loop_count=sum(cost.loop_count * w for cost, w in parts),
    )  # fmt: skip


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
