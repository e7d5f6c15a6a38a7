"""Values from Python to what the same values in a file would be."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bnntrain.errors import ConfigError

_MAX_DEPTH = 32


def plain(value: object, source: str, key: str = "", depth: int = 0) -> object:
    """Return a copy made of dicts, lists and Python's own numbers and texts.

    NumPy's scalars become numbers, paths text, tuples lists. What a file could not hold is left for
    the checks to refuse.

    Parameters
    ----------
    value : object
        Of a configuration or an override.
    source, key : str
        Where it is, for messages.
    depth : int
        How deep.

    Raises
    ------
    ConfigError
        Nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise ConfigError(source, key, "nested too deeply. Write it flatter")
    if isinstance(value, Mapping):
        return {
            name: plain(inner, source, f"{key}.{name}".lstrip("."), depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(inner, source, key, depth + 1) for inner in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    # A scalar of NumPy, or an array of no dimensions; importing NumPy to ask would take memory.
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value
