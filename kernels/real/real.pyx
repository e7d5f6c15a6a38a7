# Bindings of real.h whose arguments are not those of the header, or more than numbers.


def gemm_f32(a, b, c, *, bint transposed=False, isa=None):
    """Multiply float32 matrices: ``c[r, j] = sum_k a[r, k] * b[k, j]``, k in order, no contraction.

    Parameters
    ----------
    a : float32 [rows, depth], or [depth, rows] if `transposed`
        Read.
    b : float32 [depth, columns]
        Read.
    c : float32 [rows, columns]
        Written.
    transposed : bool
        Whether `a` lies depth first.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix out = rows_of(c, "float32", (None, None), True, "c")
    cdef matrix right = rows_of(b, "float32", (None, out.columns), False, "b")
    shape = (right.rows, out.rows) if transposed else (out.rows, right.rows)
    cdef matrix left = rows_of(a, "float32", shape, False, "a")
    cdef size_t row_step = 1 if transposed else left.stride
    cdef size_t depth_step = left.stride if transposed else 1
    with nogil:
        kernels.gemm_f32(
            <const float *>left.data, out.rows, row_step, depth_step, <const float *>right.data, right.stride,
            out.columns, right.rows, <float *>out.data, out.stride,
        )


def softmax_f32(z, labels, gradient, loss, correct, *, float smoothing=0.0, isa=None):
    """Compute the cross-entropy of a batch and, unless `gradient` is None, the gradient of its sum.

    Per row ``p = softmax(z)``, ``gradient = p - target``, ``loss = -sum target * log p``; target is
    ``1 - smoothing + smoothing / classes`` at the label and ``smoothing / classes`` elsewhere.

    Parameters
    ----------
    z : float32 [rows, classes]
        Logits, finite; 1 ... 65536 classes.
    labels : uint16 [rows]
        Below classes.
    gradient : float32 [rows, classes] or None
        Written; may be `z`.
    loss : float64 [rows]
        Written.
    correct : uint8 [rows]
        Written: 1 where the label is the first of the largest logits.
    smoothing : float
        0 <= smoothing < 1.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit, a label is too large or `smoothing` is out of range.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef const float *logits = <const float *>data(z, "float32", (None, None), False, "z")
    cdef size_t rows = z.shape[0], classes = z.shape[1]
    cdef const uint16_t *targets = <const uint16_t *>data(labels, "uint16", (rows,), False, "labels")
    cdef float *slope = NULL
    if gradient is not None:
        slope = <float *>data(gradient, "float32", (rows, classes), True, "gradient")
    cdef double *losses = <double *>data(loss, "float64", (rows,), True, "loss")
    cdef uint8_t *of_rows = <uint8_t *>data(correct, "uint8", (rows,), True, "correct")
    cdef size_t row
    if not 1 <= classes <= 65536:
        raise ValueError(f"z: expected 1 ... 65536 classes, got {classes}")
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"smoothing: expected a number in [0, 1), got {smoothing}")
    for row in range(rows):
        if targets[row] >= classes:
            raise ValueError(f"labels: expected numbers below {classes}, got {targets[row]} in row {row}")
    with nogil:
        kernels.softmax_f32(logits, targets, rows, classes, smoothing, slope, losses, of_rows)
