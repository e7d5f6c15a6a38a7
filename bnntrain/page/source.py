"""Finding and reading the runs that a report is about."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnntrain.accounting import Measured, Printed
from bnntrain.errors import BnntrainError, RunError, UsageError
from bnntrain.footprint import Footprint, footprints, measured, printed, published_counterpart
from bnntrain.method import METHODS
from bnntrain.page.traces import Trace, read_memory, read_power
from bnntrain.plan import ALIGNMENT, MIB
from bnntrain.preparation import prepare_run
from bnntrain.records import RunFolder

_SUMS = ("seconds", "joules", "samples")


@dataclass(frozen=True)
class RunRecord:
    """What a run folder holds.

    Attributes
    ----------
    path : Path
        The folder.
    label : str
        What this run is called beside the others.
    summary : dict
        ``run.json``; empty where the run never got that far.
    metrics : list of dict
        Rows of ``metrics.csv``.
    roles : dict of str to int
        Planned bytes by variable, as if nothing were shared.
    plan_bytes : int or None
        What the plan takes.
    memory, power : Trace or None
        Resident memory in MiB and power in watts over time, where they were recorded.
    published : tuple of Footprint
        The published methods' memory for this network and batch.
    counterpart_bytes : int or None
        That of the published method that corresponds to this run's.
    printed : Printed or None
        What the published table prints for this network.
    measured : Measured or None
        What was measured of this network and batch by the publication's authors.
    trouble : str
        Why the published figures are missing; empty where they are not.
    """

    path: Path
    label: str
    summary: Mapping[str, object]
    metrics: Sequence[Mapping[str, float]]
    roles: Mapping[str, int]
    plan_bytes: int | None
    memory: Trace | None
    power: Trace | None
    published: tuple[Footprint, ...] = ()
    counterpart_bytes: int | None = None
    printed: Printed | None = None
    measured: Measured | None = None
    trouble: str = ""

    def figure(self, *keys: str) -> float | None:
        """Return a number of run.json, within sections; None if there is none.

        A meter that was unavailable has no figures, whatever stands in its section.
        """
        section = self.summary.get(keys[0])
        if isinstance(section, Mapping) and section.get("available") is False:
            return None
        return _number(self.summary, keys)

    def text(self, *keys: str) -> str:
        """Return a word of run.json, within sections; empty if there is none."""
        value: object = self.summary
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) else ""

    def section(self, name: str) -> Mapping[str, object]:
        """Return a section of run.json; empty if there is none."""
        found = self.summary.get(name)
        return found if isinstance(found, Mapping) else {}

    def warnings(self, section: str) -> list[str]:
        """Return what a meter warns of."""
        found = self.section(section).get("warnings")
        return [str(text) for text in found] if isinstance(found, list) else []

    @property
    def growth_bytes(self) -> float | None:
        """Resident memory at its peak less that before training."""
        before, peak = self.figure("rss_before_bytes"), self.figure("rss_peak_bytes")
        return None if before is None or peak is None else peak - before

    @property
    def planned_rss_mib(self) -> float | None:
        """Resident memory before training and the plan: what the run should not exceed."""
        before = self.figure("rss_before_bytes")
        return None if before is None or not self.plan_bytes else (before + self.plan_bytes) / MIB

    @property
    def measured_parts(self) -> list[Mapping[str, object]]:
        """The energy sections of the processes that trained one after another and were measured."""
        last = self.summary.get("energy")
        if not isinstance(last, Mapping):
            return []
        earlier = last.get("earlier")
        parts = [*(earlier if isinstance(earlier, list) else []), last]
        return [each for each in parts if isinstance(each, Mapping) and each.get("available")]

    def total(self, key: str) -> float | None:
        """Return an energy figure of all parts together; None where one of them has none."""
        values = [_number(part, (key,)) for part in self.measured_parts]
        return None if not values or None in values else math.fsum(values)

    @property
    def phases(self) -> dict[str, dict[str, float]]:
        """Seconds, joules and samples by phase, of all parts; empty without a meter's figures."""
        found: dict[str, dict[str, float]] = {}
        for part in self.measured_parts:
            phases = part.get("phases")
            for name in phases if isinstance(phases, Mapping) else ():
                sums = found.setdefault(name, dict.fromkeys(_SUMS, 0.0))
                for key in _SUMS:
                    sums[key] += _number(phases, (name, key)) or 0.0
        return found


