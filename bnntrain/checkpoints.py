"""What a run saves, and what it goes on from.

``last.npz`` is all that training continues from; the one before it stays as ``previous.npz``, in
case the disk loses the newer one. ``best.npz`` has the weights of the chosen epoch alone.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from bnntrain.config import Config, config_digest, dump_config, load_config
from bnntrain.errors import RunError
from bnntrain.program import Program
from bnntrain.records import Best, Progress, RunFolder, load_checkpoint, save_checkpoint
from bnntrain.schedule import LearningRate

_NEW_RUN = "Start a new run"


@dataclass(frozen=True)
class Live:
    """What changes while a run trains.

    Attributes
    ----------
    program, rate, progress : Program, LearningRate, Progress
        Its weights and moments, its learning rate, where it stands.
    validation_count : int
        Samples of the validation split; 0 without one.
    validate : callable
        Gives the number of them that are classified correctly.
    """

    program: Program
    rate: LearningRate
    progress: Progress
    validation_count: int
    validate: Callable[[], int]


class Checkpoints:
    """The checkpoints of a run.

    Parameters
    ----------
    config : Config
        Resolved.
    data_crc : int
        Of the training data.
    folder : RunFolder
        Where they are.
    warn, note : callable
        Told in one line what is amiss, and what is worth knowing.

    Attributes
    ----------
    extended : list of dict
        When the run was made longer: ``epoch`` and ``step`` that it stood at, ``epochs_before`` and
        ``epochs``.
    has_chosen_anew : bool
        Whether ``best.npz`` was lost, and another epoch is the best now.
    """

    def __init__(
        self,
        config: Config,
        data_crc: int,
        folder: RunFolder,
        warn: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self.config, self.data_crc, self.folder = config, data_crc, folder
        self.warn, self.note = warn, note
        self.digest = config_digest(config)
        self.extended: list[dict[str, int]] = []
        self.has_chosen_anew = False
        self._is_last_good = True
        self._has_moved = False  # the data set, since the last checkpoint

    # Saving -------------------------------------------------------------------------------------

    def save(self, live: Live) -> None:
        """Write ``last.npz``; the one before it becomes ``previous.npz``."""
        state = {
            "config": self.digest, "epochs": self.config.train.epochs, "data": self.data_crc,
            "dataset": self.config.data.dataset,
            "progress": live.progress.state(), "rate": live.rate.state(),
            "extended": self.extended,
        }  # fmt: skip
        former = self.folder.previous if self._is_last_good else None
        save_checkpoint(self.folder.last, live.program.arena.persistent(), state, former)
        self._is_last_good = True

    def offer_best(self, live: Live, correct: int) -> None:
        """Write ``best.npz`` if the epoch that has just ended is now the best."""
        progress, count = live.progress, live.validation_count
        if count:
            progress.best_accuracy = max(100.0 * correct / count, progress.best_accuracy)
        if progress.best.offer(progress.epoch, correct, count):
            state = {"epoch": progress.epoch}
            save_checkpoint(self.folder.best, live.program.inference_state(), state)

    # Going on -----------------------------------------------------------------------------------

    def restore(self, live: Live) -> None:
        """Continue from ``last.npz`` or the one before it; without either, from the start.

        Writes nothing before all that the run will need has been found good.

        Raises
        ------
        RunError
            Both are damaged, or they are of another configuration or of other data.
        """
        folder = self.folder
        recorded = len(folder.read_metrics())
        summary = folder.read_summary()
        # First of all: its weights go where those to go on from belong.
        best_epoch, fault = self._look_at_best(live.program)
        live.program.initialise()
        state = self._load(live.program)
        extension = None
        if state is not None:
            extension = self._resume(live, state, summary)
        elif recorded > 1:
            # Less is normal: the first epoch's row is written before its checkpoint.
            message = f"is missing, but metrics.csv has {recorded} epochs"
            raise RunError(folder.last, f"{message}. Put it back, or start a new run")
        self._tell_what_is_lost(live.progress.epoch, recorded, summary)
        folder.truncate_metrics(live.progress.epoch)
        folder.tidy()
        if state is None:
            return
        if live.progress.best is None:
            live.progress.best = _former_best(live, best_epoch)
        if extension:
            self._extend(live, extension)
        elif self._has_moved:
            self._save_both(live)  # run.json, by which it was known, is about to be replaced
        self._settle_best(live, best_epoch, fault, bool(extension))

    def _tell_what_is_lost(self, epochs: int, rows: int, summary: Mapping[str, object]) -> None:
        """Name records that a crash emptied, or somebody removed; the weights need none."""
        if epochs and not summary:
            self.warn(f"{self.folder.path}/run.json: is missing or empty. It is written anew")
        if rows < epochs:
            lost = f"rows of {rows} of {epochs} epochs: the others are lost"
            self.warn(f"{self.folder.path}/metrics.csv: {lost}. The weights are not affected")

    def _load(self, program: Program) -> dict[str, object] | None:
        """Read the last checkpoint that is whole; None where there never was one."""
        last, previous = self.folder.last, self.folder.previous
        arrays = program.arena.persistent()
        try:
            return load_checkpoint(last, arrays)
        except RunError as error:
            if not error.is_damage or (os.path.lexists(last) and not previous.exists()):
                raise
            fault = _reason(error)
        if not previous.exists():
            return None
        try:
            state = load_checkpoint(previous, arrays)
        except RunError as error:
            message = f"{fault}, and {previous.name}: {_reason(error)}"
            raise RunError(last, f"{message}. Put back a copy, or start a new run") from None
        self._is_last_good = False
        self.warn(f"{last}: {fault}. Going on from the checkpoint before it, {previous.name}")
        return state

    def _resume(
        self, live: Live, state: Mapping[str, object], summary: Mapping[str, object]
    ) -> dict[str, int] | None:
        """Take over a checkpoint's state; return how much longer the run is now, if it is."""
        last = self.folder.last
        before, self._has_moved = self._origin_of(state, summary)
        if before is None or before > self.config.train.epochs:
            message = "was made with another configuration. Resume without changing options"
            raise RunError(last, message)
        if state.get("data") != self.data_crc:
            message = f"was trained on other data: {self.config.data.dataset} has changed since"
            raise RunError(last, f"{message}. {_NEW_RUN}")
        try:
            live.progress.restore(state["progress"])
            live.rate.restore(state["rate"])
            self.extended = list(state.get("extended", []))
        except (KeyError, TypeError, ValueError):
            raise RunError(last, f"has no complete state. {_NEW_RUN}") from None
        if before == self.config.train.epochs:
            return None
        stands = {"epoch": live.progress.epoch, "step": live.progress.step}
        return stands | {"epochs_before": before, "epochs": self.config.train.epochs}

    def _origin_of(
        self, state: Mapping[str, object], summary: Mapping[str, object]
    ) -> tuple[int | None, bool]:
        """Return the epochs of the run that a checkpoint is of, and whether its data have moved.

        None if it is of another run. Checkpoints from before runs could be extended, or their data
        moved, do not tell, but ``run.json`` does. That the data are the same, their CRC says.
        """
        here = self.config.data.dataset
        names = dict.fromkeys((here, state.get("dataset"), summary.get("dataset")))
        lengths = (state.get("epochs"), self.config.train.epochs, summary.get("epochs"))
        for name, epochs in itertools.product(names, lengths):
            if isinstance(name, str) and isinstance(epochs, int):
                config = with_dataset(with_epochs(self.config, epochs), name)
                if state.get("config") == config_digest(config):
                    return epochs, name != here
        return None, False

    def _extend(self, live: Live, extension: dict[str, int]) -> None:
        # Interrupted between the two, a resumed run finds the extension in the first alone.
        former = load_config(self.folder.config)
        self.folder.write_config(dump_config(with_epochs(former, self.config.train.epochs)))
        self.extended.append(extension)
        self._save_both(live)
        before, now = extension["epochs_before"], extension["epochs"]
        kind = self.config.train.schedule.kind
        # The other schedules do not depend on the length of the run.
        exact = f"the weights will be those of {now} epochs in one go"
        ends = kind in ("cosine", "linear")
        effect = f"the {kind} rate of the new length holds from here on" if ends else exact
        self.note(f"extended from {before} to {now} epochs: {effect}")

    def _save_both(self, live: Live) -> None:
        """Write the last checkpoint and the one before it: neither may lead on from elsewhere."""
        self.save(live)
        self.save(live)

    # The best epoch -----------------------------------------------------------------------------

    def _look_at_best(self, program: Program) -> tuple[int, str]:
        """Return the epoch of ``best.npz``, or 0 and what is wrong with it."""
        try:
            state = load_checkpoint(self.folder.best, program.inference_state())
            return int(state["epoch"]), ""
        except RunError as error:
            return 0, _reason(error)
        except (KeyError, TypeError, ValueError):
            return 0, "does not tell its epoch"

    def _settle_best(self, live: Live, epoch: int, fault: str, is_extended: bool) -> None:
        """Compare ``best.npz`` with what the last checkpoint knows of it."""
        progress = live.progress
        # One that is ahead was saved just before the run ended: its epoch is run again. In a longer
        # run that epoch may come out otherwise.
        is_ahead = epoch > progress.epoch and not is_extended
        if not progress.best.epoch or epoch == progress.best.epoch or is_ahead:
            return
        self.warn(
            f"{self.folder.best}: {fault or f'is of epoch {epoch}'}. "
            "The best epoch is chosen among those from here on"
        )
        self.has_chosen_anew = True
        progress.best = Best()
        if not progress.step:
            self.offer_best(live, live.validate())
            self.save(live)


def _former_best(live: Live, epoch: int) -> Best:
    """Return what a checkpoint knows that was made when only the highest accuracy counted."""
    progress = live.progress
    if not progress.epoch:
        return Best()
    correct = round(progress.best_accuracy / 100.0 * live.validation_count)
    return Best(epoch or progress.epoch, correct, correct)


def with_epochs(config: Config, epochs: int) -> Config:
    """Return a configuration with another length."""
    train = msgspec.structs.replace(config.train, epochs=epochs)
    return msgspec.structs.replace(config, train=train)


def with_dataset(config: Config, dataset: str) -> Config:
    """Return a configuration whose data set is called, or lies, otherwise."""
    data = msgspec.structs.replace(config.data, dataset=dataset)
    return msgspec.structs.replace(config, data=data)


def _reason(error: RunError) -> str:
    """Return the first sentence: what is wrong, without the remedy."""
    return error.message.partition(". ")[0]
