"""What a run was made with against what its data set has now."""

from __future__ import annotations

from pathlib import Path

from bnntrain.data.flat import Dataset
from bnntrain.errors import RunError
from bnntrain.preparation import Prepared
from bnntrain.records import RunFolder, load_checkpoint


def check_data(run_dir: Path, prepared: Prepared, dataset: Dataset, split: str) -> list[str]:
    """Return which parts of a run's data have changed; refuse what makes a figure meaningless.

    Raises
    ------
    RunError
        The data have other classes or images of another size now; or the training part, of which
        ``train`` and ``validation`` are, has changed at all.
    """
    remedy = "Put the former data back"
    name = prepared.config.data.dataset
    if dataset.shape != prepared.shape:
        raise RunError(run_dir, f"was trained on other images than {name} has now. {remedy}")
    if dataset.classes != prepared.classes:
        raise RunError(run_dir, f"was trained on other classes than {name} has now. {remedy}")
    recorded = _recorded_crcs(RunFolder.open(run_dir))
    now = {"train": dataset.train.records_crc, "test": dataset.test.records_crc}
    changed = [part for part, crc in now.items() if recorded.get(part, crc) != crc]
    if split != "test" and "train" in changed:
        message = f"was trained on other data: {name} has changed since, its {split} part too"
        raise RunError(run_dir, f"{message}. {remedy}, or give --split test")
    return changed


def _recorded_crcs(folder: RunFolder) -> dict[str, int]:
    """Return the CRC-32 of the parts of the data that a run was made with, as far as known."""
    recorded = folder.read_summary().get("data_crc32")
    if isinstance(recorded, dict):
        return recorded
    # Runs of earlier versions have the training part's in their checkpoint.
    crc = load_checkpoint(folder.last, {}).get("data") if folder.last.is_file() else None
    return {} if crc is None else {"train": crc}
