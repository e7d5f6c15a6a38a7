"""Residual networks of any size, and what every layer of one saw and made in a training step.

As `harness` for networks of binary blocks: `traced_step` runs the product's passes one by one and
copies buffers while they are live.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pool_reference as pool
import residual_reference as residual
from conv_reference import Geometry
from harness import Trace, Watcher, make_program, own_views, steps_of, train_by_pass, unpack

from bnntrain.config import Config
from bnntrain.graph import Fused, Size
from bnntrain.plan import Plan, make_plan
from bnntrain.program import Program
from bnntrain.steps import Step
from bnntrain.steps.stem import SECOND

METHODS = ("standard", "wang2021", "efficient")
POOL = {"max_pool": {"size": 3, "stride": 2, "padding": "same"}}
STEMS = ((), (POOL,), ("relu", POOL), (POOL, "batch_norm"), ("relu", POOL, "batch_norm"))
"""What may stand behind the batch norm of the first convolution."""


def layers_of(
    stem: dict,
    *blocks: dict,
    relu: bool = False,
    classes: int = 5,
    behind: Sequence[object] = (),
) -> list[object]:
    """List the layers of a residual network.

    `stem` are the options of the first convolution, `blocks` those of the others' ``channels``,
    ``kernel``, ``stride`` and ``padding``; a block whose ``channels`` or ``stride`` differ gets the
    shortcut that it needs. `behind` is what follows the first batch norm.
    """
    found = [{"conv": {"weights": "real", **stem}}, "batch_norm", *behind]
    channels = stem["channels"]
    for block in blocks:
        item = {"layers": ["sign", {"conv": block}, "batch_norm"]}
        stride = block.get("stride", 1)
        if stride != 1 or block["channels"] != channels:
            pointwise = {"channels": block["channels"], "kernel": 1, "weights": "real"}
            item["shortcut"] = ["avg_pool"] * (stride - 1) + [{"conv": pointwise}, "batch_norm"]
        channels = block["channels"]
        found.append({"residual": item})
    head = ["global_avg_pool", {"dense": {"units": classes, "weights": "real"}}]
    return [*found, *["relu"] * relu, *head]


def same(channels: int, kernel: int = 3) -> dict:
    """Options of a block's convolution that leaves images as large as they are."""
    return {"channels": channels, "kernel": kernel}


def half(channels: int, kernel: int = 3, padding: str = "same") -> dict:
    """Options of one that halves them; ``valid`` for images of odd sizes, of a kernel of 2 or 3."""
    return {"channels": channels, "kernel": kernel, "stride": 2, "padding": padding}


def plan_of(config: Config, sample: Size, threads: int = 1) -> Plan:
    """Lay out the training step of a configuration."""
    return make_plan(steps_of(config, sample), config.train.batch_size, threads)


def program_of(
    config: Config, sample: Size, threads: int = 1, isa: str | None = None
) -> Program:
    """Bind a configuration to memory and draw its weights."""
    return make_program(config, sample, threads, isa, plan_of(config, sample, threads))


def with_second(*tensors: str) -> list[str]:
    """List names of a norm's tensors, and of a stem's second norm's."""
    return [prefix + tensor for prefix in ("", SECOND) for tensor in tensors]


def present(views: dict[str, np.ndarray], tensor: str) -> list[str]:
    """List by which names a tensor of a norm is there."""
    return [name for name in with_second(tensor) if name in views]


