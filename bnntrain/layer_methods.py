"""The rows of a network's layers: the run's, but where a layer sets cells of its own.

Most cells are a layer's own business: what it retains, how it normalises, how its weights are held
and moved. Its reader packs signs of whatever type it is given. One cell is shared: a layer writes
the gradient with respect to its input where the layer below reads it, in place of that one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from bnntrain.config import Config
from bnntrain.graph import LayerSpec, Residual, items_by_place, operation_of
from bnntrain.method import Method, cell_error, cell_key, resolve_method

_HANDED_ON = "gradient"
# Cells of the signs behind a product.
_OF_SIGNS = ("activation", "mask")


@dataclass(frozen=True)
class LayerMethods:
    """How the tensors of every layer are held.

    Attributes
    ----------
    run : Method
        Row of all layers that set nothing of their own.
    differing : mapping of str to Method
        Rows of the others, by their places.
    """

    run: Method
    differing: Mapping[str, Method] = field(default_factory=dict)

    def of(self, layer: str) -> Method:
        """Return the row of the layer at a place (see `bnntrain.graph.items`)."""
        return self.differing.get(layer, self.run)

    def own_cells(self, layer: str) -> dict[str, object]:
        """Return the cells of a layer that are not the run's; those that follow others too."""
        common = asdict(self.run)
        return {
            cell: value for cell, value in asdict(self.of(layer)).items() if value != common[cell]
        }


def resolve_methods(config: Config) -> LayerMethods:
    """Decide every cell of every layer.

    Parameters
    ----------
    config : Config
        From `bnntrain.config.load_config`; its `source` is named in messages.

    Returns
    -------
    LayerMethods
        Combinations that every kernel they need exists for.

    Raises
    ------
    ConfigError
        No kernel computes a combination, in the run or in a layer, or two layers differ in what one
        hands to the other. The message ends with the nearest that works.
    """
    run = resolve_method(config)
    products = _binary_products(config)
    rows = {
        place: resolve_method(config, place) if spec.representation else run
        for place, spec in products.items()
    }
    _check_handed_on(config, run, rows)
    if any(isinstance(item, Residual) for item in items_by_place(config.model.layers).values()):
        _check_streams(config, run, products)
    return LayerMethods(run, {place: row for place, row in rows.items() if row != run})


def _binary_products(config: Config) -> dict[str, LayerSpec]:
    """Return the layers with binary weights by their places; cells that mean nothing are refused.

    Those of signs do in the layer that has none behind it.
    """
    products = {
        place: spec for place, spec in items_by_place(config.model.layers).items()
        if isinstance(spec, LayerSpec) and operation_of(spec)[0].weighs
    }  # fmt: skip
    _check_last(config, *list(products.items())[-1])
    return {place: spec for place, spec in products.items() if operation_of(spec)[0].is_binary}


def _check_last(config: Config, layer: str, spec: LayerSpec) -> None:
    """Refuse cells of signs in the layer that has none behind it."""
    for cell in _OF_SIGNS:
        if cell in spec.representation:
            message = "the last layer gives scores, and has no signs to retain. Leave it out"
            raise cell_error(config, cell, layer, message)


def _check_streams(config: Config, run: Method, products: Mapping[str, LayerSpec]) -> None:
    """Refuse ways of retaining a real stream, of which residuals share one, that have no kernel."""
    for place, spec in products.items():
        for cell in _OF_SIGNS:
            if cell in spec.representation:
                way = f"in one way, which {cell_key(config, cell, None)} sets"
                message = f"signs of a stream are retained {way}. Leave it out"
                raise cell_error(config, cell, place, message)
    if run.activation != "float32" or run.gradient == "float32":
        return
    if config.representation.activation is None:
        message = f"{run.gradient} has no kernel with activation float32 in a residual"
        raise cell_error(config, "gradient", None, f"{message}. Nearest that works: float32")
    nearest = ", ".join(f"{cell_key(config, cell, None)}: bit" for cell in _OF_SIGNS)
    message = f"float32 has no kernel with gradient {run.gradient} in a residual"
    raise cell_error(config, "activation", None, f"{message}. Nearest that works: {nearest}")


def _check_handed_on(config: Config, run: Method, rows: Mapping[int, Method]) -> None:
    """Refuse layers of which one writes what another reads in another type."""
    types = {place: getattr(row, _HANDED_ON) for place, row in rows.items()}
    if len(set(types.values())) <= 1:
        return
    wanted = getattr(run, _HANDED_ON)
    odd = [place for place, held in types.items() if held != wanted]
    mine = types[odd[0]]
    other = next(held for held in types.values() if held != mine)
    fixes = (f"{cell_key(config, _HANDED_ON, place)}: {wanted}" for place in odd)
    message = (
        f"{mine} has no kernel with {other} in another layer: gradients go from layer to layer in "
        f"one type, which {cell_key(config, _HANDED_ON, None)} sets. Nearest that works: "
        f"{wanted if len(odd) == 1 else ', '.join(fixes)}"
    )
    raise cell_error(config, _HANDED_ON, odd[0], message)
