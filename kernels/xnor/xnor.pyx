# Binding of xnor.h.


def xnor_gemm_u1_i32(a, b, depth, y, *, panel=None, isa=None):
    """Multiply two binary matrices: ``y[r, c] = depth - 2 * popcount(a[r] ^ b[c])``.

    Parameters
    ----------
    a : uint64 [rows, words(depth)]
        Packed signs.
    b : uint64 [columns, words(depth)]
        Packed signs, tail bits 0 as in `a`.
    depth : int
        Length of the products, below 2**31.
    y : int32 [rows, columns]
        Written.
    panel : uint8 [PANEL_BYTES + 63], optional
        Scratch; by default it is allocated for the call.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit or `depth` is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef size_t bits = whole(depth, INT32_LIMIT, "depth")
    cdef matrix out = rows_of(y, "int32", (None, None), True, "y")
    cdef matrix left = rows_of(a, "uint64", (out.rows, bnn_words(bits)), False, "a")
    cdef matrix right = rows_of(b, "uint64", (out.columns, bnn_words(bits)), False, "b")
    scratch = panel_or_new(panel)
    cdef void *room = panel_address(scratch)
    with nogil:
        kernels.xnor_gemm_u1_i32(
            <const uint64_t *>left.data, left.rows, left.stride, <const uint64_t *>right.data, right.rows,
            right.stride, bits, <int32_t *>out.data, out.stride, room,
        )
