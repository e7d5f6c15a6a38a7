"""A packed residual network gives, bit for bit, what the equations give."""

from __future__ import annotations

from functools import partial

import checking
import numpy as np
import pytest
from harness import evaluate
from hypothesis import given, settings
from hypothesis import strategies as st
from packing import trained
from residual_kit import METHODS, STEMS, half, layers_of, same, scramble
from stream_oracle import logits_of

from bnntrain import kernels
from bnntrain.packed import Network, PackedFile, new_tensors, write_packed
from bnntrain.program import Program

BATCH = 7
# Behind the first norm: nothing, or a pooled stem with and without ReLU and second norm.
BEHIND = dict(zip(("none", "pool", "relu", "norm", "all"), STEMS, strict=True))
check = partial(checking.check, logits_of)


def network(behind: str, channels: int = 20, relu: bool = False) -> list[object]:
    """List layers for samples of `sample_of`: all kinds of blocks, channels that fill no word."""
    stem = {"channels": channels, "kernel": 3 if behind == "none" else 7, "stride": 2}
    last = half(70) if behind == "none" else same(70)
    return layers_of(stem, same(channels), same(33), last, relu=relu, behind=BEHIND[behind])


def sample_of(behind: str) -> tuple[int, int, int]:
    """Return a sample's size: odd where no image is halved."""
    return (12, 8, 3) if behind == "none" else (17, 13, 3)


def trained_as(behind: str, method: str, **options: object) -> tuple[Program, object]:
    """Return a program after some steps, and its packed form."""
    options = {"batch": BATCH, "prepare": scramble, **options}
    relu = options.pop("relu", behind in ("all", "none"))
    return trained(network(behind, relu=relu), sample_of(behind), method, **options)


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("method", METHODS)
def test_networks(method, behind):
    check(*trained_as(behind, method))


@pytest.mark.parametrize("behind", ["none", "all"])
@pytest.mark.parametrize("norm", ["l1", "l1-binary"])
def test_norms(norm, behind):
    check(*trained_as(behind, "efficient", norm=norm))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("isa", kernels.supported_isas())
def test_instruction_sets_and_threads(isa, threads):
    for behind in ("none", "all"):
        check(*trained_as(behind, "efficient"), isa, threads)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [1, 3, 40])
def test_batches(method, batch):
    """What is worked on together does not show."""
    program, source = trained_as("all", method, batch=41)
    wanted = logits_of(program, program.x.astype(float))
    network = Network(source, 2, kernels.selected_isa(), batch)
    for first in range(0, 41, batch):
        rows = min(batch, 41 - first)
        network.x[:rows] = program.x[first : first + rows]
        network.run(rows)
        assert np.array_equal(network.logits[:rows], wanted[first : first + rows])


@pytest.mark.parametrize("behind", ["none", "all"])
@pytest.mark.parametrize("method", METHODS)
def test_evaluation_during_training_is_that_of_the_packed_network(method, behind):
    program, _ = trained_as(behind, method)
    rows = BATCH - 1
    wanted = logits_of(program, program.x[:rows].astype(float))
    labels = program.labels[:rows].copy()  # evaluating takes bytes that batches have between steps
    logits, _, correct = evaluate(program, rows)
    assert np.array_equal(logits, wanted)
    assert correct == (wanted.argmax(axis=1) == labels).sum()


@pytest.mark.parametrize("method", METHODS)
def test_a_stream_that_saturates(method):
    """Sums beyond the range of int16 or float16 stay at its end, as in training."""
    program, source = trained_as("none", method)
    for step in program.steps[:-1]:
        program.arena.views[f"{step.name}.beta"][...] *= 1e5
    check(program, source)


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("method", METHODS)
def test_a_file_gives_the_scores_of_what_it_was_written_from(tmp_path, method, behind):
    program, source = trained_as(behind, method)
    tensors = new_tensors(source.head.packed_layers())
    source.read(tensors)
    write_packed(tmp_path / "a.bnn", source.head, tensors)
    found = PackedFile(tmp_path / "a.bnn")
    assert found.head.gradient == source.head.gradient
    again = new_tensors(found.head.packed_layers())
    found.read(again)
    assert {k: v.tobytes() for k, v in again.items()} == {
        k: v.tobytes() for k, v in tensors.items()
    }
    one, other = (Network(each, 1, kernels.selected_isa(), BATCH) for each in (source, found))
    one.x[...] = other.x[...] = program.x
    assert one.scores(BATCH).tobytes() == other.scores(BATCH).tobytes()


CHANNELS = st.sampled_from([1, 3, 63, 64, 65])
BLOCKS = st.builds(same, CHANNELS, st.sampled_from([1, 2, 3])) | st.builds(half, CHANNELS)


@settings(max_examples=25, deadline=None)
@given(
    behind=st.sampled_from(list(BEHIND)), method=st.sampled_from(METHODS), channels=CHANNELS,
    kernel=st.integers(1, 7), stride=st.sampled_from([1, 2]), blocks=st.lists(BLOCKS, max_size=3),
    relu=st.booleans(), seed=st.integers(0, 99), threads=st.integers(1, 3),
)  # fmt: skip
def test_any_network(behind, method, channels, kernel, stride, blocks, relu, seed, threads):
    stem = {"channels": channels, "kernel": kernel, "stride": stride}
    layers = layers_of(stem, *blocks, relu=relu, behind=BEHIND[behind])
    # 32 = 2^5: a stem and three blocks halve even sizes.
    program, source = trained(layers, (32, 32, 1), method, 4, 1, seed, prepare=scramble)
    check(program, source, threads=threads)
