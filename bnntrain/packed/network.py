"""A packed model in an arena of its own."""

from __future__ import annotations

from bnntrain.arena import Arena
from bnntrain.errors import MemoryLimitError
from bnntrain.inference.plan import plan_inference, usual_batch
from bnntrain.inference.program import Inference
from bnntrain.packed.head import Head, Source
from bnntrain.plan import MIB, Layout


class Network(Inference):
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
    arena_bytes : int
        Size of its memory, weights included.

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
        layers = head.packed_layers()
        plan = plan_inference(layers, batch_size or usual_batch(layers, threads), threads)
        arena = _arena(plan)
        self.arena_bytes = arena.bytes
        super().__init__(layers, plan, arena.views, head.label_smoothing, isa)
        self.load(source.read)
        self.head: Head = source.head


def _arena(plan: Layout) -> Arena:
    try:
        return Arena(plan)
    except (OSError, MemoryError, OverflowError):
        need = f"{plan.total_bytes / MIB:,.2f} MiB that this network takes"
        raise MemoryLimitError(f"the system does not give the {need}") from None
