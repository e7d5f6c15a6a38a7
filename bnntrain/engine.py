"""The training and evaluation loops. Prints nothing: an `Observer` is told what happens.

Order of events in an epoch: train on every full batch, evaluate the validation split, add the row
to ``metrics.csv``, save ``checkpoint/best.npz`` if it is now the best, and ``last.npz``. The last
checkpoint is what counts: a row without it is dropped on resume and its epoch run again. The test
set is read once, at the end.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
import time

from bnntrain.checkpoints import Checkpoints, Live
from bnntrain.compatibility import naming_the_key
from bnntrain.config import origin_of, record_config
from bnntrain.data.batches import BatchReaders
from bnntrain.data.catalog import open_dataset
from bnntrain.data.preprocessing import PictureOptions, Preprocessing
from bnntrain.errors import BnntrainError, Interrupted, WorkerError
from bnntrain.evaluation import Evaluator, make_program, read
from bnntrain.isa import selected_isa
from bnntrain.meters import PeakMeter, rss_bytes
from bnntrain.meters.recording import SECTIONS, Recording, earlier_sections
from bnntrain.plan import MIB
from bnntrain.preparation import Prepared
from bnntrain.records import Progress, RunFolder, load_checkpoint
from bnntrain.schedule import LearningRate


class Observer:
    """What a caller may watch; every method does nothing unless overridden."""

    def start(self, epochs: int, steps: int, batch_size: int, epoch: int, step: int) -> None:
        """Training begins, or goes on, at `step` of `epoch` (both from 0)."""

    def converting(self, name: str, split: str, done: int, count: int) -> None:
        """Of a data set's split, `done` of `count` records are converted; before the training."""

    def batch(self, loss: float) -> None:
        """A batch was trained on; `loss` is its mean."""

    def epoch(self, row: dict[str, float]) -> None:
        """An epoch ended; `row` has the columns of metrics.csv."""

    def warning(self, line: str) -> None:
        """Something will be missing from the records; the training goes on."""

    def note(self, line: str) -> None:
        """Something is worth knowing before the training begins."""


