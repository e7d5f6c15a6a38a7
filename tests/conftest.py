"""Which bnntrain the tests run: the installed one, or this checkout with kernels built in place."""

from __future__ import annotations

import fcntl
import importlib
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests run side by side, and the products of NumPy are the references and small: more threads would
# only wait. Read when NumPy is loaded, here and in the processes that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests, so that in the end no worker waits for one."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def permissions_bind(tmp_path_factory):
    """Skips where permissions bind nobody, not even after `permissions.obey`."""
    probe = tmp_path_factory.mktemp("permissions") / "probe"
    probe.touch(0)
    script = ROOT / "tests" / "processes" / "permissions.py"
    if subprocess.run([sys.executable, "-P", script, probe], check=False).returncode:
        pytest.skip("permissions do not bind anybody here")


# What a process prints that converts a data set: KiB that it grew by, and training samples.
MEASURED_CONVERSION = r"""
import sys
import bnntrain.data.catalog
def kib(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key))
before = kib("VmRSS")
dataset = bnntrain.data.catalog.open_dataset(sys.argv[1])
print(kib("VmHWM") - before, dataset.train.count)
"""


@pytest.fixture(scope="session")
def measured_conversion():
    """Code that prints the memory that converting a data set takes."""
    return MEASURED_CONVERSION


@pytest.fixture(scope="session")
def converted_cifar10(tmp_path_factory):
    """A cache with CIFAR-10 in it, and what the process printed that converted it.

    That is done once for all processes of a parallel run: those that come second wait.
    """
    from bnntrain.data.places import locate

    place = locate("cifar10") if os.environ.get("BNNTRAIN_DATA") else None
    if place is None or place.missing:
        pytest.skip("no CIFAR-10: BNNTRAIN_DATA names no folder with it")
    if place.kind == "pictures":
        pytest.importorskip("PIL", reason="Pillow is not installed")
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "cifar10"
    cache.mkdir(exist_ok=True)
    printed = cache / "printed"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            script = f"import sys\nsys.path[:] = {sys.path!r}\n{MEASURED_CONVERSION}"
            done = subprocess.run(
                [sys.executable, "-P", "-c", script, "cifar10"], check=True, text=True,
                env={**os.environ, "BNNTRAIN_CACHE": str(cache)}, stdout=subprocess.PIPE,
            )  # fmt: skip
            printed.write_text(done.stdout)
    return cache, printed.read_text()


@pytest.fixture
def cifar10(converted_cifar10, monkeypatch):
    """Real CIFAR-10, where there is one; otherwise the test is skipped."""
    monkeypatch.setenv("BNNTRAIN_CACHE", str(converted_cifar10[0]))
