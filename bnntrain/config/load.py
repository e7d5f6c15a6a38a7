"""Read a configuration, lay overrides over it, check it, write it back, fingerprint it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from bnntrain.config.check import OVERRIDE, Where, origin, read_struct, show
from bnntrain.config.find import find_config, find_model, name_of
from bnntrain.config.models import read_model, write_model
from bnntrain.config.plain import plain
from bnntrain.config.schema import (
    MODEL_FORMS,
    Config,
    ConfigFile,
    Data,
    Meters,
    Model,
    Side,
)
from bnntrain.config.together import check_meters, check_together
from bnntrain.errors import ConfigError

Reference = str | os.PathLike[str] | Mapping[str, object] | Config
"""What stands for a configuration."""

_DICT = "dict"
# Keys that came later: at their default they leave a digest as it was, so that runs from before
# can still be resumed.
_LATER_DATA_KEYS = (
    "augment", "image_size", "resize", "channels", "test_fraction", "test_seed", "records",
)  # fmt: skip
_LATER_AUGMENT_KEYS = ("crop_area", "crop_aspect", "colour")
_DATA_DEFAULTS = msgspec.to_builtins(Data("any"))
_AUGMENT_DEFAULTS = {key: _DATA_DEFAULTS["augment"].pop(key) for key in _LATER_AUGMENT_KEYS}
# `schedule: cosine` is short for `schedule: {kind: cosine}`.
_SHORTHAND = {"train.schedule": "kind", "train.optimizer": "name"}


class _MetersAlone(msgspec.Struct, frozen=True):
    meters: Meters = Meters()


def load_config(
    reference: Reference, overrides: Mapping[str, object] | None = None, recorded: object = None
) -> Config:
    """Read a configuration.

    Parameters
    ----------
    reference : str, path, mapping or Config
        A ``.yaml`` file, or the name of a shipped configuration. ``configs/<name>.yaml`` that is
        not a file stands for the shipped one of that name. Or what such a file holds, as a dict;
        or a configuration that was read before.
    overrides : mapping, optional
        Dotted keys and their values, e.g. ``{"train.epochs": 3, "method": "standard"}``. They win
        over the file. A mapping as a value overrides the keys in it. Numbers may be NumPy's. A
        model file that is given here is relative to the working directory, one in the file to the
        file's folder.
    recorded : object, optional
        What `record_config` told of a file. If it still has that text, it need not be parsed.

    Returns
    -------
    Config
        Resolved: the model's layers are in it.

    Raises
    ------
    ConfigError
        One line with file (or ``override``), dotted key and remedy.
    """
    if isinstance(reference, Config) and not overrides:
        return reference
    raw, source, folder = _read_raw(reference, recorded)
    given = _read_overrides(overrides)
    for key, inner in _SHORTHAND.items():
        section, _, name = key.rpartition(".")
        if isinstance(raw.get(section), dict) and isinstance(raw[section].get(name), str):
            raw[section][name] = {inner: raw[section][name]}
    for key, value in given.items():
        _apply(raw, key, value, source)
    _read_address(raw)
    _read_side(raw)
    where = Where(source, frozenset(given), ConfigFile)
    file = read_struct(ConfigFile, raw, where, "")
    name = file.name or name_of(source)
    model = _load_model(file.model, name, where, Path() if "model" in given else folder)
    check_together(file, where)
    return Config(
        name=name,
        model=model,
        data=file.data,
        train=file.train,
        method=file.method,
        representation=file.representation,
        meters=file.meters,
        source=source,
        overridden=where.overridden,
    )


def origin_of(config: Config, key: str) -> str:
    """Return where a value came from, for messages: a file, or ``override``."""
    return origin(config.source, config.overridden, key)


def load_meters(
    reference: str | os.PathLike[str] | None, overrides: Mapping[str, object] | None = None
) -> Meters:
    """Read the section ``meters`` alone: that of a configuration, or the defaults.

    Parameters
    ----------
    reference : str, path or None
        As for `load_config`; None starts from the defaults.
    overrides : mapping, optional
        As for `load_config`; without a configuration only keys of ``meters`` have a meaning.

    Returns
    -------
    Meters
        Checked.

    Raises
    ------
    ConfigError
        One line with file (or ``override``), dotted key and remedy.
    """
    if reference is not None:
        return load_config(reference, overrides).meters
    raw: dict[str, object] = {}
    given = _read_overrides(overrides)
    for key, value in given.items():
        _apply(raw, key, value, OVERRIDE)
    _read_address(raw)
    where = Where(OVERRIDE, frozenset(given), _MetersAlone)
    meters = read_struct(_MetersAlone, raw, where, "").meters
    check_meters(meters, where)
    return meters


def parse_override(text: str) -> tuple[str, object]:
    """Split ``key=value``, reading the value with the same YAML as the files.

    Parameters
    ----------
    text : str
        E.g. ``train.learning_rate=1e-3`` or ``representation={latent: int16}``.

    Returns
    -------
    tuple of str and object
        Dotted key and value, to be put into `load_config`'s overrides.

    Raises
    ------
    ConfigError
        No ``=``, no key, or a value that is not YAML.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(OVERRIDE, "", f"{show(text)} is not key=value. Write train.epochs=3")
    try:
        return key, _parse(value, OVERRIDE)
    except ConfigError as error:
        raise ConfigError(OVERRIDE, key, error.message) from None


