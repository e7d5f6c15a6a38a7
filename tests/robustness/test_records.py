"""Checkpoints and run folders: what is written is read, and what is damaged is noticed."""

from __future__ import annotations

import contextlib
import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from robustness_kit import TINY, call

from bnntrain.errors import RunError
from bnntrain.records import METRICS, RunFolder, load_checkpoint, save_checkpoint

# The types that a memory plan knows.
TYPES = ("int8", "uint8", "int16", "float16", "int32", "float32", "float64", "uint64")

names = st.from_regex(r"dense[1-9]\.[a-z_]{1,12}[12]?", fullmatch=True)
arrays = st.sampled_from(TYPES).flatmap(
    lambda dtype: arrays_of.arrays(
        dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=40)
    )
)
numbers = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
states = st.dictionaries(st.text(max_size=9), st.one_of(numbers, st.text(max_size=9)))


def same_bytes(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are equal, NaNs and signs of zeros included."""
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@settings(max_examples=80, deadline=None)
@given(content=st.dictionaries(names, arrays, max_size=5), state=states)
def test_a_checkpoint_gives_back_what_was_saved(content, state, tmp_path_factory):
    path = tmp_path_factory.mktemp("trip") / "last.npz"
    save_checkpoint(path, content, state)
    first = path.read_bytes()
    empty = {name: np.empty_like(array) for name, array in content.items()}
    assert load_checkpoint(path, empty) == state
    assert all(same_bytes(content[name], empty[name]) for name in content)
    with np.load(path) as archive:
        assert {"state", *content} == set(archive)
        assert all(same_bytes(content[name], archive[name]) for name in content)
    save_checkpoint(path, content, state)
    assert path.read_bytes() == first
    assert [path] == list(path.parent.iterdir())


@pytest.fixture
def small(tmp_path):
    """A checkpoint of a few hundred bytes, its arrays and its state."""
    random = np.random.default_rng(1)
    content = {
        "dense1.latent": random.integers(-127, 128, (5, 7), np.int8),
        "dense1.gamma": random.standard_normal(3).astype(np.float32),
        "dense2.beta": np.zeros((0, 4), np.float32),
    }
    state = {"epoch": 7, "config": "abc"}
    path = tmp_path / "last.npz"
    save_checkpoint(path, content, state)
    return path, content, state


def load(path, content):
    """Load into arrays that hold something else before; return arrays and state."""
    target = {name: np.full_like(array, 9) for name, array in content.items()}
    return target, load_checkpoint(path, target)


@pytest.mark.parametrize("change", [0xFF, 0x01, 0x20])
def test_every_damaged_byte_is_noticed_or_harmless(small, change):
    path, content, state = small
    good, harmless = path.read_bytes(), 0
    for place in range(len(good)):
        damaged = bytearray(good)
        damaged[place] ^= change
        path.write_bytes(damaged)
        with contextlib.suppress(RunError):
            target, found = load(path, content)
            harmless += 1
            assert found == state
            assert all(same_bytes(content[name], target[name]) for name in content)
    # What nothing depends on: dates, versions and attributes in the archive's two directories.
    assert harmless < len(good) / 3


def test_every_cut_is_noticed(small):
    path, content, _ = small
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(RunError, match="damaged checkpoint"):
            load(path, content)


def test_damage_leaves_the_arrays_alone(small):
    path, content, _ = small
    damaged = bytearray(path.read_bytes())
    place = damaged.index(content["dense1.gamma"].tobytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    target = {name: np.full_like(array, 9) for name, array in content.items()}
    with pytest.raises(RunError, match=r"dense1\.gamma"):
        load_checkpoint(path, target)
    assert all((array == 9).all() for array in target.values())


MEMORY = """
import sys, pathlib, numpy as np
from bnntrain.meters import PeakMeter, rss_bytes
from bnntrain.records import load_checkpoint, save_checkpoint
path, arrays = pathlib.Path(sys.argv[1]), {"latent": np.ones((8192, 8192), np.int8)}
small = path.with_name("small.npz")
save_checkpoint(small, {"a": np.ones(9)}, {})  # what is imported on first use is no cost of saving
load_checkpoint(small, {"a": np.ones(9)})
for work in (lambda: save_checkpoint(path, arrays, {}), lambda: load_checkpoint(path, arrays)):
    before, meter = rss_bytes(), PeakMeter()
    assert meter.exact
    work()
    print(meter.peak_bytes() - before)
"""


def test_saving_and_loading_need_no_second_copy(place):
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak is read from /proc")
    done = place.execute([sys.executable, "-P", "-c", MEMORY, str(place.work / "big.npz")])
    assert done.code == 0, done.err
    growth = [int(line) for line in done.out.split()]
    assert len(growth) == 2
    assert max(growth) < 2 << 20  # of 64 MiB


def test_states_that_are_no_json_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(tmp_path / "last.npz", {}, {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


# The run folder ---------------------------------------------------------------------------------

cells = st.floats(allow_nan=False, allow_infinity=False)
rows = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(METRICS[1:], cells)), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(rows=rows, kept=st.integers(0, 7))
def test_metrics_come_back_as_numbers(rows, kept, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("metrics"))
    folder.truncate_metrics(0)
    rows = [{"epoch": number, **row} for number, row in enumerate(rows, start=1)]
    for row in rows:
        folder.append_metrics(row)
    assert folder.read_metrics() == rows
    before = (folder.path / "metrics.csv").read_text()
    folder.truncate_metrics(kept)
    assert folder.read_metrics() == rows[:kept]
    assert before.startswith((folder.path / "metrics.csv").read_text())


def test_a_row_that_was_cut_off_does_not_count(tmp_path):
    folder = RunFolder(tmp_path)
    folder.truncate_metrics(0)
    for epoch in (1, 2, 13):
        folder.append_metrics({"epoch": epoch, "loss": 1.5})
    whole = (tmp_path / "metrics.csv").read_text()
    last = whole.rindex("\n", 0, -1) + 1
    for length in range(last, len(whole)):
        (tmp_path / "metrics.csv").write_text(whole[:length])
        assert [row["epoch"] for row in folder.read_metrics()] == [1, 2]
    folder.truncate_metrics(2)
    assert (tmp_path / "metrics.csv").read_text() == whole[:last]


def test_one_process_at_a_time(tmp_path):
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    first.create("name: x\n", {})
    with pytest.raises(RunError, match="in use by another"):
        second.lock()
    with pytest.raises(RunError, match="exists already"):
        second.check_vacant()
    first.close()
    second.lock()
    second.close()


def test_a_run_in_use_is_refused(run_folder, place):
    holder = RunFolder(run_folder)
    holder.lock()
    before = place.snapshot()
    result = call("fit", "tiny.yaml", "--run-dir", "run", "--resume")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "run: is in use by another bnntrain. Wait" in result.err
    # Readers need no lock: checkpoints are replaced in one step.
    assert call("evaluate", "run", "--json").code == 0
    assert place.snapshot() == before
    holder.close()
    assert call("fit", "tiny.yaml", "--run-dir", "run", "--resume").code == 0


@pytest.mark.parametrize("begun", [[], ["checkpoint"], ["checkpoint", ".plan.json.1.tmp"]])
def test_a_folder_whose_making_was_cut_off_is_used_again(place, begun):
    place.write("tiny.yaml", TINY)
    (place.work / "run").mkdir()
    for name in begun:
        path = place.work / "run" / name
        path.mkdir() if name == "checkpoint" else path.write_text("{")
    result = call("fit", "tiny.yaml", "--run-dir", "run", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["status"] == "finished"
    assert not place.unfinished()


def test_default_folders_are_numbered(place):
    place.write("tiny.yaml", TINY)
    (place.work / "runs/tiny-efficient-seed0/checkpoint").mkdir(parents=True)
    for _ in range(2):
        assert call("fit", "tiny.yaml", "--epochs", "1").code == 0
    names = {path.name for path in (place.work / "runs").iterdir()}
    assert names == {"tiny-efficient-seed0", "tiny-efficient-seed0-2"}
