"""Networks of any size, and what every block of one saw and made in a training step.

`traced_step` runs the product's own `Model.train_batch` with each block wrapped, so that buffers,
which share bytes, are copied while they are live.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bnntrain import kernels
from bnntrain.config import Config, Data, LayerSpec, Optimizer, Representation, Train
from bnntrain.config import Model as ModelSpec
from bnntrain.layers import build_blocks
from bnntrain.method import resolve_method
from bnntrain.model import Model
from bnntrain.plan import Plan, make_plan

WORD_BITS = 64


def make_config(
    sizes: list[int],
    method: str = "efficient",
    batch: int = 8,
    optimizer: dict | None = None,
    rate: float = 1e-3,
    smoothing: float = 0.0,
    seed: int = 0,
    **representation: object,
) -> Config:
    """Describe a network with these outputs per block."""
    layers = []
    for units in sizes:
        layers += [LayerSpec("dense", {"units": units}), LayerSpec("batch_norm"), LayerSpec("sign")]
    return Config(
        name="test",
        model=ModelSpec("test", tuple(layers[:-1])),
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


def make_model(
    config: Config, inputs: int, threads: int = 1, isa: str | None = None, plan: Plan | None = None
) -> Model:
    """Bind a configuration to memory and draw its weights."""
    method, train = resolve_method(config), config.train
    blocks = build_blocks(config.model.layers, inputs, method)
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


def fill_batch(model: Model, random: np.random.Generator) -> None:
    """Put random pixels and labels into the batch buffers."""
    model.x[...] = random.integers(-128, 128, model.x.shape)
    model.labels[...] = random.integers(0, model.classes, model.labels.shape)


def scramble_norms(model: Model, random: np.random.Generator) -> None:
    """Draw gamma and beta, gamma of both signs and sometimes zero."""
    for block in model.blocks:
        views = own_views(model, block.name)
        views["beta"][...] = random.normal(0, 0.3, block.outputs)
        if "gamma" in views:
            gamma = random.uniform(0.4, 1.6, block.outputs) * random.choice([-1, 1], block.outputs)
            gamma[random.random(block.outputs) < 0.1] = 0
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

    `state` and `later` hold its persistent tensors before and after the step, `kept` what its
    forward pass left (``out``, ``mean``, ``inverse``, ``mask``, ``magnitude``), `made` what its
    backward pass left (``d_gamma``, ``d_beta``, ``dW``). Int8 gradients are in units of their
    scales, see `scales`: rows g, dY, columns used, next; and `dx_scale` [2].
    """

    inputs: int
    outputs: int
    is_first: bool
    is_last: bool
    x: np.ndarray
    state: dict[str, np.ndarray]
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

    def __init__(self, block: object, below: object | None, model: Model) -> None:
        self._block, self._model = block, model
        self._views = own_views(model, block.name)
        self._below = None if below is None else own_views(model, below.name)
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

    def forward(self, batch: int, training: bool, first_step: bool = False) -> None:
        """Run the forward pass and copy what it read and left."""
        block = self._block
        if self._below is None:
            x = self._model.x[:batch].astype(float)
        else:
            x = as_signs(self._below["X_out"], batch, block.inputs)
        self.trace = Trace(
            block.inputs, block.outputs, block.is_first, block.is_last, x, self._persistent()
        )
        block.forward(batch, training, first_step)
        kept = {"out": self._views["logits" if block.is_last else "X_out"][:batch].copy()}
        for tensor in ("mean", "inverse", "magnitude"):
            if tensor in self._views:
                kept[tensor] = self._views[tensor].copy()
        if "mask" in self._views:
            kept["mask"] = unpack(self._views["mask"][:batch], block.outputs)
        self.trace.kept = kept

    def backward(self, batch: int, step: object) -> None:
        """Run the backward pass and copy incoming and outgoing gradients."""
        views, trace = self._views, self.trace
        trace.g = views["gradient"][:batch].copy()
        if self._below is not None and "scales" in self._below:
            trace.dx_scale_before = self._below["scales"][0].copy()
        self._block.backward(batch, step)
        trace.dy = views["gradient"][:batch].copy()
        if "scales" in views:
            trace.scales = views["scales"].copy()
        if self._below is not None:
            trace.dx = self._below["gradient"][:batch].copy()
            if "scales" in self._below:
                trace.dx_scale = self._below["scales"][0].copy()
        trace.made = {t: views[t].copy() for t in ("d_gamma", "d_beta", "dW") if t in views}

    def update(self, step: object) -> None:
        """Run the update and copy what persists."""
        self._block.update(step)
        self.trace.later = self._persistent()


def traced_step(
    model: Model, rows: int, step: int, rate: float = 1e-3
) -> tuple[list[Trace], float, int]:
    """Train one batch; return the blocks' traces, the loss and the hits."""
    blocks = model.blocks
    model.blocks = [
        Recorder(block, below, model) for below, block in zip([None, *blocks], blocks, strict=False)
    ]
    try:
        loss, hits = model.train_batch(rows, step, rate)
        return [recorder.trace for recorder in model.blocks], loss, hits
    finally:
        model.blocks = blocks
