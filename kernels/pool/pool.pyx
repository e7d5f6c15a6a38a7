# Binding of pool.h.

POOL_ROWS = BNN_POOL_ROWS


def pool_max_i32(y, flip, out, choice, *, isa=None):
    """Keep the largest (where `flip`, the smallest) of each four rows, and mark the first that has it.

    Parameters
    ----------
    y : int32 [4 * rows, columns]
        Read; at most TILE columns.
    flip : uint8 [columns]
        Whether the smallest counts.
    out : int32 [rows, columns]
        Written; may be the first rows of `y`.
    choice : uint64 [4 * rows, 1]
        Written: bit c of row 4 r + j is 1 where that row was kept, else 0.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix kept = rows_of(out, "int32", (None, None), True, "out")
    _check_tile(kept.columns, "out")
    cdef matrix tile = rows_of(y, "int32", (BNN_POOL_ROWS * kept.rows, kept.columns), False, "y")
    cdef const uint8_t *turned = <const uint8_t *>data(flip, "uint8", (kept.columns,), False, "flip")
    cdef matrix chosen = rows_of(choice, "uint64", (BNN_POOL_ROWS * kept.rows, 1), True, "choice")
    with nogil:
        kernels.pool_max_i32(
            <const int32_t *>tile.data, kept.rows, kept.columns, tile.stride, turned,
            <int32_t *>kept.data, kept.stride, <uint64_t *>chosen.data, chosen.stride,
        )


def pool_spread_i8(values, choice, out, *, isa=None):
    """Send each value back to the one of four rows that was kept; the others become 0.

    Parameters
    ----------
    values : int8 [rows, columns]
        Read; at most TILE columns.
    choice : uint64 [4 * rows, 1]
        From `pool_max_i32`.
    out : int8 [4 * rows, columns]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix given = rows_of(values, "int8", (None, None), False, "values")
    _check_tile(given.columns, "values")
    cdef matrix chosen = rows_of(choice, "uint64", (BNN_POOL_ROWS * given.rows, 1), False, "choice")
    cdef matrix spread = rows_of(out, "int8", (BNN_POOL_ROWS * given.rows, given.columns), True, "out")
    with nogil:
        kernels.pool_spread_i8(
            <const int8_t *>given.data, given.rows, given.columns, given.stride,
            <const uint64_t *>chosen.data, chosen.stride, <int8_t *>spread.data, spread.stride,
        )


def pool_spread_f32(values, choice, out, *, isa=None):
    """As `pool_spread_i8`, for float32.

    Parameters
    ----------
    values : float32 [rows, columns]
        Read; at most TILE columns.
    choice : uint64 [4 * rows, 1]
        From `pool_max_i32`.
    out : float32 [4 * rows, columns]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix given = rows_of(values, "float32", (None, None), False, "values")
    _check_tile(given.columns, "values")
    cdef matrix chosen = rows_of(choice, "uint64", (BNN_POOL_ROWS * given.rows, 1), False, "choice")
    cdef matrix spread = rows_of(out, "float32", (BNN_POOL_ROWS * given.rows, given.columns), True, "out")
    with nogil:
        kernels.pool_spread_f32(
            <const float *>given.data, given.rows, given.columns, given.stride,
            <const uint64_t *>chosen.data, chosen.stride, <float *>spread.data, spread.stride,
        )


def narrow_i32_i16(y, out, *, isa=None):
    """Store int32 values that fit int16.

    Parameters
    ----------
    y : int32 [rows, columns]
        Read.
    out : int16 [rows, columns]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(y, "int32", (None, None), False, "y")
    cdef matrix narrow = rows_of(out, "int16", (tile.rows, tile.columns), True, "out")
    with nogil:
        kernels.narrow_i32_i16(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, <int16_t *>narrow.data, narrow.stride
        )


def widen_i16_i32(y, out, *, isa=None):
    """Load int16 values as int32.

    Parameters
    ----------
    y : int16 [rows, columns]
        Read.
    out : int32 [rows, columns]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(y, "int16", (None, None), False, "y")
    cdef matrix wide = rows_of(out, "int32", (tile.rows, tile.columns), True, "out")
    with nogil:
        kernels.widen_i16_i32(
            <const int16_t *>tile.data, tile.rows, tile.columns, tile.stride, <int32_t *>wide.data, wide.stride
        )


cdef int _check_tile(size_t columns, str name) except -1:
    if columns > BNN_TILE:
        raise ValueError(f"{name}: expected at most {BNN_TILE} columns, got {columns}")
    return 0
