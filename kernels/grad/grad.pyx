# Binding of grad.h.

# Sums of depth products stay inside int32 below these depths: 2^31 / 128 and 2^31 / 128^2.
cdef size_t DEPTH_LIMIT_U1 = (1 << 24) - 1
cdef size_t DEPTH_LIMIT_I8 = (1 << 17) - 1


def gemm_i8_u1_i32(a, b, c, *, panel=None, bint reuse=False, isa=None):
    """Multiply int8 values by signs: ``c[r, j] = sum_k a[r, k] * (1 - 2 * b[k, j])``.

    Parameters
    ----------
    a : int8 [rows, depth]
        Read; depth below 2**24.
    b : uint64 [depth, words(columns)]
        Packed signs, depth first.
    c : int32 [rows, columns]
        Written.
    panel : uint8 [PANEL_BYTES + 63], optional
        Scratch; by default it is allocated for the call.
    reuse : bool
        Promise that the former call with this `panel` had the same `b`, sizes and instruction set: the panel then
        need not be laid out again. Ignored without a panel and where `b` is larger than one panel.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit or the depth is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix out = rows_of(c, "int32", (None, None), True, "c")
    cdef matrix left = rows_of(a, "int8", (out.rows, None), False, "a")
    cdef matrix right = rows_of(b, "uint64", (left.columns, bnn_words(out.columns)), False, "b")
    _check_depth(left.columns, DEPTH_LIMIT_U1)
    scratch = panel_or_new(panel)
    cdef void *room = panel_address(scratch)
    cdef int same = reuse and panel is not None
    with nogil:
        kernels.gemm_i8_u1_i32(
            <const int8_t *>left.data, left.rows, left.stride, <const uint64_t *>right.data, right.stride,
            out.columns, left.columns, <int32_t *>out.data, out.stride, room, same,
        )


def gemm_i8_i8_i32(a, b, c, *, panel=None, bint reuse=False, isa=None):
    """Multiply int8 values: ``c[r, j] = sum_k a[r, k] * b[k, j]``.

    Parameters
    ----------
    a : int8 [rows, depth]
        Read; depth below 2**17.
    b : int8 [depth, columns]
        Read.
    c : int32 [rows, columns]
        Written.
    panel : uint8 [PANEL_BYTES + 63], optional
        As in `gemm_i8_u1_i32`.
    reuse : bool
        As in `gemm_i8_u1_i32`.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit or the depth is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix out = rows_of(c, "int32", (None, None), True, "c")
    cdef matrix left = rows_of(a, "int8", (out.rows, None), False, "a")
    cdef matrix right = rows_of(b, "int8", (left.columns, out.columns), False, "b")
    _check_depth(left.columns, DEPTH_LIMIT_I8)
    scratch = panel_or_new(panel)
    cdef void *room = panel_address(scratch)
    cdef int same = reuse and panel is not None
    with nogil:
        kernels.gemm_i8_i8_i32(
            <const int8_t *>left.data, left.rows, left.stride, <const int8_t *>right.data, right.stride,
            out.columns, left.columns, <int32_t *>out.data, out.stride, room, same,
        )


cdef int _check_depth(size_t depth, size_t limit) except -1:
    if depth > limit:
        raise ValueError(f"a: expected a depth of at most {limit}, for sums to fit int32, got {depth}")
    return 0
