"""Which folder a new run goes to, and which run is gone on with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from bnntrain.checkpoints import with_dataset, with_epochs
from bnntrain.config import Config, config_digest, load_config
from bnntrain.data.catalog import settled
from bnntrain.errors import BnntrainError, RunError
from bnntrain.records import RUNS, RunFolder, runs_in

# Keys that do not influence the weights.
_APART = {"name", "source", "overridden", "model.name", "train.threads"}
_SHOWN = 3


def numbered(base: Path) -> Iterator[Path]:
    """Yield a name and what stands for it where it is taken: ``-2``, ``-3``, ..."""
    yield base
    yield from (base.with_name(f"{base.name}-{number}") for number in itertools.count(2))


def new_folder(config: Config) -> RunFolder:
    """Name a run after its configuration; its folder gets the next free name when it is made."""
    names = numbered(Path(RUNS) / f"{config.name}-{config.method}-seed{config.train.seed}")
    return RunFolder(next(names), names)


def find_to_resume(config: Config) -> RunFolder:
    """Take the newest unfinished run of a configuration under `RUNS`; without one, a finished one.

    Raises
    ------
    RunError
        There is none; the message names runs of its name, and what they differ in.
    """
    found = [_newest_first(path) for path in runs_in(Path(RUNS))]
    others, in_use = [], None
    for _, _, path in sorted(found, reverse=True):
        try:
            difference = difference_of(path, config)
        except BnntrainError:
            continue  # of no use to anybody, and nobody asked for it
        if difference:
            others.append((path, difference))
            continue
        folder = RunFolder(path)
        try:
            folder.lock()
        except RunError as error:
            in_use = in_use or error
            continue
        return folder
    raise in_use or RunError(RUNS, _none_fits(config, others))


def _newest_first(path: Path) -> tuple[bool, float, Path]:
    """Return what to sort runs by: unfinished ones last, then by their last checkpoint."""
    folder = RunFolder(path)
    try:
        is_finished = folder.read_summary().get("status") == "finished"
    except RunError:
        is_finished = False
    times = [file.stat().st_mtime for file in (folder.last, folder.config) if file.exists()]
    return not is_finished, max(times, default=0.0), path


def _none_fits(config: Config, others: list[tuple[Path, str]]) -> str:
    named = [each for each in others if each[0].name.startswith(f"{config.name}-")]
    text = "; ".join(f"{path}: {difference}" for path, difference in named[:_SHOWN])
    text = f" ({text})" if text else ""
    remedy = "Leave out --resume to start one, or give the run's folder"
    return f"holds no run of this configuration{text}. {remedy}"


def check_unchanged(folder: RunFolder, config: Config) -> None:
    """Refuse to resume with a configuration that leads to other weights; name what differs.

    More epochs than before are no such thing: they extend the run.
    """
    folder = RunFolder.open(folder.path)
    former, config = _settled(load_config(folder.config)), _settled(config)
    if config_digest(with_epochs(former, config.train.epochs)) == config_digest(config):
        before, now = former.train.epochs, config.train.epochs
        if now >= before:
            return
        message = f"train.epochs: {before} there, now {now}. A run can become longer, not shorter"
        raise RunError(folder.config, f"{message}: give --epochs {before} or more")
    message = f"{_first_difference(former, config)}. Resume without changing options"
    raise RunError(folder.config, message)


def difference_of(path: Path, config: Config) -> str:
    """Return what the configuration of a run differs in; nothing if its weights are the same."""
    former, config = _settled(load_config(RunFolder(path).config)), _settled(config)
    same = config_digest(former) == config_digest(config)
    return "" if same else _first_difference(former, config)


def _settled(config: Config) -> Config:
    return with_dataset(config, settled(config.data.dataset))


def as_stored(folder: RunFolder, config: Config) -> Config:
    """Return a configuration with the data set as a run's own calls it: the same, by any path."""
    return with_dataset(config, load_config(folder.config).data.dataset)


def _first_difference(former: Config, config: Config) -> str:
    there, here = (dict(_leaves(msgspec.to_builtins(each))) for each in (former, config))
    key = next(
        key for key in {**there, **here}
        if key not in _APART and not key.startswith("meters.") and there.get(key) != here.get(key)
    )
    if key == "model.layers":
        return f"{key}: another list there"
    return f"{key}: {there.get(key)} there, now {here.get(key)}"


def _leaves(values: Mapping[str, object], section: str = "") -> Iterator[tuple[str, object]]:
    """Yield dotted keys and values."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{section}{name}.")
        else:
            yield f"{section}{name}", value
