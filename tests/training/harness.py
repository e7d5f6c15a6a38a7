"""Networks of any size, and what every step of one saw and made.

`traced_step` runs the passes of the product's own program one by one, so that buffers, which share
bytes, are copied while they are live; `test_step.py` holds that they are those of
`Program.train_batch`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from conv_reference import Geometry

from bnntrain import kernels
from bnntrain.config import Config, Data, Optimizer, Representation, Train
from bnntrain.config.check import Where
from bnntrain.config.models import read_model
from bnntrain.graph import POOLS, Size, build_graph
from bnntrain.inference import Arrays, Inference, as_packed, pack, plan_evaluation
from bnntrain.layer_methods import LayerMethods, resolve_methods
from bnntrain.method import Method
from bnntrain.plan import Plan
from bnntrain.preparation import make_plans
from bnntrain.program import Program
from bnntrain.steps import Step, make_steps

WORD_BITS = 64


def make_config(
    sizes: list[object],
    method: str = "efficient",
    batch: int = 8,
    optimizer: dict | None = None,
    rate: float = 1e-3,
    smoothing: float = 0.0,
    seed: int = 0,
    own: Sequence[dict] = (),
    **representation: object,
) -> Config:
    """Describe a network: outputs of dense layers, or a model file's list of layers.

    `own` are the cells of the first layers with weights, `representation` those of the run.
    """
    if all(isinstance(units, int) for units in sizes):
        sizes = [item for units in sizes for item in ({"dense": units}, "batch_norm", "sign")][:-1]
    sizes = with_cells(sizes, own)
    return Config(
        name="test",
        model=read_model({"layers": sizes}, "test", Where("test"), ""),
        data=Data("digits"),
        train=Train(
            epochs=1,
            batch_size=batch,
            learning_rate=rate,
            label_smoothing=smoothing,
            seed=seed,
            optimizer=Optimizer(**(optimizer or {})),
        ),
        method=method,
        representation=Representation(**representation),
    )


def with_cells(layers: list[object], own: Sequence[dict]) -> list[object]:
    """Give the first layers with weights cells of their own, in their order."""
    left, found = list(own), []
    for item in layers:
        ((kind, options),) = item.items() if isinstance(item, dict) else [(item, None)]
        if left and kind in ("dense", "conv"):
            if not isinstance(options, dict):
                options = {"units" if kind == "dense" else "channels": options}
            item = {kind: {**options, "representation": left.pop(0)}}
        found.append(item)
    return found


def conv_layers(*convs: dict, dense: tuple[int, ...] = (7,)) -> list[object]:
    """List the layers of convolutions (their options, and `pool`) and of the dense blocks behind.

    `pool` is a key of `bnntrain.graph.POOLS`.
    """
    found = []
    for options in convs:
        options = dict(options)
        kind, place = POOLS[options.pop("pool", "none")]
        block = [{"conv": options}, "batch_norm", "sign"]
        if kind:
            block.insert(place, kind)
        found += block
    found.append("flatten")
    for units in dense:
        found += [{"dense": units}, "batch_norm", "sign"]
    return found[:-1]


def steps_of(config: Config, sample: int | Size) -> list[Step]:
    """Return what runs of a configuration's network."""
    return make_steps(build_graph(config.model.layers, as_size(sample)), resolve_methods(config))


def make_program(
    config: Config,
    sample: int | Size,
    threads: int = 1,
    isa: str | None = None,
    plan: Plan | None = None,
) -> Program:
    """Bind a configuration to memory and draw its weights."""
    train, steps = config.train, steps_of(config, sample)
    program = Program(
        steps,
        plan or make_plans(steps, train.batch_size, threads)[0],
        train.optimizer,
        train.label_smoothing,
        train.seed,
        isa or kernels.selected_isa(),
    )
    program.initialise()
    return program


