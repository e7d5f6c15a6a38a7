"""``bnntrain doctor``: facts, warnings, and when it says that training cannot work."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bnntrain
from bnntrain import machine

KEYS = {
    "bnntrain", "python", "numpy", "os", "machine", "board", "cpu", "bits", "cores", "clock",
    "temperature_celsius", "throttling", "isa", "threads", "memory", "data_folder", "cache_folder",
    "datasets", "extras", "warnings", "problems",
}  # fmt: skip


def test_facts(program):
    facts = program.json("doctor")
    assert set(facts) == KEYS
    assert facts["bnntrain"] == bnntrain.__version__
    assert facts["problems"] == []
    assert facts["isa"]["selected"] == facts["isa"]["supported"][0]
    assert facts["isa"]["supported"][-1] == "portable"
    assert facts["cores"] >= 1
    assert facts["memory"]["available_bytes"] < facts["memory"]["total_bytes"]
    assert facts["data_folder"] == {
        "path": program.environment["BNNTRAIN_DATA"], "exists": True, "writable": True,
    }  # fmt: skip
    found = {each["name"]: each["missing"] for each in facts["datasets"]}
    assert found["digits"] == []
    assert found["mnist"]


def test_words(program):
    done = program.run("doctor", BNNTRAIN_ISA="portable")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"bnntrain      {bnntrain.__version__}, Python ")
    assert "portable selected, of " in done.stdout
    assert "(BNNTRAIN_ISA=portable)" in done.stdout
    assert lines[-1] == "training can work here"


def test_instruction_set_that_the_machine_lacks(program):
    done = program.run("doctor", expect=1, BNNTRAIN_ISA="quantum")
    assert done.stdout.splitlines()[-1].startswith("problem: BNNTRAIN_ISA: this machine cannot run")


def test_cache_that_cannot_be_written(program, tmp_path):
    (tmp_path / "file").write_text("")
    cache = str(tmp_path / "file" / "cache")
    facts = program.json("doctor", expect=1, BNNTRAIN_CACHE=cache)
    assert facts["cache_folder"] == {"path": cache, "exists": False, "writable": False}
    (problem,) = facts["problems"]
    assert "Set BNNTRAIN_CACHE" in problem


def test_small_and_old_machines_are_warned_of(monkeypatch, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemAvailable:  20480 kB\n")
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    facts = machine.examine(tmp_path)
    assert facts["bits"] == 32
    assert facts["warnings"][0].startswith("32-bit system")
    assert "20 MiB of memory are available" in facts["warnings"][1]
    assert facts["problems"] == []


@pytest.mark.parametrize("module", ["bnntrain.kernels", "bnntrain.native"])
def test_broken_kernels_are_reported_not_met(program, module):
    code = (
        f"import sys; sys.modules['{module}'] = None\n"
        "from bnntrain.cli.main import run\nsys.exit(run(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=program.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == ""
    assert "problem: the kernels cannot be loaded" in done.stdout
