"""Put the helpers of these tests, and those of training, on the path."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE.with_name("training"))]
