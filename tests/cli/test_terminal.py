"""What goes where: results, progress, colour, silence."""

from __future__ import annotations

import json
import re

import pytest

from bnntrain.cli.progress import epoch_line

ANSI = re.compile(r"\x1b\[")
FIT = ("fit", "digits", "--epochs", 2, "--threads", 1)


def test_pipes_see_no_colour_and_stdout_only_results(program, tmp_path):
    done = program.run(*FIT, "--run-dir", tmp_path / "run")
    assert not ANSI.search(done.stdout + done.stderr)
    assert "\r" not in done.stderr
    # Below the median of the batches stands what it hides, where it hides something.
    lines = [line for line in done.stdout.splitlines() if not line.startswith("      ")]
    assert [line.split()[0] for line in lines] == ["test", "memory:", "time:", "run:"]
    assert max(map(len, lines[:-1])) <= 80
    assert "1 thread)" in done.stdout
    assert [line.split("  ")[0] for line in done.stderr.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert max(map(len, done.stderr.splitlines())) <= 80


def test_quiet_is_silent(program, tmp_path):
    assert program.run(*FIT, "-q", "--run-dir", tmp_path / "run").stderr == ""


@pytest.mark.parametrize("verb", [("plan", "digits"), ("doctor",), ("summary", "digits")])
def test_colour_on_a_terminal_unless_refused(program, verb):
    coloured = program.terminal(*verb)
    assert ANSI.search(coloured)
    plain = program.terminal(*verb, NO_COLOR="1")
    assert not ANSI.search(plain)
    piped = program.run(*verb).stdout
    # Figures of available memory differ from call to call.
    assert re.sub(r"[\d.,]+", "#", plain.replace("\r\n", "\n")).split() == (
        re.sub(r"[\d.,]+", "#", piped).split()
    )
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).split()[0] == piped.split()[0]


def test_error_is_red_on_a_terminal(program):
    text = program.terminal("plan", "nothing", expect=2)
    assert text.startswith("\x1b[31mConfigError\x1b[0m: nothing: ")
    assert program.terminal("plan", "nothing", expect=2, NO_COLOR="1").startswith("ConfigError: ")


def test_progress_bar_on_a_terminal(program, tmp_path):
    text = program.terminal(*FIT, "--run-dir", tmp_path / "run")
    assert re.search(r"epoch 1/2: +\d+%\|.*images/s\]", text)
    assert "epoch 2/2" in text
    assert re.search(r"test accuracy \d+\.\d\d %", text)
    # Showing it is not part of what the training takes.
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    if run["rss_peak_exact"]:
        assert run["rss_peak_bytes"] - run["rss_before_bytes"] <= run["arena_bytes"] + (2 << 20)
    text = program.terminal(*FIT, "-q", "--run-dir", tmp_path / "quiet")
    assert "images/s]" not in text
    assert "epoch 2/2" not in text


def test_reader_that_goes_away(program):
    child = program.start("config", "show", "digits")
    child.stdout.close()
    assert child.stderr.read() == ""
    child.stderr.close()
    assert child.wait(30) in (0, 1)


@pytest.mark.parametrize("epochs", [1, 60, 5000])
@pytest.mark.parametrize("seconds", [0.02, 1234.5])
def test_the_line_of_an_epoch_fits(epochs, seconds):
    row = {"epoch": epochs, "loss": 12.3456, "accuracy": 100.0, "val_accuracy": 100.0,
           "lr": 1e-3, "seconds": seconds, "images_per_second": 1_234_567.0}  # fmt: skip
    line = epoch_line(row, epochs)
    assert len(line) <= 80
    assert "accuracy 100.00 %  val 100.00 %" in line


def test_the_bar_tells_epoch_and_loss(program, tmp_path):
    arguments = ("fit", "digits", "--epochs", 200, "--threads", 1, "--run-dir", tmp_path / "run")
    text = program.terminal(*arguments)
    shown = re.findall(r"epoch (\d+)/200, loss (\d\.\d{4}): ", text)
    assert shown
    assert [int(epoch) for epoch, _ in shown] == sorted(int(epoch) for epoch, _ in shown)
