"""A run may end at any moment: --resume goes on from the last checkpoint to the same weights."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess

import mprof
import pytest
from long_run import (
    CONV_EPOCHS,
    EPOCHS,
    FIT,
    RECORDS,
    STEPS,
    Reference,
    assert_resumes,
    at,
    progress_of,
)
from robustness_kit import COMMAND, Place, Result

# So small that a run cannot get far ahead of whoever reads its progress, let alone end.
PIPE_BYTES = 4096


# SIGKILL ----------------------------------------------------------------------------------------


def signal_after(place: Place, epochs: int, number: int) -> Result:
    """Run the installed command; send a signal when it has reported some epochs."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with subprocess.Popen(
        [*COMMAND, *FIT], cwd=place.work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=writing, env={**os.environ, **place.environment},
    ) as process, open(reading, buffering=0, mode="rb") as progress:  # noqa: PTH123  (a descriptor)
        os.close(writing)
        lines = [progress.readline() for _ in range(epochs)]
        process.send_signal(number)
        rest = progress.read() or b""
    return Result(process.returncode, "", (b"".join(lines) + rest).decode())


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="needs pipes of a chosen size")
@pytest.mark.parametrize("seed", range(6))
def test_killed_from_outside(home, reference, seed):
    epochs = random.Random(seed).randrange(1, EPOCHS // 3)
    result = signal_after(home, epochs, signal.SIGKILL)
    assert result.code == -signal.SIGKILL
    assert result.err.startswith("epoch")
    assert_resumes(home, reference)


def moment(reference: Reference, part: str, seed: int) -> str:
    """Choose a built-in call that kills, before it is made or after."""
    chance = random.Random(seed)
    event = chance.choice(["c_call", "c_return"])
    # The last few calls of a run depend on how far it has come, e.g. on files that are there.
    return f"{event}::{part}:{chance.randrange(1, reference.calls[part] * 97 // 100)}:SIGKILL"


@pytest.mark.parametrize("seed", range(4))
def test_killed_anywhere(home, reference, seed):
    assert at(home, moment(reference, "/bnntrain/", seed)).code == -signal.SIGKILL
    assert_resumes(home, reference)


@pytest.mark.parametrize("seed", range(10))
def test_killed_while_records_are_written(home, reference, seed):
    killed = at(home, moment(reference, RECORDS, 100 + seed))
    assert killed.code == -signal.SIGKILL
    assert_resumes(home, reference)


STAGES = {
    "folder-made": "c_return:mkdir::1",
    "first-file-open": "call:write_atomically::1",
    "config-not-yet-there": "call:write_atomically::3",
    "config-renamed": "call:_sync_folder::3",
    "first-summary": "call:write_summary::1",
    "first-row": "call:append_metrics::1",
    "first-row-written": "call:log::1",
    "first-checkpoint": "call:_write_member::1",
    "best-without-last": "call:_end_epoch::1",
    "checkpoint-not-renamed": "call:_sync_folder::6",
    "test-set": "call:_finish::1",
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_killed_at_a_turning_point(home, reference, stage):
    assert at(home, f"{stage}:SIGKILL").code == -signal.SIGKILL
    assert_resumes(home, reference)


def test_killed_again_and_again(home, reference):
    chance = random.Random(7)
    for again in ((), *[("--resume",)] * 3):
        steps = chance.randrange(200, 400)
        done = at(home, f"call:train_batch::{steps}:SIGKILL", arguments=(*FIT, *again))
        assert done.code == -signal.SIGKILL
    assert_resumes(home, reference)


def test_killed_while_data_are_converted(home, reference, monkeypatch, tmp_path):
    home.environment["BNNTRAIN_CACHE"] = str(tmp_path / "own-cache")
    monkeypatch.setenv("BNNTRAIN_CACHE", str(tmp_path / "own-cache"))
    home.cache = tmp_path / "own-cache"
    killed = at(home, "call:write_all:/bnntrain/data/:3:SIGKILL")
    assert killed.code == -signal.SIGKILL
    assert home.unfinished()
    assert not (home.work / "run").exists()
    assert_resumes(home, reference)


# SIGINT and SIGTERM -----------------------------------------------------------------------------


def assert_one_line(result: Result, text: str) -> None:
    """Assert that an interrupted command says so in one line, after its progress."""
    assert result.code == 130
    assert result.out == ""
    lines = result.err.splitlines()
    assert text in lines[-1]
    assert lines[-1].startswith("Interrupted: ")
    assert all(line.startswith(("epoch", "resuming")) for line in lines[:-1])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("step", [1, 2, 3 * STEPS, 3 * STEPS + 1, 10 * STEPS + 7])
def test_interrupted_in_an_epoch(home, reference, name, step):
    result = at(home, f"call:train_batch::{step}:{name}")
    assert_one_line(result, "run: a checkpoint is saved. Continue with 'bnntrain fit --resume")
    # The step that was begun is finished first.
    progress = progress_of(home)
    assert (progress["epoch"], progress["step"]) == divmod(step, STEPS)
    summary = json.loads((home.work / "run/run.json").read_text())
    assert (summary["status"], summary["epochs_done"]) == ("interrupted", step // STEPS)
    assert not home.unfinished()
    assert_resumes(home, reference)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="needs pipes of a chosen size")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_from_outside(home, reference, number):
    assert_one_line(signal_after(home, 3, number), "a checkpoint is saved")
    assert_resumes(home, reference)


@pytest.mark.parametrize("second", ["call:_interrupt::1", "c_call::/bnntrain/records/:40"])
def test_a_second_interrupt_stops_at_once(home, reference, second):
    result = at(home, f"call:train_batch::{4 * STEPS + 5}:SIGINT", f"{second}:SIGINT")
    assert_one_line(result, "stopped at once")
    progress = progress_of(home)
    assert (progress["epoch"], progress["step"]) == (4, 0)
    assert not home.unfinished()
    assert_resumes(home, reference)


BEFORE = {
    "config": "call:load_config::1",
    "plan": "call:place:/plan.py:1",
    "data": "call:open_dataset::1",
    "arena": "call:__init__:/arena.py:1",
    "folder": "c_return:mkdir::1",
    "first-file": "call:_write_json::1",
}


@pytest.mark.parametrize("stage", BEFORE.values(), ids=BEFORE)
def test_interrupted_before_training(home, stage):
    before = home.snapshot()
    assert_one_line(at(home, f"{stage}:SIGINT"), "stopped at once")
    after = home.snapshot()
    after[str(home.work)] = before[str(home.work)]  # a folder came and went
    assert after == before
    assert not home.unfinished()


def test_interrupted_while_data_are_converted(home, tmp_path):
    home.cache = tmp_path / "own-cache"
    home.environment["BNNTRAIN_CACHE"] = str(home.cache)
    before = home.snapshot()
    assert_one_line(at(home, "call:write_all:/bnntrain/data/:3:SIGINT"), "stopped at once")
    assert home.snapshot() == before
    assert not home.unfinished()


def test_interrupted_in_another_verb(run_folder, place):
    before = place.snapshot()
    result = at(place, "call:losses::2:SIGINT", arguments=("evaluate", "run"))
    assert_one_line(result, "stopped at once")
    assert place.snapshot() == before


# Meters -----------------------------------------------------------------------------------------


def metered(place: Place) -> tuple[str, ...]:
    """Return the options of a run with both meters and a baseline that nobody would wait for."""
    path = place.write("constant.csv", "t,watts\n0,4\n1000000,4\n")
    return ("--energy", "replay", "-s", f"meters.file={path}", "--idle", "3600")


def test_interrupted_in_the_baseline_before(home, reference):
    result = at(home, "call:idle_before::1:SIGINT", arguments=(*FIT, *metered(home)))
    assert_one_line(result, "a checkpoint is saved")
    assert (progress_of(home)["epoch"], progress_of(home)["step"]) == (0, 0)
    (home.work / "run/power.csv").unlink()
    assert_resumes(home, reference)


def test_interrupted_in_the_baseline_after(home, reference):
    moments = "call:idle_before::1:SIGINT", "call:idle_after::1:SIGINT"
    at(home, moments[0], arguments=(*FIT, *metered(home)))
    again = (*FIT, "--resume", *metered(home)[:-1], "0.001", "--json", "-q")
    result = at(home, moments[1], arguments=again)
    # All was trained and recorded: there is nothing to go on with.
    assert (result.code, result.err) == (0, "")
    summary = json.loads(result.out)
    assert summary["weights_sha256"] == reference.summary["weights_sha256"]
    assert summary["energy"]["available"]


def test_killed_in_the_baseline_after(home, reference):
    again = (*FIT, *metered(home)[:-1], "0.001")
    assert at(home, "call:idle_after::1:SIGKILL", arguments=again).code == -signal.SIGKILL
    (home.work / "run/power.csv").unlink()
    assert_resumes(home, reference)


@pytest.mark.parametrize("moment", ["call:train_batch::700:SIGKILL", "call:_flush::1:SIGKILL"])
def test_what_a_killed_process_recorded_can_be_read(home, reference, moment):
    assert at(home, moment).code == -signal.SIGKILL
    path = home.work / "run/memory.dat"
    assert mprof.read_mprofile_file(path)["cmd_line"]
    assert_resumes(home, reference)
    samples = mprof.read_mprofile_file(path)["mem_usage"]
    assert len(samples) >= 2  # the first and the last of the run


# Convolutions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["/bnntrain/", RECORDS])
@pytest.mark.parametrize("seed", range(2))
def test_convolutions_killed_anywhere(conv_home, conv_reference, part, seed):
    killed = at(conv_home, moment(conv_reference, part, 200 + seed))
    assert killed.code == -signal.SIGKILL
    assert_resumes(conv_home, conv_reference, options=("--threads", "3"))


@pytest.mark.parametrize("seed", range(3))
def test_convolutions_killed_between_checkpoints(conv_home, conv_reference, seed):
    step = random.Random(seed).randrange(STEPS + 1, CONV_EPOCHS * STEPS)
    assert at(conv_home, f"call:train_batch::{step}:SIGKILL").code == -signal.SIGKILL
    progress = progress_of(conv_home)
    assert (progress["epoch"], progress["step"]) == ((step - 1) // STEPS, 0)
    assert_resumes(conv_home, conv_reference, options=("--threads", str(1 + seed)))


@pytest.mark.parametrize("step", [1, STEPS, 3 * STEPS + 11])
def test_convolutions_interrupted_in_an_epoch(conv_home, conv_reference, step):
    result = at(conv_home, f"call:train_batch::{step}:SIGINT")
    assert_one_line(result, "run: a checkpoint is saved. Continue with 'bnntrain fit --resume")
    progress = progress_of(conv_home)
    assert (progress["epoch"], progress["step"]) == divmod(step, STEPS)
    assert_resumes(conv_home, conv_reference, options=("--threads", "2"))


def test_convolutions_stopped_again_and_again(conv_home, conv_reference):
    # On other threads every time; each part takes up what the part before had come to.
    again: tuple[str, ...] = ()
    for threads, ending in ((2, "SIGINT"), (3, "SIGKILL"), (1, "SIGTERM")):
        arguments = (*FIT, *again, "--threads", str(threads))
        again = ("--resume",)
        result = at(conv_home, f"call:train_batch::40:{ending}", arguments=arguments)
        assert result.code == (-signal.SIGKILL if ending == "SIGKILL" else 130)
    assert progress_of(conv_home)["epoch"] >= 3
    assert_resumes(conv_home, conv_reference)
