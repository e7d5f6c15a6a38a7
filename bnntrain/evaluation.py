"""A network outside training: built in its arena, fed from a file, evaluated."""

from __future__ import annotations

from bnntrain import kernels
from bnntrain.config import Config, origin_of
from bnntrain.errors import DataError, MemoryLimitError
from bnntrain.layers import Size, build_blocks
from bnntrain.method import Method
from bnntrain.model import Model
from bnntrain.plan import MIB, Plan


def make_model(config: Config, method: Method, plan: Plan, sample: Size, isa: str) -> Model:
    """Build the network of a configuration in an arena of its own.

    Parameters
    ----------
    config : Config
        Resolved.
    method, plan : Method, Plan
        Of `config`.
    sample : tuple of int
        Height, width and channels of an image.
    isa : str
        Instruction set of the kernels.

    Returns
    -------
    Model
        All zero: neither initialised nor loaded.

    Raises
    ------
    MemoryLimitError
        The system does not give that much memory.
    """
    blocks, train = build_blocks(config.model.layers, sample, method), config.train
    try:
        return Model(
            blocks, method, plan, train.optimizer, train.label_smoothing, train.seed, isa
        )
    except (OSError, MemoryError, OverflowError):
        need = f"{plan.total_bytes / MIB:,.2f} MiB that {plan.batch_size} samples take"
        raise MemoryLimitError(
            origin_of(config, "train.batch_size"), "train.batch_size",
            f"the system does not give the {need}. Give a smaller batch or a smaller model",
        ) from None


def read(feed: kernels.Feed, first: int, model: Model, rows: int, path: object) -> None:
    """Read `rows` samples from position `first` into the model's batch buffers.

    Raises
    ------
    DataError
        The file cannot be read, has become shorter, or holds a label that is no class.
    """
    try:
        feed.read(first, model.x[:rows], model.labels[:rows])
    except (OSError, EOFError, IndexError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"{reason}. Delete it; it is converted again from the source"
        raise DataError(path, message) from None


def evaluate(model: Model, feed: kernels.Feed, path: object) -> dict[str, float]:
    """Return loss (mean), accuracy (percent), hits and samples of one part of the data."""
    batch, loss, hits = len(model.x), 0.0, 0
    for first in range(0, feed.count, batch):
        rows = min(batch, feed.count - first)
        read(feed, first, model, rows, path)
        batch_loss, batch_hits = model.evaluate_batch(rows)
        loss += batch_loss
        hits += batch_hits
    accuracy = 100.0 * hits / feed.count
    return {
        "loss": loss / feed.count, "accuracy": accuracy, "hits": hits, "samples": feed.count,
    }  # fmt: skip
