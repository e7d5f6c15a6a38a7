"""The tables of a page, as data: the page and the CSV files show the same cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bnntrain.meters.phases import PHASES
from bnntrain.page.source import RunRecord
from bnntrain.plan import MIB
from bnntrain.records import METRICS
from bnntrain.steps import ROLES

Cell = str | float | int | None


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes
    ----------
    name : str
        Of its CSV file.
    head : sequence of str
        Names of the columns.
    rows : sequence of sequences
        Words and figures; None where there is no figure.
    left : int
        Columns of words, from the first.
    """

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left: int = 1


def all_sheets(runs: Sequence[RunRecord]) -> list[Sheet]:
    """Return every table that has a row."""
    sheets = [facts(runs), comparison(runs), epochs(runs), variables(runs), phases(runs)]
    return [sheet for sheet in sheets if sheet.rows]


# What ran ---------------------------------------------------------------------------------------


def _count(run: RunRecord, key: str) -> str:
    value = run.figure(key)
    return "" if value is None else f"{value:,.0f}"


def _samples(run: RunRecord) -> str:
    counts = [_count(run, f"{split}_samples") for split in ("train", "validation", "test")]
    if not all(counts):
        return ""
    return "{} training, {} validation, {} test".format(*counts)


def _epochs(run: RunRecord) -> str:
    done, planned = _count(run, "epochs_done"), _count(run, "epochs")
    return done if done == planned else f"{done} of {planned}"


def _versions(run: RunRecord) -> str:
    versions = run.summary.get("versions")
    names = versions if isinstance(versions, dict) else {}
    return ", ".join(f"{name} {version}" for name, version in names.items())


_FACTS: tuple[tuple[str, Callable[[RunRecord], str]], ...] = (
    ("configuration", lambda run: run.text("name")),
    ("method", lambda run: run.text("method")),
    ("model", lambda run: run.text("model")),
    ("data", lambda run: run.text("dataset")),
    ("samples", _samples),
    ("batch size", lambda run: _count(run, "batch_size")),
    ("epochs", _epochs),
    ("seed", lambda run: _count(run, "seed")),
    ("state", lambda run: run.text("status")),
    ("machine", lambda run: run.text("machine") or run.text("board")),
    ("instruction set", lambda run: run.text("isa")),
    ("threads", lambda run: _count(run, "threads")),
    ("versions", _versions),
    ("power meter", lambda run: run.text("energy", "meter")),
    ("weights, SHA-256", lambda run: run.text("weights_sha256")),
    ("folder", lambda run: run.path.resolve().name),
)


def facts(runs: Sequence[RunRecord]) -> Sheet:
    """What ran and where."""
    rows = [[name, *(read(run) for run in runs)] for name, read in _FACTS]
    return Sheet("runs", ["", *(run.label for run in runs)],
                 [row for row in rows if any(row[1:])], 1 + len(runs))  # fmt: skip


# Comparison -------------------------------------------------------------------------------------


def _scaled(*keys: str, scale: float = 1.0) -> Callable[[RunRecord], float | None]:
    def read(run: RunRecord) -> float | None:
        value = run.figure(*keys)
        return None if value is None else value * scale

    return read


def _chosen(key: str) -> Callable[[RunRecord], float | None]:
    """Read a figure that means something only where a validation split chose an epoch."""
    return lambda run: None if run.figure("validation_samples") == 0 else run.figure(key)


def _in_mib(size: float | None) -> float | None:
    return None if size is None else size / MIB


def _speed(run: RunRecord) -> float | None:
    seconds, batch = run.figure("seconds_per_batch"), run.figure("batch_size")
    return batch / seconds if seconds and batch else None


def _printed(run: RunRecord) -> float | None:
    if run.printed is None:
        return None
    # Of the two published methods, the one whose model stands in the row above.
    sizes = {each.name: each.total_bytes for each in run.published}
    is_low = run.counterpart_bytes == sizes.get("low_memory")
    return run.printed.low_memory_mib if is_low else run.printed.standard_mib


def _power(run: RunRecord) -> float | None:
    joules, seconds = run.total("joules"), run.total("seconds")
    return joules / seconds if joules is not None and seconds else None


