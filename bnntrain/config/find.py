"""Where configurations and models are found: files, and what ships with the package."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

from bnntrain.config import shipped
from bnntrain.config.check import Where, did_you_mean, show
from bnntrain.errors import ConfigError
from bnntrain.paths import is_file, is_folder

_SUFFIXES = (".yaml", ".yml")
_MAX_BYTES = 1 << 20


def is_config_name(reference: str) -> bool:
    """Whether a text is the name of a shipped configuration, or of a file as they are named."""
    return PurePath(reference).suffix in _SUFFIXES or reference in shipped.shipped_configs()


def find_config(reference: str) -> tuple[str, str, Path]:
    """Return text, name for messages, and the folder that model paths are relative to."""
    path = PurePath(reference)
    is_path = path.suffix in _SUFFIXES
    if is_path and is_file(Path(reference)):
        return _read_text(Path(reference)), reference, Path(reference).parent
    bare = path.parts == (shipped.FOLDER, path.name) and path.suffix == shipped.SUFFIX
    name = path.stem if bare else reference
    known = shipped.shipped_configs()
    if (bare or not is_path) and name in known:
        return shipped.shipped_text(name), f"{shipped.FOLDER}/{name}{shipped.SUFFIX}", Path()
    if is_path and not is_folder(Path(reference)):
        raise ConfigError(reference, "", f"no such file. Shipped by name: {', '.join(known)}")
    shown = reference if reference and reference.isprintable() else show(reference)
    if reference and is_folder(Path(reference)):
        remedy = f"To train on its pictures: bnntrain fit photos --set data.dataset={shown}"
        raise ConfigError(shown, "", f"a folder, not a .yaml file. {remedy}")
    if os.sep in reference or reference in ("", ".", ".."):
        message = "not a .yaml file. Give the configuration file itself, or a shipped name"
        raise ConfigError(shown, "", message)
    raise ConfigError(shown, "", f"no such shipped configuration. {did_you_mean(name, known)}")


def find_model(given: str, where: Where, folder: Path) -> tuple[str, str]:
    """Return text and name for messages of a model file."""
    path = PurePath(given)
    is_path = path.suffix in _SUFFIXES
    if is_path and is_file(folder / path):
        return _read_text(folder / path), str(folder / path)
    models = f"{shipped.FOLDER}/models"
    inside = is_path and str(path.parent) in (".", "models", models)
    name = path.stem if inside else given
    known = shipped.shipped_models()
    if (inside or not is_path) and name in known:
        return shipped.shipped_text(f"models/{name}"), f"{models}/{name}{shipped.SUFFIX}"
    if is_path:
        what = "a folder, not a file" if is_folder(folder / path) else "no such file"
        raise where.error("model", f"{folder / path}: {what}. Shipped: {', '.join(known)}")
    near = did_you_mean(given, known)
    raise where.error("model", f"{show(given)} is not a shipped model. {near} A file ends in .yaml")


def name_of(source: str) -> str:
    """Turn a file's name into a run's name."""
    return re.sub(r"[^\w.+=@ -]", "_", PurePath(source).stem)[:100].lstrip(" .+=@-") or "config"


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise ConfigError(path, "", f"cannot be read ({reason}). Check its permissions") from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(path, "", "larger than 1 MiB. Give a configuration, not data")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text (byte {error.start}). Save it as UTF-8"
        raise ConfigError(path, "", message) from None
