"""``bnntrain config show|init``: what a configuration says, and a copy to start from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from bnntrain.cli import options
from bnntrain.cli.output import echo_json
from bnntrain.config import (
    dump_config,
    load_config,
    shipped_configs,
    shipped_models,
    shipped_text,
)
from bnntrain.config.strict_yaml import parse_yaml
from bnntrain.data.files import part_file
from bnntrain.errors import UsageError
from bnntrain.layer_methods import resolve_methods
from bnntrain.text import columns

_MODELS = "models/"
_SUFFIXES = (".yaml", ".yml")


@click.group()
def config() -> None:
    """Show configurations, or write a copy to start from."""


@config.command()
@click.argument("name", required=False, shell_complete=options.complete_config)
@options.override_options
@options.json_option
def show(name: str | None, as_json: bool, **parameters: object) -> None:
    """Print a configuration in full, or list the shipped ones.

    NAME is a .yaml file or a shipped name. Every default, the layers of the model and all overrides
    are written out; what is printed is itself a configuration.
    """
    overrides = options.overrides_of(parameters)
    if name is None:
        if overrides:
            raise UsageError("overrides need the NAME of a configuration")
        _echo_list(as_json)
    elif name.startswith(_MODELS) and not name.endswith(_SUFFIXES):
        if overrides:
            raise UsageError(f"{name} is a model, and overrides belong to a configuration")
        _echo_yaml(shipped_text(name), name, as_json)
    else:
        resolved = load_config(name, overrides)
        # Refused here as by 'fit': a method that no kernel computes.
        resolve_methods(resolved)
        _echo_yaml(dump_config(resolved), name, as_json)


def _echo_yaml(text: str, source: str, as_json: bool) -> None:
    if as_json:
        echo_json(parse_yaml(text, source))
    else:
        click.echo(text, nl=False)


def _echo_list(as_json: bool) -> None:
    shipped = [
        {"name": name, "kind": kind, "about": _about(name)}
        for kind, names in (
            ("configuration", shipped_configs()),
            ("model", [f"{_MODELS}{model}" for model in shipped_models()]),
        )
        for name in names
    ]
    if as_json:
        echo_json(shipped)
        return
    rows = [[entry["name"], entry["about"]] for entry in shipped]
    head, *lines = columns(rows, [["name", "what it is"]])
    click.echo(click.style(head, bold=True))
    for line in lines:
        click.echo(line)


def _about(name: str) -> str:
    """Return the first sentence of the comment at the top of a shipped file."""
    comment = []
    for line in shipped_text(name).splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    sentence, *_ = " ".join(comment).split(". ")
    return sentence.rstrip(".")


@config.command()
@click.argument("file", type=click.Path(), required=False)
@click.option(
    "--from", "name", shell_complete=options.complete_config,
    help="Shipped configuration to copy [default: digits].",
)  # fmt: skip
@click.option(
    "--data", "dataset", metavar="DATASET",
    help="Data set to write a configuration for, e.g. a folder of pictures; FILE is then called "
    "after it by default.",
)  # fmt: skip
def init(file: str | None, name: str | None, dataset: str | None) -> None:
    """Write a configuration to start from, with comments.

    FILE is a copy of a shipped one, or one for your data. A file that is there already is left
    alone.
    """
    if dataset is not None:
        from bnntrain.cli.starter import starter, starter_name

        if name is not None:
            raise UsageError("--data writes a configuration of its own. Leave out --from")
        path = Path(file) if file is not None else starter_name(dataset)
        _write(path, lambda: starter(dataset))
        click.echo(f"wrote {path}. Train with: bnntrain fit {path}")
        return
    if file is None:
        raise UsageError("FILE is missing. Name the file to write, or give --data")
    name = name or "digits"
    _write(Path(file), lambda: shipped_text(name))
    click.echo(f"wrote {file}, a copy of {name}. Train with: bnntrain fit {file}")


def _write(path: Path, make: Callable[[], str]) -> None:
    """Write a new configuration; where it cannot be written nothing is made."""
    if path.suffix not in _SUFFIXES:
        raise UsageError(path, "a configuration ends in .yaml. Name it so")
    if os.path.lexists(path):
        raise UsageError(path, "exists already. Give another name, or remove it first")
    text = make()
    with part_file(path, "Give a file in a folder that you can write to") as part:
        os.write(part.fd, text.encode())
        part.place()
