"""What verbs print fits 80 columns."""

from __future__ import annotations

import pytest

from bnntrain.config import shipped_configs

RUNS = [
    ("config", "show"),
    ("config", "show", "digits"),
    ("doctor",),
    ("energy", "list"),
    ("plan", "binarynet_cifar10"),
    ("bench", "--op", "xnor_gemm_u1_i32", "--isa", "portable"),
    ("bench", "--list"),
    ("bench", "--step", "digits", "--steps", "2"),
    *(("summary", name) for name in shipped_configs() if name != "photos"),
]


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_output_fits_80_columns(program, words):
    check(program.run(*words, COLUMNS="80"))


def test_output_about_a_run_fits_80_columns(program, trained):
    check(program.run("evaluate", trained, COLUMNS="80"))


def test_training_and_comparing_fit_80_columns(program):
    options = ("--epochs", 1, "--threads", 1, "--run-dir")
    check(program.run("fit", "digits", *options, "width-fit", COLUMNS="80"))
    check(program.run("compare", "digits", *options, "width-compare", COLUMNS="80"))


def test_an_operation_that_there_is_not(program):
    line = program.error("bench", "--op", "pack_i8")
    assert "Did you mean 'pack_i8_u1'" in line
    assert len(line) < 160
    assert "pack_i8_u1" in program.run("bench", "--list").stdout.splitlines()
    assert "Give one of" in program.error("bench", "--isa", "quantum")


def check(done):
    """Check all lines but those of which one word, a path, is too long."""
    lines = (done.stdout + done.stderr).splitlines()
    too_wide = [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 40]
    assert lines
    assert too_wide == []
