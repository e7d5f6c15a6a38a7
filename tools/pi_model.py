#!/usr/bin/env python3
"""Seconds per batch on Raspberry Pi boards, from a model: nothing here is a measurement of a board.

    tools/pi_model.py binarynet_cifar10_quick:40 mlp_mnist_quick:200

The table by pass has the rows of `bnntrain bench --step CONFIG`, which measures them on a board.
What ``--json`` prints can be shown beside the measured figures (`bench --against FILE`).

A training step's calls of kernels are counted (`bnntrain.calls`), the cycles of a call come from
the compiled kernel (`pi_costs`, `pi_cycles`), a pass takes the longer of its cycles on the core
that has most and of its memory traffic at the board's bandwidth. Not in the model: reading of
records, starting and joining of threads, branch misprediction, clocks that fall when a board gets
hot.

Needs Debian's gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static llvm-19.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from pi_boards import BOARDS, Board
from pi_costs import ISAS, CycleModel
from pi_cycles import CORES, ToolError

from bnntrain import api
from bnntrain.calls import Call, Pass, count_step
from bnntrain.errors import BnntrainError
from bnntrain.step_table import MOST, Part, Step, step_table

GIGA = 1e9
AGREEMENT = 0.25
"""How far the instructions of the model may be from the emulated ones with ``--check``."""

_CHECK_BATCH, _CHECK_MACS = 4, 3 * 10**9

REFERENCE = BOARDS[1]
"""The board whose largest passes and operations are shown, and that `GOALS` are for."""

GOALS = {("binarynet_cifar10_quick", 40): 1.2, ("mlp_mnist_quick", 200): 0.010}
"""Seconds per batch that are aimed at on a Pi 3B+."""

PRODUCTS = (
    Call("xnor_gemm_u1_i32", (192, 64, 4608)),
    Call("lookup_gemm_i32", (48, 9, 32, 64, 1, 0)),
    Call("lookup_gemm_i32", (64, 1, 16, 64, 1, 1)),
    Call("gemm_i8_u1_i32", (200, 64, 784, 0)),
    Call("gemm_i8_i8_i32", (64, 64, 200, 1)),
)
"""As steps have them: a piece of a convolution, dX and dW of one, the MLP's first layer, its dW."""

LIMITS: dict[str, tuple[float, ...]] = {
    "xnor_gemm_u1_i32": (35, 55, 79),
    "lookup_gemm_i32": (16, 24, 64),
    "gemm_i8_u1_i32": (5.8, 8, 32),
    "gemm_i8_i8_i32": (4.4, 8, 32),
}
"""MAC a cycle of one core on A53, A72 and A76 that inner loops reach at most, at measured rates
(`pi_rates`), with operands packed and in the first-level cache: those of kernels/*/neon*.c, whose
heads count their instructions."""


@dataclass(frozen=True)
class Row:
    """A pass on a board: seconds, those of its arithmetic and of its traffic; instructions."""

    layer: str
    name: str
    seconds: float
    arithmetic: float
    traffic: float
    instructions: int
    macs: int = 0


def rows_of(model: CycleModel, board: Board, passes: Sequence[Pass], blocks: Sequence[object],
            plan: object) -> list[Row]:  # fmt: skip
    """Return the passes of a training step on a board, and the code between the kernels."""
    rows = []
    for one in passes:
        arithmetic = max(cycles_of(model, board, calls) for calls in one.shares.values())
        arithmetic /= board.hertz
        traffic = one.bytes_beyond(board.cache) / board.bandwidth
        instructions = sum(
            model.call(board.isa, call).instructions * n for call, n in one.calls.items()
        )
        seconds = max(arithmetic, traffic)
        rows.append(Row(one.layer, one.name, seconds, arithmetic, traffic, instructions, one.macs))
    for block in blocks:
        for name, cost in model.between(block, plan).items():
            arithmetic = cost.cycles[board.core] / board.hertz / plan.threads
            rows.append(Row(block.name, name, arithmetic, arithmetic, 0.0, cost.instructions))
    return rows


