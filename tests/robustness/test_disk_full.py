"""What cannot be written: exit code 1, one line, and what was there before stays valid.

A full disk is a small tmpfs where the tests may mount one; a limit on the size of files stands for
it everywhere (the same errors at the same calls, EFBIG for ENOSPC).
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from long_run import FIT, STEPS, assert_resumes, at, progress_of
from robustness_kit import Place, Result, call

MOUNT = ("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs")


@dataclass(frozen=True)
class Disk:
    """Where runs go, and how to leave no space there.

    Attributes
    ----------
    name : str
        Folder, relative to the working directory.
    fill : str
        Action of `at_moments` that takes the space.
    reason : str
        What the message says of it.
    """

    name: str
    fill: str
    reason: str

    @property
    def run(self) -> str:
        """The run folder."""
        return f"{self.name}/run"

    @property
    def fit(self) -> tuple[str, ...]:
        """The command line."""
        return (*FIT[:-1], self.run)

    def free(self, place: Place) -> None:
        """Give the space back."""
        (place.work / self.name / "ballast").unlink(missing_ok=True)


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request, home):
    """A disk that fills up when a test wants it to."""
    folder = home.work / "disk"
    folder.mkdir()
    if request.param == "limit":
        # Enough for the first bytes of a file, as on a disk that is nearly full.
        yield Disk("disk", "limit=100", "the file size limit is reached. Raise it")
        return
    if subprocess.run([*MOUNT, folder], check=False, capture_output=True).returncode:
        pytest.skip("may not mount a tmpfs")
    yield Disk("disk", "full=disk", "no space left on the device. Free some")
    subprocess.run(["umount", folder], check=True)


def failed(result: Result, *says: str) -> None:
    """Assert that a command failed in one line after its progress."""
    assert result.code == 1, result
    assert result.out == ""
    *progress, line = result.err.splitlines()
    # The memory meter may have met the full disk first; that alone would not end the run.
    assert all(each.startswith(("epoch", "Warning: memory: ")) for each in progress)
    assert line.startswith("WriteError: ")
    for part in says:
        assert part in line


CHECKPOINTS = {
    "last-before": ("call:save_checkpoint::10", "last.npz"),
    "last-begun": ("call:_write_member:/records/:60", "last.npz"),
    "last-flushed": ("c_call:write_atomically:/records/atomic.py:60", ""),
}


@pytest.mark.parametrize(("moment", "file"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_disk_full_while_a_checkpoint_is_written(disk, home, reference, moment, file):
    result = at(home, f"{moment}:{disk.fill}", arguments=disk.fit)
    failed(result, disk.run, disk.reason, "--resume", "still valid" if file else "valid")
    assert not home.unfinished()
    done = progress_of(home, disk.run)
    assert done["epoch"] > 0
    epochs = [line for line in result.err.splitlines() if line.startswith("epoch")]
    assert (done["step"], done["epoch"]) == (0, len(epochs))
    disk.free(home)
    assert call("evaluate", disk.run, "--checkpoint", "last").code == 0
    assert_resumes(home, reference, disk.run)


def test_no_checkpoint_yet(disk, home, reference):
    result = at(home, f"call:save_checkpoint::1:{disk.fill}", arguments=disk.fit)
    failed(result, "checkpoint/best.npz", disk.reason, "There is no checkpoint yet")
    assert not home.unfinished()
    disk.free(home)
    assert_resumes(home, reference, disk.run)


def test_disk_full_when_interrupted(disk, home, reference):
    moments = f"call:train_batch::{5 * STEPS + 9}:SIGINT", f"call:_interrupt::1:{disk.fill}"
    result = at(home, *moments, arguments=disk.fit)
    failed(result, "checkpoint/last.npz", disk.reason, "The former last.npz is still valid")
    assert progress_of(home, disk.run)["epoch"] == 5
    disk.free(home)
    assert_resumes(home, reference, disk.run)


RECORDS = {
    "first-run-json": ("call:write_summary::1", "run.json"),
    "last-run-json": ("call:_finish::1", "run.json"),
    "metrics": ("call:append_metrics::50", ""),
    "log": ("call:log::50", ""),
}


@pytest.mark.parametrize(("moment", "file"), RECORDS.values(), ids=RECORDS)
def test_disk_full_while_records_are_written(disk, home, reference, moment, file):
    result = at(home, f"{moment}:{disk.fill}", arguments=disk.fit)
    failed(result, f"{disk.run}/{file}", disk.reason, "valid", "--resume")
    assert not home.unfinished()
    disk.free(home)
    assert_resumes(home, reference, disk.run)


MAKING = ("call:mkdir:/pathlib:1", "call:_write_json::1", "call:_write:/records/:3")


@pytest.mark.parametrize("moment", MAKING)
def test_disk_full_while_the_folder_is_made(disk, home, reference, moment):
    result = at(home, f"{moment}:{disk.fill}", arguments=disk.fit)
    failed(result, disk.run, disk.reason, "and start again")
    assert "valid" not in result.err
    assert "--resume" not in result.err
    assert not (home.work / disk.run).exists()
    disk.free(home)
    assert_resumes(home, reference, disk.run)


def test_disk_full_while_data_are_converted(disk, home, monkeypatch):
    home.cache = home.work / "disk" / "cache"
    home.environment["BNNTRAIN_CACHE"] = str(home.cache)
    moment = f"call:write_all:/bnntrain/data/:1:{disk.fill}"
    failed(at(home, moment), "disk/cache/flat/digits", "BNNTRAIN_CACHE")
    assert not home.unfinished()
    assert not list(home.cache.rglob("*.flat"))
    assert not (home.work / "run").exists()
    disk.free(home)
    monkeypatch.setenv("BNNTRAIN_CACHE", str(home.cache))
    assert call(*FIT, "--epochs", "1").code == 0


# Permissions ------------------------------------------------------------------------------------


@pytest.fixture
def forbid(permissions_bind):
    """Take permissions away until the test has ended."""
    taken = {}

    def take(path: Path, mode: int) -> None:
        taken[path] = path.stat().st_mode
        path.chmod(mode)

    yield take
    for path, mode in taken.items():
        path.chmod(mode)


def test_a_folder_that_may_not_be_written_to(home, forbid):
    forbid(home.work, 0o555)
    before = home.snapshot()
    failed(home.fork(*FIT, is_bound=True), "run", "no permission", "--run-dir")
    assert home.snapshot() == before


@pytest.mark.parametrize("folder", [".", "checkpoint"])
def test_a_run_that_may_not_be_written_to(run_folder, place, forbid, folder):
    for name in ("last", "previous"):
        (run_folder / f"checkpoint/{name}.npz").unlink()
    text = (run_folder / "metrics.csv").read_text()
    (run_folder / "metrics.csv").write_text(text[: text.index("\n") + 1])
    forbid(run_folder / folder, 0o555)
    result = place.fork(*FIT, "--resume", is_bound=True)
    failed(result, "no permission", "valid" if folder == "." else "--run-dir")
    assert not place.unfinished()


def test_reading_needs_no_permission_to_write(run_folder, place, forbid):
    for path in (run_folder / "checkpoint", run_folder):
        forbid(path, 0o555)
    before = place.snapshot()
    for verb in (("evaluate", "run"), ("evaluate", "run", "--checkpoint", "best")):
        result = place.fork(*verb, is_bound=True)
        assert (result.code, result.err) == (0, "")
    assert place.snapshot() == before


def test_a_cache_that_may_not_be_written_to(home, forbid, tmp_path):
    cache = tmp_path / "locked"
    cache.mkdir()
    forbid(cache, 0o555)
    home.environment["BNNTRAIN_CACHE"] = str(cache)
    result = home.fork(*FIT, is_bound=True)
    failed(result, "Permission denied", "BNNTRAIN_CACHE")
    assert not (home.work / "run").exists()


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("tiny.yaml", ("plan", "tiny.yaml")),
        ("run/run.json", (*FIT, "--resume")),
        ("run/metrics.csv", (*FIT, "--resume")),
        ("run/config.yaml", ("evaluate", "run")),
        ("run/checkpoint/last.npz", ("evaluate", "run")),
    ],
)
def test_what_may_not_be_read(run_folder, place, forbid, file, arguments):
    forbid(place.work / file, 0)
    result = place.fork(*arguments, is_bound=True)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert f"Error: {file}: " in result.err
    assert "ermission" in result.err


def test_a_read_only_disk(home):
    folder = home.work / "disk"
    folder.mkdir()
    mount = [*MOUNT[:4], "ro", "tmpfs", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a tmpfs")
    try:
        result = call(*FIT[:-1], "disk/run")
    finally:
        subprocess.run(["umount", folder], check=True)
    failed(result, "disk/run", "read-only", "--run-dir")


def test_a_checkpoint_that_may_not_be_read_is_gone_on_without(run_folder, place, forbid):
    forbid(run_folder / "checkpoint/last.npz", 0)
    result = place.fork(*FIT, "--resume", is_bound=True)
    assert result.code == 0
    warning = result.err.splitlines()[0]
    assert "last.npz: cannot be read (Permission denied)" in warning
    assert "previous" in warning
