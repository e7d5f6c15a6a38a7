"""Operands that do not fit are refused by name, and nothing is written."""

from __future__ import annotations

import cases_lookup_pool  # noqa: F401  entered by import
import cases_norm  # noqa: F401
import cases_pack_gemm  # noqa: F401
import cases_stream  # noqa: F401
import cases_update_real  # noqa: F401
import numpy as np
import pytest
from kernel_case import CASES, Case, aligned_bytes

from bnntrain import kernels

# softmax's z and gradient are dense; all other matrices may have a row stride of their own.
OPERANDS = [(op, name) for op in CASES for name in Case(op, seed=3).operands]


def _damaged(op: str, name: str, damage: object) -> Case:
    # Two words of bits, full: an element more needs another.
    trial = Case(op, 128, 128, 128, seed=3)
    trial.operands[name] = damage(trial.operands[name])
    return trial


def _refused(trial: Case, pattern: str) -> None:
    before = {
        name: array.tobytes()
        for name, array in trial.operands.items()
        if isinstance(array, np.ndarray)
    }
    with pytest.raises(ValueError, match=pattern):
        trial.run(None)
    assert before == {name: trial.operands[name].tobytes() for name in before}


def _read_only(array: np.ndarray) -> np.ndarray:
    frozen = aligned_bytes((array.nbytes,)).view(array.dtype).reshape(array.shape)
    frozen[...] = array
    frozen.flags.writeable = False
    return frozen


def _misaligned(array: np.ndarray) -> np.ndarray:
    octets = np.zeros(array.nbytes + 1, np.uint8)
    return octets[1:].view(array.dtype).reshape(array.shape)


@pytest.mark.parametrize(("op", "name"), OPERANDS)
class TestEveryOperand:
    """Each array of each operation, damaged in one way."""

    def test_another_type(self, op: str, name: str) -> None:
        _refused(
            _damaged(op, name, lambda array: array.astype(np.complex64)),
            f"^{name}: expected .*complex64",
        )

    def test_the_other_byte_order(self, op: str, name: str) -> None:
        if Case(op, seed=3).operands[name].itemsize > 1:
            _refused(
                _damaged(op, name, lambda array: array.astype(array.dtype.newbyteorder())),
                f"^{name}: expected",
            )

    def test_another_number_of_axes(self, op: str, name: str) -> None:
        _refused(
            _damaged(op, name, lambda array: array[None]), f"^{name}: expected .*, got .* \\[1, "
        )

    def test_one_column_more(self, op: str, name: str) -> None:
        """Some operand no longer fits, whichever of them the others are measured by."""
        trial = _damaged(op, name, lambda array: np.concatenate([array, array[..., -1:]], axis=-1))
        if len(trial.operands) > 1:
            _refused(trial, r"^\w+: expected")

    def test_reversed(self, op: str, name: str) -> None:
        _refused(
            _damaged(op, name, lambda array: array[::-1]), f"^{name}: expected .*not contiguous"
        )

    def test_columns_apart(self, op: str, name: str) -> None:
        """A matrix of one column has none apart: its rows are."""
        trial = _damaged(op, name, lambda array: np.repeat(array, 2, axis=-1)[..., ::2])
        if trial.operands[name].shape[-1] > 1:
            _refused(trial, f"^{name}: .*not contiguous")

    def test_misaligned(self, op: str, name: str) -> None:
        if Case(op, seed=3).operands[name].itemsize > 1:
            _refused(_damaged(op, name, _misaligned), f"^{name}: expected .*not aligned")

    def test_no_array(self, op: str, name: str) -> None:
        with pytest.raises((ValueError, TypeError, AttributeError)):
            _damaged(op, name, lambda array: array.tolist()).run(None)

    def test_read_only(self, op: str, name: str) -> None:
        """Inputs may be read-only, outputs not."""
        trial = _damaged(op, name, _read_only)
        if name in trial.expected:
            _refused(trial, f"^{name}: expected .*read-only")
        else:
            trial.run(None)


def test_the_message_says_what_was_expected_and_given() -> None:
    values = np.zeros((100, 784))
    with pytest.raises(
        ValueError, match=r"^values: expected int8 \[any, any\], got float64 \[100, 784\]$"
    ):
        kernels.pack_i8_u1(values, np.zeros((100, 13), np.uint64))
    with pytest.raises(
        ValueError, match=r"^bits: expected uint64 \[100, 13\], got uint64 \[100, 12\]$"
    ):
        kernels.pack_i8_u1(values.astype(np.int8), np.zeros((100, 12), np.uint64))


def test_any_exporter_of_the_buffer_protocol_will_do() -> None:
    bits = np.zeros((1, 1), np.uint64)
    kernels.pack_i8_u1(memoryview(bytes([0xFF, 1, 0x80])).cast("b", (1, 3)), bits)
    assert bits[0, 0] == 0b101


def test_rows_may_not_overlap() -> None:
    twice = np.lib.stride_tricks.as_strided(np.zeros(8, np.int8), (2, 4), (1, 1))
    with pytest.raises(ValueError, match=r"^values: .*not contiguous along rows"):
        kernels.pack_i8_u1(twice, np.zeros((2, 1), np.uint64))


@pytest.mark.parametrize(
    "op",
    [
        "norm_affine_i8", "stream_affine_i16", "stream_gradient_i16",
        "update_sign_i8", "update_sign_momentum_i8", "update_real",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("option", "value"), [("key", -1), ("key", 2**64), ("index", 2**32), ("index", 1.5)]
)
def test_numbers_out_of_range(op: str, option: str, value: object) -> None:
    trial = Case(op, seed=3)
    trial.options[option] = value
    _refused(trial, f"^{option}: expected an integer in 0 ... ")


@pytest.mark.parametrize("op", ["norm_affine_i8", "stream_affine_i16"])
@pytest.mark.parametrize("limit", [-1, 128])
def test_limits_of_a_byte(op: str, limit: int) -> None:
    trial = Case(op, seed=3)
    trial.options["limit"] = limit
    _refused(trial, "^limit: expected an integer in 0 ... ")


def test_labels_below_the_classes() -> None:
    trial = Case("softmax_f32", rows=4, columns=10)
    trial.operands["labels"][2] = 10
    _refused(trial, "^labels: expected numbers below 10, got 10 in row 2$")


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing(smoothing: float) -> None:
    trial = Case("softmax_f32")
    trial.options["smoothing"] = smoothing
    _refused(trial, "^smoothing: expected")


@pytest.mark.parametrize("classes", [0, 65537])
def test_number_of_classes(classes: int) -> None:
    z, empty = np.zeros((0, classes), np.float32), np.zeros(0, np.uint16)
    with pytest.raises(ValueError, match=r"^z: expected 1 ... 65536 classes"):
        kernels.softmax_f32(z, empty, None, np.zeros(0), np.zeros(0, np.uint8))
