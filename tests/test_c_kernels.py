"""The plain-C kernel tests, with and without sanitizers, as a part of the whole suite."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "tools" / "test_kernels.sh"


@pytest.mark.long
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("variant", ["plain", "sanitized"])
def test_every_kernel_passes_the_c_runner(variant):
    done = subprocess.run(
        ["bash", SCRIPT], capture_output=True, text=True, env={**os.environ, "VARIANTS": variant}
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"== {variant}\n" in done.stdout
    assert done.stdout.count(" passed, 0 failed") == 1