def _number(record: object, keys: Sequence[str]) -> float | None:
    """Return a number within mappings; None if there is none."""
    for key in keys:
        record = record.get(key) if isinstance(record, Mapping) else None
    is_number = isinstance(record, int | float) and not isinstance(record, bool)
    return float(record) if is_number and math.isfinite(record) else None


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the run folders that are meant: those given, and those within a comparison's folder.

    Raises
    ------
    RunError
        Neither a run nor a folder of runs.
    UsageError
        A run is named twice.
    """
    found = [run for path in paths for run in _runs_of(Path(path))]
    seen: set[Path] = set()
    for run in found:
        if run.resolve() in seen:
            raise UsageError(f"{run} is named twice. Name each run once")
        seen.add(run.resolve())
    return found


def _runs_of(path: Path) -> list[Path]:
    try:
        if not path.is_dir() or (path / "config.yaml").is_file():
            return [RunFolder.open(path).path]
        inside = sorted(entry for entry in path.iterdir() if (entry / "config.yaml").is_file())
    except OSError as error:
        raise RunError(path, f"cannot be looked into ({error.strerror or error})") from None
    if not inside:
        message = "neither a run (no config.yaml) nor a folder of runs. Give what 'bnntrain fit' or"
        raise RunError(path, f"{message} 'bnntrain compare' made")
    # As `compare` trains them: those of the method table first.
    order = {name: place for place, name in enumerate(METHODS)}
    return sorted(inside, key=lambda run: order.get(run.name, len(order)))


def read_runs(paths: Sequence[Path]) -> list[RunRecord]:
    """Read all that a report needs of run folders.

    Parameters
    ----------
    paths : sequence of Path
        Run folders, or folders of runs.

    Raises
    ------
    RunError
        A folder is none, or a file in it is damaged.
    UsageError
        A run is named twice.
    """
    folders = find_runs(paths)
    summaries = [RunFolder.open(folder).read_summary() for folder in folders]
    labels = _labels(folders, summaries)
    return [
        _read(folder, label, summary)
        for folder, label, summary in zip(folders, labels, summaries, strict=True)
    ]


def _labels(folders: Sequence[Path], summaries: Sequence[Mapping[str, object]]) -> list[str]:
    """Name each run by the shortest thing that tells it from the others."""
    pairs = list(zip(folders, summaries, strict=True))
    choices: list[Callable[[Path, Mapping[str, object]], str]] = [
        lambda folder, run: str(run.get("method") or ""),
        lambda folder, run: f"{run.get('name')} {run.get('method')}",
        lambda folder, run: folder.resolve().name,
        lambda folder, run: str(folder),
    ]
    if len({run.get("name") for run in summaries}) > 1:
        del choices[0]
    if not all(run.get("method") for run in summaries):
        choices = choices[-2:]
    for choose in choices:
        labels = [choose(folder, run) for folder, run in pairs]
        if len(set(labels)) == len(labels) and all(labels):
            return labels
    return [str(folder) for folder in folders]


def _read(path: Path, label: str, summary: Mapping[str, object]) -> RunRecord:
    roles, total = _plan(path / "plan.json")
    published, counterpart, row, theirs, trouble = (), None, None, None, ""
    try:
        prepared = prepare_run(path)
        published = tuple(each for each in footprints(prepared) if each.source == "published")
        counterpart, row = published_counterpart(prepared), printed(prepared)
        theirs = measured(prepared)
    except BnntrainError as error:
        trouble = str(error)
    return RunRecord(
        path, label, summary, RunFolder.open(path).read_metrics(), roles, total,
        read_memory(path / "memory.dat"), read_power(path / "power.csv"),
        published, counterpart, row, theirs, trouble,
    )


def _plan(path: Path) -> tuple[dict[str, int], int | None]:
    """Return planned bytes by variable and in all; nothing where there is no plan.json."""
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        roles: dict[str, int] = {}
        for buffer in plan["buffers"]:
            role, size = str(buffer["role"]), int(buffer["bytes"])
            roles[role] = roles.get(role, 0) + -(-size // ALIGNMENT) * ALIGNMENT
        return roles, int(plan["total_bytes"])
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError, RecursionError) as error:
        message = f"cannot be read ({error})"
    except (KeyError, TypeError, OverflowError):
        message = "is not a memory plan"
    remedy = "Move it away to report without it"
    raise RunError(path, f"{message}. {remedy}")
