"""The plain-C tests, with and without sanitizers, as a part of the whole suite."""

import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def test_every_kernel_passes_the_c_runner_under_sanitizers():
    done = subprocess.run([TOOLS / "test_kernels.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    # Once plain, once under sanitizers.
    assert done.stdout.count(" passed, 0 failed") == 2


def test_threads_share_every_job_under_sanitizers():
    done = subprocess.run([TOOLS / "test_pool.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count(": good") == 3
