"""The network of a run folder as a source of tensors: packed from a checkpoint, on the fly."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np

from bnntrain import __version__
from bnntrain.compatibility import fit_graph, naming_the_key, train_count, with_classes
from bnntrain.config import Config, load_config
from bnntrain.config.models import deployed
from bnntrain.data.preprocessing import PictureOptions, Preprocessing
from bnntrain.errors import RunError
from bnntrain.inference.pack import pack, state_names
from bnntrain.layer_methods import resolve_methods
from bnntrain.packed.head import Head
from bnntrain.records import RunFolder, open_checkpoint


class PackedRun:
    """A run's network; the arena that it was trained in is not needed.

    Parameters
    ----------
    folder : RunFolder
        Of the run.
    checkpoint : str
        ``last`` or ``best``.
    is_hashed : bool
        Whether `read` also computes ``weights_sha256``, as an export wants it.

    Attributes
    ----------
    path : Path
        The run's folder.
    config : Config
        As resolved by the run.
    head : Head
        All but the tensors.
    threads : int
        As configured.

    Raises
    ------
    RunError
        There is no such checkpoint, or it is damaged.
    ConfigError, DataError
        The run's configuration is no good.
    """

    def __init__(self, folder: RunFolder, checkpoint: str, is_hashed: bool = False) -> None:
        self.path, self._folder, self._is_hashed = folder.path, folder, is_hashed
        self._file = folder.best if checkpoint == "best" else folder.last
        if not self._file.is_file():
            message = "no such checkpoint: no epoch has ended yet. Train with 'fit --resume'"
            raise RunError(self._file, message)
        summary = folder.read_summary()
        config = load_config(folder.config, recorded=summary.get("config"))
        known = _recorded(config, summary) or _described(config)
        shape, classes, trained = known
        self.config = with_classes(config, len(classes))
        self._methods = resolve_methods(self.config)
        fit_graph(self.config, shape, len(classes), train_count(self.config, trained))
        self.threads = self.config.train.threads
        epoch, crc32 = self._state(checkpoint, summary)
        self.head = Head(
            name=config.name,
            model=deployed(self.config.model),
            preprocessing=Preprocessing(shape, config.data.resize),
            classes=tuple(classes),
            method=self._methods.run.name,
            gradient=self._methods.run.gradient,
            checkpoint=checkpoint,
            epoch=epoch,
            data=config.data,
            data_crc32=crc32,
            seed=config.train.seed,
            batch_size=config.train.batch_size,
            label_smoothing=config.train.label_smoothing,
            weights_sha256="",
            version=__version__,
        )

    def naming_the_data(self) -> AbstractContextManager[None]:
        """Say of a data set that is missing where its place is written."""
        return naming_the_key(self.config)

    def read(self, into: Mapping[str, np.ndarray]) -> None:
        """Pack the checkpoint.

        Raises
        ------
        RunError
            It is damaged, or of another model.
        """
        layers = self.head.packed_layers()
        names = [
            f"{layer.name}.{tensor}" for layer in layers
            for tensor in state_names(layer, self._methods.of(layer.product.layer))
        ]  # fmt: skip
        try:
            with open_checkpoint(self._file) as checkpoint:
                checkpoint.verify(names)
                if not self._is_hashed:
                    pack(layers, self._methods, checkpoint, into)
                    return
                import hashlib  # of size: only an export needs it

                digest = hashlib.sha256()
                pack(layers, self._methods, checkpoint, into, digest.update)
        except RunError as error:
            raise self._with_remedy(error) from None
        self.head = replace(self.head, weights_sha256=digest.hexdigest())

    def _state(self, checkpoint: str, summary: Mapping[str, object]) -> tuple[int, dict[str, int]]:
        """Return the epoch of the weights, and the CRC-32 of the data that it was made with."""
        try:
            with open_checkpoint(self._file) as opened:
                opened.verify(())
                state = opened.state
        except RunError as error:
            raise self._with_remedy(error) from None
        try:
            epoch = int(state["epoch"] if checkpoint == "best" else state["progress"]["epoch"])
        except (KeyError, TypeError, ValueError):
            message = f"is no '{checkpoint}' checkpoint. Put back a copy, or start a new run"
            raise RunError(self._file, message) from None
        return epoch, self._recorded_crcs(summary)

    def _recorded_crcs(self, summary: Mapping[str, object]) -> dict[str, int]:
        recorded = summary.get("data_crc32")
        if not isinstance(recorded, dict):
            # Runs of earlier versions have the training part's in their last checkpoint.
            recorded = {}
            with contextlib.suppress(RunError), open_checkpoint(self._folder.last) as opened:
                opened.verify(())
                recorded = {"train": opened.state.get("data")}
        return {part: crc for part, crc in recorded.items() if isinstance(crc, int)}

    def _with_remedy(self, error: RunError) -> RunError:
        """Say of a damaged checkpoint what it can be replaced by."""
        if not (error.is_damage and self._folder.previous.exists()):
            return error
        what = error.message.partition(". ")[0]
        remedy = f"'bnntrain fit --resume {self.path}' mends it, or put back a copy"
        return RunError(self._file, f"{what}. {remedy}", is_damage=True)


def _recorded(
    config: Config, summary: Mapping[str, object]
) -> tuple[tuple[int, ...], list[str], int] | None:
    """Return shape, classes and training samples as ``run.json`` has them."""
    if summary.get("dataset") != config.data.dataset:
        return None
    try:
        return (
            tuple(int(size) for size in summary["sample_shape"]),
            [str(name) for name in summary["classes"]],
            int(summary["train_samples"]) + int(summary["validation_samples"]),
        )
    except (KeyError, TypeError, ValueError):
        return None  # it never started, or run.json was lost


def _described(config: Config) -> tuple[tuple[int, ...], list[str], int]:
    """Return the same of the data set as it is now."""
    from bnntrain.data.catalog import describe  # of size, and rarely needed

    with naming_the_key(config):
        known = describe(config.data.dataset, PictureOptions.of(config.data))
    return known.shape, known.classes, known.train_count
