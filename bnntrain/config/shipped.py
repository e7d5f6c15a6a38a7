"""The YAML files that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bnntrain.errors import ConfigError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SUFFIX = ".yaml"
FOLDER = "configs"
_PACKAGE = "bnntrain.configs"


def shipped_configs() -> list[str]:
    """Return the names that `load_config` takes without a path, sorted."""
    return _names(_root())


def shipped_models() -> list[str]:
    """Return the names that the key ``model`` takes without a path, sorted."""
    return _names(_root() / "models")


def shipped_text(name: str) -> str:
    """Return a shipped file as it was written, comments included.

    Parameters
    ----------
    name : str
        ``digits`` for a configuration, ``models/mlp`` for a model.

    Raises
    ------
    ConfigError
        No such file ships with the package.
    """
    file = _root().joinpath(*f"{name}{SUFFIX}".split("/"))
    if not file.is_file():
        known = ", ".join(shipped_configs())
        raise ConfigError(name, "", f"no such shipped configuration. There are: {known}")
    return file.read_text(encoding="utf-8")


def _root() -> Traversable:
    from importlib import resources  # of size, and a run's configuration is found without

    try:
        return resources.files(_PACKAGE)
    except ModuleNotFoundError:
        # A checkout that is not installed: the folder stands beside the package.
        beside = Path(__file__).resolve().parents[2] / FOLDER
    if not beside.is_dir():
        raise ConfigError(beside, "", "the shipped configurations are missing. Reinstall bnntrain")
    return beside


def _names(folder: Traversable) -> list[str]:
    files = (entry.name for entry in folder.iterdir() if entry.is_file())
    return sorted(name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX))