def step_of(board: Board, rows: Sequence[Row], prepared: api.Prepared) -> Step:
    """Return what `bnntrain bench --step` would measure if the model were the board."""
    seconds, macs = Counter(), Counter()
    for row in rows:
        seconds[row.layer, row.name] += row.seconds
        macs[row.layer, row.name] += row.macs
    parts = [
        Part(name, layer, one, macs[layer, name] / one / GIGA if macs[layer, name] else None)
        for (layer, name), one in seconds.items()
        if one
    ]
    plan = prepared.plan
    return Step(
        prepared.config.name, prepared.method.name, plan.batch_size, plan.threads,
        seconds.total(), parts, 0.0, board.system_name, board.name,
    )  # fmt: skip


def cycles_of(model: CycleModel, board: Board, calls: Counter[Call]) -> float:
    """Return the cycles that calls take on one core."""
    return sum(model.call(board.isa, call).cycles[board.core] * n for call, n in calls.items())


def print_products(model: CycleModel) -> None:
    """Print the table of product kernels."""
    model.learn_calls(PRODUCTS)
    print("Product kernels: MAC a cycle of one core, by the model | at most of its inner loop")
    print("instructions per 1000 MAC: the inner loop alone | all that is executed, by emulation")
    print(
        f"{'operation':<18} {'sizes':<18} {'isa':<9} {'loop':>6} {'all':>6} {'share':>6} "
        f"{'MAC/iter':>9}   {'A53':>11} {'A72':>11} {'A76':>11}"
    )
    for call in PRODUCTS:
        for isa in ISAS:
            cost = model.call(isa, call)
            macs, has_loop = call.macs, cost.loop_count > 0
            inside = 1e3 * cost.loop_length * cost.loop_count / macs if has_loop else math.nan
            cores = ("A76",) if isa == "neondot" else ("A53", "A72")
            speeds = [
                f"{macs / cost.cycles[core]:5.1f} |{LIMITS[call.op][place]:>4}"
                if core in cores else ""
                for place, core in enumerate(CORES)
            ]  # fmt: skip
            sizes = "x".join(map(str, call.sizes))
            everything = 1e3 * cost.instructions / macs
            per_loop = f"{macs / cost.loop_count:9.0f}" if has_loop else "        ?"
            print(
                f"{call.op.removesuffix('_i32'):<18} {sizes:<18} {isa:<9} {inside:6.1f} "
                f"{everything:6.1f} {inside / everything:6.0%} {per_loop}   "
                + " ".join(f"{speed:>11}" for speed in speeds)
                + ("  portable" if "portable" in cost.loop_function else "")
            )
    print()


class Config:
    """A configuration's training step on all boards."""

    def __init__(self, model: CycleModel, given: str, threads: int) -> None:
        reference, _, batch = given.partition(":")
        overrides = {"train.threads": threads} | ({"train.batch_size": int(batch)} if batch else {})
        self.model, self.prepared = model, api.prepare(reference, overrides)
        plan, blocks = self.prepared.plan, self.prepared.steps
        self.passes = count_step(self.prepared)
        model.learn_step(self.passes, blocks, plan)
        self.rows = {board: rows_of(model, board, self.passes, blocks, plan) for board in BOARDS}
        self.steps = [step_of(board, rows, self.prepared) for board, rows in self.rows.items()]

    def show(self, most: int) -> None:
        """Print its tables."""
        name, plan = self.prepared.config.name, self.prepared.plan
        goal, macs = GOALS.get((name, plan.batch_size)), sum(one.macs for one in self.passes)
        print(
            f"{name}, batch {plan.batch_size}, {plan.threads} threads: MODEL, not measured; "
            f"{macs / GIGA:.2f} GMAC a step"
        )
        print(
            f"{'board':<12} {'s per batch':>11} {'arithmetic':>11} {'traffic':>9} "
            f"{'G instr':>8}  goal"
        )
        for board, rows in self.rows.items():
            total = sum(row.seconds for row in rows)
            verdict = ""
            if goal and board == REFERENCE:
                verdict = f"{goal:g} s: {'kept' if total <= goal else 'missed'}"
            print(
                f"{board.name:<12} {total:11.4f} {sum(r.arithmetic for r in rows):11.4f} "
                f"{sum(r.traffic for r in rows):9.4f} "
                f"{sum(r.instructions for r in rows) / GIGA:8.3f}  {verdict}".rstrip()
            )
        print("\nBy pass, on all blocks together, and the largest single ones:")
        heads = [board.name for board in BOARDS]
        print("\n".join(step_table(self.steps, heads, most, by=BOARDS.index(REFERENCE))))
        print_operations(self.model, self.passes)


