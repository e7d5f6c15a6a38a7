"""What may stand where in a list of layers, and what a list that has no kernel is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bnntrain.graph.build import SAMPLE
from bnntrain.graph.conv import RealConv
from bnntrain.graph.dense import RealDense
from bnntrain.graph.flatten import Flatten
from bnntrain.graph.fusion import NETWORK, RESIDUAL, SHORTCUT, Words, extend, is_complete
from bnntrain.graph.global_avg_pool import GlobalAvgPool
from bnntrain.graph.items import LAYERS, Item, LayerSpec, OrderError, Residual, Walk, inner_list
from bnntrain.graph.items import SHORTCUT as SHORTCUT_LIST
from bnntrain.graph.operation import Operation
from bnntrain.graph.operations import VARIANTS, operation_of
from bnntrain.graph.tensor import MEANS, REAL, SCORES, SIGNS, STREAM, SUMS, Form

_ENDS = (Form(REAL, False), Form(SCORES, False))  # what the loss reads
_STREAM = Form(STREAM, True)
_LISTS = {NETWORK: "list", RESIDUAL: "list of a residual's layers", SHORTCUT: "shortcut"}
_TO_LISTS = (Flatten.kind, GlobalAvgPool.kind)
_TO_SCORES = f"{GlobalAvgPool.kind} and {RealDense.title()}"
# By the kind of what a residual network has so far: what is to come.
_HEADS = {SUMS: f"batch_norm, {_TO_SCORES}", STREAM: _TO_SCORES, MEANS: RealDense.title()}


@dataclass(frozen=True)
class _State:
    """What is known before a layer.

    Attributes
    ----------
    where : str
        The list, as `bnntrain.graph.fusion` calls it.
    form : Form
        What the layer would read.
    groups : frozenset of tuple of str
        What the step that is not yet finished can have been so far.
    before : str
        Kind of the item before it in this list; empty if it is the first.
    product : str
        Kind of the last product before it.
    last : str
        Place of the item before it.
    """

    where: str
    form: Form
    groups: frozenset[Words] = frozenset({()})
    before: str = ""
    product: str = ""
    last: str = ""

    def fits(self, operation: type[Operation]) -> bool:
        """Whether an operation reads such a tensor, and a kernel runs it here."""
        return self.form in operation.reads and bool(self.behind(operation.word()))

    @property
    def fits_residual(self) -> bool:
        """Whether a residual can stand here."""
        return self.where == NETWORK and self.form == _STREAM and self.is_complete

    def behind(self, word: str) -> frozenset[Words]:
        """Return `groups` behind an operation; empty where no kernel runs it."""
        return extend(self.groups, word, self.where, self.form.kind)

    @property
    def is_complete(self) -> bool:
        """Whether steps run all that stands before."""
        return is_complete(self.groups, self.where)

    def inside(self, where: str) -> _State:
        """Return the state before the first layer of a list that is nested here."""
        return _State(where, self.form, product=self.product)


def check_order(layers: Sequence[Item]) -> None:
    """Refuse a list of layers that has no meaning, or no kernel.

    Parameters
    ----------
    layers : sequence of item
        The network, first to last; not empty.

    Raises
    ------
    OrderError
        Names the layer, why it cannot stand there, and what can.
    """
    state = _Order().follow(tuple(layers), LAYERS, _State(NETWORK, SAMPLE))
    if state.form not in _ENDS:
        raise OrderError(state.last, _unfinished(state))


class _Order(Walk):
    """Follows the forms of tensors, and the steps that layers can become."""

    def layer(self, spec: LayerSpec, place: str, state: _State) -> _State:
        operation, options = operation_of(spec)
        if not state.fits(operation):
            raise OrderError(place, _misplaced(operation, state))
        misfit = operation.misfit(options, state.form)
        if misfit:
            raise OrderError(place, misfit)
        product = operation.kind if operation.weighs else state.product
        return replace(
            state, form=operation.form_after(state.form), groups=state.behind(operation.word()),
            before=operation.kind, product=product, last=place,
        )  # fmt: skip

    def residual(self, item: Residual, place: str, state: _State) -> _State:
        if not state.fits_residual:
            raise OrderError(place, _no_residual(state))
        within = inner_list(place, item, SHORTCUT_LIST)
        end = self.follow(item.shortcut, within, state.inside(SHORTCUT))
        if not end.is_complete:
            raise OrderError(end.last, _unfinished_inside(end))
        end = self.follow(item.layers, inner_list(place, item, LAYERS), state.inside(RESIDUAL))
        if not _is_summand(end):
            raise OrderError(end.last, _unfinished_inside(end))
        return _State(NETWORK, _STREAM, before=item.kind, product=end.product, last=place)


def _is_summand(state: _State) -> bool:
    """Whether a kernel adds what a residual's layers make so far."""
    return state.where == RESIDUAL and bool(state.behind("add"))


