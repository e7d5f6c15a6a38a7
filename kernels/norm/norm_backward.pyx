# Binding of norm.h: the backward pass, with integer and with real gradients.


def norm_cancel_i8(y, low, high, g, sum_g, sum_gy, *, isa=None):
    """Cancel gradients outside an interval and add up the rest per channel.

    ``g = 0`` where y is outside ``[low[c], high[c]]``; ``sum_g[c] += sum_r g``, ``sum_gy[c] += sum_r g * y``.

    Parameters
    ----------
    y : int32 [rows, columns]
        At most 2**23 in magnitude.
    low, high : int32 [columns]
        See `channel_interval`.
    g : int8 [rows, columns]
        Changed in place.
    sum_g, sum_gy : int64 [columns]
        Added to.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(y, "int32", (None, None), False, "y")
    cdef const int32_t *lows = <const int32_t *>data(low, "int32", (tile.columns,), False, "low")
    cdef const int32_t *highs = <const int32_t *>data(high, "int32", (tile.columns,), False, "high")
    cdef matrix gradient = rows_of(g, "int8", (tile.rows, tile.columns), True, "g")
    cdef int64_t *sums = <int64_t *>data(sum_g, "int64", (tile.columns,), True, "sum_g")
    cdef int64_t *products = <int64_t *>data(sum_gy, "int64", (tile.columns,), True, "sum_gy")
    with nogil:
        kernels.norm_cancel_i8(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, lows, highs,
            <int8_t *>gradient.data, gradient.stride, sums, products,
        )


def norm_measure_i8(t, a, b, c0, g, float largest=0.0, *, isa=None):
    """Return ``max(largest, |v|)`` over ``v = a[c] * g + (b[c] * t + c0[c])``.

    Parameters
    ----------
    t : int32 [rows, columns]
        Values y or their signs.
    a, b, c0 : float32 [columns]
        See `channel_backward`.
    g : int8 [rows, columns]
        Read.
    largest : float
        Where to start from.
    isa : str, optional
        Instruction set; see the module.

    Returns
    -------
    float
        A float32.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(t, "int32", (None, None), False, "t")
    cdef affine_arrays factors = _affine(a, b, c0, tile.columns)
    cdef matrix gradient = rows_of(g, "int8", (tile.rows, tile.columns), False, "g")
    with nogil:
        kernels.norm_measure_i8(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, factors.a, factors.b, factors.c0,
            <const int8_t *>gradient.data, gradient.stride, &largest,
        )
    return largest


def norm_affine_i8(t, a, b, c0, g, *, limit=127, key=0, index=0, float largest=0.0, isa=None):
    """Turn gradients into those of y: ``g = round(a[c] * g + (b[c] * t + c0[c]))``, limited to ``+-limit``.

    Parameters
    ----------
    t : int32 [rows, columns]
        Values y or their signs.
    a, b, c0 : float32 [columns]
        See `channel_backward`.
    g : int8 [rows, columns]
        Changed in place.
    limit : int
        Largest magnitude of the result, 0 ... 127.
    key : int
        0 rounds half to even; otherwise ``floor((round(256 v) + u) / 256)``, u being 8 random bits: of every four
        columns, the bytes of ``hash32(i, key)``, i the first one's index.
    index : int
        Index of ``g[0, 0]`` in its tensor; element ``[r, c]`` has index + r * (row stride of g) + c.
    largest : float
        Where the returned maximum starts from.
    isa : str, optional
        Instruction set; see the module.

    Returns
    -------
    float
        ``max(largest, |v|)`` of the values before rounding, a float32.

    Raises
    ------
    ValueError
        An operand does not fit or a number is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef int most = <int>whole(limit, 127, "limit")
    cdef uint64_t hash_key = whole(key, UINT64_LIMIT, "key")
    cdef uint32_t first = <uint32_t>whole(index, UINT32_LIMIT, "index")
    cdef matrix tile = rows_of(t, "int32", (None, None), False, "t")
    cdef affine_arrays factors = _affine(a, b, c0, tile.columns)
    cdef matrix gradient = rows_of(g, "int8", (tile.rows, tile.columns), True, "g")
    with nogil:
        kernels.norm_affine_i8(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, factors.a, factors.b, factors.c0,
            <int8_t *>gradient.data, gradient.stride, most, hash_key, first, &largest,
        )
    return largest


def requantise_i32_i8(v, float multiplier, q, *, key=0, index=0, isa=None):
    """Scale integers to int8: ``q = round(v * multiplier)`` limited to +-127.

    Parameters
    ----------
    v : int32 [rows, columns]
        Read.
    multiplier : float
        A float32.
    q : int8 [rows, columns]
        Written.
    key, index : int
        Kind of rounding and index of ``q[0, 0]``, as in `norm_affine_i8`.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit or a number is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef uint64_t hash_key = whole(key, UINT64_LIMIT, "key")
    cdef uint32_t first = <uint32_t>whole(index, UINT32_LIMIT, "index")
    cdef matrix source = rows_of(v, "int32", (None, None), False, "v")
    cdef matrix out = rows_of(q, "int8", (source.rows, source.columns), True, "q")
    with nogil:
        kernels.requantise_i32_i8(
            <const int32_t *>source.data, source.rows, source.columns, source.stride, multiplier,
            <int8_t *>out.data, out.stride, hash_key, first,
        )


