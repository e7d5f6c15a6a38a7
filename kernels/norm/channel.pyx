# Binding of channel.h.

cdef dict NORM_KINDS = {"l2": BNN_norm_l2, "l1": BNN_norm_l1, "l1-binary": BNN_norm_l1_binary}


def channel_spread(kind, n, total, squares):
    """Return mean and spread of one channel from its exact sums.

    Parameters
    ----------
    kind : str
        ``l2``, ``l1`` or ``l1-binary``.
    n : int
        Values in the channel, at least 1.
    total : int
        Their sum.
    squares : int
        The sum of their squares (l2), or of ``|n * y - total|`` (l1 kinds).

    Returns
    -------
    (float, float)
        Mean; variance (l2) or mean absolute deviation (l1 kinds).

    Raises
    ------
    ValueError
        `kind` is unknown or `n` out of range.
    """
    cdef double mean, spread
    if n == 0:
        raise ValueError("n: expected at least 1, got 0")
    bnn_channel_spread(_norm_kind(kind), whole(n, INT32_LIMIT, "n"), total, squares, &mean, &spread)
    return mean, spread


def channel_inverse(kind, double spread):
    """Return the factor that normalises: ``1 / sqrt(spread + eps)`` (l2) or ``1 / (spread + eps)`` (l1 kinds).

    Raises
    ------
    ValueError
        `kind` is unknown.
    """
    return bnn_channel_inverse(_norm_kind(kind), spread)


def channel_threshold(double mean, double inverse, double gamma, double beta):
    """Return (threshold, flip) such that, for every integer y, ``z < 0`` equals ``(y < threshold) ^ flip``.

    ``z = gamma * (y - mean) * inverse + beta``; threshold is an int32, flip 0 or 1.
    """
    cdef bnn_channel channel = bnn_channel(mean=mean, inverse=inverse, gamma=gamma, beta=beta)
    cdef int32_t threshold
    cdef uint8_t flip
    bnn_channel_threshold(&channel, &threshold, &flip)
    return threshold, flip


def channel_interval(double mean, double inverse, double gamma, double beta):
    """Return (low, high) such that, for every integer y, ``|z| <= 1`` equals ``low <= y <= high``.

    z is that of `channel_threshold`; low and high are int32.
    """
    cdef bnn_channel channel = bnn_channel(mean=mean, inverse=inverse, gamma=gamma, beta=beta)
    cdef int32_t low, high
    bnn_channel_interval(&channel, &low, &high)
    return low, high


def channel_backward(
    kind, double mean, double inverse, double gamma, double beta, n, double sum_g, double sum_gt,
    double mean_t=0.0, double magnitude=0.0,
):
    """Return the affine function that takes the gradient g of z to that of y, and the parameter gradients.

    ``dL/dy = a * g + (b * t + c)`` with ``t = y`` (l2), ``sgn(y - mean)`` (l1) or ``sgn(z)`` (l1-binary).

    Parameters
    ----------
    kind : str
        ``l2``, ``l1`` or ``l1-binary``.
    mean, inverse, gamma, beta : float
        As in `channel_threshold`.
    n : int
        Values in the channel, at least 1.
    sum_g : float
        Sum of g.
    sum_gt : float
        Sum of ``g * y`` (l2, l1) or of ``g * sgn(z)`` (l1-binary).
    mean_t : float
        Mean of t (l1).
    magnitude : float
        Mean of ``|z|`` (l1-binary).

    Returns
    -------
    dict of str to float
        ``a``, ``b``, ``c``, ``grad_gamma``, ``grad_beta``.

    Raises
    ------
    ValueError
        `kind` is unknown or `n` out of range.

    Notes
    -----
    Source: Ioffe and Szegedy 2015 (l2); Wang et al. 2021, section 5 (l1 kinds).
    """
    cdef bnn_channel channel = bnn_channel(mean=mean, inverse=inverse, gamma=gamma, beta=beta)
    if n == 0:
        raise ValueError("n: expected at least 1, got 0")
    return bnn_channel_backward(
        _norm_kind(kind), &channel, whole(n, INT32_LIMIT, "n"), sum_g, sum_gt, mean_t, magnitude
    )


cdef bnn_norm_kind _norm_kind(object kind) except *:
    if kind not in NORM_KINDS:
        raise ValueError(f"kind: expected one of {', '.join(NORM_KINDS)}, got {kind!r}")
    return NORM_KINDS[kind]
