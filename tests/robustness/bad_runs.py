"""Damaged run folders, met by --resume, evaluate and predict."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from robustness_kit import TINY, Case, Place

RESUME = ("fit", "tiny.yaml", "--run-dir", "run", "--resume")
EVALUATE = ("evaluate", "run")
PREDICT = ("predict", "run", "image.npy")
PREDICT_BEST = (*PREDICT, "--checkpoint", "best")
DAMAGED = ("damaged checkpoint", "a copy")
OTHER = ("belongs to another model", "Start a new run")

Damage = Callable[[Path], object]


def bent(name: str, damage: Damage, arguments: tuple[str, ...], *says: str) -> Case:
    """A finished run of ``tiny.yaml`` that something has happened to."""
    def prepare(place: Place) -> None:
        place.write("other.yaml", TINY.replace("dense: 16", "dense: 24"))
        np.save(place.work / "image.npy", np.zeros((8, 8), np.uint8))
        damage(place.work / "run")

    return Case(name, arguments, says, prepare)


def edit(file: str, old: str, new: str) -> Damage:
    """Exchange a part of a text file."""
    def damage(run: Path) -> None:
        text = (run / file).read_text()
        assert old in text
        (run / file).write_text(text.replace(old, new, 1))

    return damage


def put(file: str, content: str | bytes) -> Damage:
    """Give a file other content."""
    data = content if isinstance(content, bytes) else content.encode()
    return lambda run: (run / file).write_bytes(data)


def drop(*files: str) -> Damage:
    """Remove files."""
    return lambda run: [(run / file).unlink() for file in files]


def cut(file: str, share: float) -> Damage:
    """Keep the first part of a file."""
    def damage(run: Path) -> None:
        content = (run / file).read_bytes()
        (run / file).write_bytes(content[: int(len(content) * share)])

    return damage


def flip(file: str, share: float) -> Damage:
    """Invert one bit in the middle of a file."""
    def damage(run: Path) -> None:
        content = bytearray((run / file).read_bytes())
        content[int(len(content) * share)] ^= 0x10
        (run / file).write_bytes(content)

    return damage


def folder_instead(file: str) -> Damage:
    """Put a folder where a file should be."""
    def damage(run: Path) -> None:
        (run / file).unlink()
        (run / file).mkdir()

    return damage


def members(file: str, change: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    """Write a sound checkpoint again with other members."""
    def damage(run: Path) -> None:
        with np.load(run / file) as archive:
            arrays = dict(archive)
        change(arrays)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        (run / file).write_bytes(buffer.getvalue())

    return damage


def state(change: Callable[[dict], object]) -> Callable[[dict[str, np.ndarray]], None]:
    """Change the JSON state of a checkpoint."""
    def damage(arrays: dict[str, np.ndarray]) -> None:
        value = json.loads(arrays["state"].tobytes())
        change(value)
        arrays["state"] = np.frombuffer(json.dumps(value).encode(), np.uint8)

    return damage


def compressed(file: str) -> Damage:
    """Compress the members, as other programs that pack a zip file do."""
    def damage(run: Path) -> None:
        with zipfile.ZipFile(run / file) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(run / file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in found.items():
                archive.writestr(name, content)

    return damage


def swap(one: str, other: str) -> Damage:
    """Copy one file over another."""
    return lambda run: (run / other).write_bytes((run / one).read_bytes())


def alone(damage: Damage) -> Damage:
    """Do it where there is no checkpoint before the last one."""
    return lambda run: (damage(run), (run / PREVIOUS).unlink())


LAST, PREVIOUS, BEST = (f"checkpoint/{name}.npz" for name in ("last", "previous", "best"))
CHECKPOINTS = [
    bent("last-cut-off", alone(cut(LAST, 0.7)), RESUME, LAST, *DAMAGED),
    bent("last-header-only", alone(cut(LAST, 0.01)), RESUME, LAST, *DAMAGED),
    bent("last-empty", alone(put(LAST, b"")), RESUME, LAST, *DAMAGED),
    bent("last-is-text", alone(put(LAST, "weights")), RESUME, LAST, *DAMAGED),
    bent("last-bit-flipped", alone(flip(LAST, 0.3)), RESUME, LAST, *DAMAGED),
    bent("last-is-a-folder", folder_instead(LAST), RESUME, LAST, "is a folder. Remove it"),
    bent("last-missing", alone(drop(LAST)), RESUME, LAST, "csv has 2 epochs", "Put it back"),
    bent("last-compressed", alone(compressed(LAST)), RESUME, LAST, *DAMAGED),
    bent("last-is-the-best", swap(BEST, LAST), RESUME, LAST, *OTHER),
    bent("last-of-another-width",
         members(LAST, lambda a: a.update({"dense1.latent": np.zeros((24, 64), np.int8)})),
         RESUME, LAST, "dense1.latent is int8 (24, 64), not int8 (16, 64)", *OTHER),
    bent("last-of-another-type",
         members(LAST, lambda a: a.update({"dense2.gamma": a["dense2.gamma"].astype("f8")})),
         RESUME, LAST, "dense2.gamma is float64", *OTHER),
    bent("last-lacks-weights", members(LAST, lambda a: a.pop("dense1.latent")),
         RESUME, LAST, "has no dense1.latent", *OTHER),
    bent("last-lacks-state", members(LAST, lambda a: a.pop("state")), RESUME, LAST, "has no state"),
    bent("last-state-is-a-list",
         alone(members(LAST, lambda a: a.update(state=np.frombuffer(b"[1]", np.uint8)))),
         RESUME, LAST, "no mapping"),
    bent("last-without-progress", members(LAST, state(lambda s: s.pop("progress"))),
         RESUME, LAST, "no complete state", "Start a new run"),
    bent("last-of-other-data", members(LAST, state(lambda s: s.update(data=1))),
         RESUME, LAST, "trained on other data", "Start a new run"),
    bent("last-of-another-config", members(LAST, state(lambda s: s.update(config="x"))),
         RESUME, LAST, "another configuration", "without changing options"),
    bent("both-cut-off", lambda run: [cut(name, 0.5)(run) for name in (LAST, PREVIOUS)], RESUME,
         LAST, "damaged checkpoint", "and previous.npz: damaged checkpoint", "a copy"),
]  # fmt: skip
RESUMED = [
    bent("resume-shorter", put("x", ""), (*RESUME, "--epochs", "1"),
         "run/config.yaml", "train.epochs: 2 there, now 1", "can become longer"),
    bent("resume-of-a-typo", put("x", ""), (*RESUME[:3], "rum", "--resume"),
         "rum: no such run folder", "Did you mean 'run'?"),
    bent("resume-without-config-of-a-typo", put("x", ""), ("fit", "--resume", "rum"),
         "rum: no such run folder", "Did you mean 'run'?"),
    bent("evaluate-a-typo", put("x", ""), ("evaluate", "rum"), "Did you mean 'run'?"),
    bent("resume-other-method", put("x", ""), (*RESUME, "--method", "standard"),
         "method: efficient there, now standard"),
    bent("resume-other-model", put("x", ""), ("fit", "other.yaml", *RESUME[2:]),
         "run/config.yaml: model.layers: another list", "without changing options"),
    bent("resume-other-seed", put("x", ""), (*RESUME, "-s", "train.seed=1"), "train.seed: 0"),
    bent("taken-without-resume", put("x", ""), RESUME[:-1], "run: exists already", "--resume"),
    bent("config-damaged", put("config.yaml", "model: [\n"), RESUME, "run/config.yaml:2", "Check"),
    bent("config-unknown-key", edit("config.yaml", "epochs", "epoch"), RESUME,
         "run/config.yaml: train.epoch", "'epochs'"),
    bent("config-missing", drop("config.yaml"), RESUME, "run: has no config.yaml", "bnntrain fit"),
    bent("config-empty", put("config.yaml", ""), RESUME, "run/config.yaml: is empty", "a new run"),
    bent("run-json-is-a-folder", folder_instead("run.json"), RESUME,
         "run/run.json: cannot be read (Is a directory). Delete it"),
    bent("run-json-damaged", cut("run.json", 0.5), RESUME, "run/run.json: is no JSON. Delete it"),
    bent("run-json-is-a-list", put("run.json", "[]"), RESUME, "run/run.json", "Delete it"),
    bent("run-json-is-binary", put("run.json", b"\xff\xfe\x00"), RESUME, "run.json", "Delete it"),
    bent("run-json-nested", put("run.json", "[" * 10**5), RESUME, "run.json", "Delete it"),
    bent("metrics-garbage", put("metrics.csv", "what\nis\nthis\n"), RESUME,
         "run/metrics.csv", "Delete it", "not affected"),
    bent("metrics-of-text", edit("metrics.csv", "\n1,", "\n1,zero"), RESUME, "run/metrics.csv"),
    bent("metrics-short-row", edit("metrics.csv", "\n1,", "\n1\n1,"), RESUME,
         "run/metrics.csv", "a row of 1 cells, expected 10"),
    bent("metrics-epoch-0", edit("metrics.csv", "\n1,", "\n0,"), RESUME, "run/metrics.csv"),
    bent("metrics-binary", put("metrics.csv", b"\x00\xff\n" * 9), RESUME,
         "run/metrics.csv: cannot be read (no text). Delete it"),
    bent("metrics-is-a-folder", folder_instead("metrics.csv"), RESUME,
         "run/metrics.csv: cannot be read (Is a directory). Delete it"),
]  # fmt: skip
EVALUATED = [
    bent("evaluate-last-cut-off", cut(LAST, 0.7), EVALUATE, LAST, *DAMAGED),
    bent("evaluate-last-missing", drop(LAST), EVALUATE, LAST, "no such checkpoint", "--resume"),
    bent("evaluate-best-flipped", flip(BEST, 0.4), (*EVALUATE, "--checkpoint", "best"),
         BEST, *DAMAGED),
    bent("evaluate-other-model", edit("config.yaml", "dense: 16", "dense: 32"), EVALUATE,
         LAST, "dense1.latent is int8 (16, 64), not int8 (32, 64)", *OTHER),
    bent("evaluate-other-method", edit("config.yaml", "efficient", "standard"), EVALUATE,
         LAST, *OTHER),
    bent("evaluate-config-missing", drop("config.yaml"), EVALUATE, "run: has no config.yaml"),
    bent("evaluate-config-damaged", put("config.yaml", ""), EVALUATE, "run/config.yaml"),
    bent("evaluate-other-data", edit("config.yaml", "digits", "mnist"), EVALUATE, LAST, *OTHER),
    bent("evaluate-unknown-split", put("x", ""), (*EVALUATE, "--split", "dev"), "--split", "test"),
    bent("evaluate-no-validation",
         edit("config.yaml", "validation_fraction: 0.1", "validation_fraction: 0"),
         (*EVALUATE, "--split", "validation"), "no validation samples", "--split"),
    bent("evaluate-best-is-last", swap(LAST, BEST), (*EVALUATE, "--checkpoint", "best"),
         BEST, "no 'best' checkpoint"),
    bent("predict-best-flipped", flip(BEST, 0.4), PREDICT_BEST, BEST, *DAMAGED),
    bent("predict-best-missing", drop(BEST), PREDICT_BEST, BEST, "no such checkpoint", "--resume"),
    bent("predict-config-damaged", put("config.yaml", "a: 1\n"), PREDICT, "run/config.yaml"),
    bent("predict-no-image", lambda run: (run.parent / "image.npy").unlink(), PREDICT, "image.npy"),
    bent("predict-empty-image", lambda run: (run.parent / "image.npy").write_bytes(b""), PREDICT,
         "image.npy"),
    bent("predict-larger-image",
         lambda run: np.save(run.parent / "image.npy", np.zeros((9, 8), np.uint8)),
         (*PREDICT, "--no-resize"), "image.npy", "8x8"),
    bent("predict-float-image",
         lambda run: np.save(run.parent / "image.npy", np.zeros((8, 8))), PREDICT,
         "image.npy", "uint8"),
]  # fmt: skip

CASES = [*CHECKPOINTS, *RESUMED, *EVALUATED]
