# What must hold of the operands of update.h, and the binding of the operation of many types.

cdef extern from "update/update.h":
    const int BNN_LARGEST_SHIFT


cdef dict OPTIMIZERS = {
    "adam": BNN_adam, "sgd": BNN_sgd, "sign-momentum": BNN_sign_momentum, "sign": BNN_sign, "bop": BNN_bop,
}
cdef dict TYPES = {"float32": BNN_f32, "float16": BNN_f16, "int16": BNN_i16, "int8": BNN_i8}
# The step that sign updates add to a latent weight has 24 fraction bits and must leave room for the dither.
cdef int64_t PUSH_LIMIT = (1 << 31) - (1 << 24)
cdef int32_t BETA_ONE = 1 << 15


cdef int check_update_sign_momentum_i8(const matrix *momentum, int32_t beta, int32_t rate) except -1:
    whole(beta, BETA_ONE, "beta")
    return _check_push(_largest_momentum(momentum, beta), rate)


cdef int check_update_sign_i8(int32_t rate) except -1:
    return _check_push(127, rate)


cdef int check_update_channel_momentum_i8(int16_t minus_beta, int16_t step, int16_t shift) except -1:
    whole(-<int>minus_beta, BETA_ONE, "minus_beta")
    whole(step, 32767, "step")
    whole(shift, BNN_LARGEST_SHIFT, "shift")
    return 0


def update_real(
    latent, momentum1, momentum2, gradient, *, optimizer, float range, float learning_rate, float beta1=0.9,
    float beta2=0.999, float correction1=1.0, float correction2=1.0, float epsilon=1e-7,
    float gradient_scale=1.0, float threshold=0.0, key=0, index=0, isa=None,
):
    """Take one optimiser step in float32 on latent weights of any type; they end within ``+-range``.

    With ``g = gradient * gradient_scale``:
    adam: ``m = beta1*m + (1-beta1)*g``, ``v = beta2*v + (1-beta2)*g*g``,
    ``w -= learning_rate * (m*correction1) / (sqrt(v*correction2) + epsilon)``;
    sgd: ``m = beta1*m + g``, ``w -= learning_rate * m``;
    sign-momentum: ``m = beta1*m + (1-beta1)*sgn(gradient)``, ``w -= learning_rate * (m*correction1)``;
    sign: ``w -= learning_rate * sgn(gradient)``;
    bop: ``m = beta1*m + (1-beta1)*g``, ``w = -w`` where ``m*sgn(w) >= threshold``, and ``|w| = range``.

    Parameters
    ----------
    latent : float32, float16, int16 or int8 [rows, columns]
        Changed in place; int16 in units of range / 32767, int8 of range / 127, stored by stochastic rounding.
    momentum1, momentum2 : float32 or float16 [rows, columns], or None
        Changed in place; adam has both, sign none, the others the first. momentum1 of sign-momentum may be int8 in
        units of 1 / 127. Row strides are those of `latent`.
    gradient : float32 [rows, columns]
        Read.
    optimizer : str
        ``adam``, ``sgd``, ``sign-momentum``, ``sign`` or ``bop``.
    range, learning_rate, beta1, beta2, epsilon, gradient_scale, threshold : float
        As in the equations; range above 0.
    correction1, correction2 : float
        ``1 / (1 - beta**step)``.
    key, index : int
        Key of the stochastic rounding and index of the block's first weight, as in update.h.
    isa : str, optional
        Instruction set; see the module.

    Raises
    ------
    ValueError
        An operand does not fit, a momentum is missing or too many, or a number is out of range.

    Notes
    -----
    Source: Kingma and Ba 2015 (adam); Helwegen et al. 2019 (bop).
    """
    cdef const bnn_kernels *kernels = kernels_for(isa)
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    if not range > 0.0:
        raise ValueError(f"range: expected a number above 0, got {range}")
    latent_type = _type_name(latent, "latent", tuple(TYPES))
    cdef matrix weights = rows_of(latent, latent_type, (None, None), True, "latent")
    cdef matrix slope = rows_of(gradient, "float32", (weights.rows, weights.columns), False, "gradient")
    momentum_type = _momentum_type(momentum1, momentum2, optimizer)
    cdef void *first = _momentum(momentum1, momentum_type, &weights, "momentum1")
    cdef void *second = _momentum(momentum2, momentum_type, &weights, "momentum2")
    cdef uint32_t start = <uint32_t>whole(index, UINT32_LIMIT, "index")
    cdef bnn_real_step step = bnn_real_step(
        optimizer=OPTIMIZERS[optimizer], latent_type=TYPES[latent_type], momentum_type=TYPES[momentum_type],
        range=range, learning_rate=learning_rate, beta1=beta1, beta2=beta2, correction1=correction1,
        correction2=correction2, epsilon=epsilon, gradient_scale=gradient_scale, threshold=threshold,
        key=whole(key, UINT64_LIMIT, "key"),
    )
    with nogil:
        kernels.update_real(
            weights.data, first, second, weights.stride, <const float *>slope.data, slope.stride, weights.rows,
            weights.columns, start, &step,
        )


cdef int64_t _largest_momentum(const matrix *moments, int64_t beta) noexcept:
    """Bound of the moments after the step: the decayed largest one plus the gain of a sign."""
    cdef int64_t largest = 0
    cdef size_t row, column
    cdef const int8_t *line
    for row in range(moments.rows):
        line = <const int8_t *>moments.data + row * moments.stride
        for column in range(moments.columns):
            largest = max(largest, abs(<int64_t>line[column]))
    return (beta * largest + (BETA_ONE - beta) * 127 + BETA_ONE // 2) // BETA_ONE


cdef int _check_push(int64_t momentum, int64_t rate) except -1:
    whole(rate, INT32_LIMIT, "rate")
    if momentum * rate > PUSH_LIMIT:
        raise ValueError(
            f"rate: expected at most {PUSH_LIMIT // momentum} with moments up to {momentum}, got {rate}"
        )
    return 0


cdef str _type_name(object array, str name, tuple allowed):
    """Return which of the allowed element types an array has; uint16 stands for float16."""
    given = str(getattr(array, "dtype", type(array).__name__))
    found = "float16" if given == "uint16" else given
    if found not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {given}")
    return found


cdef str _momentum_type(object momentum1, object momentum2, str optimizer):
    """Return the moments' element type after checking that there are as many as the optimiser has."""
    cdef int wanted = {"adam": 2, "sign": 0}.get(optimizer, 1)
    for number, momentum in enumerate((momentum1, momentum2)):
        if (momentum is not None) != (number < wanted):
            verb = "needs" if number < wanted else "has no"
            raise ValueError(f"momentum{number + 1}: {optimizer} {verb} momentum {number + 1}")
    if wanted == 0:
        return "float32"
    allowed = ("float32", "float16", "int8") if optimizer == "sign-momentum" else ("float32", "float16")
    return _type_name(momentum1, "momentum1", allowed)


cdef void *_momentum(object array, str typecode, const matrix *weights, str name) except? NULL:
    if array is None:
        return NULL
    cdef matrix moments = rows_of(array, typecode, (weights.rows, weights.columns), True, name)
    check_stride(weights, "latent", &moments, name)
    return moments.data
