"""What a network asks of a data set: checked before anything is read or allocated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bnntrain import kernels
from bnntrain.config import Config, origin_of
from bnntrain.data.order import split_counts
from bnntrain.errors import ConfigError, DataError
from bnntrain.exactness import most_images
from bnntrain.graph import (
    PIXELS,
    FusedBinary,
    Graph,
    LayerSpec,
    Product,
    ShapeError,
    Size,
    build_graph,
    map_layers,
)
from bnntrain.layer_methods import resolve_methods
from bnntrain.method import Method, layer_key


@contextlib.contextmanager
def naming_the_key(config: Config) -> Iterator[None]:
    """Say of a data set that is missing where its place is written.

    Raises
    ------
    DataError
        There is no such set; the remedy names ``data.dataset``, and the file that has it.
    """
    try:
        yield
    except DataError as error:
        if not error.is_missing:
            raise
        source = origin_of(config, "data.dataset")
        what = error.message.rpartition(". ")[0]
        remedy = (
            f"Set data.dataset in {source} to where it is now" if Path(source).is_file()
            else "Set data.dataset to the path of a folder of class folders, or of a file"
        )
        raise DataError(error.path, f"{what}. {remedy}", is_missing=True) from None


def with_classes(config: Config, classes: int) -> Config:
    """Give layers of ``units: classes`` their number: a run folder says what was trained."""
    def decided(spec: LayerSpec) -> LayerSpec:
        if spec.options.get("units") != "classes":
            return spec
        return LayerSpec(spec.kind, spec.options | {"units": classes})

    model = msgspec.structs.replace(config.model, layers=map_layers(config.model.layers, decided))
    return msgspec.structs.replace(config, model=model)


def train_count(config: Config, samples: int) -> int:
    """Return how many of a data set's training samples are trained on."""
    return split_counts(samples, config.data.validation_fraction)[0]


def fit_graph(config: Config, shape: Size, classes: int, train_samples: int) -> Graph:
    """Build the network of a configuration for samples of a shape, if it can be trained on them.

    Raises
    ------
    ConfigError
        An image too small for a window, products too large for exact sums, another number of
        outputs than classes, or a batch larger than the training split.
    """
    try:
        graph = build_graph(config.model.layers, shape)
    except ShapeError as error:
        raise _error(config, layer_key(config, error.layer), error.message) from None
    steps, methods = graph.fused(), resolve_methods(config)
    for step in steps:
        if step.terms > kernels.MAX_INPUTS:
            raise _error(config, *_too_wide(step.product, step.terms))
        if isinstance(step, FusedBinary):
            _check_images(config, step, methods.of(step.product.layer))
    outputs, last = graph.output.values, steps[-1].product
    if outputs != classes:
        raise _error(
            config, _key(last),
            f"{outputs} outputs, but {config.data.dataset} has {classes} classes. "
            f"Give {classes}, or 'dense: classes' for as many as the data have",
        )
    if config.train.batch_size > train_samples:
        raise _error(
            config, "train.batch_size",
            f"{config.train.batch_size} is more than the {train_samples} training samples. "
            f"Give --batch-size {train_samples} or less",
        )
    padding, side = config.data.augment.crop_padding, min(shape[:2])
    if padding >= side:
        raise _error(
            config, "data.augment.crop_padding",
            f"{padding} moves images of {shape[0]}x{shape[1]} out of sight. Give less than {side}",
        )
    return graph



def _check_images(config: Config, step: FusedBinary, method: Method) -> None:
    """Refuse a batch over which a step's sums are not exact."""
    product = step.product
    most = most_images(step, method)
    if config.train.batch_size > most:
        height, width, _ = product.output.size
        raise _error(
            config, "train.batch_size",
            f"{config.train.batch_size} images of {height}x{width} positions at "
            f"model.{product.layer} are more than the {most} whose sums are exact. Give "
            f"--batch-size {most} or less",
        )


def _key(product: Product) -> str:
    return f"model.{product.layer}.{product.kind}"


def _error(config: Config, key: str, message: str) -> ConfigError:
    return ConfigError(origin_of(config, key), key, message)


def _too_wide(product: Product, terms: int) -> tuple[str, str]:
    """Return key and message for a product of too many inputs, pooled ones counted together."""
    sums = f"are more than the {kernels.MAX_INPUTS} that sums are exact for"
    if product.taps == 1 and product.input.form.kind == PIXELS:
        remedy = "Use smaller images: data.image_size makes pictures so"
        return "data.dataset", f"{terms} values per sample {sums}. {remedy}"
    remedy = "Give fewer channels before it" + (" or a smaller kernel" if product.taps > 1 else "")
    return _key(product), f"{terms} inputs {sums}. {remedy}"