def dump_config(config: Config) -> str:
    """Write a configuration out in full; reading the text gives an equal one.

    Keys whose value is the method's own (None) are left out.
    """
    from bnntrain.config.strict_yaml import dump_yaml  # see `_parse`

    return dump_yaml(_plain(config))


def record_config(config: Config) -> dict[str, object]:
    """Return plain values of a configuration, and the CRC-32 of what `dump_config` writes of it.

    JSON of them is read in a tenth of the memory that PyYAML takes.
    """
    return {"crc32": zlib.crc32(dump_config(config).encode()), "values": _plain(config)}


def config_digest(config: Config) -> str:
    """Return the SHA-256 (hex) of all that may influence the trained weights.

    Names, the file, the meters, the numbers of threads and of processes do not.
    """
    values = _plain(config)
    del values["meters"]
    del values["name"], values["model"]["name"], values["train"]["threads"]
    for name in ("classes", "enlarge", "workers"):
        values["data"].pop(name, None)
    _drop_defaults(values["data"]["augment"], _LATER_AUGMENT_KEYS, _AUGMENT_DEFAULTS)
    _drop_defaults(values["data"], _LATER_DATA_KEYS, _DATA_DEFAULTS)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    import hashlib  # of 3.5 MiB, and classifying needs no digest

    return hashlib.sha256(text.encode()).hexdigest()


def _drop_defaults(
    section: dict[str, object], names: Iterable[str], defaults: Mapping[str, object]
) -> None:
    """Leave out values that are the defaults; what is None is not there at all."""
    for name in names:
        if section.get(name) == defaults.get(name):
            section.pop(name, None)


def _plain(config: Config) -> dict[str, object]:
    values = {
        name: msgspec.to_builtins(getattr(config, name))
        for name in ("data", "train", "representation", "meters")
    }
    data = values["data"]
    for section in (data, data["augment"], values["meters"], values["train"]["optimizer"]):
        for name in [name for name, value in section.items() if value is None]:
            del section[name]
    head = {"name": config.name, "method": config.method, "model": write_model(config.model)}
    return head | values


def _parse(text: str, source: str) -> object:
    from bnntrain.config.strict_yaml import parse_yaml  # a packed model is read without PyYAML

    return parse_yaml(text, source)


