"""Conversion when something goes wrong: killed, at once, on a full disk, without permission."""

import fcntl
import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import permissions
import pytest

from bnntrain.data.catalog import find_source, open_dataset
from bnntrain.data.files import _open_locked
from bnntrain.data.flat import flat_path
from bnntrain.errors import WriteError

# The processes below are forked inside one helper process that has everything loaded.
FORKS = r"""
import os, random, signal, sys
from pathlib import Path
from bnntrain.data import files, flat
from bnntrain.data.catalog import open_dataset, find_source
from bnntrain.data.flat import find_converted
import bnntrain.data.source, bnntrain.data.npz, gzip
bnntrain.data.source.CHUNK_BYTES = 4096

def steps(act):
    # Call act() before and after every call that changes the disk.
    def wrap(owner, name):
        original = getattr(owner, name)
        def replacement(*a, **k):
            act()
            result = original(*a, **k)
            act()
            return result
        setattr(owner, name, replacement)
    for name in ("write", "fsync", "ftruncate"):
        wrap(os, name)
    wrap(Path, "replace")
    wrap(Path, "mkdir")

def finish(work):
    try:
        work()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
"""


def wipe(folder):
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_killed_at_every_step(kit, place, npz):
    """SIGKILL before and after every change of the disk: never a wrong file under a final name."""
    name, train, test = npz(count=600)
    script = FORKS + r"""
name = sys.argv[1]
source = find_source(name)

def check():
    # What has a final name is whole and valid.
    for split in ("train", "test"):
        found = find_converted(source, split)
        assert flat.flat_path(source, split).exists() == (found is not None)
        assert found is None or flat.records_crc(found[0]) == found[0].records_crc

def convert(kill_at):
    pid = os.fork()
    if pid == 0:
        left = [kill_at]
        def act():
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
        steps(act)
        finish(lambda: open_dataset(name))
    status = os.waitpid(pid, 0)[1]
    check()
    return status

killed = 0
while (status := convert(killed)) == signal.SIGKILL:
    killed += 1
    # The next one goes on from what was left; then everything starts anew.
    assert convert(-1) == 0
    for path in Path(sys.argv[2]).glob("flat/*"):
        path.unlink()
assert status == 0
print(killed)
"""
    done = kit.run_script(script, name, place.cache)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
    dataset = open_dataset(name)
    kit.assert_same(dataset.train, train)
    kit.assert_same(dataset.test, test)
    assert kit.leftovers(place.cache) == []


def test_killed_from_outside_at_random_moments(kit, place, npz):
    """SIGKILL from another process after a random number of steps, wherever that finds it."""
    name, train, test = npz(count=2000)
    script = FORKS + r"""
name = sys.argv[1]
chance = random.Random(5)
for trial in range(25):
    for path in Path(sys.argv[2]).glob("flat/*.flat"):
        path.unlink()
    reading, writing = os.pipe()
    write = os.write
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        steps(lambda: write(writing, b"."))
        finish(lambda: open_dataset(name))
    os.close(writing)
    for _ in range(chance.randrange(1, 60)):
        if not os.read(reading, 1):
            break
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reading)
    source = find_source(name)
    for split in ("train", "test"):
        found = find_converted(source, split)
        assert flat.flat_path(source, split).exists() == (found is not None)
        assert found is None or flat.records_crc(found[0]) == found[0].records_crc
"""
    done = kit.run_script(script, name, place.cache)
    assert done.returncode == 0, done.stderr
    dataset = open_dataset(name)
    kit.assert_same(dataset.train, train)
    kit.assert_same(dataset.test, test)
    assert kit.leftovers(place.cache) == []


def test_processes_that_convert_at_once(kit, place, npz):
    """Six processes start together: one converts each split, all get the right data."""
    name, train, test = npz(count=600)
    script = FORKS + r"""
name = sys.argv[1]
gate_in, gate_out = os.pipe()
log_in, log_out = os.pipe()
original = flat._write
def counted(fd, source, split, progress):
    os.write(log_out, split[:1].encode())
    return original(fd, source, split, progress)
flat._write = counted
pids = []
for _ in range(6):
    pid = os.fork()
    if pid == 0:
        os.close(gate_out)
        os.read(gate_in, 1)
        def work():
            dataset = open_dataset(name)
            for split in (dataset.train, dataset.test):
                assert flat.records_crc(split) == split.records_crc
        finish(work)
    pids.append(pid)
os.close(gate_in)
os.close(gate_out)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
os.close(log_out)
print("".join(sorted(os.read(log_in, 100).decode())))
"""
    for _ in range(5):
        wipe(place.cache)
        done = kit.run_script(script, name)
        assert done.returncode == 0, done.stderr
        # "e" would be any second conversion of the same split.
        assert done.stdout.split() == ["tt"]
        dataset = open_dataset(name)
        kit.assert_same(dataset.train, train)
        kit.assert_same(dataset.test, test)
        assert kit.leftovers(place.cache) == []


@pytest.mark.parametrize("end", ["renamed", "removed"])
def test_lock_is_on_the_file_of_that_name(place, monkeypatch, end):
    """Who waited for a file that was then renamed or removed gets a new one, not the old one."""
    path = place.root / "x.part"
    flock, waiting, result = fcntl.flock, threading.Event(), []

    def announce(fd, operation):
        waiting.set()
        flock(fd, operation)

    held = _open_locked(path)
    monkeypatch.setattr("bnntrain.data.files.fcntl.flock", announce)
    thread = threading.Thread(target=lambda: result.append(_open_locked(path)))
    thread.start()
    # By now the thread has opened the old file.
    waiting.wait()
    if end == "renamed":
        path.rename(place.root / "x")
    else:
        path.unlink()
    os.close(held)
    thread.join()
    assert os.path.samestat(os.fstat(result[0]), path.stat())
    os.close(result[0])


