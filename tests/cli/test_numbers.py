"""Numbers that are none: every option of every verb, and every key of a configuration."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import click
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.cli import main, options
from bnntrain.config import load_config
from bnntrain.config.schema import ConfigFile
from bnntrain.errors import ConfigError

NO_NUMBERS = ("nan", "NaN", "-nan", "+nan", "inf", "-inf", "Infinity", "1e999", "-1e999")
_NUMERIC = (click.types.FloatParamType, click.types.IntParamType, options.ByteSize)


def commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every verb with the words that call it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))
    else:
        yield path, command


NUMERIC = [
    (path, option)
    for path, command in commands(main.cli)
    for option in command.params
    if isinstance(option, click.Option) and isinstance(option.type, _NUMERIC)
]
IDS = [" ".join((*path, option.opts[0])) for path, option in NUMERIC]


def test_there_are_numeric_options_of_many_verbs():
    assert {path[0] for path, _ in NUMERIC} >= {"fit", "plan", "energy", "bench", "predict"}


@pytest.mark.parametrize(("path", "option"), NUMERIC, ids=IDS)
def test_no_option_takes_what_is_no_number(path, option, capsys):
    for text in NO_NUMBERS:
        assert main.run([*path, f"{option.opts[0]}={text}"]) == 2
        out, err = capsys.readouterr()
        (line,) = err.splitlines()
        assert out == ""
        assert option.opts[0] in line
        assert repr(text) in line


@given(text=st.one_of(st.floats().map(str), st.text("0123456789.+-einfatyMB", max_size=9)))
def test_whatever_an_option_takes_is_finite(text):
    for _, option in NUMERIC:
        with contextlib.suppress(click.BadParameter):
            assert math.isfinite(option.type.convert(text, option, None))


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_a_recording_for_a_time_that_never_ends_is_refused(program, tmp_path, text):
    path = tmp_path / "power.csv"
    line = program.error("energy", "record", "-o", path, "--for", text)
    assert line == (
        f"UsageError: Invalid value for '--for': '{text}' is not a finite number. "
        "See 'bnntrain energy record --help'"
    )
    assert not path.exists()


def numeric_keys(kind: type[msgspec.Struct], key: str = "") -> Iterator[str]:
    """Yield the dotted keys that hold numbers."""
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from numeric_keys(field.type, f"{key}{field.name}.")
        else:
            info = msgspec.inspect.type_info(field.type)
            parts = getattr(info, "types", (info,))
            if {type(part).__name__ for part in parts} & {"FloatType", "IntType"}:
                yield f"{key}{field.name}"


@pytest.mark.parametrize("key", list(numeric_keys(ConfigFile)))
def test_no_key_takes_what_is_no_number(key):
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ConfigError) as error:
            load_config("digits", {key: value})
        assert str(error.value).startswith(f"override: {key}: {value} is not allowed. Give ")
