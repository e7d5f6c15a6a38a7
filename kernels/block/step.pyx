# step.pyx: what changes from step to step in a block.

cdef double _power(double base, uint64_t exponent) noexcept nogil:
    """base ** exponent by squaring: multiplications alone, hence the same on every machine."""
    cdef double result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


cdef double _correction(double decay, uint64_t time) noexcept nogil:
    """Bias correction 1 / (1 - decay**time) of a running mean that started at 0 (Kingma and Ba 2015)."""
    return 1.0 / (1.0 - _power(decay, time))


cdef class BlockStep:
    """Rates, bias corrections and rounding keys of one block; `set` makes those of a step.

    Parameters
    ----------
    optimizer, latent, momentum : str
        Update rule of the weights, types of latent weights and moments.
    latent_range : float
        R: latent weights lie within +-R.
    beta1, beta2, epsilon, threshold : float
        Decays of the moments, Adam's guard and Bop's threshold, in the moments' units.
    gradient_scale : float or None
        What the optimizer sees is the weight gradient times this; None divides by the samples.
    norm_beta1, norm_beta2, norm_epsilon : float
        Adam of gamma and beta, which sees means over the samples.
    limit : int
        Largest magnitude of an int8 dY.
    current_scales, stochastic : bool
        Scales of int8 gradients are measured in the step itself; dY and dX are rounded stochastically.
    seed, layer : int
        With the step they fix all random numbers.
    """

    cdef bnn_block_step step
    cdef bint mean_gradient, corrects_sign, stochastic
    cdef uint64_t seed, layer
    cdef double beta1, beta2, latent_range

    def __init__(self, *, str optimizer, str latent, str momentum, double latent_range, double beta1, double beta2,
                 double epsilon, double threshold, gradient_scale, double norm_beta1, double norm_beta2,
                 double norm_epsilon, int limit, bint current_scales, bint stochastic, uint64_t seed, uint64_t layer):
        self.beta1, self.beta2, self.latent_range = beta1, beta2, latent_range
        self.seed, self.layer, self.stochastic = seed, layer, stochastic
        self.mean_gradient = gradient_scale is None
        self.corrects_sign = optimizer in ("sign-momentum", "channel-momentum")
        self.step.limit, self.step.current_scales = limit, current_scales
        self.step.sign.beta = int(beta1 * 32768 + 0.5)
        self.step.channel.minus_beta = -self.step.sign.beta
        self.step.real.optimizer = OPTIMIZERS.get(optimizer, BNN_sign_momentum)
        self.step.real.latent_type = _TYPES[latent]
        self.step.real.momentum_type = _TYPES[momentum]
        self.step.real.range = latent_range
        self.step.real.beta1, self.step.real.beta2 = beta1, beta2
        self.step.real.epsilon, self.step.real.threshold = epsilon, threshold
        self.step.real.gradient_scale = 0.0 if gradient_scale is None else gradient_scale
        self.step.norm.beta1, self.step.norm.beta2 = norm_beta1, norm_beta2
        self.step.norm.epsilon = norm_epsilon

    def set(self, uint64_t number, double learning_rate, size_t rows):
        """Prepare step `number`, counted from 0 over the run, on `rows` samples."""
        self.prepare(number, learning_rate, rows)

    cdef void prepare(self, uint64_t number, double learning_rate, size_t rows) noexcept nogil:
        cdef uint64_t time = number + 1
        cdef double correction = _correction(self.beta1, time)
        # lr/R in units of 2**-24; a rate that does not fit saturates (moments are then small, see update.h).
        cdef double rate = learning_rate / self.latent_range * (correction if self.corrects_sign else 1.0)
        self.step.sign.rate = <int32_t>min(rate * 16777216.0 + 0.5, 2147483647.0)
        # 127/R times the rate is a step of the channel's usual gradient, whose momentum is USUAL_GRADIENT.
        rate = rate * 127.0 / BNN_USUAL_GRADIENT * 65536.0
        self.step.channel.shift = 0
        while rate > 32767.0 and self.step.channel.shift < BNN_LARGEST_SHIFT:
            rate, self.step.channel.shift = rate / 2.0, self.step.channel.shift + 1
        self.step.channel.step = <int16_t>min(rate + 0.5, 32767.0)
        self.step.magnitude_correction = _correction(self.beta2, number) if number else 0.0
        self.step.real.learning_rate = learning_rate
        self.step.real.correction1 = correction
        self.step.real.correction2 = _correction(self.beta2, time)
        if self.mean_gradient:
            self.step.real.gradient_scale = 1.0 / <double>rows
        self.step.norm.learning_rate = learning_rate
        self.step.norm.correction1 = _correction(self.step.norm.beta1, time)
        self.step.norm.correction2 = _correction(self.step.norm.beta2, time)
        self.step.norm.gradient_scale = 1.0 / <double>rows
        self.step.real.key = bnn_key(self.seed, BNN_STREAM_LATENT, self.layer, number)
        self.step.sign.key = self.step.channel.key = self.step.real.key
        if self.stochastic:
            self.step.dy_key = bnn_key(self.seed, BNN_STREAM_DY, self.layer, number)
            self.step.dx_key = bnn_key(self.seed, BNN_STREAM_DX, self.layer, number)