class Trainer:
    """One run: a model, its data and its folder.

    Parameters
    ----------
    prepared : Prepared
        Configuration, steps and plan.
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
        self, prepared: Prepared, folder: RunFolder, observer: Observer
    ) -> None:
        config, plan = prepared.config, prepared.plan
        self.config, self.method, self.plan = config, prepared.method, plan
        self.folder, self.observer = folder, observer
        self.isa = selected_isa()
        with naming_the_key(config):
            self.dataset = open_dataset(
                config.data.dataset, PictureOptions.of(config.data), observer.converting
            )
        self.decoding = prepared.decoding
        self.readers = BatchReaders(
            self.dataset, config.data.validation_fraction, config.train.seed, config.data.augment,
            self.decoding,
        )  # fmt: skip
        self.steps = self.readers.train.count // plan.batch_size
        self.rate = LearningRate(
            config.train.learning_rate, config.train.schedule, config.train.epochs, self.steps
        )
        self.progress = Progress()
        self.recording = Recording(config.meters, folder.path, observer.warning)
        self.batches, self.seconds = 0, 0.0  # that this process has trained on, and for how long
        self.sections = self.recording.sections()
        self.earlier = earlier_sections({})
        self.meter = PeakMeter()
        self.rss_before = rss_bytes()
        try:
            self.program = make_program(prepared, self.isa)
            self.evaluate = Evaluator(prepared, self.program, self.isa)
        except BaseException:
            self.close()
            raise
        self.checkpoints = Checkpoints(
            config, self.dataset.train.records_crc, folder, observer.warning, observer.note
        )
        self.live = Live(
            self.program, self.rate, self.progress, self.readers.validation.count, self._validate
        )

    def restore(self) -> None:
        """Continue from a checkpoint; without one, from the start (see `Checkpoints.restore`)."""
        self.recording.folder = self.folder.path  # of a new run it is known only now
        self.checkpoints.restore(self.live)

    # Loops --------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> dict[str, object]:
        """Train to the last epoch and return the summary.

        Raises
        ------
        Interrupted
            `stop` was set; a checkpoint was saved.
        """
        try:
            return self._run(stop)
        except Interrupted:
            raise
        except WorkerError as error:
            raise self._without_worker(error) from None
        except BnntrainError:
            self._record_failure()
            raise

    def _record_failure(self) -> None:
        with contextlib.suppress(BnntrainError):  # e.g. the disk is still full
            self.folder.write_summary(self.summary("failed"))

    def _run(self, stop: threading.Event) -> dict[str, object]:
        progress = self.progress
        recorded = self.folder.read_summary()
        if recorded.get("status") == "finished" and progress.epoch >= self.config.train.epochs:
            return self._as_recorded(recorded)
        progress.start_clock()
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

    def _as_recorded(self, recorded: dict[str, object]) -> dict[str, object]:
        """Return the summary of a run that has finished, with the figures of who trained it."""
        if self.checkpoints.has_chosen_anew:  # the last epoch: none is left to come
            accuracy = {"best_test_accuracy": recorded["test_accuracy"]}
            recorded = recorded | self._best_fields() | accuracy
            self.folder.write_summary(recorded)
        return recorded

    def _train_epoch(self, stop: threading.Event) -> None:
        progress, program, batch = self.progress, self.program, self.plan.batch_size
        begin_phase, trace = self.recording.begin_phase, self.recording.trace
        self.readers.shuffle(progress.epoch)
        train = self.readers.train
        for step in range(progress.step, self.steps):
            if stop.is_set():
                self._interrupt()
            start = time.perf_counter()
            number = progress.epoch * self.steps + step
            begin_phase("load")
            read(train, step * batch, program, batch, self.dataset.train.path)
            loss, correct = program.train_batch(batch, number, self.rate.at(number), trace)
            begin_phase("other")
            self.batches += 1
            if not math.isfinite(loss):
                raise self._diverged(f"the loss is no longer a number in step {number}")
            elapsed = time.perf_counter() - start
            progress.loss += loss
            progress.correct += correct
            progress.step += 1
            progress.seconds += elapsed
            self.seconds += elapsed
            progress.batch_seconds.append(elapsed)
            self.observer.batch(loss / batch)

    def _without_worker(self, error: WorkerError) -> WorkerError:
        """Save what has been learnt: the weights do not depend on who decodes."""
        if self.progress.epoch < self.config.train.epochs:  # else that has been done
            self.checkpoints.save(self.live)
        self._record_failure()
        remedy = f"Continue with 'bnntrain fit --resume {self.folder.path}'"
        return WorkerError(*error.args[:-1], f"{error.args[-1]}. A checkpoint is saved. {remedy}")

    def _diverged(self, what: str) -> BnntrainError:
        remedy = "Lower it, or use --method efficient"
        key = "train.learning_rate"
        return BnntrainError(origin_of(self.config, key), key, f"{what}. {remedy}")

    def _interrupt(self) -> None:
        self.checkpoints.save(self.live)
        self._stop_recording()
        self.folder.write_summary(self.summary("interrupted"))
        remedy = f"Continue with 'bnntrain fit --resume {self.folder.path}'"
        raise Interrupted(self.folder.path, f"a checkpoint is saved. {remedy}")

    def _validate(self) -> int:
        """Return how many samples of the validation split are classified correctly."""
        return self._validation()["correct"] if self.readers.validation.count else 0

    def _validation(self) -> dict[str, float]:
        return self.evaluate(self.readers.validation, self.dataset.train.path)

    def _end_epoch(self) -> None:
        progress = self.progress
        if not self.program.is_finite():  # a loss can stay finite while a channel is lost
            raise self._diverged(f"a channel is no longer a number in epoch {progress.epoch + 1}")
        seen = self.steps * self.plan.batch_size
        row = {
            "epoch": progress.epoch + 1,
            "lr": self.rate.at(progress.epoch * self.steps + self.steps - 1),
            "loss": progress.loss / seen,
            "accuracy": 100.0 * progress.correct / seen,
            "seconds": progress.seconds,
            "images_per_second": seen / progress.seconds,
        }
        accuracy, correct = row["accuracy"], 0
        begin_phase = self.recording.begin_phase
        if self.readers.validation.count:
            begin_phase("evaluate")
            result = self._validation()
            row |= {"val_loss": result["loss"], "val_accuracy": result["accuracy"]}
            accuracy, correct = result["accuracy"], result["correct"]
            begin_phase("other")
        row["rss_peak_mib"] = self.meter.peak_bytes() / MIB
        row["energy_j"] = self.recording.training_joules()
        self.folder.append_metrics(row)
        known = {name: value for name, value in row.items() if value is not None}
        self.folder.log(" ".join(f"{name}={value:.6g}" for name, value in known.items()))
        self.rate.end_epoch(accuracy)
        progress.seconds_total += progress.seconds
        progress.epoch += 1
        progress.step = progress.correct = 0
        progress.loss = progress.seconds = 0.0
        begin_phase("checkpoint")
        self.checkpoints.offer_best(self.live, correct)
        self.checkpoints.save(self.live)
        begin_phase("other")
        self.observer.epoch(known)

    def _finish(self, stop: threading.Event) -> dict[str, object]:
        """Evaluate the test set with the last and with the best weights, and write the summary."""
        test, path = self.readers.test, self.dataset.test.path
        self.recording.begin_phase("evaluate")
        last = self.evaluate(test, path)
        summary = self.summary("finished")
        summary |= {
            "test_accuracy": last["accuracy"], "test_loss": last["loss"],
            "weights_sha256": self.program.weights_sha256(),
        }
        best = last
        if self.progress.best.epoch != self.progress.epoch:
            load_checkpoint(self.folder.best, self.program.inference_state())
            best = self.evaluate(test, path)
        summary["best_test_accuracy"] = best["accuracy"]
        self.recording.begin_phase("other")
        if self.recording.has_idle:
            self.folder.write_summary(summary)  # whatever happens now, the run has finished
            self.recording.idle_after(stop)
        self._stop_recording()
        summary |= self._recorded() | {
            "rss_peak_bytes": self.meter.peak_bytes(), "seconds_wall": self.progress.wall,
        }  # fmt: skip
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
            "preprocessing": Preprocessing(self.dataset.shape, config.data.resize).to_json(),
            "classes": self.dataset.classes,
            "data_crc32": {
                "train": self.dataset.train.records_crc, "test": self.dataset.test.records_crc,
            },
            "train_samples": self.readers.train.count,
            "validation_samples": self.readers.validation.count,
            "test_samples": self.readers.test.count,
            "test_accuracy": None,
            "best_test_accuracy": None,
            "test_loss": None,
            "plan_bytes": self.plan.total_bytes,
            "arena_bytes": self.program.arena.bytes,
            "rss_before_bytes": self.rss_before,
            "rss_peak_bytes": self.meter.peak_bytes(),
            "rss_peak_exact": self.meter.exact,
            # A run resumed after its last epoch has timed no batch itself.
            "seconds_per_batch": (
                statistics.median(times) if times else former.get("seconds_per_batch")
            ),
            "seconds_per_batch_mean": (
                self.seconds / self.batches if times else former.get("seconds_per_batch_mean")
            ),
            "seconds_total": progress.seconds_total + progress.seconds,
            "seconds_wall": progress.wall,
            "decoding": self._decoded(),
            "weights_sha256": None,
            "extended": self.checkpoints.extended,
            "config": record_config(config),
        } | self._best_fields() | self._recorded()

    def _decoded(self) -> dict[str, object] | None:
        """Return what ``run.json`` says of pictures that this process has had decoded."""
        if self.decoding is None:
            return None
        waited = self.readers.waited
        return self.decoding.to_json() | {
            "workers": self.readers.workers, "waiting_seconds": waited,
            "waiting_share": waited / self.seconds if self.seconds else None,
        }  # fmt: skip

    def _best_fields(self) -> dict[str, object]:
        """Return what ``run.json`` says of the choice of the best epoch."""
        progress, count = self.progress, self.readers.validation.count
        best, is_known = progress.best, bool(progress.epoch and count)
        return {
            "best_val_accuracy": progress.best_accuracy if is_known else None,
            "best_epoch": best.epoch or None,
            "best_epoch_val_accuracy": (
                100.0 * best.correct / count if best.epoch and count else None
            ),
        }

    def close(self) -> None:
        """Close the data files, and the meters where the run did not come to its end."""
        self.recording.close()
        self.readers.close()


def versions() -> dict[str, str]:
    """Return the versions that results may depend on."""
    import platform

    import numpy as np

    from bnntrain import __version__

    return {"bnntrain": __version__, "python": platform.python_version(), "numpy": np.__version__}
