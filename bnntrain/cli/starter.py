"""A commented configuration for somebody's own data set: what ``config init --data`` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bnntrain.config import shipped_text
from bnntrain.data.catalog import describe, find_source
from bnntrain.data.pictures import PictureSource
from bnntrain.data.survey import survey
from bnntrain.errors import DataError

# Sides that the four max-pools of `photos` leave something of.
_SIDES = (64, 48, 32, 24, 16)
_SMALLEST = _SIDES[-1]
# A run passes about as many images as `photos` does with 300 pictures.
_IMAGES = 15_000
_EPOCHS = (10, 100)
_BATCH = 20


def starter(dataset: str) -> str:
    """Return a configuration for a data set, as YAML with comments.

    Parameters
    ----------
    dataset : str
        As in ``data.dataset``.

    Raises
    ------
    DataError
        There is no such data set, or it is faulty.
    """
    source = find_source(dataset)
    if isinstance(source, PictureSource):
        return _of_pictures(dataset, source)
    known = describe(dataset)
    height, width, _ = known.shape
    about = f"{known.train_count:,} images of {height}x{width} to train on"
    if min(height, width) < _SMALLEST:
        return _filled("digits", dataset, known.classes, about, known.train_count, {})
    return _filled("photos", dataset, known.classes, about, known.train_count, dict.fromkeys(
        ("image_size", "resize", "channels")
    ))  # fmt: skip


def _of_pictures(dataset: str, source: PictureSource) -> str:
    found = survey(source)
    if not found.sizes:
        name, fault = found.bad[0]
        raise DataError(dataset, f"no picture can be read. {name}: {fault}")
    side = next((each for each in _SIDES if each <= found.short_side), _SMALLEST)
    count = sum(found.counts["train"])
    (low_height, low_width), (height, width) = min(found.sizes), max(found.sizes)
    about = f"{count:,} pictures to train on, {low_height}x{low_width} to {height}x{width} pixels"
    if found.bad:
        about += f"; {len(found.bad)} cannot be read, see 'bnntrain data check'"
    keys = {"image_size": str(side), "channels": "grey" if found.is_grey else "rgb"}
    return _filled("photos", dataset, found.classes, about, count, keys)


def _filled(
    name: str, dataset: str, classes: list[str], about: str, count: int, keys: dict[str, str | None]
) -> str:
    """Return a shipped configuration with a data set put in, and recipe and comment to suit."""
    _, _, body = shipped_text(name).partition(f"name: {name}\n")
    epochs = min(max(_IMAGES // max(count, 1), _EPOCHS[0]), _EPOCHS[1])
    values = keys | {
        # Quoted as JSON, which is YAML too: a path may hold anything.
        "dataset": json.dumps(dataset, ensure_ascii=False),
        "epochs": str(epochs),
        # Small sets still have some batches an epoch.
        "batch_size": str(min(_BATCH, max(2, count // 4))),
        "dense: 10": "dense: classes",
    }
    for key, value in values.items():
        if key.startswith("dense"):
            body = body.replace(key, value)
        else:
            line = "" if value is None else rf"\g<1>{key}: {_escaped(value)}" + "\n"
            body = re.sub(rf"^( *){key}: .*\n", line, body, flags=re.MULTILINE)
    some = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    return (
        f"# {len(classes)} classes: {_one_line(some)}.\n# {about}.\n"
        f"# The layers and the recipe are those of the shipped configuration '{name}'; 'classes'\n"
        "# stands for as many outputs as there are classes.\n"
        f"{body}"
    )


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\")


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def starter_name(dataset: str) -> Path:
    """Return the name of the file, after the data set."""
    stem = re.sub(r"[^\w.-]", "_", Path(dataset).absolute().stem).strip(".")
    return Path(f"{stem or 'photos'}.yaml")
