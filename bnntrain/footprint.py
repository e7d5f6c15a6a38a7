"""What training one network takes by one method or another: the plan's comparison, in bytes.

Two columns are the published formula (`bnntrain.accounting`), the others are plans of this package;
both are broken down by the same roles, so that they can stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bnntrain.accounting import (
    Measured,
    Printed,
    measured_batch,
    printed_totals,
    published_bytes,
)
from bnntrain.compatibility import train_count
from bnntrain.data.catalog import describe
from bnntrain.data.preprocessing import PictureOptions
from bnntrain.errors import MemoryLimitError
from bnntrain.layer_methods import LayerMethods
from bnntrain.method import METHODS
from bnntrain.plan import Plan, largest_batch
from bnntrain.preparation import Prepared, make_plans
from bnntrain.steps import ROLES, make_steps

PUBLISHED = ("standard", "low_memory")
# Roles that the published table divides more finely than `ROLES`.
_MERGED = {"mu, sigma": "statistics", "beta, dbeta": "statistics", "pooling masks": "masks"}


@dataclass(frozen=True)
class Footprint:
    """Memory of training by one method.

    Attributes
    ----------
    source : str
        ``published`` (the formula) or ``ours`` (a plan).
    name : str
        One of `PUBLISHED`, or the name of a method; ``configured`` is a row with cells replaced.
    roles : dict of str to int
        Bytes by role, for every role of `ROLES`, as if nothing were shared.
    total_bytes : int
        What is allocated; less than the sum of `roles` where buffers share bytes.
    bytes_of : callable
        `total_bytes` of another batch size.
    """

    source: str
    name: str
    roles: dict[str, int]
    total_bytes: int
    bytes_of: Callable[[int], int]

    @property
    def shared_bytes(self) -> int:
        """Bytes saved by buffers that lie in one place at different times."""
        return sum(self.roles.values()) - self.total_bytes

    def largest_batch(self, limit: int, samples: int) -> int | None:
        """Return the largest batch of `samples` within `limit` bytes; None if not even 1 fits."""
        try:
            return min(largest_batch(self.bytes_of, limit), samples)
        except MemoryLimitError:
            return None


def footprints(prepared: Prepared) -> list[Footprint]:
    """Return the memory of training a prepared configuration, by every method.

    Parameters
    ----------
    prepared : Prepared
        Network, batch size and threads.

    Returns
    -------
    list of Footprint
        The published methods, the rows of `METHODS`, and last the configured method if it is not
        one of the rows.
    """
    found = [_published(prepared, name) for name in PUBLISHED]
    found += [_planned(prepared, name, LayerMethods(row)) for name, row in METHODS.items()]
    if prepared.methods.differing or prepared.method not in METHODS.values():
        found.append(_planned(prepared, "configured", prepared.methods))
    return found


def training_samples(prepared: Prepared) -> int:
    """Return the samples that are trained on, the most that a batch can have."""
    config = prepared.config
    known = describe(config.data.dataset, PictureOptions.of(config.data))
    return train_count(config, known.train_count)


def printed(prepared: Prepared) -> Printed | None:
    """Return what the published table prints for this network and batch size; None if nothing."""
    name = prepared.config.model.name
    return printed_totals(name, prepared.graph.published, prepared.plan.batch_size)


def measured(prepared: Prepared) -> Measured | None:
    """Return what the publication measured of this network and batch size; None if nothing."""
    name = prepared.config.model.name
    return measured_batch(name, prepared.graph.published, prepared.plan.batch_size)


def published_counterpart(prepared: Prepared) -> int:
    """Return the published model of the memory that a prepared configuration takes, in bytes.

    Of the two published methods it is the one that retains activations as this one does: real ones
    (standard) or their signs (low-memory).
    """
    name = "low_memory" if prepared.method.activation == "bit" else "standard"
    return _published(prepared, name).total_bytes


def _published(prepared: Prepared, name: str) -> Footprint:
    def by_role(batch: int) -> dict[str, int]:
        return published_bytes(prepared.graph.published, batch, low_memory=name == "low_memory")

    roles = dict.fromkeys(ROLES, 0)
    for role, size in by_role(prepared.plan.batch_size).items():
        roles[_MERGED.get(role, role)] += size
    return Footprint(
        "published", name, roles, sum(roles.values()), lambda batch: sum(by_role(batch).values())
    )


def _planned(prepared: Prepared, name: str, methods: LayerMethods) -> Footprint:
    steps = make_steps(prepared.graph, methods)

    def plan_of(batch: int) -> Plan:
        return make_plans(steps, batch, prepared.plan.threads)[0]

    plan = plan_of(prepared.plan.batch_size)
    return Footprint(
        "ours", name, plan.by_role(), plan.total_bytes, lambda batch: plan_of(batch).total_bytes
    )