def _read_raw(reference: Reference, recorded: object) -> tuple[dict[str, object], str, Path]:
    """Return what a configuration holds, its name for messages, and the folder of its models."""
    if isinstance(reference, Config):
        return _plain(reference), reference.source, Path()
    if isinstance(reference, Mapping):
        return plain(reference, _DICT), _DICT, Path()
    try:
        text, source, folder = find_config(os.fspath(reference))
    except TypeError:
        form = "Give a .yaml file, a shipped name, a dict or a Config"
        raise ConfigError(show(reference), "", f"is no configuration. {form}") from None
    raw = _recorded_values(text, recorded) or _parse(text, source)
    if not isinstance(raw, dict):
        message = f"{show(raw)} is not a configuration. See 'bnntrain config show digits'"
        raise ConfigError(source, "", message)
    return raw, source, folder


def _recorded_values(text: str, recorded: object) -> dict[str, object] | None:
    """Return what `record_config` told of a text, if it told of this one."""
    if not isinstance(recorded, dict) or recorded.get("crc32") != zlib.crc32(text.encode()):
        return None
    values = recorded.get("values")
    return values if isinstance(values, dict) else None


def _read_overrides(overrides: Mapping[str, object] | None) -> dict[str, object]:
    """Return dotted keys and values."""
    if not isinstance(overrides, Mapping | None):
        message = f"{show(overrides)} is not allowed. Give a dict of dotted keys and values"
        raise ConfigError(OVERRIDE, "", message)
    return dict(_flatten(plain(overrides or {}, OVERRIDE)))


def _flatten(overrides: Mapping[str, object], key: str = "") -> Iterator[tuple[str, object]]:
    """Yield dotted keys and values; a nested mapping gives one pair per leaf."""
    for name, value in overrides.items():
        dotted = f"{key}.{name}" if key else str(name)
        if dotted in _SHORTHAND and isinstance(value, str):
            yield f"{dotted}.{_SHORTHAND[dotted]}", value
        elif isinstance(value, Mapping) and dotted != "model" and not dotted.startswith("model."):
            yield from _flatten(value, dotted)
        else:
            yield dotted, value


def _apply(raw: dict[str, object], key: str, value: object, source: str) -> None:
    """Put one override into the tree of the file, in place."""
    *sections, name = key.split(".")
    if not all([*sections, name]):
        raise ConfigError(OVERRIDE, key, "has an empty part. Write it as in train.epochs")
    place = raw
    for depth, section in enumerate(sections):
        inner = place.get(section)
        if inner is not None and not isinstance(inner, dict):
            within = ".".join(sections[: depth + 1])
            message = f"{source} gives {within} as {show(inner)}. Override {within} as a whole"
            raise ConfigError(OVERRIDE, key, message)
        place[section] = inner = {} if inner is None else inner
        place = inner
    place[name] = value


def _read_address(raw: dict[str, object]) -> None:
    """Turn an I2C address as the world writes it, 0x41, into a number; our YAML leaves it text."""
    meters = raw.get("meters")
    text = meters.get("address") if isinstance(meters, dict) else None
    if isinstance(text, str) and re.fullmatch(r"0x[0-9a-fA-F]{1,4}", text):
        meters["address"] = int(text, 16)


def _read_side(raw: dict[str, object]) -> None:
    """Turn ``image_size: 64`` into [64, 64]; what is no side stays for the message as it is."""
    data = raw.get("data")
    side = data.get("image_size") if isinstance(data, dict) else None
    if isinstance(side, int):
        with contextlib.suppress(msgspec.ValidationError):
            data["image_size"] = [msgspec.convert(side, Side)] * 2


def _load_model(given: object, name: str, where: Where, folder: Path) -> Model:
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    if isinstance(given, Mapping):
        return read_model(given, name, where, "model")
    if not isinstance(given, str) or not given:
        raise where.error("model", f"{show(given)} is not allowed. Give {MODEL_FORMS}")
    text, source = find_model(given, where, folder)
    raw = _parse(text, source)
    if not isinstance(raw, dict):
        message = f"{show(raw)} is not a model. Give a mapping with the key layers"
        raise ConfigError(source, "", message)
    return read_model(raw, name_of(source), Where(source), "")
