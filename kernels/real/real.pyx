# Binding of real.h.


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


def expand_u1_f32(bits, out, *, isa=None):
    """Unpack signs: ``out[r, c] = 1 - 2 * bits[r, c]``.

    Parameters
    ----------
    bits : uint64 [rows, words(columns)]
        Read.
    out : float32 [rows, columns]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix target = rows_of(out, "float32", (None, None), True, "out")
    cdef matrix source = rows_of(bits, "uint64", (target.rows, bnn_words(target.columns)), False, "bits")
    with nogil:
        kernels.expand_u1_f32(
            <const uint64_t *>source.data, source.stride, target.rows, target.columns,
            <float *>target.data, target.stride,
        )


def convert_i8_f32(values, out, *, isa=None):
    """Convert int8 to float32, exactly.

    Parameters
    ----------
    values : int8 [rows, columns]
        Read.
    out : float32 [rows, columns]
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
    cdef matrix target = rows_of(out, "float32", (source.rows, source.columns), True, "out")
    with nogil:
        kernels.convert_i8_f32(
            <const int8_t *>source.data, source.stride, source.rows, source.columns,
            <float *>target.data, target.stride,
        )


def convert_f16_f32(values, out, *, isa=None):
    """Convert float16 to float32, exactly.

    Parameters
    ----------
    values : float16 or uint16 [rows, columns]
        Read; uint16 are bit patterns.
    out : float32 [rows, columns]
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
    cdef matrix target = rows_of(out, "float32", (source.rows, source.columns), True, "out")
    with nogil:
        kernels.convert_f16_f32(
            <const uint16_t *>source.data, source.stride, source.rows, source.columns,
            <float *>target.data, target.stride,
        )


def convert_f32_f16(values, out, *, isa=None):
    """Convert float32 to float16, half to even; too large values become infinite.

    Parameters
    ----------
    values : float32 [rows, columns]
        Read.
    out : float16 or uint16 [rows, columns]
        Written; uint16 are bit patterns.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef matrix source = rows_of(values, "float32", (None, None), False, "values")
    cdef matrix target = rows_of(out, "float16", (source.rows, source.columns), True, "out")
    with nogil:
        kernels.convert_f32_f16(
            <const float *>source.data, source.stride, source.rows, source.columns,
            <uint16_t *>target.data, target.stride,
        )


def quantise_f32_i8(values, float multiplier, q, *, isa=None):
    """Scale to int8: ``q = round(values * multiplier)`` limited to +-127, half to even.

    Parameters
    ----------
    values : float32 [count]
        Read.
    multiplier : float
        A float32.
    q : int8 [count]
        Written.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef const float *source = <const float *>data(values, "float32", (None,), False, "values")
    cdef size_t count = len(values)
    cdef int8_t *out = <int8_t *>data(q, "int8", (count,), True, "q")
    with nogil:
        kernels.quantise_f32_i8(source, count, multiplier, out)


def softmax_f32(z, labels, gradient, loss, hit, *, float smoothing=0.0, isa=None):
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
    hit : uint8 [rows]
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
    cdef uint8_t *hits = <uint8_t *>data(hit, "uint8", (rows,), True, "hit")
    cdef size_t row
    if not 1 <= classes <= 65536:
        raise ValueError(f"z: expected 1 ... 65536 classes, got {classes}")
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"smoothing: expected a number in [0, 1), got {smoothing}")
    for row in range(rows):
        if targets[row] >= classes:
            raise ValueError(f"labels: expected numbers below {classes}, got {targets[row]} in row {row}")
    with nogil:
        kernels.softmax_f32(logits, targets, rows, classes, smoothing, slope, losses, hits)


def adam_f32(
    value, m, v, gradient, *, float learning_rate, float beta1=0.9, float beta2=0.999, float correction1=1.0,
    float correction2=1.0, float epsilon=1e-7, float gradient_scale=1.0, isa=None,
):
    """Take one step of Adam on a vector; equations as for adam in `update_real`, without clipping.

    Parameters
    ----------
    value, m, v : float32 [count]
        Changed in place: parameters, first and second momentum.
    gradient : float32 [count]
        Read.
    learning_rate, beta1, beta2, epsilon, gradient_scale : float
        As in the equations.
    correction1, correction2 : float
        ``1 / (1 - beta**step)``.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit.

    Notes
    -----
    Source: Kingma and Ba 2015.
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    cdef float *values = <float *>data(value, "float32", (None,), True, "value")
    cdef size_t count = len(value)
    cdef float *first = <float *>data(m, "float32", (count,), True, "m")
    cdef float *second = <float *>data(v, "float32", (count,), True, "v")
    cdef const float *slope = <const float *>data(gradient, "float32", (count,), False, "gradient")
    cdef bnn_adam_step step = bnn_adam_step(
        learning_rate=learning_rate, beta1=beta1, beta2=beta2, correction1=correction1,
        correction2=correction2, epsilon=epsilon, gradient_scale=gradient_scale,
    )
    with nogil:
        kernels.adam_f32(values, first, second, slope, count, &step)
