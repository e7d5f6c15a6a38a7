"""A network in its arena: built, fed from a file, evaluated between training steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bnntrain.config import origin_of
from bnntrain.errors import DataError, MemoryLimitError
from bnntrain.inference import Arrays, Inference, as_packed, pack
from bnntrain.plan import MIB
from bnntrain.preparation import Prepared
from bnntrain.program import Program

if TYPE_CHECKING:
    import numpy as np

    from bnntrain.native import BatchReader


class Batch(Protocol):
    """Where samples and class numbers are read to, e.g. a `Program` or an `Inference`."""

    x: np.ndarray
    labels: np.ndarray


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


def read(reader: BatchReader, first: int, into: Batch, rows: int, path: object) -> None:
    """Read `rows` samples from position `first` into batch buffers.

    Raises
    ------
    DataError
        The file cannot be read, has become shorter, or holds a label that is no class.
    """
    try:
        reader.read(first, into.x[:rows], into.labels[:rows])
    except (OSError, EOFError, IndexError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"{reason}. Delete it; it is converted again from the source"
        raise DataError(path, message) from None


class Evaluator:
    """Evaluates a network that is being trained, from signs that are packed once.

    It works in bytes of the arena that hold nothing between one step and the next.

    Parameters
    ----------
    prepared : Prepared
        What `program` was made from.
    program : Program
        The network.
    isa : str
        Instruction set of the kernels.
    """

    def __init__(self, prepared: Prepared, program: Program, isa: str) -> None:
        layers = as_packed([step.fused for step in program.steps], prepared.method.gradient)
        views = program.arena.cut(prepared.evaluation)
        smoothing = prepared.config.train.label_smoothing
        self._inference = Inference(layers, prepared.evaluation, views, smoothing, isa)
        self._layers, self._methods = layers, prepared.methods
        self._program, self._group = program, prepared.plan.batch_size

    def __call__(self, reader: BatchReader, path: object) -> dict[str, float]:
        """Evaluate on one part of the data, with the running statistics.

        Parameters
        ----------
        reader : BatchReader
            Of that part.
        path : path
            Its file, for messages.

        Returns
        -------
        dict
            ``loss`` (mean), ``accuracy`` (percent), ``correct`` and ``samples``.

        Raises
        ------
        DataError
            See `read`.
        """
        program, inference = self._program, self._inference
        state = Arrays(program.inference_state())
        inference.load(lambda into: pack(self._layers, self._methods, state, into))

        def fill(first: int, rows: int) -> None:
            read(reader, first, inference, rows, path)

        return inference.evaluate(reader.count, self._group, fill)
