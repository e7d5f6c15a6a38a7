"""Faulty options, arguments and variables."""

from __future__ import annotations

import platform

from robustness_kit import TINY, Case, Place

FOREIGN = "neon" if platform.machine() == "x86_64" else "avx2"
RUN_DIR = "Give another --run-dir"


def write_tiny(place: Place) -> None:
    """Make ``tiny.yaml`` and things that are in the way of a run folder."""
    place.write("tiny.yaml", TINY)
    place.write("a_file", "text")
    place.write("full/notes.txt", "mine")
    (place.work / "loop").symlink_to("loop")
    (place.work / "dangling").symlink_to("nowhere")


def fit(name: str, *arguments: str, says: tuple[str, ...], **environment: str) -> Case:
    """A good configuration with faulty options."""
    return Case(name, ("fit", "tiny.yaml", *arguments), says, write_tiny, environment)


def verb(name: str, *arguments: str, says: tuple[str, ...]) -> Case:
    """A faulty command line."""
    return Case(name, arguments, says, write_tiny)


SYNTAX = [
    verb("unknown-verb", "fti", "tiny.yaml", says=("'fti'", "'fit'", "bnntrain --help")),
    verb("unknown-subverb", "data", "fetsch", says=("fetsch", "bnntrain data --help")),
    verb("unknown-option", "fit", "tiny.yaml", "--epoch", "3", says=("--epoch", "--epochs")),
    verb("unknown-global-option", "--lr", "1", "fit", says=("--lr", "bnntrain --help")),
    verb("no-config", "fit", says=("CONFIG", "bnntrain fit --help")),
    verb("no-run", "evaluate", says=("MODEL", "bnntrain evaluate --help")),
    verb("no-files", "predict", "run", says=("FILE", "bnntrain predict --help")),
    verb("two-configs", "fit", "tiny.yaml", "more.yaml", says=("more.yaml", "fit --help")),
    verb("option-without-value", "fit", "tiny.yaml", "--epochs", says=("--epochs", "--help")),
    verb("config-not-there", "fit", "no.yaml", says=("no.yaml: no such file", "digits")),
    verb("config-is-no-name", "fit", "digit", says=("digit: no such shipped", "'digits'")),
    verb("config-is-empty", "fit", "", says=("''", ".yaml")),
    verb("config-is-a-folder", "fit", "./full",
         says=("./full: a folder, not a .yaml file", "fit photos")),
    verb("config-is-too-long", "fit", "n" * 5000 + ".yaml", says=("no such file",)),
]
VALUES = [
    fit("epochs-as-text", "--epochs", "many", says=("--epochs", "'many'", "fit --help")),
    fit("epochs-as-float", "--epochs", "1.5", says=("--epochs", "'1.5'")),
    fit("epochs-0", "--epochs", "0", says=("override: train.epochs: 0", "from 1 to")),
    fit("epochs-endless", "--epochs", "9" * 40, says=("train.epochs", "from 1 to")),
    fit("lr-negative", "--lr", "-1e-3", says=("train.learning_rate: -0.001", "above 0")),
    fit("lr-nan", "--lr", "nan", says=("--lr", "'nan' is not a finite number")),
    fit("lr-infinite", "--lr", "inf", says=("--lr", "'inf' is not a finite number")),
    fit("lr-beyond", "--lr", "1.5", says=("train.learning_rate: 1.5", "at most 1")),
    fit("threads-minus-1", "--threads", "-1", says=("train.threads: -1", "from 0 to 256")),
    fit("seed-minus-1", "--seed", "-1", says=("train.seed: -1", "from 0 to")),
    fit("batch-beyond-data", "--batch-size", "60000", says=("override: train.batch_size", "1293")),
    fit("method-unknown", "--method", "fast", says=("--method", "standard", "fit --help")),
    fit("set-without-value", "-s", "train.epochs", says=("override", "is not key=value")),
    fit("set-unknown-key", "-s", "train.epoch=3", says=("override: train.epoch", "'epochs'")),
    fit("set-bad-yaml", "-s", "train.epochs=[1", says=("train.epochs", "Check")),
    fit("set-empty-key", "-s", "=3", says=("override: '=3' is not key=value",)),
    fit("set-gap-in-key", "-s", "train..epochs=3", says=("train..epochs", "empty part")),
    fit("set-into-a-number", "-s", "train.epochs.x=3", says=("train.epochs", "as a whole")),
    fit("set-not-utf-8", "-s", "name=caf\udce9", says=("name", "UTF-8")),
    fit("contradiction", "--epochs", "3", "-s", "train.epochs=4", says=("train.epochs", "once")),
    fit("contradicting-sets", "-s", "method=standard", "-s", "method=efficient",
        says=("method is given as standard", "once")),
    fit("set-no-section", "-s", "train=", says=("override: train: null", "such as train.epochs")),
    fit("set-no-inner-section", "-s", "train.schedule=",
        says=("override: train.schedule: null", "such as train.schedule.kind")),
    fit("set-beyond-data", "-s", "train.batch_size=60000", says=("override: train.batch_size",)),
    fit("no-kernel", "--method", "standard", "-s", "representation.momentum=int8",
        says=("override: representation.momentum: int8", "float32")),
]  # fmt: skip
LIMITS = [
    fit("limit-too-small", "--memory-limit", "1KiB",
        says=("is too small", "with batch size", "Give a larger limit")),
    fit("limit-0", "--memory-limit", "0", says=("--memory-limit", "64MiB")),
    fit("limit-negative", "--memory-limit", "-5MiB", says=("--memory-limit", "64MiB")),
    fit("limit-garbage", "--memory-limit", "much", says=("--memory-limit", "'much'", "64MiB")),
    fit("limit-unit", "--memory-limit", "64parsec", says=("--memory-limit", "64MiB")),
    fit("limit-endless", "--memory-limit", "9" * 400 + "GiB", says=("--memory-limit",)),
    fit("isa-unknown", says=("BNNTRAIN_ISA", "'mmx'", "portable"), BNNTRAIN_ISA="mmx"),
    fit("isa-of-another-machine", says=("BNNTRAIN_ISA", FOREIGN, "portable"),
        BNNTRAIN_ISA=FOREIGN),
    Case("isa-of-no-machine", ("plan", "tiny.yaml"), ("BNNTRAIN_ISA", "portable"), write_tiny,
         {"BNNTRAIN_ISA": "avx1024"}),
]  # fmt: skip
RUN_DIRS = [
    fit("run-dir-is-taken", "--run-dir", "full", says=("full: exists already", "--resume")),
    fit("run-dir-is-a-file", "--run-dir", "a_file", says=("a_file", "is a file", RUN_DIR)),
    fit("run-dir-in-a-file", "--run-dir", "a_file/run", says=("a_file/run", RUN_DIR)),
    fit("resume-of-a-file", "--run-dir", "a_file", "--resume", says=("a_file: is a file", "Give")),
    fit("resume-of-nothing", "--run-dir", "no", "--resume", says=("no: no such run", "Give")),
    fit("resume-twice", "--run-dir", "full", "--resume", "no", says=("two folders, no to resume",)),
    fit("resume-is-empty", "--resume", "", says=("--resume is empty", "Give")),
    fit("resume-of-none", "--resume", says=("runs: holds no run of this config",)),
    verb("resume-what", "fit", "--resume", says=("--resume: which run?", "CONFIG")),
    verb("resume-a-typo", "fit", "--resume", "no", says=("no: no such run folder", "bnntrain fit")),
    verb("resume-in-a-folder", "fit", "--run-dir", "full", "--resume",
         says=("full: has no config.yaml",)),
    fit("run-dir-is-an-option", "--run-dir", "--resume", says=("'--resume' is an option", "'./--")),
    verb("output-is-an-option", "report", "full", "-o", "--csv", says=("'--csv' is an option",)),
    verb("compare-resumes-nothing", "compare", "tiny.yaml", "--run-dir", "no", "--resume",
         says=("no: no such folder", "Without --resume")),
    fit("resume-of-no-run", "--run-dir", "full", "--resume", says=("full: has no config.yaml",)),
    fit("run-dir-too-long", "--run-dir", "r" * 300, says=("the name is too long", RUN_DIR)),
    fit("run-dir-is-empty", "--run-dir", "", says=("--run-dir is empty", "Give")),
    fit("run-dir-is-a-loop", "--run-dir", "loop", says=("loop", RUN_DIR)),
    fit("run-dir-in-a-loop", "--run-dir", "loop/run", says=("loop/run", "circle", RUN_DIR)),
    fit("run-dir-dangles", "--run-dir", "dangling", says=("dangling", RUN_DIR)),
]
ELSEWHERE = [
    verb("evaluate-nothing", "evaluate", "no", says=("no: no such run folder", "bnntrain fit")),
    verb("evaluate-a-file", "evaluate", "a_file", says=("a_file: is a file", "bnntrain fit")),
    verb("evaluate-no-run", "evaluate", "full", says=("full: has no config.yaml", "bnntrain fit")),
    verb("predict-of-no-run", "predict", "full", "a_file", says=("full: has no config.yaml",)),
    verb("plan-of-nothing", "plan", "digit", says=("digit: no such shipped", "'digits'")),
    verb("summary-of-nothing", "summary", "no.yaml", says=("no.yaml: no such file",)),
    verb("compare-of-nothing", "compare", "no.yaml", says=("no.yaml: no such file",)),
    verb("fetch-unknown", "data", "fetch", "minst", says=("minst", "'mnist'")),
    verb("check-unknown", "data", "check", "cifar", says=("cifar", "mnist")),
    verb("show-unknown", "config", "show", "digit", says=("digit", "digits")),
]

CASES = [*SYNTAX, *VALUES, *LIMITS, *RUN_DIRS, *ELSEWHERE]