# What is said -----------------------------------------------------------------------------------


def _allowed(state: _State) -> str:
    """Name what may stand next; nothing if a list can only end."""
    fits = [each for each in VARIANTS if state.fits(each)]
    plain = {each.kind for each in fits if not each.variant}
    names = [each.title() for each in fits if not each.variant or each.kind not in plain]
    return " or ".join([Residual.kind, *names] if state.fits_residual else names)


def _remedy(state: _State) -> str:
    allowed = _allowed(state)
    if allowed:
        return f"Put {allowed} here"
    another = ", and begin another residual" if state.where == RESIDUAL else ""
    return f"End the {_LISTS[state.where]} before it{another}"


def _misplaced(operation: type[Operation], state: _State) -> str:
    """Say why a layer cannot stand here, and what can."""
    if Form(state.form.kind, False) in operation.reads and state.fits(Flatten):
        return (
            f"{operation.title()} takes a list of values, and {state.product} gives an image. "
            "Put flatten before it"
        )
    if operation.variant and state.fits(_plain(operation)):
        return f"{_reason(operation, state)}. Leave '{operation.variant}' out"
    return f"{_reason(operation, state)}. {_remedy(state)}"


def _plain(operation: type[Operation]) -> type[Operation]:
    """Return what an operation is without the options that tell it from others of its kind."""
    return next(each for each in VARIANTS if each.kind == operation.kind)


def _reason(operation: type[Operation], state: _State) -> str:
    name, form, reads, before = operation.title(), state.form, operation.reads, state.before
    if not form.is_image and before not in _TO_LISTS and all(each.is_image for each in reads):
        return f"{name} cannot stand behind {state.product}, whose outputs have no height and width"
    if form == _STREAM and Form(SIGNS, True) in reads and not before:
        return f"{name} reads signs, and a real stream comes in"
    where = f"after {before}" if before else f"as {_first(state)}"
    if form not in reads:
        return f"{name} cannot stand {where}"
    if operation.word() in max(state.groups, key=len):
        return f"a second {name} behind one {state.product}"
    return f"{name} {where} has no kernel"


def _first(state: _State) -> str:
    inside = "" if state.where == NETWORK else f" of the {_LISTS[state.where]}"
    return f"the first layer{inside}"


def _no_residual(state: _State) -> str:
    """Say why a residual cannot stand here, and what helps."""
    if state.where != NETWORK:
        return "a residual in a residual has no kernel. Put them one behind the other"
    if state.form.kind in (*_HEADS, SCORES):
        return f"residual after {state.before} has no kernel. {_remedy(state)}"
    return (
        "residual adds to a real stream, and there is none before it. Begin the list with "
        f"{RealConv.title()} and batch_norm"
    )


def _unfinished_inside(state: _State) -> str:
    """Say why a list of a residual cannot end here, and how it can."""
    remedy = f"Put {_allowed(state)} behind it"
    return f"{state.before} cannot be the last layer of the {_LISTS[state.where]}. {remedy}"


def _unfinished(state: _State) -> str:
    """Say why a network cannot end here, and how it can."""
    form, last = state.form, state.before
    message = f"{last} cannot be the last layer"
    if form.kind == STREAM:
        message = "the list ends with a real stream, whose values are not scores of classes"
    elif form.kind == REAL and last == "batch_norm":
        message = f"the last product is a {state.product}, whose outputs are not scores of classes"
    if form.kind in _HEADS:
        return f"{message}. End the list with {_HEADS[form.kind]}"
    end = "flatten, dense" if form.is_image or last == Flatten.kind else "dense"
    return f"{message}. End the list with {end} and batch_norm, without sign"
