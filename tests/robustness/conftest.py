"""What the robustness tests share: a place of their own for every test, and one trained run."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from long_run import CONFIG, CONV_CONFIG, run_reference
from preloaded import Preloaded
from robustness_kit import TINY, Place

UNSET = ("BNNTRAIN_ISA", "NO_COLOR", "FORCE_COLOR")
"""What whoever runs the tests may have set, and no test wants."""


@pytest.fixture(scope="session")
def _shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("converted")


@pytest.fixture(scope="session")
def _preloaded():
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    with Preloaded(kept) as preloaded:
        yield preloaded


@pytest.fixture(scope="session")
def make_place(_shared_cache, _preloaded):
    """A function that makes a `Place` with the session's cache, given its folder."""
    return lambda root: Place(root, _shared_cache, _preloaded)


@pytest.fixture
def place(tmp_path, monkeypatch, make_place):
    """An empty working directory, data folder and the session's cache."""
    place = make_place(tmp_path / "place")
    monkeypatch.chdir(place.work)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture(scope="session")
def _trained(tmp_path_factory, make_place):
    place = make_place(tmp_path_factory.mktemp("trained"))
    place.write("tiny.yaml", TINY)
    done = place.spawn("fit", "tiny.yaml", "--run-dir", "run", "-q")
    assert done.code == 0, done.err
    return place.work / "run"


@pytest.fixture
def run_folder(place, _trained):
    """A copy of a finished run of ``tiny.yaml`` in the working directory, as ``run``."""
    place.write("tiny.yaml", TINY)
    return Path(shutil.copytree(_trained, place.work / "run"))


@pytest.fixture(scope="session")
def reference(tmp_path_factory, make_place):
    """The long run, uninterrupted."""
    return run_reference(make_place(tmp_path_factory.mktemp("reference")))


@pytest.fixture
def home(place):
    """A place with the configuration of the long run."""
    place.write("tiny.yaml", CONFIG)
    return place


@pytest.fixture(scope="session")
def conv_reference(tmp_path_factory, make_place):
    """The long run of convolutions, uninterrupted."""
    return run_reference(make_place(tmp_path_factory.mktemp("conv-reference")), CONV_CONFIG)


@pytest.fixture
def conv_home(place):
    """A place with the configuration of the long run of convolutions."""
    place.write("tiny.yaml", CONV_CONFIG)
    return place
