"""The plain-C tests, with and without sanitizers, as a part of the whole suite."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.mark.long
@pytest.mark.parametrize("variant", ["plain", "sanitized"])
def test_every_kernel_passes_the_c_runner(variant):
    done = run("test_kernels.sh", variant)
    assert done.count(" passed, 0 failed") == 1


@pytest.mark.parametrize("variant", ["plain", "address", "thread"])
def test_threads_share_every_job(variant):
    assert run("test_pool.sh", variant).count(": good") == 1


def run(script: str, variant: str) -> str:
    """Build and run one variant of a C program; return what it prints."""
    done = subprocess.run(
        [TOOLS / script], capture_output=True, text=True, env={**os.environ, "VARIANTS": variant}
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"== {variant}\n" in done.stdout
    return done.stdout