def evaluate(program: Program, rows: int) -> tuple[np.ndarray, float, int]:
    """Evaluate on the first `rows` samples of the batch buffers, in the same arena.

    Returns
    -------
    logits : ndarray of float32 [rows, classes]
    loss : float
        Summed.
    correct : int
    """
    layers = as_packed([step.fused for step in program.steps], program.steps[0].method.gradient)
    layout = plan_evaluation(layers, program.plan)
    x, labels = program.x[:rows].copy(), program.labels[:rows].copy()
    state, views = Arrays(program.inference_state()), program.arena.cut(layout)
    inference = Inference(layers, layout, views, 0.0, kernels.selected_isa())
    rows_of = {step.product.layer: step.method for step in program.steps}
    methods = LayerMethods(program.steps[0].method, rows_of)
    inference.load(lambda into: pack(layers, methods, state, into))
    logits, loss, correct = [], 0.0, 0
    for first in range(0, rows, layout.batch_size):
        count = min(layout.batch_size, rows - first)
        inference.x[:count], inference.labels[:count] = x[first:][:count], labels[first:][:count]
        losses, found = inference.losses(count)
        logits.append(inference.logits[:count].copy())
        loss += losses.sum()
        correct += found
    return np.concatenate(logits), loss, correct


def as_size(sample: int | Size) -> Size:
    """Return height, width and channels of a sample, which may be a list of values."""
    return (1, 1, sample) if isinstance(sample, int) else sample


def fill_batch(program: Program, random: np.random.Generator) -> None:
    """Put random pixels and labels into the batch buffers."""
    program.x[...] = random.integers(-128, 128, program.x.shape)
    program.labels[...] = random.integers(0, program.classes, program.labels.shape)


def scramble_norms(program: Program, random: np.random.Generator) -> None:
    """Draw gamma and beta, gamma of both signs and sometimes zero."""
    for step in program.steps:
        views = own_views(program, step.name)
        views["beta"][...] = random.normal(0, 0.3, step.channels)
        if "gamma" in views:
            gamma = random.uniform(0.4, 1.6, step.channels)
            gamma *= random.choice([-1, 1], step.channels)
            gamma[random.random(step.channels) < 0.1] = 0
            views["gamma"][...] = gamma


def own_views(program: Program, name: str) -> dict[str, np.ndarray]:
    """Views of a step's buffers by tensor."""
    views = program.arena.views
    return {
        key.removeprefix(f"{name}."): view
        for key, view in views.items()
        if key.startswith(f"{name}.")
    }


def persistent_bytes(program: Program) -> bytes:
    """Everything that a checkpoint holds, as bytes."""
    return b"".join(view.tobytes() for view in program.arena.persistent().values())