def largest_i32(v, largest=0, *, isa=None):
    """Return ``max(largest, |v|)`` over a matrix.

    Parameters
    ----------
    v : int32 [rows, columns]
        Values above -2**31.
    largest : int
        Where to start from, 0 ... 2**31 - 1.
    isa : str, optional
        Instruction set; see the module.

    Returns
    -------
    int
        The largest magnitude.

    Raises
    ------
    ValueError
        An operand does not fit or `largest` is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef int32_t most = <int32_t>whole(largest, INT32_LIMIT, "largest")
    cdef matrix source = rows_of(v, "int32", (None, None), False, "v")
    with nogil:
        kernels.largest_i32(<const int32_t *>source.data, source.rows, source.columns, source.stride, &most)
    return most


def mask_i8(bits, g, *, isa=None):
    """Zero gradients by a mask: ``g = 0`` where the bit is 0.

    Parameters
    ----------
    bits : uint64 [rows, words(columns)]
        Read.
    g : int8 [rows, columns]
        Changed in place.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix gradient = rows_of(g, "int8", (None, None), True, "g")
    cdef matrix mask = rows_of(bits, "uint64", (gradient.rows, bnn_words(gradient.columns)), False, "bits")
    with nogil:
        kernels.mask_i8(
            <const uint64_t *>mask.data, mask.stride, gradient.rows, gradient.columns,
            <int8_t *>gradient.data, gradient.stride,
        )


def norm_cancel_f32(y, low, high, g, *, isa=None):
    """Cancel real gradients: ``g = 0`` where y is outside ``[low[c], high[c]]``.

    Parameters
    ----------
    y : int32 [rows, columns]
        Read.
    low, high : int32 [columns]
        See `channel_interval`.
    g : float32 [rows, columns]
        Changed in place.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(y, "int32", (None, None), False, "y")
    cdef const int32_t *lows = <const int32_t *>data(low, "int32", (tile.columns,), False, "low")
    cdef const int32_t *highs = <const int32_t *>data(high, "int32", (tile.columns,), False, "high")
    cdef matrix gradient = rows_of(g, "float32", (tile.rows, tile.columns), True, "g")
    with nogil:
        kernels.norm_cancel_f32(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, lows, highs,
            <float *>gradient.data, gradient.stride,
        )


def mask_f32(bits, g, *, isa=None):
    """Zero real gradients by a mask; otherwise like `mask_i8`.

    Parameters
    ----------
    bits : uint64 [rows, words(columns)]
        Read.
    g : float32 [rows, columns]
        Changed in place.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix gradient = rows_of(g, "float32", (None, None), True, "g")
    cdef matrix mask = rows_of(bits, "uint64", (gradient.rows, bnn_words(gradient.columns)), False, "bits")
    with nogil:
        kernels.mask_f32(
            <const uint64_t *>mask.data, mask.stride, gradient.rows, gradient.columns,
            <float *>gradient.data, gradient.stride,
        )


def norm_sums_f32(t, g, sum_g, sum_gt, *, isa=None):
    """Add up real gradients per channel: ``sum_g[c] += sum_r g``, ``sum_gt[c] += sum_r g * t``, rows in order.

    Parameters
    ----------
    t : int32 [rows, columns]
        Values y or their signs.
    g : float32 [rows, columns]
        Read.
    sum_g, sum_gt : float64 [columns]
        Added to.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(t, "int32", (None, None), False, "t")
    cdef matrix gradient = rows_of(g, "float32", (tile.rows, tile.columns), False, "g")
    cdef double *sums = <double *>data(sum_g, "float64", (tile.columns,), True, "sum_g")
    cdef double *products = <double *>data(sum_gt, "float64", (tile.columns,), True, "sum_gt")
    with nogil:
        kernels.norm_sums_f32(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride,
            <const float *>gradient.data, gradient.stride, sums, products,
        )


def norm_affine_f32(t, a, b, c0, g, *, isa=None):
    """Turn real gradients into those of y: ``g = a[c] * g + (b[c] * t + c0[c])``.

    Parameters
    ----------
    t : int32 [rows, columns]
        Values y or their signs.
    a, b, c0 : float32 [columns]
        See `channel_backward`.
    g : float32 [rows, columns]
        Changed in place.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(t, "int32", (None, None), False, "t")
    cdef affine_arrays factors = _affine(a, b, c0, tile.columns)
    cdef matrix gradient = rows_of(g, "float32", (tile.rows, tile.columns), True, "g")
    with nogil:
        kernels.norm_affine_f32(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, factors.a, factors.b, factors.c0,
            <float *>gradient.data, gradient.stride,
        )


cdef struct affine_arrays:
    const float *a
    const float *b
    const float *c0


cdef affine_arrays _affine(object a, object b, object c0, size_t columns) except *:
    cdef affine_arrays out
    out.a = <const float *>data(a, "float32", (columns,), False, "a")
    out.b = <const float *>data(b, "float32", (columns,), False, "b")
    out.c0 = <const float *>data(c0, "float32", (columns,), False, "c0")
    return out
