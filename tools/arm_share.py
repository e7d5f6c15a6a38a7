"""A plugin of pytest that runs a share of the tests, for slow emulated processors.

``ARM_SHARE=1/3`` keeps every third case of each test from the second on (counted from 0), and at
least one; tests without cases count as the cases of their file. Processors that run the same code
take different shares, so that together they run all. Cases of the instruction set ``neondot``,
which one processor alone has, are all kept.
"""

from __future__ import annotations

import os
from collections import defaultdict

import pytest


def kept(names: list[str], first: int, share: int) -> list[bool]:
    """Say of each case of a test whether it is run."""
    start = first % share % max(1, len(names))
    return [
        "neondot" in name or (number >= start and (number - start) % share == 0)
        for number, name in enumerate(names)
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop what is not in the share."""
    first, share = map(int, os.environ["ARM_SHARE"].split("/"))
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        test, bracket, _ = item.nodeid.partition("[")
        cases[test if bracket else test.partition("::")[0]].append(item)
    chosen = set()
    for same in cases.values():
        flags = kept([item.nodeid for item in same], first, share)
        chosen |= {item for item, flag in zip(same, flags, strict=True) if flag}
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]
