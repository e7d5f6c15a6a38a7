"""A training method is a row of representations, one cell per kind of tensor.

The engine, the layers and the memory plan read cells; nothing asks for a method by name. A
configuration may replace single cells (``representation: {latent: int16}``) and the optimizer;
what no kernel computes is refused here, before anything is allocated, together with the nearest
combination that works.

Source: ``standard`` is Courbariaux & Bengio (arXiv 1602.02830); ``wang2021`` is the low-memory
method of Wang et al. (arXiv 2102.04270); ``efficient`` is this project's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import msgspec

from bnntrain.config import Config, origin_of
from bnntrain.errors import ConfigError
from bnntrain.graph import items_by_place


@dataclass(frozen=True)
class Method:
    """One row of the table, every cell decided.

    Attributes
    ----------
    name : str
        The row that the configuration asked for, before single cells were replaced.
    activation : str
        Retained activations X: ``float32`` or ``bit`` (packed signs).
    mask : str
        Straight-through mask, abs(z) <= 1: read off the ``retained`` X, stored as a ``bit``, or
        ``recompute`` in the backward pass.
    norm : str
        Batch norm: ``l2`` and ``l1`` exact, ``l1-binary`` the published approximation (no gamma).
    gradient, gradient_bits, gradient_scale, gradient_rounding : str, int, str, str
        Gradients with respect to activations and products. ``int8`` holds 8 or 6 significant bits
        and one scale per tensor, ``current`` (this step's) or ``delayed`` (the step before's), and
        is rounded to ``nearest`` or, without a bias, ``stochastic``ally.
    weight_gradient : str
        ``float32``, ``bit`` (stored signs), ``sign`` or ``integer`` (signs or exact sums, consumed
        as they arise).
    latent, latent_range : str, float
        Latent weights, held on the interval +-latent_range.
    momentum : str
        Type of the optimizer's moments; without meaning where `moments` is 0.
    optimizer : str
        Update rule of the latent weights.
    """

    name: str
    activation: str
    mask: str
    norm: str
    gradient: str
    gradient_bits: int
    gradient_scale: str
    gradient_rounding: str
    weight_gradient: str
    latent: str
    latent_range: float
    momentum: str
    optimizer: str

    @property
    def moments(self) -> int:
        """Moments that the optimizer keeps per weight."""
        return _MOMENTS[self.optimizer]


# One line per cell, one column per method, as in section 3 of the design.
_NAMES = ("standard", "wang2021", "efficient")
_TABLE: dict[str, tuple] = {
    "activation": ("float32", "bit", "bit"),
    "mask": ("retained", "bit", "recompute"),
    "norm": ("l2", "l1-binary", "l2"),
    "gradient": ("float32", "float16", "int8"),
    "gradient_bits": (8, 8, 6),
    "gradient_scale": ("current", "current", "delayed"),
    "gradient_rounding": ("nearest", "nearest", "stochastic"),
    "weight_gradient": ("float32", "bit", "integer"),
    "latent": ("float32", "float16", "int8"),
    "latent_range": (1.0, 1.0, 0.025),
    "momentum": ("float32", "float16", "int8"),
    "optimizer": ("adam", "adam", "channel-momentum"),
}
METHODS: dict[str, Method] = {
    name: Method(name=name, **{cell: values[column] for cell, values in _TABLE.items()})
    for column, name in enumerate(_NAMES)
}

CONSUMED = ("sign", "integer")
"""Weight gradients that move the weights as they arise and are never stored."""

_MOMENTS = {"adam": 2, "sgd": 1, "channel-momentum": 1, "sign-momentum": 1, "bop": 1, "sign": 0}
# Moment types that have a kernel, widest first.
_MOMENTUM_KERNELS = {
    "adam": ("float32", "float16"),
    "sgd": ("float32", "float16"),
    "channel-momentum": ("int8",),
    "sign-momentum": ("float32", "float16", "int8"),
    "bop": ("float32",),
    "sign": ("float32", "float16", "int8"),  # keeps none, so any will do
}
_INTEGER_LATENTS = ("int16", "int8")
_CHANNEL = "channel-momentum"
# What it has kernels for.
_INTEGER_CELLS = {"gradient": "int8", "weight_gradient": "integer", "latent": "int8"}
_RATE = "learning_rate"


def resolve_method(config: Config, layer: str | None = None) -> Method:
    """Decide every cell: the method's row, the configuration's overrides, and what follows.

    A layer's own cells lie over the run's, as those lie over the method's row.

    What follows, where the configuration says nothing of its own: a replaced optimizer takes the
    row's moment type, or the widest one that it has a kernel for; ``channel-momentum``, which is
    all integers, gives way to ``sign-momentum`` where another cell is not, and the weight gradient
    follows; integer latents that become floats get the range 1, floats that become integers 0.025;
    a gradient that is not ``int8`` has no delayed scale.

    Parameters
    ----------
    config : Config
        From `bnntrain.config.load_config`; its `source` is named in messages.
    layer : int, optional
        Place of a layer with weights (see `bnntrain.graph.items`); by default the run's own row.

    Returns
    -------
    Method
        A combination that every kernel it needs exists for.

    Raises
    ------
    ConfigError
        No kernel computes the combination. The message ends with the nearest one that works.
    """
    row = METHODS[config.method]
    given = own = _given(config)
    if layer is not None:
        own = items_by_place(config.model.layers)[layer].representation
        given = given | own
    method = _complete(replace(row, **given), row, given)
    conflicts = list(_conflicts(method, config.train.learning_rate, given, own))
    if conflicts:
        raise _refusal(conflicts, config, method, own, layer)
    return method


def _given(config: Config) -> dict[str, object]:
    """Return the cells that the configuration sets for the whole run."""
    cells = msgspec.to_builtins(config.representation)
    name = config.train.optimizer.name
    return cells if name is None else cells | {"optimizer": name}


def _complete(method: Method, row: Method, given: dict[str, object]) -> Method:
    """Let the cells that the configuration left open follow those that it set."""
    method = _complete_update(method, given)
    follow = {}
    if method.gradient != "int8":
        follow["gradient_scale"] = "current"
        if "gradient_rounding" not in given:
            follow["gradient_rounding"] = "nearest"
        if "gradient_bits" not in given:
            follow["gradient_bits"] = 8
    if "latent_range" not in given:
        was_integer, is_integer = (m.latent in _INTEGER_LATENTS for m in (row, method))
        if was_integer != is_integer:
            follow["latent_range"] = METHODS["efficient" if is_integer else "standard"].latent_range
    if "optimizer" in given and "momentum" not in given:
        kernels = _momentum_kernels(method)
        follow["momentum"] = row.momentum if row.momentum in kernels else kernels[0]
    return replace(method, **follow)


def _complete_update(method: Method, given: dict[str, object]) -> Method:
    """Let the optimizer follow the types of its operands, and the weight gradient the optimizer."""
    if "optimizer" not in given and method.optimizer == _CHANNEL:
        fits = not list(_not_integer(method)) and method.momentum == "int8"
        method = method if fits else replace(method, optimizer="sign-momentum")
    if "weight_gradient" in given:
        return method
    if method.optimizer == _CHANNEL:
        return replace(method, weight_gradient="integer")
    kept = "sign" if method.weight_gradient == "integer" else method.weight_gradient
    return replace(method, weight_gradient=kept)


def _not_integer(method: Method) -> Iterator[str]:
    """Yield the cells that keep a method from channel-momentum."""
    return (cell for cell, value in _INTEGER_CELLS.items() if getattr(method, cell) != value)


def _momentum_kernels(method: Method) -> tuple[str, ...]:
    kernels = _MOMENTUM_KERNELS[method.optimizer]
    if method.optimizer == "adam" and method.weight_gradient == "float32":
        # The square of a real gradient underflows in float16; of a sign it is a constant.
        return ("float32",)
    return kernels


def _conflicts(
    method: Method, learning_rate: float, given: dict[str, object], own: dict[str, object]
) -> Iterator[tuple[str, object, tuple, str]]:
    """Yield what no kernel computes: cell to change, nearest value, partner cells, reason."""
    if (method.activation == "float32") != (method.mask == "retained"):
        nearest = "retained" if method.activation == "float32" else "bit"
        yield "mask", nearest, ("activation",), "has no kernel with"
    if method.gradient_bits != 8 and method.gradient != "int8":
        yield "gradient_bits", 8, ("gradient",), "has no kernel with"
    if method.gradient_rounding != "nearest" and method.gradient != "int8":
        yield "gradient_rounding", "nearest", ("gradient",), "has no kernel with"
    yield from _update_conflicts(method, given, own)
    kernels = _momentum_kernels(method)
    if method.momentum not in kernels:
        partners = ("optimizer",)
        if method.momentum in _MOMENTUM_KERNELS[method.optimizer]:
            partners = ("optimizer", "weight_gradient")
        yield "momentum", kernels[0], partners, "has no kernel with"
    largest = method.latent_range / 2
    if method.latent in _INTEGER_LATENTS and learning_rate > largest:
        reason = "is more than half the range of latent weights with"
        yield _RATE, largest, ("latent", "latent_range"), reason


def _update_conflicts(
    method: Method, given: dict[str, object], own: dict[str, object]
) -> Iterator[tuple[str, object, tuple, str]]:
    """Yield what keeps exact sums of weight gradients and their optimizer apart."""
    partners = tuple(_not_integer(method))
    misfit = method.optimizer == _CHANNEL and partners
    if misfit and "optimizer" not in own:  # of a layer, whose cells are nearer than the run's
        for cell in partners:
            yield cell, _INTEGER_CELLS[cell], ("optimizer",), "has no kernel with"
        return
    if misfit:
        yield "optimizer", "sign-momentum", partners[:1], "has no kernel with"
    alone = misfit or method.optimizer != _CHANNEL
    if alone and method.weight_gradient == "integer" and "weight_gradient" in given:
        # Where no optimizer is set, other cells made it what it is.
        causes = (*partners, "momentum") if method.momentum != "int8" else partners
        named = () if "optimizer" in given else (cell for cell in causes if cell in own)
        yield "weight_gradient", "sign", ("optimizer", *named), "has no kernel with"


def _refusal(
    conflicts: list[tuple[str, object, tuple, str]],
    config: Config,
    method: Method,
    own: dict[str, object],
    layer: str | None,
) -> ConfigError:
    """Build the error: the first conflict in words, and all the changes that resolve them."""
    cell, nearest, partners, reason = conflicts[0]
    values = asdict(method) | {_RATE: config.train.learning_rate}
    culprit = cell
    if cell not in own and cell != _RATE:
        # What is above set this cell; the user set one of its partners and should read of that one.
        culprit = next(partner for partner in partners if partner in own)
        partners = (cell, *(partner for partner in partners if partner != culprit))
    others = " and ".join(f"{partner} {values[partner]}" for partner in partners)
    if cell == _RATE and layer is not None:
        others += f" of {layer_key(config, layer)}"
    if len(conflicts) == 1 and culprit == cell:
        fix = str(nearest)
    else:
        fixes = ((cell_key(config, name, layer), value) for name, value, _, _ in conflicts)
        fix = ", ".join(f"{key}: {value}" for key, value in fixes)
    message = f"{values[culprit]} {reason} {others}. Nearest that works: {fix}"
    return cell_error(config, culprit, layer, message)


def cell_error(config: Config, cell: str, layer: str | None, message: str) -> ConfigError:
    """Build the error of a cell that the run, or one layer of it, sets."""
    key = cell_key(config, cell, layer)
    return ConfigError(origin_of(config, key) or config.name, key, message)


def cell_key(config: Config, cell: str, layer: str | None) -> str:
    """Return the dotted key that sets a cell, for the run or for one layer."""
    outside = {"optimizer": "train.optimizer.name", _RATE: f"train.{_RATE}"}
    section = "" if layer is None else f"{layer_key(config, layer)}."
    return outside.get(cell, f"{section}representation.{cell}")


def layer_key(config: Config, layer: str) -> str:
    """Return the dotted key of a layer's options."""
    return f"model.{layer}.{items_by_place(config.model.layers)[layer].kind}"


