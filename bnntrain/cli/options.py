"""Options and arguments that several verbs share, each defined once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from bnntrain.config import parse_override, shipped_configs
from bnntrain.errors import UsageError
from bnntrain.sizes import parse_size

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
"""Adds ``as_json: bool``."""


class ByteSize(click.ParamType):
    """A number of bytes with a unit, e.g. ``64MiB``."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return bytes."""
        try:
            return parse_size(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Number(click.types.FloatParamType):
    """A number on the real line: click's own takes ``nan``, which lies in every range, and ``inf``.

    All options that take a number with a point are of this type.
    """

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        with contextlib.suppress(ValueError, TypeError):
            if not math.isfinite(float(value)):
                self.fail(f"{value!r} is not a finite number.", param, ctx)
        return super().convert(value, param, ctx)


class NumberRange(Number, click.FloatRange):
    """A number with bounds, which click writes into the help: without any it says ``x<=None``."""


SECONDS = NumberRange(0, 31_536_000, min_open=True)
"""A time to wait or to measure: up to a year."""


class NamedPath(click.Path):
    """A path; what begins with a dash is an option whose value was forgotten."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Return the path."""
        if isinstance(param, click.Option) and str(value).startswith("-"):
            self.fail(f"{value!r} is an option. Write './{value}' for such a name", param, ctx)
        return super().convert(value, param, ctx)


class ResumedRun(NamedPath):
    """The folder of a run, or True where the option stands alone."""

    name = "run"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Return the path, or True."""
        return value if value is True else super().convert(value, param, ctx)


def complete_config(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer shipped configurations and files to a shell."""
    from click.shell_completion import CompletionItem  # a shell alone asks for it

    shipped = [name for name in shipped_configs() if name.startswith(incomplete)]
    if shipped and "/" not in incomplete:
        return [CompletionItem(name) for name in shipped]
    return [CompletionItem(incomplete, type="file")]


def configuration(required: bool = True) -> Callable:
    """Add ``config: str``, a ``.yaml`` file or the name of a shipped configuration."""
    metavar = "CONFIG" if required else "[CONFIG]"
    return click.argument(
        "config", metavar=metavar, shell_complete=complete_config, required=required
    )


config_argument = configuration()
"""A ``.yaml`` file or the name of a shipped configuration."""


model_argument = click.argument("model", metavar="MODEL", type=click.Path())
"""Folder of a run, or a file that ``export`` wrote."""

memory_limit_option = click.option(
    "--memory-limit",
    type=ByteSize(),
    metavar="SIZE",
    help="Largest arena, e.g. 64MiB: a larger batch is replaced by the largest that fits.",
)


checkpoint_option = click.option(
    "--checkpoint",
    type=click.Choice(["last", "best"]),
    help="Of a run: weights of the last epoch, the default, or of the best: the latest whose "
    "validation accuracy is within one standard error of the highest.",
)
"""Adds ``checkpoint: str | None``."""


# Option, dotted key, type, help.
_SHORTCUTS = (
    (
        "--method",
        "method",
        click.Choice(["standard", "wang2021", "efficient"]),
        "Row of the method table.",
    ),
    ("--epochs", "train.epochs", int, "Passes over the training set."),
    ("--batch-size", "train.batch_size", int, "Samples per step."),
    ("--lr", "train.learning_rate", Number(), "Peak learning rate."),
    ("--seed", "train.seed", int, "Of weights, order and rounding."),
    ("--threads", "train.threads", int, "Threads; 0 takes all available cores."),
)


# Likewise, of the verbs that train.
_METERS = (
    ("--memory/--no-memory", "meters.memory", bool, "Record resident memory."),
    (
        "--energy",
        "meters.energy",
        click.Choice(["none", "auto", "ina219", "hwmon", "pmic", "rapl", "replay"]),
        "Meter to record energy from.",
    ),
    ("--idle", "meters.idle", Number(), "Seconds of idle power to measure before and after."),
)


def meter_options(command: Callable) -> Callable:
    """Add the short options of what is recorded; read by `overrides_of`."""
    return _add_shortcuts(command, _METERS)


def override_options(command: Callable, without: str = "") -> Callable:
    """Add ``-s key=value`` and the short options, but for `without`; read by `overrides_of`."""
    command = _add_shortcuts(command, [each for each in _SHORTCUTS if each[0] != without])
    return click.option(
        "-s",
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Replace any value of the configuration, read as YAML; may be given again.",
    )(command)


def _add_shortcuts(command: Callable, shortcuts: Sequence[tuple]) -> Callable:
    for flag, key, kind, text in reversed(shortcuts):
        command = click.option(
            flag, _parameter(key), type=kind, default=None, help=f"{text} [{key}]"
        )(command)
    return command


def _parameter(key: str) -> str:
    return f"set_{key.replace('.', '_')}"


def overrides_of(parameters: dict[str, object]) -> dict[str, object]:
    """Take the overrides out of a command's parameters.

    Parameters
    ----------
    parameters : dict
        The command's keyword arguments; those of `override_options` are removed.

    Returns
    -------
    dict
        Dotted keys and values for `bnntrain.config.load_config`.

    Raises
    ------
    UsageError
        One key is given twice with different values.
    """
    given = [parse_override(text) for text in parameters.pop("assignments")]
    for _, key, _, _ in (*_SHORTCUTS, *_METERS):
        value = parameters.pop(_parameter(key), None)
        if value is not None:
            given.append((key, value))
    overrides: dict[str, object] = {}
    for key, value in given:
        if key in overrides and overrides[key] != value:
            raise UsageError(f"{key} is given as {overrides[key]} and as {value}. Give it once")
        overrides[key] = value
    return overrides
