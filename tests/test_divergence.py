"""A run whose numbers are lost says so instead of finishing with a network that is none."""

import threading

import pytest

from bnntrain import engine
from bnntrain.errors import BnntrainError
from bnntrain.preparation import prepare
from bnntrain.records import RunFolder


@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
@pytest.mark.parametrize("tensor", ["dense1.beta", "dense3.beta"])
def test_a_lost_channel_ends_the_run(tmp_path, method, tensor):
    overrides = {"method": method, "train.epochs": 2, "train.threads": 1}
    prepared = prepare("digits", overrides)
    folder = RunFolder(tmp_path / "run")
    trainer = engine.Trainer(prepared, folder, engine.Observer())
    try:
        folder.create("", {})
        trainer.restore()
        trainer.program.arena.views[tensor][0] = float("nan")
        with pytest.raises(BnntrainError, match=r"train\.learning_rate: .* is no longer a number"):
            trainer.run(threading.Event())
    finally:
        trainer.close()
        folder.close()
    assert not folder.last.exists()
    assert folder.read_summary()["status"] == "failed"
