"""Training from a configuration: what `bnntrain.fit` and the verb ``fit`` call."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnntrain import engine, runs
from bnntrain.checkpoints import with_dataset
from bnntrain.config import Config, Reference, dump_config, load_config
from bnntrain.data.catalog import settled
from bnntrain.errors import UsageError
from bnntrain.limits import available_bytes
from bnntrain.paths import RunLike, run_path
from bnntrain.plan import Plan
from bnntrain.preparation import Prepared, prepare
from bnntrain.records import RunFolder
from bnntrain.signals import stop_on_signals
from bnntrain.text import size_text

if TYPE_CHECKING:
    import os

_TO_COME = "arrays"  # a name for the data set of arrays until they have been read


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    path : Path
        Its folder.
    config : Config
        Resolved configuration.
    plan : Plan
        Memory plan.
    metrics : list of dict
        Rows of ``metrics.csv``.
    summary : dict
        Content of ``run.json``.
    """

    path: Path
    config: Config
    plan: Plan
    metrics: list[dict[str, float]]
    summary: dict[str, object]

    @property
    def test_accuracy(self) -> float:
        """Test accuracy of the last epoch's weights, percent."""
        return self.summary["test_accuracy"]

    @property
    def best_test_accuracy(self) -> float:
        """Test accuracy of the best epoch's weights (see `load`), percent."""
        return self.summary["best_test_accuracy"]


def fit(
    reference: Reference | None = None,
    overrides: Mapping[str, object] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool | RunLike = False,
    memory_limit: int | str | None = None,
    observer: engine.Observer | None = None,
    data: tuple[object, ...] | None = None,
    classes: Sequence[str] | None = None,
) -> Run:
    """Train a network.

    Parameters
    ----------
    reference, overrides, memory_limit
        As for `prepare`. No reference takes the configuration of the run that is resumed.
    run_dir : path, optional
        Folder for the records; by default a new one under ``runs/``.
    resume : bool, path or Run
        Continue the run in this folder, or with True the one in `run_dir`, or the newest unfinished
        one of this configuration under ``runs/``. The weights come out as if it had not been
        interrupted. More ``train.epochs`` than before extend a run.
    observer : Observer, optional
        Told about batches and epochs.
    data : tuple of arrays, optional
        ``(x, y)`` or ``(x, y, x_test, y_test)`` to train on instead of ``data.dataset``: images of
        uint8, [n, height, width], [n, height, width, channels] or [n, features], and class numbers,
        integers [n]. They are converted into the cache (`BNNTRAIN_CACHE`); the run is evaluated and
        resumed from there, or with the same arrays. Of two arrays, ``data.test_fraction`` of each
        class is held out to test.
    classes : sequence of str, optional
        Names of the classes of `data`; by default those of the run that is resumed, or numbers.

    Returns
    -------
    Run

    Raises
    ------
    BnntrainError
        One of its kinds, see `bnntrain.errors`; `Interrupted` after a signal, with a checkpoint
        saved.

    Examples
    --------
    >>> run = bnntrain.fit("digits", {"train.epochs": 10})
    >>> longer = bnntrain.fit(resume=run, overrides={"train.epochs": 20})
    >>> own = bnntrain.fit("digits", data=(x, y), classes=["cat", "dog"])
    """
    observer = _checked(observer)
    given = _given_folder(run_dir, resume)
    if reference is None:
        if not resume or given is None:
            raise UsageError("no configuration. Give one, or the folder of a run to resume")
        reference = RunFolder.open(given).config
    if data is not None:
        if classes is None and resume and given is not None:
            classes = RunFolder(given).read_summary().get("classes")
        reference, overrides = _with_data(reference, overrides, data, classes), None
    elif classes is not None:
        raise UsageError("classes are names for data=(x, y), which is not given")
    prepared = prepare(reference, overrides, memory_limit)
    config, plan = prepared.config, prepared.plan
    _check_memory(plan, observer)
    with contextlib.ExitStack() as stack:
        folder, is_new = _folder(config, given, bool(resume))
        stack.callback(folder.close)
        if given is None and not is_new:
            observer.note(f"resuming {folder.path}")
        # Data are read and memory is taken first: a run that cannot start leaves no folder behind.
        config = _with_lasting_name(config, folder, is_new)
        prepared = dataclasses.replace(prepared, config=config)
        trainer = engine.Trainer(prepared, folder, observer)
        stack.callback(trainer.close)
        if is_new:
            folder.create(dump_config(config), _plan_record(prepared))
        trainer.restore()
        with stop_on_signals() as stop:
            summary = trainer.run(stop)
        return Run(folder.path, config, plan, folder.read_metrics(), summary)


def _checked(observer: object) -> engine.Observer:
    """Return what is told about a run; refuse what cannot be told."""
    if observer is None:
        return engine.Observer()
    told = [name for name in vars(engine.Observer) if not name.startswith("_")]
    if missing := [name for name in told if not callable(getattr(observer, name, None))]:
        fault = f"an observer of type {type(observer).__name__} has no {missing[0]}()"
        raise UsageError(f"{fault}. Derive it from bnntrain.engine.Observer")
    return observer


def _check_memory(plan: Plan, observer: engine.Observer) -> None:
    """Say so if the arena is larger than what is left; the system may have swap space, or not."""
    left = available_bytes()
    if left is not None and plan.total_bytes > left:
        message = f"the plan takes {size_text(plan.total_bytes)}, of {size_text(left)} available"
        remedy = f"Give --memory-limit {max(left >> 20, 1)}MiB, or a smaller --batch-size"
        observer.warning(f"{message}: the system may end the run. {remedy}")


def _with_data(
    reference: Reference, overrides: Mapping[str, object] | None, data: object,
    classes: Sequence[str] | None,
) -> Config:
    """Return a configuration of a data set of arrays, which are converted."""
    from bnntrain.data.array_source import store_arrays  # no run from files needs it

    config = load_config(reference, {**(overrides or {}), "data.dataset": _TO_COME})
    name = store_arrays(data, classes, config.data.test_fraction, config.data.test_seed)
    return load_config(config, {"data.dataset": name})


def _given_folder(run_dir: object, resume: object) -> Path | None:
    """Return the folder that was asked for, by either name."""
    folder = None if run_dir is None else run_path(run_dir)
    if isinstance(resume, bool):
        return folder
    resumed = run_path(resume)
    if folder not in (None, resumed):
        raise UsageError(f"two folders, {resumed} to resume and {folder}. Give one of them")
    return resumed


def _folder(config: Config, given: Path | None, resume: bool) -> tuple[RunFolder, bool]:
    """Return the folder of the run, and whether it is still to be made; else it is locked."""
    if given is None:
        return (runs.find_to_resume(config), False) if resume else (runs.new_folder(config), True)
    folder = RunFolder(given)
    if not resume or (given.is_dir() and folder.is_vacant()):
        folder.check_vacant()  # that of a run killed before it had begun may be resumed
        return folder, True
    runs.check_unchanged(folder, config)
    folder.lock()
    return folder, False


def _with_lasting_name(config: Config, folder: RunFolder, is_new: bool) -> Config:
    """Call the data set as the run does; in a new one, so that it is found from any folder."""
    if is_new:
        return with_dataset(config, settled(config.data.dataset))
    return runs.as_stored(folder, config)


def _plan_record(prepared: Prepared) -> dict[str, object]:
    plan = prepared.plan
    return {
        "batch_size": plan.batch_size, "method": prepared.method.name,
        "total_bytes": plan.total_bytes, "buffers": plan.to_json(),
        **({"decoding": prepared.decoding.to_json()} if prepared.decoding else {}),
    }