def test_longer_remains_of_a_killed_conversion(kit, npz):
    name, train, _ = npz()
    target = flat_path(find_source(name), "train")
    target.parent.mkdir(parents=True)
    target.with_name(target.name + ".part").write_bytes(b"x" * 100000)
    kit.assert_same(open_dataset(name).train, train)
    assert kit.leftovers(target.parent) == []


def assert_write_error(error, path):
    line = str(error)
    assert "\n" not in line
    assert error.exit_code == 1
    assert line.startswith(f"{path}: cannot be written: ")
    assert "set BNNTRAIN_CACHE to a folder that can be written" in line
    return line


@pytest.fixture
def small_disk(place):
    """Mount a file system of 64 KiB and use it as the cache."""
    folder = place.root / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small tmpfs can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk(kit, place, npz, small_disk, monkeypatch):
    monkeypatch.setenv("BNNTRAIN_CACHE", str(small_disk))
    name, _, _ = npz(count=5000)
    with pytest.raises(WriteError) as caught:
        open_dataset(name)
    line = assert_write_error(caught.value, flat_path(find_source(name), "train"))
    assert "No space left on device" in line
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []
    # A smaller set fits, and a larger one that takes its place leaves it alone when it fails.
    name, train, _ = npz(count=100)
    kit.assert_same(open_dataset(name).train, train)
    kept = {path: path.read_bytes() for path in small_disk.rglob("*.flat")}
    npz(count=5000)
    with pytest.raises(WriteError):
        open_dataset(name)
    assert {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()} == kept


def test_file_size_limit(kit, place, npz):
    """As a full disk, for whoever may not mount: the limit on file sizes."""
    name, _, _ = npz(count=5000)
    script = r"""
import resource, sys
from bnntrain.data.catalog import open_dataset
from bnntrain.errors import WriteError
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    open_dataset(sys.argv[1])
except WriteError as error:
    print(error)
"""
    done = kit.run_script(script, name)
    assert done.returncode == 0, done.stderr
    assert "cannot be written: File too large. Free some space" in done.stdout
    assert done.stdout.count("\n") == 1
    assert [path for path in place.cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("blocked", ["cache", "cache/flat"])
def test_cache_that_is_no_folder(place, npz, blocked):
    name, _, _ = npz()
    path = place.root / blocked
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way")
    with pytest.raises(WriteError) as caught:
        open_dataset(name)
    assert_write_error(caught.value, flat_path(find_source(name), "train"))


# Everything is loaded before permissions bind: bnntrain may stand where they close the way to it.
BOUND = r"""
import sys
sys.path.insert(0, sys.argv[2])
import permissions
from bnntrain.data.catalog import open_dataset, find_datasets
from bnntrain.errors import BnntrainError
permissions.load_everything()
permissions.obey()
try:
    open_dataset(sys.argv[1])
except BnntrainError as error:
    print(type(error).__name__, error)
find_datasets()
"""


@pytest.fixture
def open_bound(kit, permissions_bind):
    """A function that opens a data set where permissions bind; returns what that says."""

    def open_(name):
        done = kit.run_script(BOUND, name, Path(permissions.__file__).parent)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return open_


def test_cache_without_permission(place, npz, open_bound):
    name, _, _ = npz()
    place.cache.mkdir(mode=0o555)
    said = open_bound(name)
    assert said.startswith("WriteError ")
    assert "cannot be written: Permission denied. Free" in said


def test_source_without_permission(kit, place, open_bound):
    train = kit.samples(4)
    paths = kit.write_idx(place.data / "mnist", train, train)
    paths["train", "labels"].chmod(0)
    said = open_bound("mnist")
    assert said.startswith(f"DataError {paths['train', 'labels']}: cannot be read: Perm")
    place.data.chmod(0)
    try:
        assert open_bound("mnist").startswith("DataError ")
    finally:
        place.data.chmod(0o755)


GROWTH_LIMIT_KIB = 8 * 1024


@pytest.mark.parametrize("form", ["idx.gz", "idx", "npz", "npz stored"])
def test_memory_of_a_conversion(kit, place, form, measured_conversion):
    """A set of MNIST's size, 45 MiB, through less than 8 MiB, readers included."""
    images = np.tile(np.arange(784, dtype=np.uint8).reshape(28, 28), (60000, 1, 1))
    labels = (np.arange(60000) % 10).astype(np.uint8)
    few = (images[:100], labels[:100])
    name = "mnist"
    if form.startswith("idx"):
        kit.write_idx(place.data / name, (images, labels), few, ".gz" if "gz" in form else "")
    else:
        name = str(place.data / "set.npz")
        arrays = kit.npz_arrays((images, labels), few)
        (place.data / "set.npz").write_bytes(kit.npz_bytes("stored" not in form, **arrays))
    done = kit.run_script(measured_conversion, name)
    assert done.returncode == 0, done.stderr
    growth_kib, count = map(int, done.stdout.split())
    assert count == 60000
    assert growth_kib < GROWTH_LIMIT_KIB


def test_memory_of_converting_mnist(kit, place, measured_conversion):
    if not kit.real_data:
        pytest.skip("BNNTRAIN_DATA is not set")
    done = kit.run_script(measured_conversion, "mnist", BNNTRAIN_DATA=kit.real_data)
    if "not found" in done.stderr:
        pytest.skip("BNNTRAIN_DATA holds no MNIST")
    assert done.returncode == 0, done.stderr
    growth_kib, count = map(int, done.stdout.split())
    assert count == 60000
    assert growth_kib < GROWTH_LIMIT_KIB
