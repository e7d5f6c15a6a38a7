"""What a network was trained on against what its data set has now."""

from __future__ import annotations

from pathlib import Path

from bnntrain.data.flat import Dataset
from bnntrain.errors import RunError
from bnntrain.packed import Head


def check_data(path: Path, head: Head, dataset: Dataset, split: str) -> list[str]:
    """Return which parts of the data have changed; refuse what makes a figure meaningless.

    Raises
    ------
    RunError
        The data have other classes or images of another size now; or the training part, of which
        ``train`` and ``validation`` are, has changed at all.
    """
    remedy = "Put the former data back"
    name = dataset.name
    if dataset.shape != head.shape:
        raise RunError(path, f"was trained on other images than {name} has now. {remedy}")
    if tuple(dataset.classes) != head.classes:
        raise RunError(path, f"was trained on other classes than {name} has now. {remedy}")
    now = {"train": dataset.train.records_crc, "test": dataset.test.records_crc}
    changed = [part for part, crc in now.items() if head.data_crc32.get(part, crc) != crc]
    if split != "test" and "train" in changed:
        message = f"was trained on other data: {name} has changed since, its {split} part too"
        raise RunError(path, f"{message}. {remedy}, or give --split test")
    return changed
