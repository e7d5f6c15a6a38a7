# counting.pyx: the binding of counting.h.

cdef extern from "counting/counting.h" nogil:
    const size_t BNN_COUNTED_SIZES
    const size_t BNN_COUNTED_LEVELS
    const size_t BNN_COUNTED_SHARES
    struct bnn_counted:
        const double *zone
        size_t op
        uint64_t *sizes
        uint64_t calls
    struct bnn_moved:
        const double *zone
        size_t op
        size_t array
        size_t low
        size_t high
        uint64_t *bytes
    const bnn_kernels *bnn_counting_kernels() noexcept
    const char *bnn_counted_op(size_t op) noexcept
    const char *bnn_counted_size(size_t op, size_t number) noexcept
    void bnn_start_counting(const void *first, const void *end, const void *own, const void *own_end) noexcept
    int bnn_stop_counting() noexcept
    const bnn_counted *bnn_counted_note "bnn_counted"(size_t share, size_t i) noexcept
    const bnn_moved *bnn_moved_note "bnn_counted_moved"(size_t share, size_t i) noexcept


def call_sizes():
    """Return what a noted call's sizes are, by operation: names of parameters in its header, in order.

    Returns
    -------
    dict of str to tuple of str
        Of every operation.
    """
    cdef size_t op = 0
    found = {}
    while bnn_counted_op(op) != NULL:
        found[bnn_counted_op(op).decode()] = _sizes_of(op)
        op += 1
    return found


cdef tuple _sizes_of(size_t op):
    cdef size_t number = 0
    names = []
    while number < BNN_COUNTED_SIZES and bnn_counted_size(op, number) != NULL:
        names.append(bnn_counted_size(op, number).decode())
        number += 1
    return tuple(names)


def start_counting(memory, scratch):
    """Forget all notes, and note from now on what blocks that are bound to the set `COUNTING` call.

    One network at a time; not while a step of one runs.

    Parameters
    ----------
    memory : ndarray of uint8 [bytes]
        Where arrays lie whose bytes are counted as moved.
    scratch : ndarray of uint8 [threads, bytes]
        Part of it whose bytes are not.
    """
    first, own = <size_t>data(memory, "uint8", (None,), False, "memory"), <size_t>data(
        scratch, "uint8", (None, None), False, "scratch")
    bnn_start_counting(<const void *><size_t>first, <const void *><size_t>(first + memory.nbytes),
                       <const void *><size_t>own, <const void *><size_t>(own + scratch.nbytes))


def stop_counting():
    """Return what was noted, and forget it.

    Returns
    -------
    calls : list of tuple
        Address of the zone's seconds in a block's profile (0 outside of zones), number of the thread's share,
        operation, sizes (`call_sizes`), number of calls.
    moved : list of tuple
        Address of the zone's seconds, operation, number of its array, lowest and highest address, bytes moved by
        level (see counting.h).

    Raises
    ------
    MemoryError
        There was no memory for all notes.
    """
    cdef size_t share = 0, i
    cdef const bnn_counted *call
    cdef const bnn_moved *one
    calls, moved = [], []
    names = list(call_sizes().items())
    for share in range(BNN_COUNTED_SHARES):
        i = 0
        while bnn_counted_note(share, i) != NULL:
            call = bnn_counted_note(share, i)
            op, sizes = names[call.op]
            calls.append((<size_t>call.zone, share, op, tuple([call.sizes[j] for j in range(len(sizes))]), call.calls))
            i += 1
        i = 0
        while bnn_moved_note(share, i) != NULL:
            one = bnn_moved_note(share, i)
            levels = [one.bytes[j] for j in range(BNN_COUNTED_LEVELS)]
            moved.append((<size_t>one.zone, names[one.op][0], one.array, one.low, one.high, levels))
            i += 1
    if not bnn_stop_counting():
        raise MemoryError("notes of the kernels' calls")
    return calls, moved
