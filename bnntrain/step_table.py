"""The table of a training step by pass: one form for what is measured and for what is modelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from bnntrain import kernels
from bnntrain.errors import UsageError
from bnntrain.text import NONE, Row, table, times

NAMES = (*kernels.ZONES, "loss", "between_kernels", "read", "outside")
"""Passes in the order of the table.

Everything up to ``loss`` is measured and modelled. ``between_kernels`` is modelled only: the code
of blocks around their kernels, but for gathering; measured, it is part of the passes around it and
of ``outside``. Measured only are ``read``, records of a batch, and ``outside``, what no other row
accounts for: Python, starting and joining of threads, code of blocks between passes.
"""

MOST = 8
"""Single passes to show, unless said otherwise."""


class Part(msgspec.Struct, frozen=True):
    """Seconds of a pass over a block; GMAC/s where it multiplies. Layer ``all``: of the step."""

    op: str
    layer: str
    seconds: Annotated[float, Meta(ge=0)]
    gmac_per_s: float | None


class Step(msgspec.Struct, frozen=True):
    """A training step, as ``bench --step --json`` and ``tools/pi_model.py --json`` print it.

    Attributes
    ----------
    config, method, batch_size, threads
        What was run; only steps that agree in these are compared.
    seconds_per_batch : float
        Of the whole step.
    kernels : list of Part
        What the time goes to.
    outside_kernels_share : float
        Part of the step's time that `kernels` does not account for.
    board : str or None
        Name of the board as its system gives it, or the beginning of that.
    modelled : str or None
        Short name of the board that the figures are modelled for; None: they are measured.
    """

    config: str
    method: str
    batch_size: int
    threads: int
    seconds_per_batch: Annotated[float, Meta(ge=0)]
    kernels: list[Part]
    outside_kernels_share: Annotated[float, Meta(ge=0, lt=1)]
    board: str | None = None
    modelled: str | None = None

    @property
    def what(self) -> tuple[str, str, int, int]:
        """What two steps must agree in to be compared."""
        return self.config, self.method, self.batch_size, self.threads

    @property
    def outside(self) -> float:
        """Seconds that no part accounts for."""
        known = sum(part.seconds for part in self.kernels)
        return known * self.outside_kernels_share / (1.0 - self.outside_kernels_share)

    def seconds(self, op: str, layer: str | None = None) -> float | None:
        """Seconds of a pass over one block, or over all; None if it has none."""
        if op == "outside":
            return None if self.modelled else self.outside
        found = [p.seconds for p in self.kernels if p.op == op and layer in (None, p.layer)]
        return sum(found) if found else None

    def gmac_per_s(self, op: str, layer: str | None = None) -> float | None:
        """Speed of a pass over one block, or over all that multiply in it."""
        found = [
            p for p in self.kernels if p.op == op and layer in (None, p.layer) and p.gmac_per_s
        ]
        seconds = sum(p.seconds for p in found)
        return sum(p.seconds * p.gmac_per_s for p in found) / seconds if seconds else None


def read_steps(path: str, what: tuple[str, str, int, int], board: str | None) -> list[Step]:
    """Read those steps from a file of JSON that can be compared with one.

    Parameters
    ----------
    path : str
        File with a `Step` or a list of them.
    what : tuple
        `Step.what` of that one.
    board : str or None
        Name of its board; steps of the same board are preferred to those of others.

    Returns
    -------
    list of Step
        At least one.

    Raises
    ------
    UsageError
        The file cannot be read, is something else, or has no such step.
    """
    try:
        text = Path(path).read_bytes()
        found = msgspec.json.decode(text, type=Step | list[Step])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = "Give what 'tools/pi_model.py --json' or 'bench --step CONFIG --json' printed"
        raise UsageError(f"{path}: {reason}. {remedy}") from None
    steps = found if isinstance(found, list) else [found]
    same = [step for step in steps if step.what == what]
    if not same:
        known = "; ".join(dict.fromkeys(_describe(step.what) for step in steps)) or "none"
        raise UsageError(f"{path}: no step of {_describe(what)}. It has: {known}")
    here = [step for step in same if step.board and (board or "").startswith(step.board)]
    return here or same


def _describe(what: tuple[str, str, int, int]) -> str:
    config, method, batch, threads = what
    return f"{config}, {method}, batch {batch}, threads {threads}"


def step_table(
    steps: Sequence[Step], heads: Sequence[str], most: int = MOST, by: int = 0
) -> list[str]:
    """Write steps beside each other: milliseconds by pass, and of the largest single passes.

    Parameters
    ----------
    steps : sequence of Step
        A column each. One has its share of the step and GMAC/s beside it, two have their ratio.
    heads : sequence of str
        Headings of the columns.
    most : int
        Single passes.
    by : int
        Column in which they are the largest.

    Returns
    -------
    list of str
        Lines; the first is the heading.
    """
    rows: list[Row | None] = [
        _row(steps, name) for name in NAMES if any(step.seconds(name) for step in steps)
    ]
    totals = [step.seconds_per_batch for step in steps]
    total = ["s per batch", *(f"{one:.5f}" for one in totals)]
    if len(steps) < 3:
        total += [times(*totals)] if len(steps) == 2 else ["", ""]
    rows += [None, total]
    blocks = [part for part in steps[by].kernels if part.op in kernels.ZONES]
    blocks.sort(key=lambda part: -part.seconds)
    if blocks[:most]:
        rows.append(None)
    rows += [_row(steps, part.op, part.layer) for part in blocks[:most]]
    extra = {1: ("share", "GMAC/s"), 2: ("ratio",)}.get(len(steps), ())
    return table([("ms per batch", *heads, *extra)], rows)


def _row(steps: Sequence[Step], op: str, layer: str | None = None) -> Row:
    """Write a pass over all blocks or over one."""
    seconds = [step.seconds(op, layer) for step in steps]
    cells = [op.replace("_", " "), *(NONE if s is None else f"{1e3 * s:.3f}" for s in seconds)]
    if layer:
        cells[0] = f"{layer} {cells[0]}"
    if len(steps) == 2:
        cells.append(times(*seconds))
    elif len(steps) == 1:
        (step,) = steps
        whole = sum(part.seconds for part in step.kernels) + step.outside
        speed = step.gmac_per_s(op, layer)
        cells += [f"{100 * seconds[0] / whole:.1f}%", f"{speed:.1f}" if speed else ""]
    return cells