@dataclass
class Seen:
    """One layer in one training step, copied.

    Attributes
    ----------
    step : Step
        The layer's.
    trace : Trace
        Its state before and after, and what `harness.Trace` has of forward and backward.
    read, addend, out : ndarray [batch, row, column, channel] or None
        Tensors of streams as stored, or pixels; `out` of the head: logits.
    arrived : ndarray
        Gradient of `out` when the backward pass began, as stored.
    before, after : ndarray or None
        Gradient of `read` before and after the backward pass.
    kept : dict of str to ndarray
        Further buffers after the forward pass: ``X``, ``mask``, ``W_rows``, ``W_unit``,
        ``features``, ``amax``, ``pooled``.
    scales : dict of str to tuple of ndarray
        ``arrived``, ``dY`` and ``read``: (used, next) before and after the backward pass.
    """

    step: Step
    trace: Trace
    read: np.ndarray | None = None
    addend: np.ndarray | None = None
    out: np.ndarray | None = None
    arrived: np.ndarray | None = None
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    scales: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the layer and of what it makes."""
        return self.step.name

    @property
    def method(self):
        """How its tensors are held."""
        return self.step.method


class Recorder(Watcher):
    """Copies the buffers of all layers as their passes go by."""

    def __init__(self, program: Program) -> None:
        self._program, self._views = program, program.arena.views
        self.seen: dict[str, Seen] = {}

    def _persistent(self, step: Step) -> dict[str, np.ndarray]:
        prefix, kept = f"{step.name}.", self._program.arena.persistent()
        return {k.removeprefix(prefix): v.copy() for k, v in kept.items() if k.startswith(prefix)}

    def _tensor(self, stream, tensor, step: Step, rows: int) -> np.ndarray:
        return self._image(stream.place(tensor, step.method), tensor.size, rows)

    def _image(self, name: str, size: tuple[int, ...], rows: int) -> np.ndarray:
        return self._views[name].reshape(-1, *size)[:rows].copy()

    def _gradients(self, step: Step, rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the gradients of what a step makes and of what it reads, as far as they are."""
        out, read = step.outgoing_stream, step.incoming_stream
        arrived = (
            self._views[f"{step.name}.gradient"][:rows].copy() if out is None
            else self._image(out.gradient, step.fused.output.size, rows)
        )  # fmt: skip
        if read is None:
            return arrived, None
        return arrived, self._image(read.gradient, step.fused.input.size, rows)

    def _scales(self, step: Step) -> dict[str, np.ndarray]:
        names = {
            "arrived": getattr(step.outgoing_stream, "scale", None),
            "dY": f"{step.name}.dY_scale",
            "read": getattr(step.incoming_stream, "scale", None),
        }
        return {key: self._views[n].copy() for key, n in names.items() if n in self._views}

    def before(self, step: Step | None, name: str, rows: int) -> None:
        """Copy what the pass reads."""
        if step is None or name == "update":
            return
        if name == "forward":
            self._before_forward(step, rows)
            return
        seen = self.seen[step.name]
        seen.arrived, seen.before = self._gradients(step, rows)
        seen.scales = {key: (view, view) for key, view in self._scales(step).items()}

    def _before_forward(self, step: Step, rows: int) -> None:
        trace = Trace(
            step.method, step.fan_in, step.channels, step.is_first, step.is_last,
            np.empty(0), self._persistent(step), geometry_of(step),
        )  # fmt: skip
        seen = self.seen[step.name] = Seen(step, trace)
        if step.incoming_stream is None:
            seen.read = self._program.x[:rows].reshape(rows, *step.fused.input.size).astype(float)
        else:
            seen.read = self._tensor(step.incoming_stream, step.fused.input, step, rows)
        if step.fused.kind == "residual":
            seen.addend = self._tensor(step.outgoing_stream, step.fused.addend, step, rows)

    def after(self, step: Step | None, name: str, rows: int) -> None:
        """Copy what the pass left."""
        if step is not None:
            getattr(self, f"_after_{name}")(self.seen[step.name], step, rows)

    def _after_forward(self, seen: Seen, step: Step, rows: int) -> None:
        own = own_views(self._program, step.name)
        if step.is_last:
            seen.out = own["logits"][:rows].copy()
        else:
            seen.out = self._tensor(step.outgoing_stream, step.fused.output, step, rows)
        for tensor in with_second("mean", "inverse", "magnitude"):
            if tensor in own:
                seen.trace.kept[tensor] = own[tensor].copy()
        for tensor in ("X", "mask", "W_rows", "W_unit", "features", "amax", "pooled"):
            if tensor in own:
                seen.kept[tensor] = own[tensor].copy()

    def _after_backward(self, seen: Seen, step: Step, rows: int) -> None:
        own, trace = own_views(self._program, step.name), seen.trace
        _, seen.after = self._gradients(step, rows)
        for key, view in self._scales(step).items():
            seen.scales[key] = seen.scales[key][0], view
        for tensor in with_second("d_gamma", "d_beta", "d_bias", "dW", "dW_magnitude"):
            if tensor in own:
                trace.made[tensor] = own[tensor].copy()
        if step.fused.kind == "residual":
            region = own["dY"].reshape(-1)
            trace.dy = region[: rows * step.norm_values].reshape(-1, step.channels).copy()
            if trace.made.get("dW", np.empty(0)).dtype == np.uint64:
                bits = unpack(trace.made["dW"], step.fan_in // step.product.taps)
                trace.made["dW"] = np.where(bits, -1.0, 1.0)
            if "dW" in trace.made:
                trace.made["dW"] = trace.made["dW"].reshape(step.channels, step.fan_in)

    def _after_update(self, seen: Seen, step: Step, rows: int) -> None:
        seen.trace.later = self._persistent(step)


def geometry_of(step: Step) -> Geometry | None:
    """Sizes of a convolution, by the reference's own rules from the product's options."""
    if step.fused.kind == "head":
        return None
    options = step.product.options
    return Geometry(
        *step.product.input.size, step.channels, options.kernel, options.stride, options.padding
    )


def traced_step(
    program: Program, rows: int, number: int, rate: float = 1e-3
) -> tuple[list[Seen], float, int]:
    """Train one batch; return what every layer saw, the loss and the correct."""
    recorder = Recorder(program)
    loss, correct = train_by_pass(program, rows, number, rate, recorder)
    return list(recorder.seen.values()), loss, correct


def scramble(program: Program, random: np.random.Generator) -> None:
    """Draw gamma, of both signs, beta and bias; move real weights off what they begin with."""
    for step in program.steps:
        views = own_views(program, step.name)
        if step.is_last:
            views["bias"][...] = random.normal(0, 0.3, step.channels)
            continue
        for beta in present(views, "beta"):
            views[beta][...] = random.normal(0, 0.3, step.channels)
        for gamma in present(views, "gamma"):
            signs = random.choice([-1, 1], step.channels)
            views[gamma][...] = random.uniform(0.4, 1.6, step.channels) * signs


def reference_of(
    seen: list[Seen], weights: Callable[[Seen], np.ndarray] | None = None
) -> list[residual.Conv | residual.Head]:
    """Return the traced network before the step, as the reference has it.

    `weights` gives those of a layer that multiplies others than its latent ones.
    """
    found, names = [], {}
    for one in seen:
        step, state = one.step, one.trace.state
        fused = step.fused
        reads = residual.PIXELS if step.incoming_stream is None else names[fused.input.name]
        latent = state["latent"].astype(float)
        if step.is_last:
            bias = state["bias"].astype(float)
            found.append(residual.Head(step.name, latent, bias, reads, fused.has_relu))
            continue
        is_binary = fused.kind == "residual"
        if is_binary:
            latent = one.trace.signs
        elif weights is not None:
            latent = weights(one)
        found.append(
            residual.Conv(
                step.name,
                one.trace.geometry,
                latent,
                state.get("gamma", np.ones(step.channels)).astype(float),
                state["beta"].astype(float),
                step.method.norm,
                reads,
                side=fused.pooled if fused.kind == "real_conv" else 1,
                adds=names[fused.addend.name] if is_binary else None,
                behind=pool_of(fused, state),
            )
        )
        names[fused.output.name] = step.name
    return found


def pool_of(fused: Fused, state: dict[str, np.ndarray]) -> pool.Pool | None:
    """Return what stands behind a stem's batch norm, as the reference has it."""
    if fused.kind != "stem":
        return None
    norm = [
        state[name].astype(float) if (name := SECOND + parameter) in state else None
        for parameter in ("gamma", "beta")
    ]
    return pool.Pool(fused.has_relu, *norm)
