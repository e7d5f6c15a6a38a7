"""Takes training steps with whatever bnntrain there is, for tools that compare two of them.

    steps.py CONFIG BATCH THREADS

Takes as many steps as a line of standard input says, and answers with their seconds. The package
may be from before there was a program, or readers of batches.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from bnntrain import api
from bnntrain.data.catalog import open_dataset
from bnntrain.evaluation import read


def stepper(
    name: str, batch: int, threads: int, isa: str | None = None, dataset: str | None = None
) -> Callable[[int], None]:
    """Return what takes a training step, by its number.

    By default the instruction set and the data set are those that a training would take.
    """
    given: dict[str, object] = {"train.batch_size": batch, "train.threads": threads}
    if dataset:
        given |= {"data.dataset": dataset, "data.validation_fraction": 0}
    prepared = api.prepare(name, given)
    config = prepared.config
    if isa is None:
        from bnntrain import engine

        isa = engine.selected_isa()
    data = open_dataset(config.data.dataset)
    try:
        from bnntrain.evaluation import make_program

        program = make_program(prepared, isa)
    except ImportError:
        from bnntrain.evaluation import make_model

        program = make_model(config, prepared.method, prepared.plan, prepared.shape, isa)
    try:
        from bnntrain.data.batches import BatchReaders
    except ImportError:
        from bnntrain.data.feeds import Feeds as BatchReaders
    program.initialise()
    readers = BatchReaders(
        data, config.data.validation_fraction, config.train.seed, config.data.augment
    )
    readers.shuffle(0)

    def step(number: int) -> None:
        first = number % (readers.train.count // batch) * batch
        read(readers.train, first, program, batch, data.train.path)
        program.train_batch(batch, number, config.train.learning_rate)

    return step


def main() -> None:
    """Take steps for who asks."""
    step = stepper(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    number = 0
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step(number)
            number += 1
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
