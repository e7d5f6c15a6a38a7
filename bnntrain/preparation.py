"""From a configuration to all that is known before data are read: method, sizes, memory plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from bnntrain.compatibility import fit_graph, naming_the_key, train_count, with_classes
from bnntrain.config import Config, Reference, load_config
from bnntrain.data.catalog import Description, describe
from bnntrain.data.decoding import Decoding, plan_decoding
from bnntrain.data.preprocessing import PictureOptions, Preprocessing
from bnntrain.graph import Graph
from bnntrain.inference import as_packed, plan_evaluation
from bnntrain.isa import selected_isa
from bnntrain.layer_methods import LayerMethods, resolve_methods
from bnntrain.limits import available_threads
from bnntrain.method import Method
from bnntrain.paths import RunLike, run_path
from bnntrain.plan import Layout, Placed, Plan, largest_batch, make_plan
from bnntrain.records import RunFolder
from bnntrain.sizes import parse_size
from bnntrain.steps import Buffer, Step, make_steps


@dataclass(frozen=True)
class Prepared:
    """A configuration with everything that follows from it before data are read.

    Attributes
    ----------
    config : Config
        Resolved; its batch size is the plan's.
    methods : LayerMethods
        Representations.
    shape : tuple of int
        Height, width, channels of a sample.
    classes : list of str
        Names of the classes.
    graph : Graph
        The network, for samples of that shape.
    steps : list of Step
        What runs of it, by the method.
    plan : Plan
        Memory plan.
    evaluation : Layout
        Where in the same arena the network is evaluated, between steps.
    """

    config: Config
    methods: LayerMethods
    shape: tuple[int, ...]
    classes: list[str]
    graph: Graph
    steps: list[Step]
    plan: Plan
    evaluation: Layout

    @property
    def method(self) -> Method:
        """Row of the run, but for layers with cells of their own."""
        return self.methods.run

    @property
    def decoding(self) -> Decoding | None:
        """Who decodes pictures beside training; None where none are decoded."""
        data, plan = self.config.data, self.plan
        return plan_decoding(
            data.records, self.shape, plan.batch_size, data.workers, plan.threads,
            available_threads(),
        )  # fmt: skip

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures become samples: in training, and when they are classified later."""
        return Preprocessing(self.shape, self.config.data.resize)


def prepare(
    reference: Reference,
    overrides: Mapping[str, object] | None = None,
    memory_limit: int | str | None = None,
    known: Description | None = None,
) -> Prepared:
    """Read a configuration and plan its memory; allocates nothing and needs no data files.

    Parameters
    ----------
    reference : str, path, mapping or Config
        A ``.yaml`` file, a shipped name, a dict of what such a file holds, or what `load_config`
        returned.
    overrides : mapping, optional
        Dotted keys and values; numbers may be NumPy's.
    memory_limit : int or str, optional
        For the arena, in bytes or as ``64MiB``: a batch whose plan is larger is replaced by the
        largest that fits.
    known : Description, optional
        Shape, classes and counts of the data set, where they need not be looked up.

    Raises
    ------
    ConfigError, DataError, MemoryLimitError, KernelError, UsageError
        The configuration, the data set's name, the limit or ``BNNTRAIN_ISA`` is no good.
    """
    config = load_config(reference, overrides)
    memory_limit = None if memory_limit is None else parse_size(memory_limit)
    methods = resolve_methods(config)
    selected_isa()
    with naming_the_key(config):
        known = known or describe(config.data.dataset, PictureOptions.of(config.data))
    config = with_classes(config, len(known.classes))
    shape, threads = known.shape, threads_of(config)
    samples = train_count(config, known.train_count)
    graph = fit_graph(config, shape, len(known.classes), samples)
    steps = make_steps(graph, methods)

    def plan_of(batch: int) -> tuple[Plan, Layout]:
        return make_plans(steps, batch, threads)

    plan, evaluation = plan_of(config.train.batch_size)
    if memory_limit is not None and plan.total_bytes > memory_limit:
        batch = largest_batch(
            lambda size: plan_of(size)[0].total_bytes, memory_limit, config.train.batch_size
        )
        train = msgspec.structs.replace(config.train, batch_size=batch)
        config = msgspec.structs.replace(config, train=train)
        plan, evaluation = plan_of(batch)
    return Prepared(config, methods, shape, known.classes, graph, steps, plan, evaluation)


def make_plans(steps: Sequence[Step], batch: int, threads: int) -> tuple[Plan, Layout]:
    """Lay out training, and evaluation in the same arena, which is as large as both need.

    Parameters
    ----------
    steps, batch, threads
        As for `bnntrain.plan.make_plan`.
    """
    plan = make_plan(steps, batch, threads)
    layers = as_packed([step.fused for step in steps], steps[0].method.gradient)
    evaluation = plan_evaluation(layers, plan)
    more = evaluation.total_bytes - plan.total_bytes
    if more <= 0:
        return plan, evaluation
    # Of a small batch there are fewer free bytes than weights have signs.
    end = steps[0].order.end
    behind = Placed(
        Buffer("evaluation", "scratch", "all", (more,), "uint8", 0, end), plan.total_bytes
    )
    grown = replace(plan, placed=(*plan.placed, behind), total_bytes=evaluation.total_bytes)
    return grown, evaluation


def threads_of(config: Config) -> int:
    """Return the threads of a run: the configured number, or for 0 what can run at a time."""
    return config.train.threads or available_threads()


def prepare_run(run: RunLike) -> Prepared:
    """Prepare the configuration of a run; one that has started needs no data set for it.

    Raises
    ------
    RunError
        Not a run folder, or its run.json is damaged.
    """
    folder = RunFolder.open(run_path(run))
    summary = folder.read_summary()
    config = load_config(folder.config, recorded=summary.get("config"))
    if summary.get("dataset") != config.data.dataset:
        return prepare(config)
    try:
        known = Description(
            tuple(int(size) for size in summary["sample_shape"]),
            [str(name) for name in summary["classes"]],
            int(summary["train_samples"]) + int(summary["validation_samples"]),
            int(summary["test_samples"]),
        )
    except (KeyError, TypeError, ValueError):
        known = None  # it never started, or run.json was lost
    return prepare(config, known=known)