def unpack(words: np.ndarray, columns: int) -> np.ndarray:
    """Return packed bits [rows][columns] as booleans."""
    octets = np.ascontiguousarray(words).astype("<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, bitorder="little", count=columns).astype(bool)


def as_signs(view: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return -1 or +1 [rows][columns] (float64) of packed bits or of retained real values."""
    negative = unpack(view[:rows], columns) if view.dtype == np.uint64 else view[:rows] < 0
    return np.where(negative, -1.0, 1.0)


@dataclass
class Trace:
    """One step in one batch: what it read, kept and wrote, copied.

    `method` is its own row. `inputs` are those of one product, `outputs` channels. A convolution
    has a `geometry`; its x is an image [batch][row][column][channel], its other tensors have a row
    per sample and position, and its dY is seen in the first step alone, as elsewhere dX takes its
    place.

    `state` and `later` hold its persistent tensors before and after the step, `kept` what its
    forward pass left (``out``, ``mean``, ``inverse``, ``mask``, ``magnitude``), `made` what its
    backward pass left (``d_gamma``, ``d_beta``, ``dW``; packed signs unpacked). Int8 gradients are
    in units of their scales, see `scales`: rows g, dY, columns used, next; and `dx_scale` [2].
    """

    method: Method
    inputs: int
    outputs: int
    is_first: bool
    is_last: bool
    x: np.ndarray
    state: dict[str, np.ndarray]
    geometry: Geometry | None = None
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    g: np.ndarray | None = None
    dy: np.ndarray | None = None
    dx: np.ndarray | None = None
    scales: np.ndarray | None = None
    dx_scale: np.ndarray | None = None
    dx_scale_before: np.ndarray | None = None
    made: dict[str, np.ndarray] = field(default_factory=dict)
    later: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def signs(self) -> np.ndarray:
        """sgn(W) before the update, float64 [O][I]."""
        return np.where(self.state["latent"] < 0, -1.0, 1.0)


class Recorder:
    """Copies a step's buffers as its passes go by."""

    def __init__(self, program: Program, step: Step) -> None:
        self.step, self._program = step, program
        self._geometry = geometry_of(step)
        self._views = own_views(program, step.name)
        below = step.producer
        self._below_views = {} if below is None else own_views(program, below.name)
        self._rows = 1 if self._geometry is None else math.prod(self._geometry.output)
        self.trace: Trace | None = None

    def _persistent(self) -> dict[str, np.ndarray]:
        prefix = f"{self.step.name}."
        kept = self._program.arena.persistent()
        return {
            key.removeprefix(prefix): view.copy()
            for key, view in kept.items()
            if key.startswith(prefix)
        }

    def _read(self, batch: int) -> np.ndarray:
        """Return x as the step reads it."""
        below = self.step.producer
        if below is None:
            x = self._program.x[:batch].astype(float)
        else:
            retained = below.output(self._program.arena.views)
            lines = retained.reshape(self._program.x.shape[0], -1, retained.shape[-1])[:batch]
            # A line of bits has no gaps within a sample, or one behind the channels of a position.
            columns = self.step.inputs // lines.shape[1]
            x = as_signs(lines.reshape(-1, lines.shape[2]), batch * lines.shape[1], columns)
        geometry = self._geometry
        if geometry is None:
            return x.reshape(batch, -1)
        return x.reshape(batch, geometry.height, geometry.width, geometry.channels)

    def _gradient_of(self, step: Step, batch: int, values: int, columns: int) -> np.ndarray:
        """Return a gradient of `values` a sample where it arrives at a step's output."""
        flat = step.incoming(self._program.arena.views).reshape(-1)
        return flat[: batch * values].reshape(-1, columns).copy()

    def before_forward(self, batch: int) -> None:
        """Copy what the forward pass reads."""
        step = self.step
        self.trace = Trace(
            step.method,
            step.fan_in,
            step.channels,
            step.is_first,
            step.is_last,
            self._read(batch),
            self._persistent(),
            self._geometry,
        )

    def after_forward(self, batch: int) -> None:
        """Copy what the forward pass left."""
        rows = batch * self._rows
        kept = {"out": self._views["logits" if self.step.is_last else "X_out"][:rows].copy()}
        for tensor in ("mean", "inverse", "magnitude"):
            if tensor in self._views:
                kept[tensor] = self._views[tensor].copy()
        if "mask" in self._views:
            kept["mask"] = unpack(self._views["mask"][:rows], self.step.channels)
        self.trace.kept = kept

    def before_backward(self, batch: int) -> None:
        """Copy the incoming gradient."""
        step = self.step
        self.trace.g = self._gradient_of(step, batch, step.outputs, step.channels)
        if "scales" in self._below_views:
            self.trace.dx_scale_before = self._below_views["scales"][0].copy()

    def after_backward(self, batch: int) -> None:
        """Copy outgoing gradients, and what the pass made."""
        step, below, views, trace = self.step, self.step.producer, self._views, self.trace
        if self._geometry is None:
            trace.dy = self._gradient_of(step, batch, step.outputs, step.channels)
        elif below is None:
            trace.dy = self._gradient_of(step, batch, step.norm_values, step.channels)
        if "scales" in views:
            trace.scales = views["scales"].copy()
        if below is not None:
            columns = step.fused.input.size[2]
            trace.dx = self._gradient_of(below, batch, step.inputs, columns)
            if "scales" in self._below_views:
                trace.dx_scale = self._below_views["scales"][0].copy()
        made = ("d_gamma", "d_beta", "dW", "dW_magnitude")
        trace.made = {t: views[t].copy() for t in made if t in views}
        if "dW" in views:
            trace.made["dW"] = self._weight_gradient(views["dW"])

    def _weight_gradient(self, stored: np.ndarray) -> np.ndarray:
        """Return dW [outputs][inputs], as signs where it is packed."""
        shape = self.trace.outputs, self.trace.inputs
        if stored.dtype == np.uint64:
            stored = as_signs(stored, len(stored), math.prod(shape) // len(stored))
        return stored.reshape(shape).copy()

    def before_update(self, batch: int) -> None:
        """Copy nothing: dW and the gradients of the norm have been."""

    def after_update(self, batch: int) -> None:
        """Copy what persists."""
        self.trace.later = self._persistent()


def geometry_of(step: Step) -> Geometry | None:
    """Sizes of a convolution step, by the reference's own rules from the product's options."""
    fused, product = step.fused, step.product
    if fused.kind != "conv":
        return None
    options = product.options
    same = Geometry(
        *fused.input.size, step.channels, options.kernel, options.stride, "same", fused.pool
    )
    valid = replace(same, padding="valid")
    return same if product.output.size[:2] == same.product else valid


class Watcher:
    """Told about every pass of a training step; does nothing."""

    def before(self, step: Step | None, name: str, rows: int) -> None:
        """A pass (``forward``, ``loss``, ``backward``, ``update``) of a step begins."""

    def after(self, step: Step | None, name: str, rows: int) -> None:
        """It has ended."""


def time_of(program: Program, step: Step | None, name: str) -> int:
    """Return when the plan says that a pass runs."""
    order = program.steps[0].order
    if step is None:
        return order.loss
    return {"forward": step.forward, "backward": step.backward, "update": order.end}[name]


def train_by_pass(
    program: Program, rows: int, number: int, rate: float, watcher: Watcher
) -> tuple[float, int]:
    """Take the step that `Program.train_batch` takes, pass by pass; return loss and correct."""
    passes = list(zip(program.steps, program.blocks, program.updates, strict=True))

    def run(step: Step | None, name: str, call: object, *arguments: object) -> object:
        watcher.before(step, name, rows)
        result = call(*arguments)
        watcher.after(step, name, rows)
        return result

    for step, block, _ in passes:
        run(step, "forward", block.forward, rows, number == 0)
    result = run(None, "loss", program.loss, rows)
    for step, block, update in sorted(passes, key=lambda one: one[0].backward):
        update.set(number, rate, rows)
        run(step, "backward", block.backward, rows, update)
    for step, block, update in passes:
        run(step, "update", block.update, update)
    return result


class Recorders(Watcher):
    """A recorder for every step."""

    def __init__(self, program: Program) -> None:
        self.of = {step.name: Recorder(program, step) for step in program.steps}

    def before(self, step: Step | None, name: str, rows: int) -> None:
        """Copy what the pass reads."""
        if step is not None:
            getattr(self.of[step.name], f"before_{name}")(rows)

    def after(self, step: Step | None, name: str, rows: int) -> None:
        """Copy what the pass left."""
        if step is not None:
            getattr(self.of[step.name], f"after_{name}")(rows)


def traced_step(
    program: Program, rows: int, step: int, rate: float = 1e-3
) -> tuple[list[Trace], float, int]:
    """Train one batch; return the steps' traces, the loss and the correct."""
    recorders = Recorders(program)
    loss, correct = train_by_pass(program, rows, step, rate, recorders)
    return [recorder.trace for recorder in recorders.of.values()], loss, correct
