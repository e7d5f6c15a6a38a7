"""YAML without its surprises.

PyYAML reads ``1e-3`` as text, ``no`` as false, ``012`` as ten, and lets the last of two equal keys
win without a word. Here a plain scalar is, in this order:

===========  =====================================================================
null         nothing, ``~`` or ``null``
boolean      ``true`` or ``false``; ``yes``, ``no``, ``on``, ``off`` are text
integer      decimal digits with an optional sign
float        digits with a point or an exponent (or both); it must be finite
refused      a number with a leading zero, as nobody agrees on what ``012`` is
text         everything else, dates included
===========  =====================================================================

Mappings have text keys, each given once. Anchors, aliases and ``<<`` work; other tags do not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar

import yaml

from bnntrain.errors import ConfigError

try:
    from yaml import CSafeLoader as _BaseLoader
except ImportError:  # PyYAML built without libyaml: same result, slower.
    from yaml import SafeLoader as _BaseLoader

_PREFIX = "tag:yaml.org,2002:"
_LEADING_ZERO = "!leading-zero"
_SCALARS = (
    (_PREFIX + "null", re.compile(r"(?:~|null|)\Z"), ["~", "n", ""]),
    (_PREFIX + "bool", re.compile(r"(?:true|false)\Z"), ["t", "f"]),
    (_LEADING_ZERO, re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?\Z"), list("-+0")),
    (_PREFIX + "int", re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789")),
    (
        _PREFIX + "float",
        re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z"),
        list("-+.0123456789"),
    ),
    (_PREFIX + "merge", re.compile(r"<<\Z"), ["<"]),
)
# A configuration is a page of text. The limits stop files that blow up through aliases.
_MAX_DEPTH = 32
_MAX_NODES = 100_000
_SHOWN = 40


class _Loader(_BaseLoader):
    """Turns text into nodes whose tags follow the table in this file's header."""

    yaml_implicit_resolvers: ClassVar[dict] = {}


class _Dumper(yaml.SafeDumper):
    """Quotes exactly the texts that `_Loader` would read as something else."""

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def ignore_aliases(self, data: object) -> bool:
        """Write repeated values out in full: `&id001` helps no reader."""
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML's other styles lose line separators such as U+0085; double quotes escape them.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar(_PREFIX + "str", text, style=style)


_Dumper.add_representer(str, _represent_text)
for _tag, _pattern, _first_characters in _SCALARS:
    _Loader.add_implicit_resolver(_tag, _pattern, _first_characters)
    _Dumper.add_implicit_resolver(_tag, _pattern, _first_characters)


