# Binding of norm.h: sums and the forward pass.


def norm_sums_i32(y, total, squares, *, isa=None):
    """Add up a tile per channel: ``total[c] += sum_r y[r, c]``, ``squares[c] += sum_r y[r, c]**2``.

    Parameters
    ----------
    y : int32 [rows, columns]
        At most 2**23 in magnitude.
    total, squares : int64 [columns]
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
    cdef int64_t *sums = <int64_t *>data(total, "int64", (tile.columns,), True, "total")
    cdef int64_t *square_sums = <int64_t *>data(squares, "int64", (tile.columns,), True, "squares")
    with nogil:
        kernels.norm_sums_i32(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, sums, square_sums
        )


def norm_deviation_i32(y, n, total, deviation, *, isa=None):
    """Add up distances from the mean: ``deviation[c] += sum_r |n * y[r, c] - total[c]|``.

    Parameters
    ----------
    y : int32 [rows, columns]
        At most 2**23 in magnitude.
    n : int
        Values per channel in the whole batch, below 2**31.
    total : int64 [columns]
        Their sums, so that total / n is the mean.
    deviation : int64 [columns]
        Added to; over the whole batch it comes to n**2 times the mean absolute deviation.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit or `n` is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef int64_t count = <int64_t>whole(n, INT32_LIMIT, "n")
    cdef matrix tile = rows_of(y, "int32", (None, None), False, "y")
    cdef const int64_t *sums = <const int64_t *>data(total, "int64", (tile.columns,), False, "total")
    cdef int64_t *out = <int64_t *>data(deviation, "int64", (tile.columns,), True, "deviation")
    with nogil:
        kernels.norm_deviation_i32(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, count, sums, out
        )


def norm_magnitude_i32(y, scale, shift, magnitude, *, isa=None):
    """Add up magnitudes: ``magnitude[c] += sum_r |y[r, c] * scale[c] + shift[c]|``, rows in order.

    Parameters
    ----------
    y : int32 [rows, columns]
        Read.
    scale, shift : float32 [columns]
        The term is computed in float32.
    magnitude : float64 [columns]
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
    cdef const float *scales = <const float *>data(scale, "float32", (tile.columns,), False, "scale")
    cdef const float *shifts = <const float *>data(shift, "float32", (tile.columns,), False, "shift")
    cdef double *out = <double *>data(magnitude, "float64", (tile.columns,), True, "magnitude")
    with nogil:
        kernels.norm_magnitude_i32(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, scales, shifts, out
        )


def binarise_i32_u1(y, threshold, flip, bits, *, isa=None):
    """Take signs by one comparison: ``bits[r, c] = (y[r, c] < threshold[c]) ^ flip[c]``.

    Parameters
    ----------
    y : int32 [rows, columns]
        Read.
    threshold : int32 [columns]
        See `channel_threshold`.
    flip : uint8 [columns]
        0 or 1.
    bits : uint64 [rows, words(columns)]
        Written, bits past the last column as 0.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(y, "int32", (None, None), False, "y")
    cdef const int32_t *levels = <const int32_t *>data(threshold, "int32", (tile.columns,), False, "threshold")
    cdef const uint8_t *flips = <const uint8_t *>data(flip, "uint8", (tile.columns,), False, "flip")
    cdef matrix out = rows_of(bits, "uint64", (tile.rows, bnn_words(tile.columns)), True, "bits")
    with nogil:
        kernels.binarise_i32_u1(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, levels, flips,
            <uint64_t *>out.data, out.stride,
        )


def within_i32_u1(y, low, high, bits, *, isa=None):
    """Mark values inside an interval: ``bits[r, c] = low[c] <= y[r, c] <= high[c]``.

    Parameters
    ----------
    y : int32 [rows, columns]
        Read.
    low, high : int32 [columns]
        See `channel_interval`.
    bits : uint64 [rows, words(columns)]
        Written, bits past the last column as 0.
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
    cdef matrix out = rows_of(bits, "uint64", (tile.rows, bnn_words(tile.columns)), True, "bits")
    with nogil:
        kernels.within_i32_u1(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, lows, highs,
            <uint64_t *>out.data, out.stride,
        )


def normalise_i32_f32(y, scale, shift, z, *, isa=None):
    """Apply an affine function per channel: ``z[r, c] = y[r, c] * scale[c] + shift[c]``.

    Parameters
    ----------
    y : int32 [rows, columns]
        Read.
    scale, shift : float32 [columns]
        Read.
    z : float32 [rows, columns]
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
    cdef const float *scales = <const float *>data(scale, "float32", (tile.columns,), False, "scale")
    cdef const float *shifts = <const float *>data(shift, "float32", (tile.columns,), False, "shift")
    cdef matrix out = rows_of(z, "float32", (tile.rows, tile.columns), True, "z")
    with nogil:
        kernels.normalise_i32_f32(
            <const int32_t *>tile.data, tile.rows, tile.columns, tile.stride, scales, shifts,
            <float *>out.data, out.stride,
        )


def sign_tile_i32(y, threshold, flip, *, isa=None):
    """Replace values by the signs that `binarise_i32_u1` would take: ``y = 1 - 2 * ((y < threshold) ^ flip)``.

    Parameters
    ----------
    y : int32 [rows, columns]
        Changed in place.
    threshold : int32 [columns]
        See `channel_threshold`.
    flip : uint8 [columns]
        0 or 1.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix tile = rows_of(y, "int32", (None, None), True, "y")
    cdef const int32_t *levels = <const int32_t *>data(threshold, "int32", (tile.columns,), False, "threshold")
    cdef const uint8_t *flips = <const uint8_t *>data(flip, "uint8", (tile.columns,), False, "flip")
    with nogil:
        kernels.sign_tile_i32(
            <int32_t *>tile.data, tile.rows, tile.columns, tile.stride, levels, flips
        )
