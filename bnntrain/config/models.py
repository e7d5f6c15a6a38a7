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

Which kinds of layers there are, their options and what may follow what, is in `bnntrain.graph`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from bnntrain.config.check import Where, did_you_mean, read_struct, show
from bnntrain.config.schema import Model, Name
from bnntrain.graph import OPERATIONS, LayerSpec, OrderError, check_order

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
    layers = tuple(
        _read_layer(item, where, f"{key}[{index}]") for index, item in enumerate(head.layers)
    )
    try:
        check_order([spec.kind for spec in layers])
    except OrderError as error:
        raise where.error(f"{key}[{error.layer}]", error.message) from None
    return Model(name=head.name or default_name, layers=layers)


def write_model(model: Model) -> dict[str, object]:
    """Write a model as the plain values that `read_model` reads, in the short form."""
    return {"name": model.name, "layers": [_write_layer(spec) for spec in model.layers]}


def _read_layer(item: object, where: Where, key: str) -> LayerSpec:
    if isinstance(item, str):
        item = {item: None}
    if not isinstance(item, Mapping) or len(item) != 1:
        raise where.error(key, f"{show(item)} is not one layer. Give one per list item, {_EXAMPLE}")
    ((kind, options),) = item.items()
    if kind not in OPERATIONS:
        raise where.error(key, f"unknown layer {show(kind)}. {did_you_mean(kind, OPERATIONS)}")
    struct = OPERATIONS[kind].Options
    if options is not None and not isinstance(options, Mapping):
        if not struct.__struct_fields__:
            message = f"takes no value, given {show(options)}. Leave it out"
            raise where.error(f"{key}.{kind}", message)
        options = {struct.__struct_fields__[0]: options}
    checked = read_struct(struct, options, where, f"{key}.{kind}")
    return LayerSpec(kind, msgspec.structs.asdict(checked))


def _write_layer(spec: LayerSpec) -> object:
    if not spec.options:
        return spec.kind
    values = list(spec.options.values())
    return {spec.kind: values[0] if len(values) == 1 else dict(spec.options)}