class _Builder:
    """Turns nodes into values and knows file, line and dotted key of what it refuses."""

    def __init__(self, source: object) -> None:
        self.source = source
        self.nodes = 0

    def error(self, node: yaml.Node, key: str, message: str) -> ConfigError:
        return ConfigError(f"{self.source}:{node.start_mark.line + 1}", key, message)

    def build(self, node: yaml.Node, key: str = "", depth: int = 0) -> object:
        self.nodes += 1
        if depth > _MAX_DEPTH or self.nodes > _MAX_NODES:
            raise self.error(
                node, key, "nested too deeply or too large. Write it out without aliases"
            )
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, key)
        if isinstance(node, yaml.SequenceNode) and node.tag == _PREFIX + "seq":
            return [
                self.build(item, f"{key}[{index}]", depth + 1)
                for index, item in enumerate(node.value)
            ]
        if isinstance(node, yaml.MappingNode) and node.tag == _PREFIX + "map":
            return self.mapping(node, key, depth)
        raise self.unsupported(node, key)

    def unsupported(self, node: yaml.Node, key: str) -> ConfigError:
        return self.error(node, key, f"the tag {node.tag!r} is not supported here. Leave it out")

    def scalar(self, node: yaml.ScalarNode, key: str) -> object:
        text = node.value
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        match node.tag.removeprefix(_PREFIX):
            case "str":
                return text
            case "null" if text in ("", "~", "null"):
                return None
            case "bool" if text in ("true", "false"):
                return text == "true"
            case "int" | "float" as kind:
                return self.number(node, key, int if kind == "int" else float, shown)
            case "!leading-zero":
                sign = text[0] if text[0] in "+-" else ""
                digits = shown.lstrip("+-0")
                digits = digits if digits[:1].isdigit() else "0" + digits
                raise self.error(
                    node,
                    key,
                    f"{shown} has a leading zero. Write {sign}{digits}, or '{shown}' for text",
                )
        raise self.unsupported(node, key)

    def number(self, node: yaml.ScalarNode, key: str, kind: type, shown: str) -> int | float:
        try:
            value = kind(node.value)
        except ValueError:  # `!!int x`, or more digits than Python converts
            raise self.error(node, key, f"{shown} is not a usable number. Shorten it") from None
        if not math.isfinite(value):
            raise self.error(node, key, f"{shown} is not finite. Give a smaller number")
        return value

    def mapping(self, node: yaml.MappingNode, key: str, depth: int) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: dict[str, object] = {}
        lines: dict[str, int] = {}
        for name_node, value_node in node.value:
            if name_node.tag == _PREFIX + "merge":
                self.merge(value_node, key, depth, merged)
                continue
            if not isinstance(name_node, yaml.ScalarNode) or name_node.tag != _PREFIX + "str":
                given = getattr(name_node, "value", "")
                given = given if isinstance(given, str) else "a list or mapping"
                raise self.error(name_node, key, f"the key {given} is not text. Put it in quotes")
            name = name_node.value
            dotted = f"{key}.{name}" if key else name
            if name in lines:
                raise self.error(
                    name_node,
                    dotted,
                    f"duplicate key, first given in line {lines[name]}. Keep one of them",
                )
            lines[name] = name_node.start_mark.line + 1
            own[name] = self.build(value_node, dotted, depth + 1)
        return own | {name: value for name, value in merged.items() if name not in own}

    def merge(self, node: yaml.Node, key: str, depth: int, merged: dict[str, object]) -> None:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                message = "'<<' takes a mapping or an alias of one, as in <<: *a"
                raise self.error(source, key, message)
            for name, value in self.mapping(source, key, depth + 1).items():
                merged.setdefault(name, value)


def parse_yaml(text: str, source: object) -> object:
    """Read one YAML document by the rules of this module.

    Parameters
    ----------
    text : str
        The document.
    source : object
        File name for messages.

    Returns
    -------
    object
        None, bool, int, finite float, str, or lists and dicts (with text keys) of these.

    Raises
    ------
    ConfigError
        With ``source:line``, the dotted key where one is known, and the remedy.
    """
    loader = None
    builder = _Builder(source)
    try:  # from the constructor on: it already refuses characters that YAML does not allow
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else builder.build(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = source if mark is None else f"{source}:{mark.line + 1}"
        problem = error.problem or error.context or "not YAML"
        if "nesting depth" in problem:  # libyaml's own limit, in some versions
            raise ConfigError(where, "", "nested too deeply. Write it flatter") from None
        raise ConfigError(
            where, "", f"{problem}. Check indentation, quotes and colons of this line"
        ) from None
    except (yaml.YAMLError, UnicodeError) as error:
        message = f"not readable as text ({error}). Save it as UTF-8"
        raise ConfigError(source, "", message) from None
    except RecursionError:
        raise ConfigError(source, "", "nested too deeply. Write it flatter") from None
    finally:
        if loader is not None:
            loader.dispose()


def dump_yaml(values: Mapping[str, object]) -> str:
    """Write plain values so that `parse_yaml` reads the same values back.

    Parameters
    ----------
    values : Mapping
        What `parse_yaml` may return; keys keep their order.

    Returns
    -------
    str
        A YAML document in block style.
    """
    return yaml.dump(
        values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
