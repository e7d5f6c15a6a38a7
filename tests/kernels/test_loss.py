"""The loss of many classes: against float64, the same on all threads and instruction sets."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_case import supported
from kernel_oracles import softmax

from bnntrain import kernels

SETS = supported("softmax_f32")


def batch(rows: int, classes: int, spread: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and labels, the highest class among them."""
    random = np.random.default_rng(classes)
    z = (spread * random.standard_normal((rows, classes))).astype(np.float32)
    labels = random.integers(0, classes, rows).astype(np.uint16)
    labels[-1] = classes - 1
    z[0, labels[0]] = z.max() + 1
    return z, labels


def results(
    z: np.ndarray, labels: np.ndarray, type_: str = "float32", threads: int = 1, isa: str = SETS[0]
) -> tuple[float, int, np.ndarray, np.ndarray]:
    """Return loss, correct, gradient and scale of a batch."""
    gradient, scale = np.zeros(z.shape, type_), np.zeros(2, np.float32)
    loss = kernels.Loss(
        logits=z.copy(), labels=labels, smoothing=0.1, gradient=gradient, type=type_,
        scale=scale if type_ == "int8" else None, threads=threads, isa=isa,
    )  # fmt: skip
    return (*loss(len(z)), gradient, scale)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize(
    ("rows", "classes"), [(5, 257), (300, 1000), (7, 4099), (3, 65535), (3, 65536)]
)
def test_many_classes_against_float64(isa: str, rows: int, classes: int) -> None:
    z, labels = batch(rows, classes)
    loss, correct, gradient, _ = results(z, labels, isa=isa)
    expected, losses, right = softmax(z, labels, 0.1)
    assert correct == right.sum() >= 1
    # Sums of at most 256 terms are float32, whatever the number of classes.
    np.testing.assert_allclose(loss, losses.sum(), rtol=2e-6)
    np.testing.assert_allclose(gradient, expected, rtol=3e-5, atol=1e-9)


@pytest.mark.parametrize("isa", SETS)
def test_equal_terms_do_not_all_round_one_way(isa: str) -> None:
    """65,535 times the same small term beside the largest one, which a float32 sum would miss."""
    z = np.full((1, 65536), -5.3, np.float32)
    z[0, 0] = 0.0
    labels = np.zeros(1, np.uint16)
    expected, losses, _ = softmax(z, labels, 0.1)
    loss, _, gradient, _ = results(z, labels, isa=isa)
    np.testing.assert_allclose(loss, losses[0], rtol=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=3e-6)


@pytest.mark.parametrize("type_", ["float32", "float16", "int8"])
def test_no_threads_and_no_instruction_set_shows(type_: str) -> None:
    z, labels = batch(300, 1000)
    first, *others = (
        [np.asarray(part).tobytes() for part in results(z, labels, type_, threads, isa)]
        for isa in SETS
        for threads in (1, 2, 3)
    )
    assert all(other == first for other in others)


def test_the_int8_gradient_is_the_float_one_in_steps_of_its_scale() -> None:
    z, labels = batch(40, 3000)
    exact, (scale, *_) = results(z, labels)[2], results(z, labels, "int8")[3]
    q = results(z, labels, "int8")[2]
    assert scale == pytest.approx(np.abs(exact).max() / 127, rel=1e-6)
    assert np.abs(q).max() == 127
    np.testing.assert_allclose(q * scale, exact, atol=0.5001 * scale)
