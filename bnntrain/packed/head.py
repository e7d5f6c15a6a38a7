"""What is known of a packed model beside its tensors, and how it is written down."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from bnntrain.config import Data
from bnntrain.config.check import Where
from bnntrain.config.models import read_model, write_model
from bnntrain.config.schema import Model
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.errors import ConfigError
from bnntrain.graph import Items
from bnntrain.inference import PackedLayer, packed_layers
from bnntrain.steps import TYPES

CHECKPOINTS = ("last", "best")
"""Weights of a run that there are: of its last epoch, or of its best one."""

_GRADIENT = "int8"  # where nothing is said

_HEXADECIMAL = set("0123456789abcdef")


@dataclass(frozen=True)
class Head:
    """A packed model but for its tensors.

    Attributes
    ----------
    name : str
        Of the configuration it was trained by.
    model : Model
        Its layers.
    preprocessing : Preprocessing
        Shape of a sample, and how a picture becomes one.
    classes : tuple of str
        Names of the classes, in the order of the scores.
    method : str
        Row of the method table that it was trained by.
    checkpoint : str
        One of `CHECKPOINTS`.
    epoch : int
        Epochs that the weights were trained for.
    data : Data
        What it was trained on, as in the configuration.
    data_crc32 : mapping of str to int
        CRC-32 of the records of that data's ``train`` and ``test``, as far as known.
    seed : int
        Of the run; with `data` it fixes which samples are ``validation``.
    batch_size : int
        Samples of a training step, in which losses are added up.
    label_smoothing : float
        Part of the loss.
    weights_sha256 : str
        Of the training state that was packed, as in ``run.json``; empty where it is not needed.
    version : str
        Of the bnntrain that packed it.
    gradient : str
        Type of gradients that it was trained with, which types of streams follow.
    """

    name: str
    model: Model
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    method: str
    checkpoint: str
    epoch: int
    data: Data
    data_crc32: Mapping[str, int]
    seed: int
    batch_size: int
    label_smoothing: float
    weights_sha256: str
    version: str
    gradient: str = "int8"

    @property
    def layers(self) -> Items:
        """The list of layers."""
        return self.model.layers

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of a sample."""
        return self.preprocessing.shape

    def packed_layers(self) -> list[PackedLayer]:
        """Return its layers.

        Raises
        ------
        ValueError
            See `bnntrain.inference.packed_layers`.
        """
        return packed_layers(self.layers, self.shape, len(self.classes), self.gradient)


class Source(Protocol):
    """Where a packed model comes from.

    Attributes
    ----------
    path : Path
        File or folder, for messages.
    head : Head
        All but the tensors.
    threads : int
        As configured; 0 takes all available cores.
    """

    path: Path
    head: Head
    threads: int

    def naming_the_data(self) -> AbstractContextManager[None]:
        """Say of a data set that is missing what can be done about it."""

    def read(self, into: Mapping[str, np.ndarray]) -> None:
        """Write every tensor where it is wanted: all names and shapes of `layers.tensors_of`."""


def to_metadata(head: Head) -> dict[str, str]:
    """Write a head as text by name, the same for the same head."""
    own = {} if head.gradient == _GRADIENT else {"gradient": head.gradient}
    return {
        "name": head.name,
        "model": _text(write_model(head.model)["layers"]),
        "preprocessing": _text(head.preprocessing.to_json()),
        "classes": _text(list(head.classes)),
        "method": head.method,
        "checkpoint": head.checkpoint,
        "epoch": _text(head.epoch),
        "data": _text(msgspec.to_builtins(head.data)),
        "data_crc32": _text(dict(head.data_crc32)),
        "seed": _text(head.seed),
        "batch_size": _text(head.batch_size),
        "label_smoothing": _text(head.label_smoothing),
        "weights_sha256": head.weights_sha256,
        "version": head.version,
        **own,
    }


def from_metadata(texts: Mapping[str, str]) -> Head:
    """Read what `to_metadata` wrote; of anything else say in a ValueError what it is.

    Raises
    ------
    ValueError
        An entry is missing or is no good; the message begins with its name.
    """

    def take(key: str, convert: Callable[[str], object]) -> object:
        try:
            return convert(texts[key])
        except KeyError:
            raise ValueError(f"{key}: missing") from None
        except ConfigError as error:
            raise ValueError(f"{key}: {error.message}") from None
        except (ValueError, TypeError, RecursionError, OverflowError):
            raise ValueError(f"{key}: cannot be made sense of") from None

    return Head(
        name=take("name", _filled),
        model=take("model", _model),
        preprocessing=take("preprocessing", _preprocessing),
        classes=take("classes", _classes),
        method=take("method", _filled),
        checkpoint=take("checkpoint", _checkpoint),
        epoch=take("epoch", _count),
        data=take("data", lambda text: msgspec.convert(json.loads(text), Data)),
        data_crc32=take("data_crc32", _checksums),
        seed=take("seed", _count),
        batch_size=take("batch_size", _positive),
        label_smoothing=take("label_smoothing", _share),
        weights_sha256=take("weights_sha256", _digest),
        version=take("version", str),
        gradient=take("gradient", _gradient) if "gradient" in texts else _GRADIENT,
    )


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _must(is_good: bool) -> None:
    if not is_good:
        raise ValueError


def _filled(text: str) -> str:
    _must(bool(text))
    return text


def _model(text: str) -> Model:
    layers = json.loads(text)
    return read_model({"layers": layers}, "packed", Where("model"), "")


def _preprocessing(text: str) -> Preprocessing:
    values = json.loads(text)
    _must(isinstance(values, dict) and all(type(size) is int for size in values["shape"]))
    found = Preprocessing.from_json(values)
    _must(all(0 < size < 1 << 24 for size in found.shape) and math.prod(found.shape) < 1 << 31)
    return found


def _classes(text: str) -> tuple[str, ...]:
    names = json.loads(text)
    _must(isinstance(names, list) and all(isinstance(name, str) for name in names))
    return tuple(names)


def _checkpoint(text: str) -> str:
    _must(text in CHECKPOINTS)
    return text


def _count(text: str) -> int:
    value = json.loads(text)
    _must(type(value) is int and 0 <= value < 1 << 64)
    return value


def _positive(text: str) -> int:
    value = _count(text)
    _must(value > 0)
    return value


def _share(text: str) -> float:
    value = json.loads(text)
    _must(isinstance(value, int | float) and 0 <= value < 1)
    return float(value)


def _checksums(text: str) -> dict[str, int]:
    values = json.loads(text)
    _must(isinstance(values, dict) and set(values) <= {"train", "test"})
    _must(all(type(value) is int and 0 <= value < 1 << 32 for value in values.values()))
    return values


def _gradient(text: str) -> str:
    _must(text in TYPES)
    return text


def _digest(text: str) -> str:
    _must(not text or (len(text) == 64 and set(text) <= _HEXADECIMAL))
    return text
