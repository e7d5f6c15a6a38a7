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

Two items nest lists: ``residual: {shortcut: [...], layers: [...]}`` adds what its layers make to
what its shortcut makes of the same real stream, or, without a shortcut, to the stream itself;
``repeat: {times: 3, layers: [...]}`` stands for its layers three times over.

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
    LAYERS,
    OPERATIONS,
    SHORTCUT,
    Item,
    Items,
    LayerSpec,
    Options,
    OrderError,
    ProductOptions,
    Repeat,
    Residual,
    check_order,
    map_layers,
    unfolded,
)

_EXAMPLE = "as in '- dense: 256' or '- sign'"
_LIST = f"a list of layers, {_EXAMPLE}"
_DEEPEST, _MOST = 4, 4096  # lists in lists; layers when all is unfolded

_List = Annotated[object, Meta(extra={"allowed": _LIST})]


class _ModelFile(msgspec.Struct):
    """The keys of a model file or of an inline model."""

    layers: _List
    name: Name | None = None


class _ResidualFile(msgspec.Struct):
    """The keys of a residual."""

    layers: _List
    shortcut: _List | msgspec.UnsetType = msgspec.UNSET


class _RepeatFile(msgspec.Struct):
    """The keys of a repeat."""

    times: Annotated[int, Meta(ge=1, le=_MOST)]
    layers: _List


_LISTS = {LAYERS, SHORTCUT}
_PRODUCTS = [kind for kind, operation in OPERATIONS.items() if operation.weighs]
_NESTING = {Residual.kind: (Residual, _ResidualFile), Repeat.kind: (Repeat, _RepeatFile)}


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
    head_key = f"{key}." if key else ""
    layers = _read_list(head.layers, where, f"{head_key}{LAYERS}")
    count = unfolded(layers)
    if count > _MOST:
        message = f"{count} layers when repeats are unfolded. Give at most {_MOST}"
        raise where.error(f"{head_key}{LAYERS}", message)
    try:
        check_order(layers)
    except OrderError as error:
        raise where.error(f"{head_key}{error.layer}", error.message) from None
    return Model(name=head.name or default_name, layers=layers)


def write_model(model: Model) -> dict[str, object]:
    """Write a model as the plain values that `read_model` reads, in the short form."""
    return {"name": model.name, "layers": _write_list(model.layers)}


def deployed(model: Model) -> Model:
    """Return a model without what only its training knows of."""
    return Model(name=model.name, layers=map_layers(model.layers, lambda spec: spec.deployed))


def _read_list(raw: object, where: Where, key: str, depth: int = 0) -> Items:
    """Read the list at a key, which is nested in so many others."""
    if not isinstance(raw, list | tuple) or not raw:
        raise where.error(key, f"{show(raw)} is not allowed. Give {_LIST}")
    if depth > _DEEPEST:
        raise where.error(key, "nested too deeply. Write it flatter")
    items: list[Item] = []
    for item in raw:
        items.append(_read_item(item, where, key, items, depth))
    return tuple(items)


def _read_item(
    item: object, where: Where, key: str, before: Sequence[Item], depth: int
) -> Item:
    """Read the item of the list `key` that stands behind those in `before`."""
    place = f"{key}[{len(before)}]"
    if isinstance(item, str):
        item = {item: None}
    if not isinstance(item, Mapping) or len(item) != 1:
        message = f"{show(item)} is not one layer. Give one per list item, {_EXAMPLE}"
        raise where.error(place, message)
    ((kind, options),) = item.items()
    if kind in _NESTING:
        return _read_nesting(kind, options, where, place, depth)
    if kind not in OPERATIONS:
        known = did_you_mean(kind, (*OPERATIONS, *_NESTING))
        raise where.error(place, f"unknown layer {show(kind)}. {known}")
    return _read_layer(kind, options, where, key, before)


def _read_nesting(kind: str, raw: object, where: Where, place: str, depth: int) -> Item:
    """Read a residual or a repeat."""
    build, struct = _NESTING[kind]
    given = read_struct(struct, raw, where, f"{place}.{kind}")
    values = {
        name: value for name, value in msgspec.structs.asdict(given).items()
        if value is not msgspec.UNSET
    }  # fmt: skip
    for name in sorted(_LISTS.intersection(values)):
        key = f"{place}.{kind}.{name}"
        values[name] = _read_list(values[name], where, key, depth + 1)
    return build(**values)


def _read_layer(
    kind: str, options: object, where: Where, key: str, before: Sequence[Item]
) -> LayerSpec:
    """Read the options of the layer of the list `key` that stands behind those in `before`."""
    struct = OPERATIONS[kind].Options
    place = f"{key}[{len(before)}].{kind}"
    if options is not None and not isinstance(options, Mapping):
        if not struct.__struct_fields__:
            message = f"takes no value, given {show(options)}. Leave it out"
            raise where.error(place, message)
        options = {struct.__struct_fields__[0]: options}
    for name in _of_products(struct).intersection(options or {}):
        message = f"is an option of layers with weights. Give it to {_product_of(before, key)}"
        raise where.error(f"{place}.{name}", message)
    found = read_struct(struct, options, where, place)
    if found.fault:
        name, message = found.fault
        raise where.error(f"{place}.{name}", message)
    return LayerSpec(kind, found.plain())


def _of_products(struct: type[Options]) -> set[str]:
    """Return the options that every product has and this kind of layer has not."""
    return set(ProductOptions.__struct_fields__) - set(struct.__struct_fields__)


def _product_of(before: Sequence[Item], key: str) -> str:
    """Name the layer with the weights that one behind `before`, in the list `key`, runs with."""
    for number in reversed(range(len(before))):
        if before[number].kind in _PRODUCTS:
            return f"{key}[{number}].{before[number].kind}"
    return " or ".join(_PRODUCTS)


def _write_list(items: Items) -> list[object]:
    return [_write_item(item) for item in items]


def _write_item(item: Item) -> object:
    if isinstance(item, LayerSpec):
        return _write_layer(item)
    own = {
        name: value for name, value in msgspec.structs.asdict(item).items() if name not in _LISTS
    }  # fmt: skip
    lists = {name: _write_list(inner) for name, inner in item.lists.items() if inner}
    return {item.kind: own | lists}


def _write_layer(spec: LayerSpec) -> object:
    if not spec.options:
        return spec.kind
    values = list(spec.options.values())
    return {spec.kind: values[0] if len(values) == 1 else dict(spec.options)}
