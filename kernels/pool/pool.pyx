# What must hold of the operands of pool.h: argmax masks of a row are one word.

POOL_ROWS = BNN_POOL_ROWS


cdef int check_pool_max_i32(size_t columns) except -1:
    return _check_tile(columns, "out")


cdef int check_pool_spread_i8(size_t columns) except -1:
    return _check_tile(columns, "values")


cdef int check_pool_spread_f32(size_t columns) except -1:
    return _check_tile(columns, "values")


cdef int _check_tile(size_t columns, str name) except -1:
    if columns > BNN_TILE:
        raise ValueError(f"{name}: expected at most {BNN_TILE} columns, got {columns}")
    return 0