def print_check(model: CycleModel, reference: str, threads: int) -> bool:
    """Print instructions of whole blocks, added up from their calls and emulated as one run.

    Returns
    -------
    bool
        They agree within `AGREEMENT` for every block.
    """
    overrides = {"train.threads": threads, "train.batch_size": _CHECK_BATCH}
    prepared = api.prepare(reference, overrides)
    plan = prepared.plan
    blocks = prepared.steps
    passes = count_step(prepared)
    model.learn_step(passes, [], plan)
    print(
        f"{prepared.config.name}, batch {plan.batch_size}: millions of instructions of a step's "
        "kernels\n"
        f"{'block':<10} {'isa':<9} {'model':>9} {'emulated':>9}  ratio"
    )
    agreed = True
    for block in blocks:
        calls = Counter()
        for one in passes:
            if one.layer == block.name:
                calls.update(one.calls)
        if sum(call.macs * times for call, times in calls.items()) > _CHECK_MACS:
            print(f"{block.name:<10} too large to emulate")
            continue
        for isa in ISAS:
            counted = sum(model.call(isa, call).instructions * n for call, n in calls.items())
            emulated = model.whole(isa, block, plan).instructions
            agreed &= abs(counted / emulated - 1) <= AGREEMENT
            print(
                f"{block.name:<10} {isa:<9} {counted / 1e6:9.2f} {emulated / 1e6:9.2f}  "
                f"{counted / emulated:5.3f}"
            )
    print()
    return agreed


def print_operations(model: CycleModel, passes: Sequence[Pass]) -> None:
    """Print the milliseconds of every operation on a Pi 3B+, and the instruction set it runs on."""
    board, found, functions = REFERENCE, Counter(), {}
    for one in passes:
        # Of the share that takes longest, as the pass does.
        slowest = max(one.shares.values(), key=lambda calls: cycles_of(model, board, calls))
        for call, times in slowest.items():
            cost = model.call(board.isa, call)
            found[call.op] += 1e3 * cost.cycles[board.core] / board.hertz * times
            functions[call.op] = cost.loop_function
    print(f"\nOperations on a {board.name}: ms, function of the inner loop")
    for op, milliseconds in found.most_common():
        if milliseconds >= 0.01 * found.total():
            print(f"  {op:<28} {milliseconds:10.2f}  {functions.get(op, '')}")
    print()


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", metavar="CONFIG[:BATCH]")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--most", type=int, default=MOST, help="single passes to show")
    parser.add_argument("--json", action="store_true", help="print steps for bench --against")
    parser.add_argument(
        "--check", action="store_true",
        help="compare instructions of whole blocks with emulation at a small batch; exits with 1 "
        f"if one differs by more than {AGREEMENT:.0%}%",
    )  # fmt: skip
    arguments = parser.parse_args()
    goals = [f"{name}:{batch}" for name, batch in GOALS]
    try:
        model = CycleModel()
        if arguments.check:
            names = [given.partition(":")[0] for given in arguments.configs or goals]
            # All of them, also behind one that does not agree.
            agreed = [print_check(model, name, arguments.threads) for name in names]
            sys.exit(0 if all(agreed) else 1)
        if not arguments.json:
            print_products(model)
        steps = []
        for given in arguments.configs or goals:
            config = Config(model, given, arguments.threads)
            steps += config.steps
            if not arguments.json:
                config.show(arguments.most)
        if arguments.json:
            print(msgspec.json.format(msgspec.json.encode(steps), indent=2).decode())
    except (ToolError, BnntrainError) as error:
        sys.exit(f"pi_model: {error}")


if __name__ == "__main__":
    main()
