"""A model in YAML: a list of layers, first to last.

::

    name: small            # optional
    layers:
      - conv: 32           # short for  conv: {channels: 32}; kernel 3, stride 1, padding same
      - max_pool           # here, behind batch_norm or behind sign
      - batch_norm
      - sign
      - flatten
      - dense: 10          # short for  dense: {units: 10}
      - batch_norm

A layer with weights may also hold its own tensors in another way than the others:
``dense: {units: 10, representation: {latent: int16}}``.

Which kinds of layers there are, their options and what may follow what, is in `bnntrain.graph`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from bnntrain.config.check import Where, did_you_mean, read_struct, show
from bnntrain.config.schema import Model, Name
from bnntrain.graph import (
    OPERATIONS,
    LayerSpec,
    Options,
    OrderError,
    ProductOptions,
    check_order,
)

_EXAMPLE = "as in '- dense: 256' or '- sign'"


class _ModelFile(msgspec.Struct):
    """The keys of a model file or of an inline model."""

    layers: Annotated[object, Meta(extra={"allowed": f"a list of layers, {_EXAMPLE}"})]
    name: Name | None = None


def read_model(raw: object, default_name: str, where: Where, key: str) -> Model:
    """Read and check a model.

    Parameters
    ----------
    raw : object
        The mapping as parsed.
    default_name : str
        Name of a model that gives none.
    where : Where
        For messages.
    key : str
        Dotted key of `raw`: ``model`` inside a configuration, empty in a file of its own.

    Returns
    -------
    Model
        With every option filled in.

    Raises
    ------
    ConfigError
        Unknown layers or options, an order that no kernel computes, an empty list.
    """
    head = read_struct(_ModelFile, raw, where, key)
    key = f"{key}.layers" if key else "layers"
    if not isinstance(head.layers, list | tuple) or not head.layers:
        message = f"{show(head.layers)} is not allowed. Give a list of layers, {_EXAMPLE}"
        raise where.error(key, message)
    layers: list[LayerSpec] = []
    for item in head.layers:
        layers.append(_read_layer(item, where, key, layers))
    try:
        check_order([spec.kind for spec in layers])
    except OrderError as error:
        raise where.error(f"{key}[{error.layer}]", error.message) from None
    return Model(name=head.name or default_name, layers=tuple(layers))


def write_model(model: Model) -> dict[str, object]:
    """Write a model as the plain values that `read_model` reads, in the short form."""
    return {"name": model.name, "layers": [_write_layer(spec) for spec in model.layers]}


def deployed(model: Model) -> Model:
    """Return a model without what only its training knows of."""
    return Model(name=model.name, layers=tuple(spec.deployed for spec in model.layers))


def _read_layer(item: object, where: Where, key: str, before: Sequence[LayerSpec]) -> LayerSpec:
    """Read the item of the list `key` that stands behind those in `before`."""
    place = f"{key}[{len(before)}]"
    if isinstance(item, str):
        item = {item: None}
    if not isinstance(item, Mapping) or len(item) != 1:
        message = f"{show(item)} is not one layer. Give one per list item, {_EXAMPLE}"
        raise where.error(place, message)
    ((kind, options),) = item.items()
    if kind not in OPERATIONS:
        raise where.error(place, f"unknown layer {show(kind)}. {did_you_mean(kind, OPERATIONS)}")
    struct = OPERATIONS[kind].Options
    place = f"{place}.{kind}"
    if options is not None and not isinstance(options, Mapping):
        if not struct.__struct_fields__:
            message = f"takes no value, given {show(options)}. Leave it out"
            raise where.error(place, message)
        options = {struct.__struct_fields__[0]: options}
    for name in _of_products(struct).intersection(options or {}):
        message = f"is an option of layers with weights. Give it to {_product_of(before, key)}"
        raise where.error(f"{place}.{name}", message)
    return LayerSpec(kind, read_struct(struct, options, where, place).plain())


def _of_products(struct: type[Options]) -> set[str]:
    """Return the options that every product has and this kind of layer has not."""
    return set(ProductOptions.__struct_fields__) - set(struct.__struct_fields__)


def _product_of(before: Sequence[LayerSpec], key: str) -> str:
    """Name the layer with the weights that one behind `before`, in the list `key`, runs with."""
    for number in reversed(range(len(before))):
        if OPERATIONS[before[number].kind].weighs:
            return f"{key}[{number}].{before[number].kind}"
    return " or ".join(kind for kind, each in OPERATIONS.items() if each.weighs)


def _write_layer(spec: LayerSpec) -> object:
    if not spec.options:
        return spec.kind
    values = list(spec.options.values())
    return {spec.kind: values[0] if len(values) == 1 else dict(spec.options)}
