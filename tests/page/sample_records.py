"""Runs that never ran: folders as `fit` and the meters write them, with figures made up."""

from __future__ import annotations

import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

from bnntrain import api
from bnntrain.config import dump_config
from bnntrain.records import METRICS

START = 1_700_000_000.0
MIB = 1 << 20
IDLE_W, LIGHT_W, BUSY_W = 2.1, 3.4, 5.4
# Share of a training step.
STEP = (("load", 0.05), ("forward", 0.25), ("backward", 0.5), ("update", 0.2))


def timeline(epochs: int, step_s: float, steps: int) -> list[tuple[str, float, float]]:
    """Return phase, start and end of a run: load, epochs of steps, evaluation and checkpoint."""
    spans, now = [("load", 0.0, 0.4)], 0.4
    for _ in range(epochs):
        for _ in range(steps):
            for name, share in STEP:
                spans.append((name, now, now + share * step_s))
                now += share * step_s
        for name, seconds in (("evaluate", 0.3), ("checkpoint", 0.1)):
            spans.append((name, now, now + seconds))
            now += seconds
    return spans


def epochs_of(spans: list[tuple[str, float, float]]) -> list[tuple[float, float]]:
    """Return start and end of each epoch: it ends with its checkpoint."""
    found, start = [], spans[0][2]
    for name, _, end in spans:
        if name == "checkpoint":
            found.append((start, end))
            start = end
    return found


def memory_text(
    spans: list[tuple[str, float, float]], before_mib: float, growth_mib: float,
    interval_s: float = 0.1, seed: int = 0,
) -> str:
    """Write memory.dat: what was there before, the arena, and a little noise."""
    draw, end = random.Random(seed), spans[-1][2]
    lines = ["CMDLINE bnntrain fit digits"]
    for index in range(int(end / interval_s) + 1):
        at = index * interval_s
        share = (0.6 if at < spans[0][2] else 0.97) + draw.uniform(0, 0.03)
        grown = growth_mib * share
        lines.append(f"MEM {before_mib + grown:.6f} {START + at:.4f}")
    brackets = [("epoch", *span) for span in epochs_of(spans)] + spans
    for name, start, stop in brackets:
        low, high = before_mib, before_mib + growth_mib
        lines.append(f"FUNC {name} {low:.4f} {START + start:.4f} {high:.4f} {START + stop:.4f}")
    return "\n".join(lines) + "\n"


def _level(phase: str) -> float:
    if phase.startswith("idle"):
        return IDLE_W
    return LIGHT_W if phase == "checkpoint" else BUSY_W


def power_text(
    spans: list[tuple[str, float, float]], interval_s: float = 0.05, idle_s: float = 3.0,
    seed: int = 0,
) -> str:
    """Write power.csv: idle before, the phases, idle after."""
    draw, end = random.Random(seed), spans[-1][2]
    whole = [("idle_before", 0.0, idle_s)]
    whole += [(name, start + idle_s, stop + idle_s) for name, start, stop in spans]
    whole.append(("idle_after", end + idle_s, end + 2 * idle_s))
    lines = ["# INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm",
             "# started 2026-01-02T03:04:05+00:00", "t,watts,volts,amps,phase"]
    place = 0
    for index in range(int(whole[-1][2] / interval_s)):
        at = (index + draw.uniform(0.0, 0.5)) * interval_s
        while whole[place][2] <= at:
            place += 1
        phase = whole[place][0]
        watts = _level(phase) + draw.gauss(0, 0.12)
        lines.append(f"{at:.6f},{watts:.4f},5.1000,{watts / 5.1:.4f},{phase}")
    return "\n".join(lines) + "\n"


def energy_json(spans: list[tuple[str, float, float]], idle_s: float = 3.0) -> dict[str, object]:
    """Return the section ``energy`` of run.json."""
    phases: dict[str, dict[str, float]] = {
        name: {"seconds": idle_s, "joules": IDLE_W * idle_s, "samples": int(idle_s * 20)}
        for name in ("idle_before", "idle_after")
    }
    for name, start, stop in spans:
        watts = _level(name)
        known = phases.setdefault(name, {"seconds": 0.0, "joules": 0.0, "samples": 0})
        known["seconds"] += stop - start
        known["joules"] += watts * (stop - start)
        known["samples"] = int(known["seconds"] * 20)
    seconds = sum(v["seconds"] for k, v in phases.items() if "idle" not in k)
    joules = sum(v["joules"] for k, v in phases.items() if "idle" not in k)
    return {
        "available": True, "reason": None, "kind": "ina219", "interval_s": 0.05,
        "meter": "INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm",
        "samples": int((seconds + 2 * idle_s) * 20), "lost_samples": 0, "over_range": 0,
        "resets": 0,
        "warnings": [], "seconds": seconds, "joules": joules, "phases": phases,
        "idle_watts_before": IDLE_W, "idle_watts_after": IDLE_W + 0.02, "drift_watts": 0.02,
        "net_joules": joules - IDLE_W * seconds, "j_per_batch": joules / 500,
        "j_per_epoch": joules / 20, "j_per_image": joules / 25_000,
    }  # fmt: skip


