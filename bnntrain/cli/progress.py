"""What a person sees of a running `fit`: a bar on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import os
import sys
import time

import click

from bnntrain import board
from bnntrain.cli.output import warning_line
from bnntrain.engine import Observer

_WIDTH = 80
_SECONDS_BETWEEN = 5.0


class Quiet(Observer):
    """Nothing but what is amiss, on standard error."""

    def warning(self, line: str) -> None:
        """Say what will be missing."""
        self.write(f"{click.style('Warning', fg='yellow')}: {line}")

    def write(self, line: str) -> None:
        """Print a line."""
        click.echo(line, err=True, color=False if os.environ.get("NO_COLOR") else None)


class Lines(Quiet):
    """One line per epoch on standard error."""

    def __init__(self) -> None:
        self.epochs = 0
        self._converting: tuple[str, str] | None = None
        self._told = 0.0

    def converting(self, name: str, split: str, done: int, count: int) -> None:
        """Say now and then how far a long conversion is."""
        now = time.monotonic()
        if self._converting != (name, split):
            self._converting, self._told = (name, split), now
        if now - self._told >= _SECONDS_BETWEEN:
            self._told = now
            self.write(f"converting {name}, {split} part: {done:,} of {count:,} images")

    def start(self, epochs: int, steps: int, batch_size: int, epoch: int, step: int) -> None:
        """Say what will be done."""
        self.epochs = epochs
        narrow = board.word_size_warning()
        if narrow:
            click.echo(warning_line(narrow), err=True)
        if epoch or step:
            click.echo(
                f"resuming in epoch {epoch + 1} of {epochs}, batch {step + 1} of {steps}", err=True
            )

    def note(self, line: str) -> None:
        """Print it."""
        self.write(line)

    def epoch(self, row: dict[str, float]) -> None:
        """Print an epoch's figures."""
        self.write(epoch_line(row, self.epochs))


class Bar(Lines):
    """A progress bar with epoch, loss, images/s and the time left, on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        # A run in the background does not need its memory; one on a terminal takes it before the
        # arena is made, so that the run's own growth is what is measured.
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no thread that watches for bars that stand still
        self._new_bar = tqdm

    def converting(self, name: str, split: str, done: int, count: int) -> None:
        """Move a bar for each part."""
        if self._converting != (name, split):
            self._converting = (name, split)
            self._open(f"{name}, {split}", count, 0)
        self.bar.update(done - self.bar.n)
        if done == count:
            self.close()

    def start(self, epochs: int, steps: int, batch_size: int, epoch: int, step: int) -> None:
        """Open the bar."""
        super().start(epochs, steps, batch_size, epoch, step)
        self.batch_size, self.steps = batch_size, steps
        self.epochs_done, self.step, self.loss = epoch, step, 0.0
        done = (epoch * steps + step) * batch_size
        self._open(self._words(), epochs * steps * batch_size, done)

    def _open(self, title: str | None, total: int, done: int) -> None:
        self.bar = self._new_bar(
            desc=title,
            total=total,
            initial=done,
            unit=" images",
            unit_scale=True,
            dynamic_ncols=True,
            file=sys.stderr,
            leave=False,
            mininterval=0.2,
        )

    def batch(self, loss: float) -> None:
        """Move the bar."""
        # A mean of some twenty batches: the loss of a single one jumps.
        self.loss = loss if not self.loss else self.loss + (loss - self.loss) / 20
        self.step += 1
        if self.bar.update(self.batch_size):  # it was drawn: these are the words for the next time
            self.bar.set_description_str(self._words(), refresh=False)

    def epoch(self, row: dict[str, float]) -> None:
        """Print an epoch's figures above the bar."""
        self.epochs_done, self.step = self.epochs_done + 1, 0
        super().epoch(row)

    def _words(self) -> str:
        epoch = min(self.epochs_done + 1, self.epochs)
        loss = f", loss {self.loss:.4f}" if self.loss else ""
        return f"epoch {epoch}/{self.epochs}{loss}: "

    def write(self, line: str) -> None:
        """Print a line above the bar."""
        if hasattr(self, "bar"):
            self.bar.write(line, file=sys.stderr)
        else:
            super().write(line)

    def close(self) -> None:
        """Take the bar away."""
        if hasattr(self, "bar"):
            self.bar.close()
            del self.bar


def epoch_line(row: dict[str, float], epochs: int) -> str:
    """One epoch in words."""
    parts = [
        f"epoch {int(row['epoch']):>{len(str(epochs))}}/{epochs}",
        f"loss {row['loss']:.4f}",
        f"accuracy {row['accuracy']:.2f} %",
    ]
    if "val_accuracy" in row:
        parts.append(f"val {row['val_accuracy']:.2f} %")
    parts += [f"{row['seconds']:.1f} s", f"{row['images_per_second']:,.0f} img/s"]
    # metrics.csv has them all.
    while len("  ".join(parts)) > _WIDTH:
        parts.pop()
    return "  ".join(parts)
