"""Plain values to structs, with errors that say where, what was given and what is allowed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import msgspec.inspect

from bnntrain.errors import ConfigError

Section = TypeVar("Section", bound=msgspec.Struct)
OVERRIDE = "override"
_SYNONYMS = {"lr": "learning_rate"}  # too far from its key for a likeness of letters
_SHOWN = 60


@dataclass(frozen=True)
class Where:
    """Tells which source a dotted key came from.

    Attributes
    ----------
    file : str
        The file that is being read.
    overridden : frozenset of str
        Dotted keys whose values came from overrides instead.
    root : type or None
        Struct of the whole file, to find where a misplaced key belongs.
    """

    file: str
    overridden: frozenset[str] = frozenset()
    root: type[msgspec.Struct] | None = None

    def error(self, key: str, message: str) -> ConfigError:
        """Build the error for a dotted key."""
        return ConfigError(origin(self.file, self.overridden, key), key, message)


def origin(file: str, overridden: Iterable[str], key: str) -> str:
    """Return where the value of a dotted key came from: `file`, or an override."""
    from_override = any(
        key == given or key.startswith((given + ".", given + "[")) for given in overridden
    )
    return OVERRIDE if from_override else file


def show(value: object) -> str:
    """Write a value as its file would, shortened to one line."""
    if value is None:
        return "null (no value)"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(dict(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _near(given: object, known: list[str]) -> list[str]:
    """Return the nearest word, if one is near."""
    import difflib  # for a mistake alone

    return difflib.get_close_matches(str(given), known, n=1)


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Name the nearest known word, or all of them where none is near."""
    known = list(known)
    near = _near(given, known)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known) or 'none'}"


def read_struct(kind: type[Section], raw: object, where: Where, key: str) -> Section:
    """Turn a mapping into a struct, refusing whatever its fields do not allow.

    Parameters
    ----------
    kind : type of struct
        What to build; fields that are structs are read in the same way.
    raw : object
        Value as read. None (a key with nothing after it) is an empty mapping.
    where : Where
        For messages.
    key : str
        Dotted key of `raw`; empty for a whole file.

    Returns
    -------
    Section
        An instance of `kind`.

    Raises
    ------
    ConfigError
        Unknown or missing key, wrong type, value out of range.
    """
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if raw is None and key in where.overridden:
        inner = f"{key}.{next(iter(fields))}"
        message = f"{show(raw)} would reset the whole section. Give single keys, such as {inner}"
        raise where.error(key, message)
    raw = {} if raw is None else raw
    if not isinstance(raw, Mapping):
        keys = ", ".join(fields)
        raise where.error(key, f"{show(raw)} is not allowed. Give a mapping with the keys {keys}")
    for name in raw:
        if name not in fields:
            raise where.error(_join(key, name), f"unknown key. {_suggest(name, fields, where)}")
    values = {}
    for name, field in fields.items():
        dotted = _join(key, name)
        if name in raw:
            values[name] = _read_value(field.type, raw[name], where, dotted)
        elif field.required:
            raise where.error(dotted, f"missing. Give {_allowed(field.type)}")
    return kind(**values)


def _join(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def _read_value(kind: object, value: object, where: Where, key: str) -> object:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return read_struct(kind, value, where, key)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):
        hint = _nearest_choice(kind, value)
        message = f"{show(value)} is not allowed. Give {_allowed(kind)}{hint}"
        raise where.error(key, message) from None


def _suggest(name: object, fields: Mapping[str, object], where: Where) -> str:
    """Find the key that was meant: elsewhere under its exact name, else here under a near one."""
    wanted = _SYNONYMS.get(str(name), str(name))
    if where.root is not None and wanted not in fields:
        places = [key for key in _all_keys(where.root) if key.rpartition(".")[2] == wanted]
        if places:
            return f"Did you mean {' or '.join(repr(place) for place in places)}?"
    return did_you_mean(wanted, fields)


def _all_keys(kind: type[msgspec.Struct], key: str = "") -> list[str]:
    keys = []
    for field in msgspec.structs.fields(kind):
        dotted = _join(key, field.name)
        keys.append(dotted)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            keys += _all_keys(field.type, dotted)
    return keys


def _nearest_choice(kind: object, value: object) -> str:
    choices = [str(word) for part in _parts(kind) for word in getattr(part, "values", ())]
    near = _near(value, choices)
    return f". Did you mean '{near[0]}'?" if near else ""


def _parts(kind: object) -> list:
    """Return msgspec's description of each member of a field's type (one, unless a union)."""
    info = msgspec.inspect.type_info(kind)
    return list(getattr(info, "types", (info,)))


def _allowed(kind: object) -> str:
    """Say in words what a field takes."""
    parts = _parts(kind)
    words = [_part_allowed(part) for part in parts if type(part).__name__ != "NoneType"]
    return ", or ".join(words + (["leave it out"] if len(words) < len(parts) else []))


def _part_allowed(part: object) -> str:
    """Say in words what one member of a field's type takes."""
    match type(part).__name__:
        case "Metadata":
            return part.extra["allowed"]
        case "LiteralType":
            choices = ", ".join(str(choice) for choice in part.values)
            return choices if len(part.values) == 1 else f"one of {choices}"
        case "BoolType":
            return "true or false"
        case "IntType":
            return f"a whole number from {part.ge} to {part.le}"
        case "FloatType":
            low = f"above {part.gt}" if part.gt is not None else f"from {part.ge}"
            high = f"below {part.lt}" if part.lt is not None else f"at most {part.le}"
            return f"a number {low}, {high}"
        case "StructType":
            return "a mapping with the keys " + ", ".join(part.cls.__struct_fields__)
        case _:
            return "some text"
