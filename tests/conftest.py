"""Which bnntrain the tests run: the installed one, or this checkout with kernels built in place."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests run side by side: threads that wait must not keep a core from those that work. OpenMP reads
# it when the kernels are loaded, here and in the processes that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Started in the background or by nohup, this process ignores signals, and so would those that tests
# start and signal. A handler is not inherited.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

# A machine that is slow today is no defect: no example has a time limit.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

ROOT = Path(__file__).resolve().parents[1]


def _importable() -> bool:
    try:
        return find_spec("bnntrain.kernels") is not None
    except ModuleNotFoundError:
        return False


def _find_bnntrain() -> None:
    """Make ``bnntrain.kernels`` importable without an editable install.

    In the checkout kernels/ stands beside bnntrain/, not in it. ``python -m pytest`` puts the
    checkout first on the path, where it hides a plain install.
    """
    if _importable():
        return
    checkout = {"", str(ROOT)}
    if any((ROOT / "kernels").glob("_native*.so")):
        sys.path.insert(0, str(ROOT))
        importlib.import_module("bnntrain").__path__.append(str(ROOT))
        return
    sys.path[:] = [entry for entry in sys.path if entry not in checkout]
    sys.modules.pop("bnntrain", None)
    importlib.invalidate_caches()


_find_bnntrain()


@pytest.fixture(scope="session")
def permissions_bind(tmp_path_factory):
    """Skips where permissions bind nobody, not even after `permissions.obey`."""
    probe = tmp_path_factory.mktemp("permissions") / "probe"
    probe.touch(0)
    script = ROOT / "tests" / "processes" / "permissions.py"
    if subprocess.run([sys.executable, "-P", script, probe], check=False).returncode:
        pytest.skip("permissions do not bind anybody here")


@pytest.fixture(scope="session")
def _cifar10_cache(tmp_path_factory):
    """A cache with CIFAR-10 in it, converted once for all processes of a parallel run."""
    from bnntrain.data.catalog import open_dataset
    from bnntrain.data.places import locate

    place = locate("cifar10") if os.environ.get("BNNTRAIN_DATA") else None
    if place is None or place.missing:
        pytest.skip("no CIFAR-10: BNNTRAIN_DATA names no folder with it")
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "cifar10"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BNNTRAIN_CACHE", str(cache))
        open_dataset("cifar10")  # processes that come second wait
    return cache


@pytest.fixture
def cifar10(_cifar10_cache, monkeypatch):
    """Real CIFAR-10, where there is one; otherwise the test is skipped."""
    monkeypatch.setenv("BNNTRAIN_CACHE", str(_cifar10_cache))