def cell_labels(method: Method) -> dict[str, str]:
    """Say in words how each kind of tensor is held.

    Plain ASCII, with the role names of `bnntrain.accounting`, so that any console prints it.

    Parameters
    ----------
    method : Method
        A row of the table or what `resolve_method` returned.

    Returns
    -------
    dict of str to str
        Tensor to label, in the order of a training step.
    """
    recomputed = method.mask == "recompute"
    norm = {
        "l2": "l2, exact, gamma and beta",
        "l1": "l1, exact, gamma and beta",
        "l1-binary": "l1, published approximation, beta",
    }[method.norm]
    transient, product = method.gradient, method.gradient
    if method.gradient == "int8":
        transient = "int8 (dX), tiles only (Y)"
        product = f"int8 holding {method.gradient_bits} bits, in place of dX"
    return {
        "retained activations X": {"float32": "float32", "bit": "1 bit"}[method.activation],
        "straight-through mask": {
            "retained": "from retained X",
            "bit": "1 bit",
            "recompute": "recomputed",
        }[method.mask],
        "max-pool choice": "recomputed",
        "batch norm": norm + (", from recomputed integers" if recomputed else ""),
        "dX, Y": transient,
        "dY": product,
        "dW": {
            "float32": "float32",
            "bit": "1 bit",
            "sign": "sign, consumed at once, never stored",
            "integer": "exact integers, consumed at once, never stored",
        }[method.weight_gradient],
        "latent W": _latent_label(method),
        "momenta": (
            f"{method.moments} x {method.momentum} ({method.optimizer})"
            if method.moments
            else f"none ({method.optimizer})"
        ),
    }


def _latent_label(method: Method) -> str:
    if method.latent in _INTEGER_LATENTS:
        return f"{method.latent} on +-{method.latent_range:g}, stochastic rounding"
    return f"{method.latent}, clipped to +-{method.latent_range:g}"
