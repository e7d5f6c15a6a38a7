"""What a 32-bit system is told: one line at the start of a run, and a warning of ``doctor``."""

from __future__ import annotations

import json
import platform

import pytest

from bnntrain import board
from bnntrain.cli.main import run

FIT = ["fit", "digits", "--epochs", "2", "--threads", "1"]


@pytest.fixture(params=["armv7l", "aarch64", "i686"])
def narrow(request, monkeypatch, tmp_path) -> str:
    """A 32-bit Python; a 32-bit Raspberry Pi OS often has a 64-bit kernel below it."""
    monkeypatch.setattr(board, "word_bits", lambda: 32)
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    monkeypatch.setenv("BNNTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return request.param


def test_a_run_says_so_once(narrow, capsys):
    assert run(FIT) == 0
    first, *epochs = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: 32-bit system: ")
    assert ("a 64-bit one is several times faster" in first) == (narrow != "i686")
    assert [line.split("  ")[0] for line in epochs] == ["epoch 1/2", "epoch 2/2"]


def test_quiet_and_verbs_that_do_not_train_say_nothing(narrow, capsys):
    assert run([*FIT, "--quiet"]) == run(["plan", "digits"]) == run(["config", "show"]) == 0
    assert run(["fit", "nothing"]) == 2
    assert "32-bit" not in capsys.readouterr().err


def test_doctor_warns_in_the_same_words(narrow, capsys):
    assert run(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bits"] == 32
    assert board.word_size_warning() in facts["warnings"]


def test_a_64_bit_system_is_told_nothing(monkeypatch):
    monkeypatch.setattr(board, "word_bits", lambda: 64)
    assert board.word_size_warning() is None
