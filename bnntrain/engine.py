"""The training and evaluation loops. Prints nothing: an `Observer` is told what happens.

Order of events in an epoch: train on every full batch, evaluate the validation split, add the row
to ``metrics.csv``, save ``checkpoint/last.npz`` (and ``best.npz``). The checkpoint is what counts:
a row without it is dropped on resume and its epoch run again. The test set is read once, at the
end.
"""

from __future__ import annotations

import math
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bnntrain import kernels
from bnntrain.config import Config, config_digest
from bnntrain.data.catalog import open_dataset
from bnntrain.data.feeds import Feeds
from bnntrain.errors import BnntrainError, Interrupted, KernelError, RunError
from bnntrain.evaluation import evaluate, make_model, read
from bnntrain.meters import PeakMeter, rss_bytes
from bnntrain.meters.recording import SECTIONS, Recording, earlier_sections
from bnntrain.method import Method
from bnntrain.plan import MIB, Plan
from bnntrain.records import Progress, RunFolder, load_checkpoint, save_checkpoint
from bnntrain.schedule import LearningRate


class Observer:
    """What a caller may watch; every method does nothing unless overridden."""

    def start(self, epochs: int, steps: int, batch_size: int, epoch: int, step: int) -> None:
        """Training begins, or goes on, at `step` of `epoch` (both from 0)."""

    def batch(self, loss: float) -> None:
        """A batch was trained on; `loss` is its mean."""

    def epoch(self, row: dict[str, float]) -> None:
        """An epoch ended; `row` has the columns of metrics.csv."""

    def warning(self, line: str) -> None:
        """Something will be missing from the records; the training goes on."""


def selected_isa() -> str:
    """Return the instruction set to run on.

    Raises
    ------
    KernelError
        ``BNNTRAIN_ISA`` names one that this machine cannot run.
    """
    try:
        return kernels.selected_isa()
    except ValueError as error:
        raise KernelError(str(error)) from None


