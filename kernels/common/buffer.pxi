# The only way from a Python array to a C pointer: element type, shape, layout and writability are checked, and every
# refusal is a ValueError that names the operand.

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer

# Element types by NumPy's names: the buffer formats that stand for them, and their bytes. float16 may also come as its
# bit pattern; C long and long long are both int64 on the machines that have 64-bit longs.
cdef dict FORMATS = {
    "int8": (b"b", 1),
    "uint8": (b"B", 1),
    "int16": (b"h", 2),
    "uint16": (b"H", 2),
    "float16": (b"eH", 2),
    "int32": (b"il", 4),
    "int64": (b"lq", 8),
    "uint64": (b"LQ", 8),
    "float32": (b"f", 4),
    "float64": (b"d", 8),
}


cdef struct matrix:
    void *data      # [rows][columns]
    size_t rows
    size_t columns
    size_t stride   # elements from row to row


cdef str _shape_text(shape):
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


cdef object _mismatch(object array, str typecode, tuple shape, str name, str problem):
    """Return the error for an operand that is not what it should be."""
    dtype = getattr(array, "dtype", None)
    got = type(array).__name__ if dtype is None else f"{dtype} {_shape_text(array.shape)}"
    return ValueError(f"{name}: expected {typecode} {_shape_text(shape)}, got {got}{problem}")


cdef bint _is_type(const Py_buffer *view, str typecode):
    formats, itemsize = FORMATS[typecode]
    cdef bytes given = view.format if view.format != NULL else b"B"
    return len(given) == 1 and given in formats and view.itemsize == <Py_ssize_t>itemsize


cdef bint _is_shape(const Py_buffer *view, tuple shape):
    cdef int axis
    if view.ndim != len(shape):
        return False
    for axis in range(view.ndim):
        if shape[axis] is not None and view.shape[axis] != <Py_ssize_t>shape[axis]:
            return False
    return True


cdef bint _rows_are_dense(const Py_buffer *view, bint any_row_stride):
    """Whether elements lie one after another, rows of a matrix perhaps with a gap behind each."""
    cdef Py_ssize_t dense = view.itemsize
    cdef int axis
    for axis in range(view.ndim - 1, -1, -1):
        # An axis of length 1 is never stepped along, so NumPy leaves any number there.
        if view.shape[axis] > 1 and view.strides[axis] != dense:
            if not (any_row_stride and axis == 0 and view.ndim == 2):
                return False
            if view.strides[0] < dense or view.strides[0] % view.itemsize:
                return False
        dense *= view.shape[axis]
    return True


cdef int _acquire(
    Py_buffer *view, object array, str typecode, tuple shape, bint writable, bint any_row_stride, str name
) except -1:
    """Fill `view`, which the caller releases, or raise."""
    if not PyObject_CheckBuffer(array):
        raise _mismatch(array, typecode, shape, name, "")
    PyObject_GetBuffer(array, view, PyBUF_FORMAT | PyBUF_STRIDES)
    cdef str problem = None
    # Alignment first: NumPy gives arrays without it a format of their own.
    if <size_t>view.buf % <size_t>view.itemsize:
        problem = ", which is not aligned to its elements"
    elif not _is_type(view, typecode) or not _is_shape(view, shape):
        problem = ""
    elif writable and view.readonly:
        problem = ", which is read-only"
    elif view.len and not _rows_are_dense(view, any_row_stride):
        problem = ", which is not contiguous along rows" if any_row_stride else ", which is not contiguous"
    if problem is not None:
        PyBuffer_Release(view)
        raise _mismatch(array, typecode, shape, name, problem)
    return 0


cdef void *data(object array, str typecode, tuple shape, bint writable, str name) except? NULL:
    """Return the address of a C-contiguous array.

    The caller's reference to `array` keeps the memory alive; the address is valid as long as that is held.

    Parameters
    ----------
    array : object
        Any exporter of the buffer protocol.
    typecode : str
        Element type by NumPy's name, a key of FORMATS.
    shape : tuple
        The exact shape; None fits any size.
    writable : bool
        Whether C will write to it.
    name : str
        The operand's name, for the message.

    Raises
    ------
    ValueError
        `array` has another type or shape, is not contiguous, not aligned, or read-only but to be written.
    """
    cdef Py_buffer view
    _acquire(&view, array, typecode, shape, writable, False, name)
    cdef void *address = view.buf
    PyBuffer_Release(&view)
    return address


cdef matrix rows_of(object array, str typecode, tuple shape, bint writable, str name) except *:
    """Return address, sizes and row stride of a matrix whose rows may lie apart; otherwise like `data`."""
    cdef Py_buffer view
    cdef matrix out
    _acquire(&view, array, typecode, shape, writable, True, name)
    out.data = view.buf
    out.rows = <size_t>view.shape[0]
    out.columns = <size_t>view.shape[1]
    out.stride = <size_t>(view.strides[0] // view.itemsize) if out.rows > 1 else out.columns
    PyBuffer_Release(&view)
    return out


cdef matrix vector_of(object array, str typecode, tuple shape, bint writable, str name) except *:
    """Return the address of a contiguous vector and its length, as columns; otherwise like `data`."""
    cdef matrix out = matrix(data(array, typecode, shape, writable, name), 1, 0, 0)
    out.columns = out.stride = len(array)
    return out


cdef int check_stride(const matrix *first, str of, const matrix *other, str name) except -1:
    """Raise unless two matrices of the same shape have their rows equally far apart."""
    if first.rows > 1 and other.stride != first.stride:
        raise ValueError(f"{name}: expected the row stride of {of}, {first.stride}, got {other.stride}")
    return 0


cdef object number(object value, object low, object high, str name):
    """Return a Python integer in low ... high, or raise a ValueError that names it."""
    if not hasattr(value, "__index__") or not low <= value <= high:
        raise ValueError(f"{name}: expected an integer in {low} ... {high}, got {value!r}")
    return value


cdef uint64_t whole(object value, uint64_t limit, str name) except? 0:
    """Return a Python integer in 0 ... limit, or raise a ValueError that names it."""
    if not hasattr(value, "__index__") or not 0 <= value <= limit:
        raise ValueError(f"{name}: expected an integer in 0 ... {limit}, got {value!r}")
    return value
