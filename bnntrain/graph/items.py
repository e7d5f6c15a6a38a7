"""A model as it is written: a list of layers, in which a residual or a repeat nests further lists.

Every layer has a *place*, by which methods and messages call it: ``layers[3]``, or in a nested list
``layers[4].residual.shortcut[1]``. The copies of a repeat share a place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, TypeVar

import msgspec

LAYERS, SHORTCUT = "layers", "shortcut"
"""Names of lists: a model's own and those of items."""

_REPRESENTATION = "representation"  # field of `ProductOptions`


class LayerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One layer: a key of `OPERATIONS` and its checked options, defaults filled in."""

    kind: str
    options: dict[str, object] = msgspec.field(default_factory=dict)

    @property
    def representation(self) -> dict[str, object]:
        """Cells of the method table that it sets for itself; empty if none."""
        return self.options.get(_REPRESENTATION, {})

    @property
    def deployed(self) -> LayerSpec:
        """The same without what only training knows of."""
        kept = {name: value for name, value in self.options.items() if name != _REPRESENTATION}
        return LayerSpec(self.kind, kept)

    @property
    def lists(self) -> Mapping[str, Items]:
        """The lists that are nested in it: none."""
        return {}


class Residual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adds what its layers make of a real stream to what its shortcut makes of the same stream.

    Attributes
    ----------
    layers : tuple of item
        What is added.
    shortcut : tuple of item
        What it is added to; empty: the stream itself.
    """

    kind: ClassVar[str] = "residual"
    layers: Items
    shortcut: Items = ()

    @property
    def lists(self) -> Mapping[str, Items]:
        """The lists that are nested in it, in the order in which they run."""
        return {SHORTCUT: self.shortcut, LAYERS: self.layers}


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stands for its layers, several times over, each time with weights of their own."""

    kind: ClassVar[str] = "repeat"
    times: int
    layers: Items

    @property
    def lists(self) -> Mapping[str, Items]:
        """The list that is nested in it."""
        return {LAYERS: self.layers}


Item = LayerSpec | Residual | Repeat
Items = tuple[Item, ...]
State = TypeVar("State")


class LayerError(ValueError):
    """A fault of one layer; `layer` is its place, `message` says what is wrong."""

    def __init__(self, layer: str, message: str) -> None:
        super().__init__(message)
        self.layer, self.message = layer, message


class ShapeError(LayerError):
    """A layer does not fit what comes in."""


class OrderError(LayerError):
    """A layer stands where it cannot."""


def inner_list(place: str, item: Item, name: str) -> str:
    """Return the place of a list that is nested in the item at a place."""
    return f"{place}.{item.kind}.{name}"


def items_by_place(items: Items, within: str = LAYERS) -> dict[str, Item]:
    """Return every item of a list and of those nested in it, each once, in their order."""
    return dict(_walk(items, within))


def _walk(items: Items, within: str) -> Iterator[tuple[str, Item]]:
    for number, item in enumerate(items):
        place = f"{within}[{number}]"
        yield place, item
        for name, inner in item.lists.items():
            yield from _walk(inner, inner_list(place, item, name))


def map_layers(items: Items, change: Callable[[LayerSpec], LayerSpec]) -> Items:
    """Return a list with every layer changed, however deep it is nested."""
    return tuple(
        change(item) if isinstance(item, LayerSpec)
        else msgspec.structs.replace(
            item, **{name: map_layers(inner, change) for name, inner in item.lists.items()}
        )
        for item in items
    )  # fmt: skip


def unfolded(items: Items) -> int:
    """Return how many layers a list stands for."""
    return sum(map(_unfolded, items))


def _unfolded(item: Item) -> int:
    if isinstance(item, LayerSpec):
        return 1
    times = item.times if isinstance(item, Repeat) else 1
    return times * sum(map(unfolded, item.lists.values()))


class Walk:
    """Goes through a list in the order in which it runs, a repeat as often as it says.

    Subclasses say what a layer and a residual make of the state before them.
    """

    def follow(self, items: Items, within: str, state: State) -> State:
        """Go through a list.

        Parameters
        ----------
        items : tuple of item
            The list.
        within : str
            Its own place.
        state
            Before its first item.

        Returns
        -------
        state
            Behind its last item.
        """
        for number, item in enumerate(items):
            place = f"{within}[{number}]"
            if isinstance(item, Repeat):
                state = self._repeat(item, place, state)
            elif isinstance(item, Residual):
                state = self.residual(item, place, state)
            else:
                state = self.layer(item, place, state)
        return state

    def layer(self, spec: LayerSpec, place: str, state: State) -> State:
        """Return the state behind a layer."""
        raise NotImplementedError

    def residual(self, item: Residual, place: str, state: State) -> State:
        """Return the state behind a residual."""
        raise NotImplementedError

    def _repeat(self, item: Repeat, place: str, state: State) -> State:
        for copy in range(item.times):
            try:
                state = self.follow(item.layers, inner_list(place, item, LAYERS), state)
            except LayerError as error:
                if copy == 0:
                    raise
                message = f"in copy {copy + 1} of {item.times}, {error.message}"
                raise type(error)(error.layer, message) from None
        return state
