"""What the robustness tests share: a place of their own for every test, and one trained run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from long_run import CONFIG, CONV_CONFIG, run_reference
from robustness_kit import TINY, Place


@pytest.fixture(scope="session")
def _shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("converted")


@pytest.fixture
def place(tmp_path, monkeypatch, _shared_cache):
    """An empty working directory, data folder and the session's cache."""
    place = Place(tmp_path / "place", _shared_cache)
    monkeypatch.chdir(place.work)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("BNNTRAIN_ISA", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture(scope="session")
def _trained(tmp_path_factory, _shared_cache):
    place = Place(tmp_path_factory.mktemp("trained"), _shared_cache)
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
def reference(tmp_path_factory, _shared_cache):
    """The long run, uninterrupted."""
    return run_reference(Place(tmp_path_factory.mktemp("reference"), _shared_cache))


@pytest.fixture
def home(place):
    """A place with the configuration of the long run."""
    place.write("tiny.yaml", CONFIG)
    return place


@pytest.fixture(scope="session")
def conv_reference(tmp_path_factory, _shared_cache):
    """The long run of convolutions, uninterrupted."""
    place = Place(tmp_path_factory.mktemp("conv-reference"), _shared_cache)
    return run_reference(place, CONV_CONFIG)


@pytest.fixture
def conv_home(place):
    """A place with the configuration of the long run of convolutions."""
    place.write("tiny.yaml", CONV_CONFIG)
    return place
