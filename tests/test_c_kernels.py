"""The plain-C kernel tests, with and without sanitizers, as a part of the whole suite."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "tools" / "test_kernels.sh"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_every_kernel_passes_the_c_runner_under_sanitizers():
    done = subprocess.run(["bash", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    # Once plain, once under sanitizers.
    assert done.stdout.count(" passed, 0 failed") == 2
