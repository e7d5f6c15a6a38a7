# Binding of pack.h.


def pack_i8_u1(values, bits, *, isa=None):
    """Pack the signs of int8 values: ``bits[r, c] = values[r, c] < 0``.

    Parameters
    ----------
    values : int8 [rows, columns]
        Read.
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
    cdef matrix source = rows_of(values, "int8", (None, None), False, "values")
    cdef matrix out = _packed(bits, &source)
    with nogil:
        kernels.pack_i8_u1(
            <const int8_t *>source.data, source.rows, source.columns, source.stride,
            <uint64_t *>out.data, out.stride,
        )


def pack_i16_u1(values, bits, *, isa=None):
    """Pack the signs of int16 values; otherwise like `pack_i8_u1`.

    Parameters
    ----------
    values : int16 [rows, columns]
        Read.
    bits : uint64 [rows, words(columns)]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix source = rows_of(values, "int16", (None, None), False, "values")
    cdef matrix out = _packed(bits, &source)
    with nogil:
        kernels.pack_i16_u1(
            <const int16_t *>source.data, source.rows, source.columns, source.stride,
            <uint64_t *>out.data, out.stride,
        )


def pack_f16_u1(values, bits, *, isa=None):
    """Pack the signs of float16 values; -0 and NaN pack as +1. Otherwise like `pack_i8_u1`.

    Parameters
    ----------
    values : float16 or uint16 [rows, columns]
        Read; uint16 are bit patterns.
    bits : uint64 [rows, words(columns)]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix source = rows_of(values, "float16", (None, None), False, "values")
    cdef matrix out = _packed(bits, &source)
    with nogil:
        kernels.pack_f16_u1(
            <const uint16_t *>source.data, source.rows, source.columns, source.stride,
            <uint64_t *>out.data, out.stride,
        )


def pack_f32_u1(values, bits, *, isa=None):
    """Pack the signs of float32 values; -0 and NaN pack as +1. Otherwise like `pack_i8_u1`.

    Parameters
    ----------
    values : float32 [rows, columns]
        Read.
    bits : uint64 [rows, words(columns)]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix source = rows_of(values, "float32", (None, None), False, "values")
    cdef matrix out = _packed(bits, &source)
    with nogil:
        kernels.pack_f32_u1(
            <const float *>source.data, source.rows, source.columns, source.stride,
            <uint64_t *>out.data, out.stride,
        )


def transpose_u1(bits, columns, out, *, isa=None):
    """Transpose packed bits: ``out[c, r] = bits[r, c]``.

    Parameters
    ----------
    bits : uint64 [rows, words(columns)]
        Read; bits past the last column may be anything.
    columns : int
        Bits in a row.
    out : uint64 [columns, words(rows)]
        Written, bits past the last row as 0.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit or `columns` is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef size_t count = whole(columns, INT32_LIMIT, "columns")
    cdef matrix source = rows_of(bits, "uint64", (None, bnn_words(count)), False, "bits")
    cdef matrix target = rows_of(out, "uint64", (count, bnn_words(source.rows)), True, "out")
    with nogil:
        kernels.transpose_u1(
            <const uint64_t *>source.data, source.rows, count, source.stride,
            <uint64_t *>target.data, target.stride,
        )


def transpose_i8(values, out, *, isa=None):
    """Transpose int8 values: ``out[c, r] = values[r, c]``.

    Parameters
    ----------
    values : int8 [rows, columns]
        Read.
    out : int8 [columns, rows]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix source = rows_of(values, "int8", (None, None), False, "values")
    cdef matrix target = rows_of(out, "int8", (source.columns, source.rows), True, "out")
    with nogil:
        kernels.transpose_i8(
            <const int8_t *>source.data, source.rows, source.columns, source.stride,
            <int8_t *>target.data, target.stride,
        )


cdef matrix _packed(object bits, const matrix *values) except *:
    return rows_of(bits, "uint64", (values.rows, bnn_words(values.columns)), True, "bits")
