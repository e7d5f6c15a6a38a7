"""Finding one's way: help, verbs, mistyped verbs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest

from bnntrain.cli import main

VERBS = list(main._VERBS)


def test_help_needs_neither_numpy_nor_yaml():
    code = (
        "import sys; from bnntrain.cli.main import run; assert run(['--help']) == 0; "
        "print(sorted({'numpy', 'yaml', 'msgspec'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_short_help_is_the_first_sentence_of_the_verbs_own(verb):
    command = getattr(importlib.import_module(f"bnntrain.cli.{verb}"), verb)
    assert isinstance(command, click.Command)
    assert command.name == verb
    assert command.get_short_help_str(limit=200) == main._VERBS[verb]


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_bare_call_and_help_list_all_verbs(program, arguments):
    done = program.run(*arguments)
    assert done.stderr == ""
    listed = [line.split()[0] for line in done.stdout.split("Commands:")[1].splitlines() if line]
    assert listed == VERBS


@pytest.mark.parametrize("group", ["data", "config"])
def test_bare_group_prints_its_help(program, group):
    done = program.run(group)
    assert f"Usage: bnntrain {group}" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_that_fits_the_terminal(verb):
    command = getattr(importlib.import_module(f"bnntrain.cli.{verb}"), verb)
    settings = {**main.cli.context_settings, "terminal_width": 100}
    text = command.get_help(click.Context(command, info_name=verb, **settings))
    assert text.startswith("Usage:")
    assert max(map(len, text.splitlines())) <= 100


def commands(command, path=()):
    """The words of a command and of all commands below it."""
    yield path
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, (*path, name))


WORDS = [
    words
    for verb in VERBS
    for words in commands(getattr(importlib.import_module(f"bnntrain.cli.{verb}"), verb), (verb,))
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_is_whole_at_80_columns(program, words):
    text = program.run(*words, "--help", COLUMNS="80").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "None" not in text
    _, _, below = text.partition("\nCommands:\n")
    assert "..." not in below


def test_version(program):
    import bnntrain

    assert program.run("--version").stdout == f"bnntrain, version {bnntrain.__version__}\n"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("comprae", "Did you mean 'compare'?"),
        ("trian", "See 'bnntrain --help'"),
        ("plans", "'plan'"),
    ],
)
def test_unknown_verb_names_the_nearest(program, typed, expected):
    line = program.error(typed)
    assert line.startswith(f"UsageError: no verb '{typed}'.")
    assert expected in line
