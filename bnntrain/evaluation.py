"""A network outside training: built in its arena, fed from a file, evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnntrain.config import origin_of
from bnntrain.errors import DataError, MemoryLimitError
from bnntrain.plan import MIB
from bnntrain.preparation import Prepared
from bnntrain.program import Program

if TYPE_CHECKING:
    from bnntrain.native import BatchReader


def make_program(prepared: Prepared, isa: str) -> Program:
    """Bind the network of a configuration to an arena of its own.

    Parameters
    ----------
    prepared : Prepared
        A configuration, its steps and their plan.
    isa : str
        Instruction set of the kernels.

    Returns
    -------
    Program
        All zero: neither initialised nor loaded.

    Raises
    ------
    MemoryLimitError
        The system does not give that much memory.
    """
    config, plan, train = prepared.config, prepared.plan, prepared.config.train
    try:
        return Program(
            prepared.steps, plan, train.optimizer, train.label_smoothing, train.seed, isa
        )
    except (OSError, MemoryError, OverflowError):
        need = f"{plan.total_bytes / MIB:,.2f} MiB that {plan.batch_size} samples take"
        raise MemoryLimitError(
            origin_of(config, "train.batch_size"), "train.batch_size",
            f"the system does not give the {need}. Give a smaller batch or a smaller model",
        ) from None


def read(reader: BatchReader, first: int, program: Program, rows: int, path: object) -> None:
    """Read `rows` samples from position `first` into the program's batch buffers.

    Raises
    ------
    DataError
        The file cannot be read, has become shorter, or holds a label that is no class.
    """
    try:
        reader.read(first, program.x[:rows], program.labels[:rows])
    except (OSError, EOFError, IndexError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"{reason}. Delete it; it is converted again from the source"
        raise DataError(path, message) from None


def evaluate(program: Program, reader: BatchReader, path: object) -> dict[str, float]:
    """Return loss (mean), accuracy (percent), ``correct`` and ``samples`` of a part of the data."""
    batch, loss, correct = len(program.x), 0.0, 0
    for first in range(0, reader.count, batch):
        rows = min(batch, reader.count - first)
        read(reader, first, program, rows, path)
        batch_loss, batch_correct = program.evaluate_batch(rows)
        loss += batch_loss
        correct += batch_correct
    accuracy = 100.0 * correct / reader.count
    return {
        "loss": loss / reader.count, "accuracy": accuracy, "correct": correct,
        "samples": reader.count,
    }  # fmt: skip
