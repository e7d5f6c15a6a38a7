"""What a training step asks of the kernels: every operation, with its sizes and how often.

Follows `kernels/dense`, `kernels/conv` and `kernels/loss` call by call; tests hold it against the
calls of real steps. Knows the all-integer step of ``efficient`` (its optimisers, 6 and 8 gradient
bits); a step that is not the run's first, which also measures scales.
"""

from __future__ import annotations

from collections.abc import Sequence

from bnntrain.errors import UsageError
from bnntrain.method import Method
from bnntrain.operations.calls import Call, Pass, Traffic, sizes_of
from bnntrain.operations.conv import ConvCounter
from bnntrain.operations.counter import pieces_of, shares_of
from bnntrain.operations.dense import DenseCounter
from bnntrain.plan import Plan
from bnntrain.steps import ConvStep, Step
from bnntrain.steps.step import has_integer_update

__all__ = ["Call", "Pass", "Traffic", "check_method", "count_operations", "sizes_of"]

_LOSS_ROWS = 256  # CHUNK of kernels/loss/loss.c


def count_operations(blocks: Sequence[Step], plan: Plan) -> list[Pass]:
    """List what one training step does.

    Parameters
    ----------
    blocks : sequence of Block
        The network that the plan was made for.
    plan : Plan
        Its batch, threads and buffers: whether y of a convolution is multiplied again depends on
        the room that they leave.

    Returns
    -------
    list of Pass
        In the order in which they run.

    Raises
    ------
    UsageError
        A method other than ``efficient`` with its integer optimisers.
    """
    check_method(plan.method)
    counted = [
        (ConvCounter if isinstance(block, ConvStep) else DenseCounter)(block, plan)
        for block in blocks
    ]
    found = [one for block in counted for one in block.forward()]
    found += _loss(blocks[-1], plan)
    for block in reversed(counted):
        found += block.backward()
    for block in counted:
        found.append(block.update())
    return found


def check_method(method: Method) -> None:
    """Refuse methods whose steps are not counted here."""
    cells = (method.activation, method.mask, method.norm, method.gradient, method.gradient_scale)
    known = ("bit", "recompute", "l2", "int8", "delayed")
    if cells != known or not has_integer_update(method):
        raise UsageError(
            f"the operations of method '{method.name}' with these representations are not counted. "
            "Give 'efficient'"
        )


def _loss(last: Step, plan: Plan) -> list[Pass]:
    classes, batch, threads = last.outputs, plan.batch_size, plan.threads
    shared, alone = Pass("all", "loss"), Pass("all", "loss", units=1)
    for rows, times in pieces_of(batch, _LOSS_ROWS):
        for share, number in shares_of(rows, threads):
            shared.add("softmax_f32", share, classes, times=times * number)
    alone.add("quantise_f32_i8", batch * classes)
    return [shared, alone]
