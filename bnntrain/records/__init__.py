"""Run folders, and the only code that writes to one.

Files are either appended to and flushed (``metrics.csv``, ``log.txt``) or written under a temporary
name, synced, and renamed over the former one. A run killed at any moment leaves the last complete
checkpoint and the rows that belong to it.
"""

from bnntrain.records.atomic import reported, write_atomically
from bnntrain.records.best import Best
from bnntrain.records.checkpoint import load_checkpoint, open_checkpoint, save_checkpoint
from bnntrain.records.folder import METRICS, RunFolder
from bnntrain.records.nearby import RUNS, is_run, runs_in
from bnntrain.records.progress import Progress

__all__ = [
    "METRICS",
    "RUNS",
    "Best",
    "Progress",
    "RunFolder",
    "is_run",
    "load_checkpoint",
    "open_checkpoint",
    "reported",
    "runs_in",
    "save_checkpoint",
    "write_atomically",
]
