"""What is written from the headers when the module is built: an operation needs no second place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bindings import bindings_pyx
from generate import counting_inc, table_pxi
from signatures import SignatureError, read_signatures

from bnntrain import kernels

ROOT = Path(__file__).resolve().parents[2] / "kernels"

HEADER = """
/* twice_i32   out = 2 * values;  void bnn_in_a_comment_fn(int x); */
typedef void bnn_twice_i32_fn(const int32_t *values BNN_SHAPE(rows, columns), size_t rows,
                              size_t columns, size_t stride, int32_t *out BNN_SHAPE(rows, columns),
                              size_t out_stride, int32_t *largest);
"""


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Headers and lists of the kernels, with an operation more."""
    for path in [*ROOT.glob("*.inc"), *ROOT.glob("*/*.inc"), *ROOT.glob("*/*.h")]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
    with (tmp_path / "real" / "real.h").open("a") as header:
        header.write(HEADER)
    with (tmp_path / "real" / "kernels.inc").open("a") as lines:
        lines.write("BNN_KERNEL(twice_i32, portable)\n")
    return tmp_path


def test_every_operation_of_the_build_has_a_signature() -> None:
    found = [one.op for one in read_signatures()]
    assert list(dict.fromkeys(op for op, _ in kernels.implementations())) == found
    assert list(kernels.call_sizes()) == found
    assert {one.op: tuple(one.sizes) for one in read_signatures()} == kernels.call_sizes()


def test_an_operation_is_declared_bound_and_counted_from_its_header_alone(folders: Path) -> None:
    signatures = read_signatures(folders)
    one = next(one for one in signatures if one.op == "twice_i32")
    assert one.header == "real/real.h"
    assert one.sizes == ["rows", "columns"]
    assert [(array.name, array.stride) for array in one.arrays] == [
        ("values", "stride"), ("out", "out_stride"),
    ]  # fmt: skip
    assert "void (*twice_i32)(const int32_t *values, size_t rows," in table_pxi([one])
    bound = bindings_pyx([one])
    assert "def twice_i32(values, out, *, largest=0, isa=None):" in bound
    assert "return largest_" in bound
    counted = counting_inc([one])
    assert ".twice_i32 = count_twice_i32," in counted
    assert "leave_one(largest);" in counted


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            "*values BNN_SHAPE(rows, columns), size_t rows,\n", "*values, size_t rows,\n",
            "twice_i32: values has no BNN_SHAPE",
        ),
        ("columns),\n                              size_t", "columns, 2), size_t", "3 dimensions"),
        ("size_t out_stride, int32_t *largest", "int32_t", "cannot read the parameter 'int32_t'"),
        ("bnn_twice_i32_fn", "bnn_thrice_i32_fn", "twice_i32: no header has a bnn_twice_i32_fn"),
    ],
)  # fmt: skip
def test_headers_without_what_is_needed_are_refused(
    folders: Path, before: str, after: str, problem: str
) -> None:
    path = folders / "real" / "real.h"
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(SignatureError) as caught:
        read_signatures(folders)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shared_stride_is_the_same_for_all() -> None:
    """Moments lie as their weights do: the kernel is given one stride for both."""
    signature = next(one for one in read_signatures() if one.op == "update_sign_momentum_i8")
    assert [one.stride for one in signature.arrays] == ["stride", "stride", "g_stride"]
