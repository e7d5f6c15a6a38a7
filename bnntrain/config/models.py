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

A further kind of layer is a line in `schema.LAYER_OPTIONS` and its place in `_FOLLOWERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from bnntrain.config.check import Where, did_you_mean, read_struct, show
from bnntrain.config.schema import LAYER_OPTIONS, LayerSpec, Model, Name

# What may come after each kind; None is the start. Every binary product is normalised, every
# normalised value binarised, and the last one feeds the loss as it is. What may come after a
# max-pool is what may come after the layer in front of it.
_FOLLOWERS: dict[str | None, tuple[str, ...]] = {
    None: ("dense", "conv"),
    "dense": ("batch_norm",),
    "conv": ("batch_norm", "max_pool"),
    "batch_norm": ("sign", "max_pool"),
    "sign": ("dense", "conv", "flatten", "max_pool"),
    "flatten": ("dense",),
}
_PRODUCTS = ("dense", "conv")
# Positions end with the first dense layer, and none follow it.
_SPATIAL = {"conv", "max_pool", "flatten"}
_LAST = "batch_norm"
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
    _check_order(layers, where, key)
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
    if kind not in LAYER_OPTIONS:
        raise where.error(key, f"unknown layer {show(kind)}. {did_you_mean(kind, LAYER_OPTIONS)}")
    struct = LAYER_OPTIONS[kind]
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


def _check_order(layers: tuple[LayerSpec, ...], where: Where, key: str) -> None:
    # The last layer that is no max-pool, the last product, and whether a max-pool has come since.
    anchor, product, is_pooled = None, None, False
    for index, spec in enumerate(layers):
        allowed = _followers(anchor, product, is_pooled)
        if spec.kind not in allowed:
            before = layers[index - 1].kind if index else None
            message = _misplaced(spec.kind, before, anchor, product, allowed)
            raise where.error(f"{key}[{index}]", message)
        if spec.kind in _PRODUCTS:
            product, is_pooled = spec.kind, False
        if spec.kind == "max_pool":
            is_pooled = True
        else:
            anchor = spec.kind
    last = layers[-1].kind
    if last != _LAST or product != "dense":
        message = f"{last} cannot be the last layer"
        if last == _LAST:
            message = "the last product is a conv, whose outputs are not scores of classes"
        end = "flatten, dense" if product == "conv" else "dense"
        message += f". End the list with {end} and {_LAST}, without sign"
        raise where.error(f"{key}[{len(layers) - 1}]", message)


def _followers(anchor: str | None, product: str | None, is_pooled: bool) -> tuple[str, ...]:
    """Return what may stand next."""
    barred = _SPATIAL if product == "dense" else set()
    if product == "conv" and anchor != "flatten":
        barred = {"dense", "max_pool"} if is_pooled else {"dense"}
    return tuple(kind for kind in _FOLLOWERS[anchor] if kind not in barred)


def _misplaced(
    kind: str, before: str | None, anchor: str | None, product: str | None, allowed: tuple[str, ...]
) -> str:
    """Say why a layer cannot stand after `before`, and what can."""
    if kind == "dense" and product == "conv" and anchor == "sign":
        return "dense takes a list of values, and conv gives an image. Put flatten before it"
    if kind in _SPATIAL and product == "dense":
        reason = f"{kind} cannot stand behind dense, whose outputs have no height and width"
    elif kind in _FOLLOWERS[anchor]:
        reason = f"a second {kind} behind one conv"
    else:
        reason = f"{kind} cannot stand {f'after {before}' if before else 'as the first layer'}"
    return f"{reason}. Put {' or '.join(allowed)} here"