# Name, unit, whether a ratio says something, reader.
_FIGURES: tuple[tuple[str, str, bool, Callable[[RunRecord], float | None]], ...] = (
    ("test accuracy, last epoch", "%", False, _scaled("test_accuracy")),
    ("test accuracy, best epoch", "%", False, _chosen("best_test_accuracy")),
    ("best validation accuracy", "%", False, _chosen("best_val_accuracy")),
    ("test loss", "", False, _scaled("test_loss")),
    ("time per batch", "ms", True, _scaled("seconds_per_batch", scale=1e3)),
    ("speed", "images/s", True, _speed),
    ("training time", "s", True, _scaled("seconds_total")),
    ("arena, as planned", "MiB", True, _scaled("arena_bytes", scale=1 / MIB)),
    ("growth of resident memory", "MiB", True, lambda run: _in_mib(run.growth_bytes)),
    ("peak of resident memory", "MiB", True, _scaled("rss_peak_bytes", scale=1 / MIB)),
    ("highest sample of memory", "MiB", True,
     _scaled("memory", "sampled_peak_bytes", scale=1 / MIB)),
    ("published, modelled", "MiB", True, lambda run: _in_mib(run.counterpart_bytes)),
    ("published, printed", "MiB", True, _printed),
    ("energy per batch", "J", True, _scaled("energy_j_per_batch")),
    ("energy per epoch", "J", True, _scaled("energy", "j_per_epoch")),
    ("energy per batch, less idle", "J", True, _scaled("energy", "net_j_per_batch")),
    ("energy per image", "mJ", True, _scaled("energy", "j_per_image", scale=1e3)),
    ("energy of the run", "J", True, lambda run: run.total("joules")),
    ("energy less idle", "J", True, lambda run: run.total("net_joules")),
    ("mean power", "W", True, _power),
)
_ALWAYS = {"energy per batch"}


def comparison(runs: Sequence[RunRecord]) -> Sheet:
    """Accuracy, time, memory and energy, a column for each run; the last is first by last."""
    head = ["", "unit", *(run.label for run in runs)]
    if len(runs) > 1:
        head.append(f"{runs[0].label} / {runs[-1].label}")
    rows: list[list[Cell]] = []
    for name, unit, has_ratio, read in _FIGURES:
        values = [read(run) for run in runs]
        if all(value is None for value in values) and name not in _ALWAYS:
            continue
        row: list[Cell] = [name, unit, *values]
        if len(runs) > 1:
            first, last = values[0], values[-1]
            row.append(first / last if has_ratio and first is not None and last else None)
        rows.append(row)
    return Sheet("comparison", head, rows, 2)


# By epoch, by variable, by phase ------------------------------------------------------------------


def epochs(runs: Sequence[RunRecord]) -> Sheet:
    """The rows of every metrics.csv."""
    rows = [
        [run.label, *(row.get(name) for name in METRICS)] for run in runs for row in run.metrics
    ]
    return Sheet("epochs", ["run", *METRICS], rows)


def variables(runs: Sequence[RunRecord]) -> Sheet:
    """Planned memory in MiB by variable, the published methods' first."""
    columns: list[tuple[str, dict[str, float], float | None]] = []
    planned = [run for run in runs if run.roles]
    models = {tuple((p.name, p.total_bytes) for p in run.published): run for run in planned}
    if len(models) == 1:
        for each in next(iter(models.values())).published:
            name = f"published {each.name.replace('_', '-')}"
            columns.append((name, dict(each.roles), each.total_bytes))
    columns += [(run.label, dict(run.roles), run.plan_bytes) for run in planned]
    known = [*ROLES, *sorted({role for _, roles, _ in columns for role in roles} - set(ROLES))]
    rows: list[list[Cell]] = []
    for role in known:
        sizes = [roles.get(role) or None for _, roles, _ in columns]
        if any(sizes):
            rows.append([role, *map(_in_mib, sizes)])
    if rows:
        shared = [(total or 0) - sum(roles.values()) for _, roles, total in columns]
        rows.append(["shared bytes", *(_in_mib(size) or None for size in shared)])
        rows.append(["total", *(_in_mib(total) for _, _, total in columns)])
        growth = [None] * (len(columns) - len(planned)) + [run.growth_bytes for run in planned]
        rows.append(["measured growth", *map(_in_mib, growth)])
    return Sheet("variables", ["MiB", *(name for name, _, _ in columns)], rows)


def phases(runs: Sequence[RunRecord]) -> Sheet:
    """Energy by phase as measured."""
    rows = list(_phase_rows(runs))
    return Sheet("phases", ["run", "phase", "s", "J", "W", "samples"], rows, 2)


def _phase_rows(runs: Sequence[RunRecord]) -> Iterator[list[Cell]]:
    for run in runs:
        found = run.phases
        known = [*PHASES, *sorted(set(found) - set(PHASES))]
        for phase in (name for name in known if name in found):
            seconds, joules, samples = found[phase].values()
            watts = joules / seconds if seconds else None
            yield [run.label, phase.replace("_", " "), seconds, joules, watts, int(samples)]
