"""Faulty arguments of the verbs: exit code 2, one line, nothing on standard output."""

from __future__ import annotations

import numpy as np
import pytest

FAULTS = [
    (("evaluate", "nowhere"), "RunError: nowhere: no such run folder"),
    (("evaluate", "data"), "RunError: data: has no config.yaml"),
    (("evaluate", "trained", "--split", "tests"), "UsageError: Invalid value for '--split'"),
    (("evaluate", "trained", "--checkpoint", "first"), "UsageError: Invalid value"),
    (("evaluate",), "UsageError: Missing argument 'MODEL'"),
    (("predict", "trained"), "UsageError: Missing argument 'FILE...'"),
    (("predict", "nowhere", "digit.npy"), "RunError: nowhere: no such run folder"),
    (("predict", "trained", "nothing.npy"), "DataError: nothing.npy: no such file"),
    (("predict", "trained", "large.npy", "--no-resize"), "DataError: large.npy: 9x9 pixels"),
    (("predict", "trained", "float.npy"), "DataError: float.npy: images of type float64"),
    (("predict", "trained", "data"), "DataError: data: "),
    (("predict", "trained", "digit.npy", "--top", 0), "UsageError: Invalid value for '--top'"),
    (("plan",), "UsageError: Missing argument 'CONFIG'"),
    (("plan", "digit"), "ConfigError: digit: no such shipped configuration. Did you mean"),
    (("plan", "digits", "--ram", "much"), "UsageError: Invalid value for '--ram': 'much'"),
    (("plan", "digits", "--ram", "0MiB"), "UsageError: Invalid value for '--ram'"),
    (("plan", "digits", "--memory-limit", "-1MiB"), "UsageError: "),
    (
        ("plan", "digits", "--batch-size", 5000),
        "ConfigError: override: train.batch_size: 5000 is more than the 1293 training samples. "
        "Give --batch-size 1293 or less",
    ),
    (("plan", ""), "ConfigError: '': not a .yaml file"),
    (("plan", "\x1b[31m"), r"ConfigError: '\x1b[31m': no such shipped configuration"),
    (
        ("plan", "data"),
        "ConfigError: data: a folder, not a .yaml file. To train on its pictures: bnntrain fit "
        "photos --set data.dataset=data",
    ),
    (("plan", "\x1b[31m.yaml"), r"ConfigError: \x1b[31m.yaml: no such file"),
    (("plan", "digits", "--nothing"), "UsageError: No such option '--nothing'"),
    (("summary", "digits", "-s", "train.epoch=3"), "ConfigError: override: train.epoch"),
    (("summary", "digits", "-s", "nonsense"), "ConfigError: override: "),
    (("config", "shwo"), "UsageError: "),
    (("completion", "tcsh"), "UsageError: Invalid value"),
]


@pytest.fixture(scope="module")
def place(program, trained, digit):
    """The working directory with files to give."""
    np.save(program.cwd / "digit.npy", digit)
    np.save(program.cwd / "large.npy", np.zeros((9, 9), np.uint8))
    np.save(program.cwd / "float.npy", digit / 255)
    return program


@pytest.mark.parametrize(("arguments", "start"), FAULTS)
def test_one_line_and_exit_code_2(place, arguments, start):
    if arguments[:3] == ("predict", "trained", "data"):
        pytest.importorskip("PIL", reason="Pillow (extra: images) is not installed")
    before = sorted(place.cwd.rglob("*"))
    assert place.error(*arguments).startswith(start)
    assert sorted(place.cwd.rglob("*")) == before


def test_evaluate_without_a_validation_split(place):
    settings = ("--epochs", 1, "-s", "data.validation_fraction=0", "-q", "--run-dir", "no-split")
    place.run("fit", "digits", *settings)
    line = place.error("evaluate", "no-split", "--split", "validation")
    assert line.startswith("UsageError: this run has no validation samples")
