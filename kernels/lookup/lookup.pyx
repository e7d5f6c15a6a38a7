# Binding of lookup.h, whose arrays are private to an instruction set.

LOOKUP_GROUP = BNN_LOOKUP_GROUP
LOOKUP_TABLE_BYTES = BNN_LOOKUP_TABLE_BYTES
LOOKUP_PANEL_BYTES = BNN_LOOKUP_PANEL_BYTES

cdef dict LOOKUP_PARTS = {"whole": BNN_lookup_whole, "low": BNN_lookup_low, "high": BNN_lookup_high}
# Each look-up adds up to 124: four values of up to 31.
cdef uint64_t LARGEST_LOOKUP = 124


def lookup_tables_i8(a, tables, *, str part="whole", isa=None):
    """Tabulate the signed sums of each four values of a row, for `lookup_gemm_i32`.

    Parameters
    ----------
    a : int8 [rows, depth]
        Values within +-31, or, in parts, within +-127.
    tables : uint8 [rows, ceil(depth / LOOKUP_GROUP) * LOOKUP_TABLE_BYTES]
        Written, in the instruction set's own layout; every row starts at an address divisible by 64.
    part : str
        What of each value: 'whole', or the 'high' or the 'low' of ``a = 4 * high + low``.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix values = rows_of(a, "int8", (None, None), False, "a")
    cdef size_t groups = (values.columns + BNN_LOOKUP_GROUP - 1) // BNN_LOOKUP_GROUP
    cdef matrix out = rows_of(tables, "uint8", (values.rows, groups * BNN_LOOKUP_TABLE_BYTES), True, "tables")
    _check_lines(out.data, out.rows, out.columns, out.stride, "tables")
    if part not in LOOKUP_PARTS:
        raise ValueError(f"part: expected one of {', '.join(LOOKUP_PARTS)}, got {part!r}")
    cdef bnn_lookup_part which = LOOKUP_PARTS[part]
    with nogil:
        kernels.lookup_tables_i8(
            <const int8_t *>values.data, values.rows, values.stride, values.columns, which,
            <uint8_t *>out.data, out.stride,
        )


def lookup_lay_u1(b, columns, panel, *, isa=None):
    """Lay out signs as the indices that `lookup_gemm_i32` reads.

    Parameters
    ----------
    b : uint64 [depth, 1]
        Packed signs, depth first: a word of columns.
    columns : int
        Columns of `b`, at most TILE.
    panel : uint8 [ceil(depth / LOOKUP_GROUP) * LOOKUP_PANEL_BYTES]
        Written, in the instruction set's own layout; starts at an address divisible by 64.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef size_t width = whole(columns, BNN_TILE, "columns")
    cdef matrix signs = rows_of(b, "uint64", (None, 1), False, "b")
    cdef size_t bytes_needed = (signs.rows + BNN_LOOKUP_GROUP - 1) // BNN_LOOKUP_GROUP * BNN_LOOKUP_PANEL_BYTES
    cdef uint8_t *out = <uint8_t *>data(panel, "uint8", (bytes_needed,), True, "panel")
    _check_lines(out, 1, bytes_needed, bytes_needed, "panel")
    with nogil:
        kernels.lookup_lay_u1(<const uint64_t *>signs.data, signs.stride, signs.rows, width, out)


def lookup_gemm_i32(tables, panel, c, *, taps=1, order=None, weight=1, bint add=False, isa=None):
    """Multiply tabulated values by signs: ``c[r, j] = weight * sum_t sum_k part(a[r, t, k]) * (1 - 2 * b[t, k, j])``.

    Parameters
    ----------
    tables : uint8 [rows * taps, groups * LOOKUP_TABLE_BYTES]
        From `lookup_tables_i8` with the same `isa`: row ``r * taps + t`` has a[r, t].
    panel : uint8 [taps * groups * LOOKUP_PANEL_BYTES]
        From `lookup_lay_u1` with the same `isa`, tap after tap.
    c : int32 [rows, columns]
        Written; at most TILE columns.
    taps : int
        Rows of tables that add up to a row of `c`.
    order : int64 [rows * taps], optional
        Rows of `tables` that stand for 0, 1, 2 and so on, of which there may then be any number.
    weight : int
        Factor of the sum, from 1 to 127; 4 for high parts.
    add : bool
        Whether the sum is added to `c`.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit, or sums might not fit int32.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix out = rows_of(c, "int32", (None, None), True, "c")
    if out.columns > BNN_TILE:
        raise ValueError(f"c: expected at most {BNN_TILE} columns, got {out.columns}")
    cdef size_t tap_count = whole(taps, INT32_LIMIT, "taps")
    cdef size_t count = out.rows * tap_count
    cdef matrix entries = rows_of(tables, "uint8", (count if order is None else None, None), False, "tables")
    _check_lines(entries.data, entries.rows, entries.columns, entries.stride, "tables")
    cdef size_t groups = entries.columns // BNN_LOOKUP_TABLE_BYTES
    cdef size_t panel_bytes = tap_count * groups * BNN_LOOKUP_PANEL_BYTES
    cdef const uint8_t *indices = <const uint8_t *>data(panel, "uint8", (panel_bytes,), False, "panel")
    _check_lines(<void *>indices, 1, panel_bytes, panel_bytes, "panel")
    cdef const int64_t *numbers = NULL
    if order is not None:
        numbers = <const int64_t *>data(order, "int64", (count,), False, "order")
    cdef int factor = <int>whole(weight, 127, "weight")
    if factor == 0:
        raise ValueError("weight: expected an integer in 1 ... 127, got 0")
    if factor * tap_count * groups > INT32_LIMIT // (4 * LARGEST_LOOKUP):
        raise ValueError(f"tables: expected fewer than {tap_count} taps of {groups} groups, for sums to fit int32")
    pointers = bytearray((count + 1) * sizeof(void *))
    cdef const uint8_t **rows = <const uint8_t **><void *>(<char *>pointers)
    cdef size_t i
    cdef int64_t number
    for i in range(count):
        number = numbers[i] if numbers != NULL else <int64_t>i
        if not 0 <= number < <int64_t>entries.rows:
            raise ValueError(f"order: expected rows of tables below {entries.rows}, got {number}")
        rows[i] = <const uint8_t *>entries.data + <size_t>number * entries.stride
    with nogil:
        kernels.lookup_gemm_i32(
            rows, out.rows, tap_count, groups, indices, out.columns, factor, <int32_t *>out.data, out.stride, add
        )


cdef int _check_lines(const void *start, size_t rows, size_t columns, size_t stride, str name) except -1:
    """Raise unless rows of whole vectors of 64 bytes start at multiples of 64."""
    if columns % 64:
        raise ValueError(f"{name}: expected rows of a multiple of 64 bytes, got {columns}")
    if rows and columns and (<size_t>start % 64 or (rows > 1 and stride % 64)):
        raise ValueError(f"{name}: expected rows at addresses divisible by 64")
    return 0
