"""Put the helpers of these tests on the path, and keep converted data out of the user's cache."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Convert data sets into a folder of this session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BNNTRAIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
