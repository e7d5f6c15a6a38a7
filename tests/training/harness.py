"""Networks of any size, and what every block of one saw and made in a training step.

`traced_step` runs the product's own `Model.train_batch` with each block wrapped, so that buffers,
which share bytes, are copied while they are live.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from conv_reference import Geometry

from bnntrain import kernels
from bnntrain.config import Config, Data, Optimizer, Representation, Train
from bnntrain.config.check import Where
from bnntrain.config.models import read_model
from bnntrain.layers import Size, build_blocks
from bnntrain.layers.shapes import POOLS
from bnntrain.method import resolve_method
from bnntrain.model import Model
from bnntrain.plan import Plan, make_plan

WORD_BITS = 64


def make_config(
    sizes: list[object],
    method: str = "efficient",
    batch: int = 8,
    optimizer: dict | None = None,
    rate: float = 1e-3,
    smoothing: float = 0.0,
    seed: int = 0,
    **representation: object,
) -> Config:
    """Describe a network: outputs of dense blocks, or a model file's list of layers."""
    if all(isinstance(units, int) for units in sizes):
        sizes = [item for units in sizes for item in ({"dense": units}, "batch_norm", "sign")][:-1]
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


def conv_layers(*convs: dict, dense: tuple[int, ...] = (7,)) -> list[object]:
    """List the layers of convolutions (their options, and `pool`) and of the dense blocks behind.

    `pool` is a place of `bnntrain.layers.shapes.POOLS`.
    """
    found = []
    for options in convs:
        options = dict(options)
        place = POOLS.index(options.pop("pool", "none"))
        block = [{"conv": options}, "batch_norm", "sign"]
        if place:
            block.insert(place, "max_pool")
        found += block
    found.append("flatten")
    for units in dense:
        found += [{"dense": units}, "batch_norm", "sign"]
    return found[:-1]


def make_model(
    config: Config,
    sample: int | Size,
    threads: int = 1,
    isa: str | None = None,
    plan: Plan | None = None,
) -> Model:
    """Bind a configuration to memory and draw its weights."""
    method, train = resolve_method(config), config.train
    blocks = build_blocks(config.model.layers, as_size(sample), method)
    model = Model(
        blocks,
        method,
        plan or make_plan(blocks, method, train.batch_size, threads),
        train.optimizer,
        train.label_smoothing,
        train.seed,
        isa or kernels.selected_isa(),
    )
    model.initialise()
    return model


def as_size(sample: int | Size) -> Size:
    """Return height, width and channels of a sample, which may be a list of values."""
    return (1, 1, sample) if isinstance(sample, int) else sample


def fill_batch(model: Model, random: np.random.Generator) -> None:
    """Put random pixels and labels into the batch buffers."""
    model.x[...] = random.integers(-128, 128, model.x.shape)
    model.labels[...] = random.integers(0, model.classes, model.labels.shape)


def scramble_norms(model: Model, random: np.random.Generator) -> None:
    """Draw gamma and beta, gamma of both signs and sometimes zero."""
    for block in model.blocks:
        views = own_views(model, block.name)
        views["beta"][...] = random.normal(0, 0.3, block.channels)
        if "gamma" in views:
            gamma = random.uniform(0.4, 1.6, block.channels)
            gamma *= random.choice([-1, 1], block.channels)
            gamma[random.random(block.channels) < 0.1] = 0
            views["gamma"][...] = gamma


def own_views(model: Model, name: str) -> dict[str, np.ndarray]:
    """Views of a block's buffers by tensor."""
    views = model.arena.views
    return {
        key.removeprefix(f"{name}."): view
        for key, view in views.items()
        if key.startswith(f"{name}.")
    }


