"""Training models of any shape, packed: what the tests of packed models share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from harness import fill_batch, make_config, make_program, scramble_norms

from bnntrain.config import Data
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.inference.pack import Arrays, pack
from bnntrain.layer_methods import resolve_methods
from bnntrain.packed.head import Head
from bnntrain.program import Program


class Memory:
    """A training model as a source of tensors."""

    path, threads = Path("memory"), 1

    def __init__(self, program: Program, config: object, sample: tuple[int, int, int]) -> None:
        self.program, self._methods = program, resolve_methods(config)
        self.head = Head(
            name="test", model=config.model, preprocessing=Preprocessing(sample),
            classes=tuple(map(str, range(program.classes))), method=config.method,
            checkpoint="last", epoch=1, data=Data("digits"), data_crc32={"train": 1, "test": 2},
            seed=0, batch_size=config.train.batch_size,
            label_smoothing=config.train.label_smoothing, weights_sha256="", version="0",
            gradient=self._methods.run.gradient,
        )  # fmt: skip

    def layers(self) -> list:
        """Return the layers."""
        return self.head.packed_layers()

    def read(self, into: Mapping[str, np.ndarray]) -> None:
        """Pack the model."""
        pack(self.layers(), self._methods, Arrays(self.program.inference_state()), into)


def trained(
    layers: list[object], sample: tuple[int, int, int], method: str = "efficient", batch: int = 8,
    steps: int = 3, seed: int = 0, prepare: Callable = scramble_norms, **options: object,
) -> tuple[Program, Memory]:
    """Return a program after some steps, with norms of both signs and zero, and its packed form.

    `prepare` draws the norms, by the program and a generator.
    """
    random = np.random.default_rng(seed)
    config = make_config(layers, method, batch, seed=seed, **options)
    program = make_program(config, sample)
    for step in range(steps):
        fill_batch(program, random)
        program.train_batch(batch, step, 1e-3)
    prepare(program, random)
    fill_batch(program, random)
    return program, Memory(program, config, sample)
