"""Pictures decoded by other processes: the same bytes, and what happens when one of them ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from encoded_kit import OPTIONS, batches, readers, write_pictures
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.data.catalog import open_dataset
from bnntrain.data.decoder_protocol import Answer, Room, Task
from bnntrain.data.decoding import Demand, plan_decoding
from bnntrain.errors import WorkerError

pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture
def photos(place):
    return write_pictures(place.data / "photos")


def all_parts(reader, batch, epochs):
    """Return what a run reads: epochs of training, each with its validation, then the test set."""
    read = []
    for epoch in epochs:
        reader.shuffle(epoch)
        read += [*batches(reader.train, batch), *batches(reader.validation, 3)]
    return [*read, *batches(reader.test, 3)]


def test_bytes_do_not_depend_on_who_decodes(photos):
    expected = None
    for workers in (0, 1, 2, 3):
        reader = readers(photos, workers)
        try:
            found = all_parts(reader, 5, range(3))
            assert reader.workers == workers
        finally:
            reader.close()
        expected = expected or found
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    first, later = expected[0], expected[4]
    assert (first != later).mean() > 0.5  # other parts of the pictures, in another order


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_in_its_middle(photos, workers):
    whole, rest = readers(photos, 0), readers(photos, workers)
    try:
        for each in (whole, rest):
            each.shuffle(4)
        images, labels = batches(whole.train, 5)
        again = batches(rest.train, 5, first=10)
        np.testing.assert_array_equal(again[0], images[10:])
        np.testing.assert_array_equal(again[1], labels[10:])
    finally:
        rest.close()


@pytest.mark.parametrize("batch", [1, 7, 24])
def test_batches_of_any_size_hold_the_same_samples(photos, batch):
    one, other = readers(photos, 0, batch=1), readers(photos, 2, batch=batch)
    try:
        for each in (one, other):
            each.shuffle(1)
        images, _ = batches(other.train, batch)
        np.testing.assert_array_equal(images, batches(one.train, 1)[0][: len(images)])
    finally:
        other.close()


def test_what_is_read_need_not_be_what_was_foreseen(photos):
    """Evaluated in the middle of an epoch, begun anew: what was decoded ahead is not taken."""
    expected, reader = readers(photos, 0), readers(photos, 2)
    jumps = [
        ("train", 0, 0), ("validation", 0, 0), ("train", 0, 5), ("train", 1, 10), ("test", 1, 0),
    ]  # fmt: skip
    try:
        for part, epoch, first in jumps:
            found = []
            for each in (expected, reader):
                each.shuffle(epoch)
                x, labels = np.empty((5, 768), np.int8), np.empty(5, np.uint16)
                getattr(each, part).read(first, x, labels)
                found.append((x, labels))
            np.testing.assert_array_equal(found[0][0], found[1][0])
            np.testing.assert_array_equal(found[0][1], found[1][1])
    finally:
        reader.close()


def test_positions_outside_a_part_are_refused(photos):
    reader = readers(photos, 0)
    x, labels = np.empty((5, 768), np.int8), np.empty(5, np.uint16)
    with pytest.raises(ValueError, match="positions 20 to 25 of 24"):
        reader.train.read(20, x, labels)


def children():
    """Return the processes that this one has started and that still run, or wait to be buried."""
    return psutil.Process().children()


def test_a_process_that_is_killed_is_said_so(photos):
    before = {child.pid for child in children()}
    reader = readers(photos, 2)
    try:
        batches(reader.train, 5)
        mine = [child for child in children() if child.pid not in before]
        assert len(mine) == 2
        for child in mine:
            child.kill()
        reader.shuffle(1)
        with pytest.raises(WorkerError, match=r"was ended by SIGKILL\. Was memory short") as caught:
            batches(reader.train, 5)
        assert caught.value.exit_code == 1
        assert "\n" not in str(caught.value)
    finally:
        reader.close()
    assert {child.pid for child in children()} <= before  # no zombie either


def test_what_cannot_be_imported_there_is_one_line(photos, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    reader = readers(photos, 1)
    try:
        with pytest.raises(WorkerError, match=r"has ended with exit code 1\. Try data.workers=0"):
            batches(reader.train, 5)
    finally:
        reader.close()


def test_closing_ends_the_processes_in_whatever_they_do(photos):
    before = {child.pid for child in children()}
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(2):
        reader = readers(photos, 3)
        x, labels = np.empty((5, 768), np.int8), np.empty(5, np.uint16)
        reader.train.read(0, x, labels)  # the next batch is under way
        reader.close()
        reader.close()
    assert {child.pid for child in children()} <= before
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_killing_the_run_leaves_no_process(photos):
    """SIGKILL, which nobody can answer: those that decode notice that nobody asks any more."""
    open_dataset(str(photos), OPTIONS)
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); import numpy as np\n"
        "from encoded_kit import readers, batches\n"
        "reader = readers(sys.argv[1], 2); batches(reader.train, 5)\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", script, str(photos), str(Path(__file__).parent)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert parent.stdout.readline() == "ready\n"
        mine = psutil.Process(parent.pid).children()
        assert len(mine) == 2
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    gone, alive = psutil.wait_procs(mine, timeout=60)
    assert (len(gone), alive) == (2, [])


def test_those_that_decode_do_not_share_the_memory_of_the_one_that_trains(photos):
    """They are started anew: what this process has written is not in theirs."""
    ballast = np.ones(200 << 20, np.uint8)
    reader = readers(photos, 1)
    try:
        batches(reader.train, 5)
        (child,) = (each for each in children() if "decoder_process" in " ".join(each.cmdline()))
        assert child.memory_info().rss < ballast.nbytes // 2
    finally:
        reader.close()


# Numbers ------------------------------------------------------------------------------------------


@given(rows=st.integers(1, 5000), image=st.integers(1, 200_000))
def test_nothing_in_the_memory_lies_over_something_else(rows, image):
    room = Room(rows, image)
    assert room.labels == rows * image
    assert room.records - room.labels == 2 * rows
    assert room.bytes - room.records == 4 * rows


@given(split=st.integers(0, 1), epoch=st.integers(-1, 10**6), row=st.integers(0, 65535))
def test_messages_say_what_they_were_given(split, epoch, row):
    task = Task(split, epoch, row, 65536 - row)
    assert Task.unpack(task.pack()) == task
    answer = Answer(row, bool(split), "é\n" * split)
    assert Answer.unpack(answer.pack()) == answer


@pytest.mark.parametrize(
    ("workers", "threads", "processors", "expected"),
    [
        (None, 1, 4, (1, 3)), (None, 4, 4, (1, 1)), (None, 1, 1, (0, 0)), (None, 8, 2, (1, 1)),
        (0, 1, 4, (0, 0)), (3, 4, 1, (3, 3)),
    ],
)  # fmt: skip
def test_how_many_decode(workers, threads, processors, expected):
    found = plan_decoding("encoded", (224, 224, 3), 16, workers, threads, processors)
    assert (found.workers, found.most_workers) == expected
    assert found.buffer_bytes == (16 * (150_528 + 2 + 4) if expected[1] else 0)
    assert plan_decoding("pixels", (224, 224, 3), 16, workers, threads, processors) is None


def test_another_process_is_asked_for_after_lasting_waits_only():
    demand = Demand()
    assert not any(demand.add(0.01, 1.0) for _ in range(100))
    assert not any(demand.add(1.0, 0.1) for _ in range(15))
    assert not demand.add(0.0, 1.0)
    asked = [demand.add(1.0, 0.1) for _ in range(32)]
    assert [number for number, each in enumerate(asked) if each] == [15, 31]


def test_more_processes_are_started_while_they_help(photos, monkeypatch):
    monkeypatch.setattr(Demand, "add", lambda *_: True)
    expected, reader = readers(photos, 0), readers(photos, None, processors=3)
    try:
        assert reader.workers == 1
        for mine, theirs in zip(
            all_parts(reader, 5, range(2)), all_parts(expected, 5, range(2)), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)
        assert reader.workers == 2
    finally:
        reader.close()
