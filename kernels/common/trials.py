"""Trials of operations in C, written from their signatures: operands of given sizes, and the call.

Who includes what is written has ``make_<dtype>(count)`` of `bindings.DTYPES`, which returns so many
elements; ``make_rows(rows, bytes)``, which returns the addresses of rows; and ``some_<step>``, a
value of each struct of numbers.
"""

from __future__ import annotations

import re

from bindings import DTYPES
from signatures import Parameter, Signature

MOST_ARRAYS = 8

_HEAD = f"""/* Written by generate.py from the folders' headers. */
struct trial {{
    void *array[{MOST_ARRAYS}];
    /* Of those that are written: elements and their bytes; otherwise 0. */
    size_t count[{MOST_ARRAYS}], item[{MOST_ARRAYS}];
    size_t gap; /* elements between rows, where rows may lie apart */
    double result;
}};

static inline size_t trial_span(const struct trial *trial, size_t rows, size_t width)
{{
    return rows ? (rows - 1) * (width + trial->gap) + width : 0;
}}
"""
_TABLE = """static const struct {
    const char *op;
    const char *sizes[8];
    void (*make)(struct trial *trial, const size_t *size);
    void (*call)(const struct bnn_kernels *kernels, struct trial *trial, const size_t *size);
} trials[] = {"""


def trials_inc(signatures: list[Signature]) -> str:
    """Write the trials of all operations, and their table."""
    parts = [_HEAD]
    for one in signatures:
        parts += [_make(one), _call(one)]
    parts.append(_TABLE)
    for one in signatures:
        names = ", ".join(f'"{name}"' for name in one.sizes)
        parts.append(f'    {{"{one.op}", {{{names}}}, make_{one.op}, call_{one.op}}},')
    return "\n".join([*parts, "};"]) + "\n"


def _sizes(signature: Signature) -> list[str]:
    lines = []
    for place, one in enumerate(one for one in signature.parameters if one.is_size):
        lines += [f"    const {one.type} {one.name} = ({one.type})size[{place}];"]
        lines += [f"    (void){one.name};"]
    return lines


def _make(signature: Signature) -> str:
    lines = [f"static void make_{signature.op}(struct trial *trial, const size_t *size)", "{"]
    lines += _sizes(signature)
    for place, one in enumerate(signature.arrays):
        if one.type.count("*") == 2:
            lines.append(f"    trial->array[{place}] = make_rows({', '.join(one.shape)});")
            continue
        count, dtype = _count(one), _dtype(one)
        lines.append(f"    trial->array[{place}] = make_{dtype}({count});")
        if one.is_written:
            size = int(re.search(r"\d+", dtype)[0]) // 8
            lines.append(f"    trial->count[{place}] = {count}, trial->item[{place}] = {size};")
    return "\n".join([*lines, "}"])


def _width(one: Parameter) -> str:
    """Elements of a row, or of a vector."""
    width = one.shape[-1]
    return f"bnn_words({width})" if one.is_bits else f"({width})"


def _count(one: Parameter) -> str:
    """Elements from the first to the last."""
    width = _width(one)
    if len(one.shape) == 1:
        return width
    if not one.stride:
        return f"({one.shape[0]}) * {width}"
    return f"trial_span(trial, {one.shape[0]}, {width})"


def _dtype(one: Parameter) -> str:
    """Type of the elements; float32 of arrays of many types."""
    return DTYPES.get(re.sub(r"const |[ *]", "", one.type), "float32")


def _call(signature: Signature) -> str:
    lines = [
        f"static void call_{signature.op}(const struct bnn_kernels *kernels, struct trial *trial, "
        "const size_t *size)",
        "{",
        *_sizes(signature),
    ]
    results = [one for one in signature.parameters if one.is_result]
    lines += [f"    {one.type.replace('*', '').strip()} {one.name} = 0;" for one in results]
    if any(one.is_panel for one in signature.parameters):
        lines.append("    void *panel = make_panel();")
    arguments = ", ".join(_argument(signature, one) for one in signature.parameters)
    lines.append(f"    kernels->{signature.op}({arguments});")
    lines += [f"    trial->result = (double){one.name};" for one in results]
    return "\n".join([*lines, "}"])


def _argument(signature: Signature, one: Parameter) -> str:
    if one.shape:
        return f"trial->array[{signature.arrays.index(one)}]"
    if one.struct:
        return f"&some_{one.struct}"
    if one.is_result:
        return f"&{one.name}"
    if one.is_size or one.is_panel:
        return one.name
    if "stride" in one.name:
        owner = next((array for array in signature.arrays if array.stride == one.name), None)
        if owner is None:  # the second stride of a matrix with two
            return "1"
        return f"{_width(owner)} + trial->gap"
    return {"float": "0.1f", "uint64_t": "1", "int64_t": "1000", "uint32_t": "0"}[one.type]
