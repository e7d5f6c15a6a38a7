"""Values of a configuration that are good alone and meaningless together."""

from __future__ import annotations

from bnntrain.config.check import Where
from bnntrain.config.schema import RECORDING_FORM, ConfigFile, Data, Meters


def check_together(file: ConfigFile, where: Where) -> None:
    """Refuse values that are good alone and meaningless together.

    Raises
    ------
    ConfigError
        The first pair; says which key to change.
    """
    schedule, epochs = file.train.schedule, file.train.epochs
    if schedule.warmup_epochs > epochs:
        message = f"{schedule.warmup_epochs:g} is longer than the run. Give at most {epochs}"
        raise where.error("train.schedule.warmup_epochs", f"{message} (train.epochs)")
    if schedule.kind == "plateau" and file.data.validation_fraction == 0:
        message = "plateau needs a validation split. Set data.validation_fraction above 0"
        raise where.error("train.schedule.kind", message)
    augment = file.data.augment
    if augment.shift and augment.crop_padding:
        message = f"a crop is a shift, and shift is {augment.shift:g} already. Give one of the two"
        raise where.error("data.augment.crop_padding", message)
    _check_pictures(file.data, where)
    check_meters(file.meters, where)


def _check_pictures(data: Data, where: Where) -> None:
    if data.records == "encoded":
        if data.image_size is None:
            message = "missing. Encoded records have any size: give that of a sample, such as 224"
            raise where.error("data.image_size", message)
        return
    for key, is_default in (
        ("crop_area", data.augment.crop_area is None), ("colour", not data.augment.colour),
    ):  # fmt: skip
        if not is_default:
            message = "needs pictures that are decoded in every epoch. Set data.records: encoded"
            raise where.error(f"data.augment.{key}", message)


def check_meters(meters: Meters, where: Where) -> None:
    """Refuse meters that cannot do what is asked of them, as `check_together`."""
    if meters.energy == "replay" and meters.file is None:
        raise where.error("meters.file", f"missing. replay plays a file: give {RECORDING_FORM}")
    if meters.memory_backend == "built-in":
        for key, is_default in (
            ("memory_kind", meters.memory_kind == "rss"),
            ("memory_children", not meters.memory_children),
        ):
            if not is_default:
                message = "the built-in reader knows rss of this process alone"
                remedy = "Set meters.memory_backend: memory-profiler"
                raise where.error(f"meters.{key}", f"{message}. {remedy}")
