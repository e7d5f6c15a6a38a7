"""Bad input of every kind: exit code 2, one line that names fault and remedy, nothing changed.

The table is in ``bad_*.py``. Cases run in this process; a sample of them runs again as the
installed command and has to come out the same.
"""

from __future__ import annotations

import bad_configs
import bad_data
import bad_images
import bad_options
import bad_runs
import pytest
from robustness_kit import call

TABLES = (bad_configs, bad_data, bad_images, bad_options, bad_runs)
CASES = [case for table in TABLES for case in table.CASES]
SAMPLE = CASES[:: len(CASES) // 10]


def by_name(cases):
    """Parametrise a test with cases."""
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def set_up(case, place, request, monkeypatch):
    """Make what a case needs."""
    if case in bad_runs.CASES:
        request.getfixturevalue("run_folder")
    if case.prepare:
        case.prepare(place)
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)


def refused(case, result):
    """Assert that the one line on standard error says what it must."""
    kind, separator, message = result.err.partition(": ")
    assert result.code == case.code, result
    assert separator
    assert kind.endswith("Error")
    assert kind.isidentifier()
    assert message.endswith("\n")
    assert message.count("\n") == 1, result.err
    assert result.out == ""
    for part in case.says:
        assert part in message


@by_name(CASES)
def test_bad_input_is_refused_in_one_line(case, place, request, monkeypatch):
    set_up(case, place, request, monkeypatch)
    before = place.snapshot()
    refused(case, call(*case.arguments))
    assert place.snapshot() == before
    assert not place.unfinished()


@by_name(SAMPLE)
def test_the_installed_command_says_the_same(case, place, request, monkeypatch):
    set_up(case, place, request, monkeypatch)
    before = place.snapshot()
    result = place.spawn(*case.arguments, environment=case.environment)
    assert result == call(*case.arguments)
    assert place.snapshot() == before


def test_the_table_is_as_large_as_promised():
    assert len({case.name for case in CASES}) == len(CASES) >= 60
    assert len(SAMPLE) >= 10