def threads_of(config: Config) -> int:
    """Return the threads of a run: the configured number, or all available cores for 0."""
    return config.train.threads or kernels.thread_limit()


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event; a second one of them stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    former = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class Trainer:
    """One run: a model, its data and its folder.

    Parameters
    ----------
    config : Config
        Resolved; its batch size is the plan's.
    method : Method
        Of `config`.
    plan : Plan
        Of `config`.
    folder : RunFolder
        Where records go; it need not exist before `restore`.
    observer : Observer
        Told what happens.

    Raises
    ------
    DataError
        The data cannot be read.
    MemoryLimitError
        The system does not give the arena.
    """

    def __init__(
        self, config: Config, method: Method, plan: Plan, folder: RunFolder, observer: Observer
    ) -> None:
        self.config, self.method, self.plan = config, method, plan
        self.folder, self.observer = folder, observer
        self.isa = selected_isa()
        self.dataset = open_dataset(config.data.dataset)
        self.feeds = Feeds(
            self.dataset, config.data.validation_fraction, config.train.seed, config.data.augment
        )
        self.steps = self.feeds.train.count // plan.batch_size
        self.rate = LearningRate(
            config.train.learning_rate, config.train.schedule, config.train.epochs, self.steps
        )
        self.progress = Progress()
        self.digest = config_digest(config)
        self.recording = Recording(config.meters, folder.path, observer.warning)
        self.batches = 0  # that this process has trained on
        self.sections = self.recording.sections()
        self.earlier = earlier_sections({})
        self.meter = PeakMeter()
        self.rss_before = rss_bytes()
        try:
            self.model = make_model(config, method, plan, self.dataset.shape, self.isa)
        except BaseException:
            self.close()
            raise

    # Checkpoints --------------------------------------------------------------------------------

    def save(self) -> None:
        """Write ``checkpoint/last.npz``."""
        state = {
            "config": self.digest, "data": self.dataset.train.records_crc,
            "progress": self.progress.state(), "rate": self.rate.state(),
        }
        save_checkpoint(self.folder.last, self.model.arena.persistent(), state)

    def restore(self) -> None:
        """Continue from ``checkpoint/last.npz``; without one, from the start.

        Writes nothing before all that the run will need has been found good.

        Raises
        ------
        RunError
            Damaged, incomplete, or of another configuration or other data.
        """
        folder = self.folder
        recorded = len(folder.read_metrics())
        folder.read_summary()
        self.model.initialise()
        if folder.last.exists():
            self._load()
        elif recorded > 1:
            # Less is normal: the first epoch's row is written before its checkpoint.
            message = f"is missing, but metrics.csv has {recorded} epochs"
            raise RunError(folder.last, f"{message}. Put it back, or start a new run")
        folder.truncate_metrics(self.progress.epoch)
        folder.tidy()

    def _load(self) -> None:
        last, best = self.folder.last, self.folder.best
        if best.exists():  # needed at the end only, but damage is better known now
            load_checkpoint(best, self.model.inference_state())
        state = load_checkpoint(last, self.model.arena.persistent())
        if state.get("config") != self.digest:
            message = "was made with another configuration. Resume without changing options"
            raise RunError(last, message)
        if state.get("data") != self.dataset.train.records_crc:
            message = f"was trained on other data: {self.config.data.dataset} has changed since"
            raise RunError(last, f"{message}. Start a new run")
        try:
            self.progress.restore(state["progress"])
            self.rate.restore(state["rate"])
        except (KeyError, TypeError, ValueError):
            raise RunError(last, "has no complete state. Start a new run") from None
        if self.progress.epoch and not best.exists():
            raise RunError(best, "is missing. Put it back, or start a new run")

    # Loops --------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> dict[str, object]:
        """Train to the last epoch and return the summary.

        Raises
        ------
        Interrupted
            `stop` was set; a checkpoint was saved.
        """
        progress = self.progress
        recorded = self.folder.read_summary()
        if recorded.get("status") == "finished" and progress.epoch >= self.config.train.epochs:
            return recorded  # with the figures of the process that trained
        self.earlier = earlier_sections(recorded)
        if progress.epoch < self.config.train.epochs:
            self.observer.start(
                self.config.train.epochs, self.steps, self.plan.batch_size, progress.epoch,
                progress.step,
            )
            self.folder.write_summary(self.summary("running"))
        self.recording.start()
        self.recording.idle_before(stop)
        while progress.epoch < self.config.train.epochs:
            self.recording.begin_epoch(is_whole=progress.step == 0)
            self._train_epoch(stop)
            self._end_epoch()
            self.recording.end_epoch()
        return self._finish(stop)

    def _train_epoch(self, stop: threading.Event) -> None:
        progress, model, batch = self.progress, self.model, self.plan.batch_size
        mark = self.recording.mark
        self.feeds.shuffle(progress.epoch)
        train = self.feeds.train
        for step in range(progress.step, self.steps):
            if stop.is_set():
                self._interrupt()
            start = time.perf_counter()
            number = progress.epoch * self.steps + step
            mark("load")
            read(train, step * batch, model, batch, self.dataset.train.path)
            loss, hits = model.train_batch(batch, number, self.rate.at(number), mark)
            mark("other")
            self.batches += 1
            if not math.isfinite(loss):
                raise self._diverged(f"the loss is no longer a number in step {number}")
            elapsed = time.perf_counter() - start
            progress.loss += loss
            progress.hits += hits
            progress.step += 1
            progress.seconds += elapsed
            progress.batch_seconds.append(elapsed)
            self.observer.batch(loss / batch)

    def _diverged(self, what: str) -> BnntrainError:
        remedy = "Lower it, or use --method efficient"
        return BnntrainError(self.config.source, "train.learning_rate", f"{what}. {remedy}")

    def _interrupt(self) -> None:
        self.save()
        self._stop_recording()
        self.folder.write_summary(self.summary("interrupted"))
        message = "interrupted; a checkpoint is saved. Continue with --resume"
        raise Interrupted(self.folder.path, message)

    def _end_epoch(self) -> None:
        progress = self.progress
        if not self.model.is_finite():  # a loss can stay finite while a channel is lost
            raise self._diverged(f"a channel is no longer a number in epoch {progress.epoch + 1}")
        seen = self.steps * self.plan.batch_size
        row = {
            "epoch": progress.epoch + 1,
            "lr": self.rate.at(progress.epoch * self.steps + self.steps - 1),
            "loss": progress.loss / seen,
            "accuracy": 100.0 * progress.hits / seen,
            "seconds": progress.seconds,
            "images_per_second": seen / progress.seconds,
        }
        accuracy, mark = row["accuracy"], self.recording.mark
        if self.feeds.validation.count:
            mark("evaluate")
            result = evaluate(self.model, self.feeds.validation, self.dataset.train.path)
            row |= {"val_loss": result["loss"], "val_accuracy": result["accuracy"]}
            accuracy = row["val_accuracy"]
            mark("other")
        row["rss_peak_mib"] = self.meter.peak_bytes() / MIB
        row["energy_j"] = self.recording.training_joules()
        self.folder.append_metrics(row)
        known = {name: value for name, value in row.items() if value is not None}
        self.folder.log(" ".join(f"{name}={value:.6g}" for name, value in known.items()))
        self.rate.end_epoch(accuracy)
        better = accuracy > progress.best_accuracy
        progress.best_accuracy = max(accuracy, progress.best_accuracy)
        progress.seconds_total += progress.seconds
        progress.epoch += 1
        progress.step = progress.hits = 0
        progress.loss = progress.seconds = 0.0
        mark("checkpoint")
        if better:
            state = {"epoch": progress.epoch}
            save_checkpoint(self.folder.best, self.model.inference_state(), state)
        self.save()
        mark("other")
        self.observer.epoch(known)

    def _finish(self, stop: threading.Event) -> dict[str, object]:
        """Evaluate the test set with the last and with the best weights, and write the summary."""
        test, path = self.feeds.test, self.dataset.test.path
        self.recording.mark("evaluate")
        last = evaluate(self.model, test, path)
        summary = self.summary("finished")
        summary |= {
            "test_accuracy": last["accuracy"], "test_loss": last["loss"],
            "weights_sha256": self.model.weights_sha256(),
        }
        load_checkpoint(self.folder.best, self.model.inference_state())
        summary["best_test_accuracy"] = evaluate(self.model, test, path)["accuracy"]
        self.recording.mark("other")
        if self.recording.has_idle:
            self.folder.write_summary(summary)  # whatever happens now, the run has finished
            self.recording.idle_after(stop)
        self._stop_recording()
        summary |= self._recorded() | {"rss_peak_bytes": self.meter.peak_bytes()}
        self.folder.write_summary(summary)
        return summary

    def _stop_recording(self) -> None:
        self.sections = self.recording.stop(self.batches, self.plan.batch_size)

    def _recorded(self) -> dict[str, object]:
        """Return the fields of ``run.json`` that the meters fill."""
        per_batch = self.sections["energy"]["j_per_batch"]
        if per_batch is None and not self.batches:  # it has trained nothing itself
            per_batch = self.folder.read_summary().get("energy_j_per_batch")
        epochs = [row["energy_j"] for row in self.folder.read_metrics() if "energy_j" in row]
        self.sections["energy"]["j_per_epoch"] = statistics.fmean(epochs) if epochs else None
        sections = {
            name: self.sections[name] | {"earlier": self.earlier[name]} for name in SECTIONS
        }
        return {"energy_j_per_batch": per_batch} | sections

    def summary(self, status: str) -> dict[str, object]:
        """Return the fields of ``run.json``; figures that are not known yet are None."""
        config, progress = self.config, self.progress
        times = progress.batch_seconds
        former = self.folder.read_summary()
        return {
            "status": status,
            "name": config.name,
            "method": self.method.name,
            "model": config.model.name,
            "dataset": config.data.dataset,
            "batch_size": self.plan.batch_size,
            "epochs": config.train.epochs,
            "epochs_done": progress.epoch,
            "seed": config.train.seed,
            "threads": self.plan.threads,
            "isa": self.isa,
            "versions": versions(),
            "sample_shape": list(self.dataset.shape),
            "classes": self.dataset.classes,
            "data_crc32": {
                "train": self.dataset.train.records_crc, "test": self.dataset.test.records_crc,
            },
            "train_samples": self.feeds.train.count,
            "validation_samples": self.feeds.validation.count,
            "test_samples": self.feeds.test.count,
            "test_accuracy": None,
            "best_test_accuracy": None,
            "test_loss": None,
            "best_val_accuracy": progress.best_accuracy if progress.epoch else None,
            "plan_bytes": self.plan.total_bytes,
            "arena_bytes": self.model.arena.bytes,
            "rss_before_bytes": self.rss_before,
            "rss_peak_bytes": self.meter.peak_bytes(),
            "rss_peak_exact": self.meter.exact,
            # A run resumed after its last epoch has timed no batch itself.
            "seconds_per_batch": (
                statistics.median(times) if times else former.get("seconds_per_batch")
            ),
            "seconds_total": progress.seconds_total + progress.seconds,
            "weights_sha256": None,
        } | self._recorded()

    def close(self) -> None:
        """Close the data files, and the meters where the run did not come to its end."""
        self.recording.close()
        self.feeds.close()


def versions() -> dict[str, str]:
    """Return the versions that results may depend on."""
    import platform

    import numpy as np

    from bnntrain import __version__

    return {"bnntrain": __version__, "python": platform.python_version(), "numpy": np.__version__}