def persistent_bytes(model: Model) -> bytes:
    """Everything that a checkpoint holds, as bytes."""
    return b"".join(view.tobytes() for view in model.arena.persistent().values())


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
    """One block in one step: what it read, kept and wrote, copied.

    `inputs` are those of one product, `outputs` channels. A convolution has a `geometry`; its x is
    an image [batch][row][column][channel], its other tensors have a row per sample and position,
    and its dY is seen in the first block alone, as elsewhere dX takes its place.

    `state` and `later` hold its persistent tensors before and after the step, `kept` what its
    forward pass left (``out``, ``mean``, ``inverse``, ``mask``, ``magnitude``), `made` what its
    backward pass left (``d_gamma``, ``d_beta``, ``dW``; packed signs unpacked). Int8 gradients are
    in units of their scales, see `scales`: rows g, dY, columns used, next; and `dx_scale` [2].
    """

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
    """A block that copies its buffers as they go by; everything else is the block's own."""

    def __init__(
        self, block: object, below: object | None, model: Model, geometry: Geometry | None
    ) -> None:
        self._block, self._model, self._geometry = block, model, geometry
        self._below = below
        self._views = own_views(model, block.name)
        self._below_views = None if below is None else own_views(model, below.name)
        self._rows = 1 if geometry is None else math.prod(geometry.output)
        self.trace: Trace | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._block, name)

    def _persistent(self) -> dict[str, np.ndarray]:
        prefix = f"{self._block.name}."
        kept = self._model.arena.persistent()
        return {
            key.removeprefix(prefix): view.copy()
            for key, view in kept.items()
            if key.startswith(prefix)
        }

    def _read(self, batch: int) -> np.ndarray:
        """Return x as the block reads it."""
        if self._below is None:
            x = self._model.x[:batch].astype(float)
        else:
            retained = self._below.output(self._model.arena.views)
            lines = retained.reshape(self._model.x.shape[0], -1, retained.shape[-1])[:batch]
            # A line of bits has no gaps within a sample, or one behind the channels of a position.
            columns = self._block.inputs // lines.shape[1]
            x = as_signs(lines.reshape(-1, lines.shape[2]), batch * lines.shape[1], columns)
        geometry = self._geometry
        if geometry is None:
            return x.reshape(batch, -1)
        return x.reshape(batch, geometry.height, geometry.width, geometry.channels)

    def _gradient_of(self, block: object, batch: int, values: int, columns: int) -> np.ndarray:
        """Return a gradient of `values` a sample where it arrives at a block's output."""
        flat = block.incoming(self._model.arena.views).reshape(-1)
        return flat[: batch * values].reshape(-1, columns).copy()

    def forward(self, batch: int, training: bool, first_step: bool = False) -> None:
        """Run the forward pass and copy what it read and left."""
        block = self._block
        self.trace = Trace(
            block.fan_in,
            block.channels,
            block.is_first,
            block.is_last,
            self._read(batch),
            self._persistent(),
            self._geometry,
        )
        block.forward(batch, training, first_step)
        rows = batch * self._rows
        kept = {"out": self._views["logits" if block.is_last else "X_out"][:rows].copy()}
        for tensor in ("mean", "inverse", "magnitude"):
            if tensor in self._views:
                kept[tensor] = self._views[tensor].copy()
        if "mask" in self._views:
            kept["mask"] = unpack(self._views["mask"][:rows], block.channels)
        self.trace.kept = kept

    def backward(self, batch: int, step: object) -> None:
        """Run the backward pass and copy incoming and outgoing gradients."""
        block, below, views, trace = self._block, self._below, self._views, self.trace
        trace.g = self._gradient_of(block, batch, block.outputs, block.channels)
        if below is not None and "scales" in self._below_views:
            trace.dx_scale_before = self._below_views["scales"][0].copy()
        block.backward(batch, step)
        if self._geometry is None:
            trace.dy = self._gradient_of(block, batch, block.outputs, block.channels)
        elif below is None:
            trace.dy = self._gradient_of(block, batch, block.norm_values, block.channels)
        if "scales" in views:
            trace.scales = views["scales"].copy()
        if below is not None:
            columns = block.shape.input[2]
            trace.dx = self._gradient_of(below, batch, block.inputs, columns)
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

    def update(self, step: object) -> None:
        """Run the update and copy what persists."""
        self._block.update(step)
        self.trace.later = self._persistent()


def geometry_of(block: object) -> Geometry | None:
    """Sizes of a convolution block, by the reference's own rules from the product's options."""
    shape = block.shape
    if shape.kind != "conv":
        return None
    same = Geometry(*shape.input, shape.channels, shape.kernel, shape.stride, "same", shape.pool)
    valid = replace(same, padding="valid")
    return same if shape.product[:2] == same.product else valid


def traced_step(
    model: Model, rows: int, step: int, rate: float = 1e-3
) -> tuple[list[Trace], float, int]:
    """Train one batch; return the blocks' traces, the loss and the hits."""
    blocks = model.blocks
    model.blocks = [
        Recorder(block, below, model, geometry_of(block))
        for below, block in zip([None, *blocks], blocks, strict=False)
    ]
    try:
        loss, hits = model.train_batch(rows, step, rate)
        return [recorder.trace for recorder in model.blocks], loss, hits
    finally:
        model.blocks = blocks