def add_records(
    folder: Path, step_s: float = 0.05, steps: int = 25, epochs: int | None = None
) -> None:
    """Put memory.dat, power.csv and their figures into a run folder."""
    path = folder / "run.json"
    summary = json.loads(path.read_text())
    spans = timeline(epochs or summary["epochs_done"], step_s, steps)
    before, peak = summary["rss_before_bytes"] / MIB, summary["rss_peak_bytes"] / MIB
    (folder / "memory.dat").write_text(memory_text(spans, before, peak - before))
    (folder / "power.csv").write_text(power_text(spans))
    energy = energy_json(spans)
    summary |= {"energy": energy, "energy_j_per_batch": energy["j_per_batch"]}
    path.write_text(json.dumps(summary, indent=2) + "\n")


def make_run(
    folder: Path, epochs: int = 3, method: str = "efficient", /, **changes: object
) -> Path:
    """Make a run folder of digits that finished; `changes` replace fields of run.json."""
    prepared = api.prepare("digits", {"method": method, "train.threads": 1})
    plan = prepared.plan
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_config(prepared.config))
    record = {"batch_size": plan.batch_size, "method": method, "total_bytes": plan.total_bytes,
              "buffers": plan.to_json()}  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(record))
    summary = {
        "status": "finished", "name": "digits", "method": method, "model": "digits_mlp",
        "dataset": "digits", "batch_size": plan.batch_size, "epochs": epochs,
        "epochs_done": epochs, "seed": 0, "threads": 1, "isa": "neon",
        "versions": {"bnntrain": "0.1.0"}, "test_accuracy": 97.5, "best_test_accuracy": 97.25,
        "test_loss": 0.31, "best_val_accuracy": 97.0, "plan_bytes": plan.total_bytes,
        "arena_bytes": plan.total_bytes, "rss_before_bytes": 39 * MIB, "rss_peak_bytes": 40 * MIB,
        "rss_peak_exact": True, "seconds_per_batch": 0.002, "seconds_total": 5.0,
        "energy_j_per_batch": None, "weights_sha256": "0" * 64,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(summary | changes))
    write_metrics(folder, [
        {"epoch": n, "lr": 1e-3, "loss": 1 / n, "accuracy": 98 - 20 / n, "val_loss": 1.1 / n,
         "val_accuracy": 97 - 20 / n, "seconds": 0.1, "images_per_second": 9e3,
         "rss_peak_mib": 40.0}
        for n in range(1, epochs + 1)
    ])  # fmt: skip
    return folder


def write_metrics(folder: Path, rows: list[dict[str, float]]) -> None:
    """Write metrics.csv."""
    lines = [",".join(str(row.get(name, "")) for name in METRICS) for row in rows]
    (folder / "metrics.csv").write_text("\n".join([",".join(METRICS), *lines]) + "\n")


class _Reader(HTMLParser):
    """Checks that every element is closed in order, and gathers what a user reads."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        assert tag not in ("script", "link", "img", "iframe", "object", "embed")
        self.links += [value for name, value in attrs if name in ("href", "src", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def read_page(page: bytes) -> str:
    """Check that a page is whole, well-formed and on its own; return its text."""
    text = page.decode("utf-8")
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    assert reader.links == []
    assert not re.search(r"https?:|//|@import|javascript:", text.replace("</", "<"))
    assert set(re.findall(r"url\((.*?)\)", text)) <= {f"#{name}" for name in _ids(text)}
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert text.count("<svg") == len(drawings)
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    assert len(_ids(text)) == len(set(_ids(text)))
    assert "nan" not in re.sub(r">[^<]*<", "><", text).lower().replace("aria-label", "")
    return " ".join(" ".join(reader.words).split())


def _ids(text: str) -> list[str]:
    return re.findall(r'\bid="([^"]*)"', text)
