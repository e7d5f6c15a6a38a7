# limit.pyx: the binding of limit.h.

cdef extern from "limit/limit.h":
    struct bnn_limit:
        double seconds
        double macs
    bnn_limit bnn_limit_of(const char *op, const char *isa, long rounds) noexcept nogil
    double bnn_clock_hz(long rounds) noexcept nogil


def product_limit(str op, str isa, long rounds=2_000_000):
    """Return the MAC/s that the arithmetic instructions of a product reach on registers, or None.

    None stands for pairs without a known limit (portable code, operations that are no products).

    Raises
    ------
    ValueError
        `isa` is unknown or this machine lacks it.
    """
    _check_isa(isa)
    cdef bytes op_name = op.encode(), isa_name = isa.encode()
    cdef const char *of_op = op_name
    cdef const char *on_isa = isa_name
    cdef bnn_limit limit
    with nogil:
        limit = bnn_limit_of(of_op, on_isa, rounds)
    return limit.macs / limit.seconds if limit.macs > 0 else None


def clock_hz(long rounds=5_000_000):
    """Return the clock of the core in Hz at this moment, from a chain of dependent additions."""
    cdef double hz
    with nogil:
        hz = bnn_clock_hz(rounds)
    return hz
