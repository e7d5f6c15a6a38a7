# Instruction sets and random numbers, as Python sees them.

from libc.stdlib cimport getenv

ISA_VARIABLE = "BNNTRAIN_ISA"
COUNTING = "counting"
"""Given as an instruction set: kernels that note how they are called and compute nothing, see `start_counting`."""


def supported_isas():
    """Return the instruction sets that this machine and this build can run.

    Returns
    -------
    list of str
        Names, best first; the last is ``portable``.
    """
    return [
        bnn_isa_name(<bnn_isa>isa).decode()
        for isa in range(BNN_ISA_count - 1, -1, -1)
        if bnn_isa_supported(<bnn_isa>isa)
    ]


def selected_isa():
    """Return the instruction set that kernels run on when none is asked for.

    Returns
    -------
    str
        ``BNNTRAIN_ISA`` if the environment has it, else the best supported one.

    Raises
    ------
    ValueError
        ``BNNTRAIN_ISA`` names an instruction set that is unknown or that this machine lacks.
    """
    return bnn_isa_name(_selected()).decode()


def isa_includes(str isa, str other):
    """Return whether a machine that runs `isa` also runs code written for `other`.

    Raises
    ------
    ValueError
        Either name is unknown.
    """
    return bool(bnn_isa_includes(_isa_named(isa, "isa"), _isa_named(other, "other")))


def check_isa(str isa):
    """Raise unless this machine and this build can run an instruction set.

    Raises
    ------
    ValueError
        `isa` is unknown or this machine lacks it.
    """
    _supported(isa, "isa")


def implementations():
    """Return every implementation in this build, whether or not this machine can run it.

    Returns
    -------
    list of (str, str)
        Operation and instruction set, operations in the order of the folders, best instruction set first.
    """
    return [
        (bnn_implementations[i].op.decode(), bnn_isa_name(bnn_implementations[i].isa).decode())
        for i in range(bnn_implementation_count)
    ]


def key(seed, stream, layer, step):
    """Return the 64-bit key of one (seed, stream, layer, step), by SplitMix64.

    Parameters
    ----------
    seed, step : int
        0 ... 2**64 - 1.
    stream : int
        Which use of the seed, one of the STREAM constants.
    layer : int
        0 ... 2**32 - 1.

    Raises
    ------
    ValueError
        A number is out of range.

    Notes
    -----
    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".
    """
    return bnn_key(
        whole(seed, UINT64_LIMIT, "seed"),
        whole(stream, UINT32_LIMIT, "stream"),
        whole(layer, UINT32_LIMIT, "layer"),
        whole(step, UINT64_LIMIT, "step"),
    )


def hash32(index, key):
    """Return the 32 random bits of element `index` (0 ... 2**32 - 1) under `key` (64 bits).

    Raises
    ------
    ValueError
        A number is out of range.
    """
    return bnn_hash32(whole(index, UINT32_LIMIT, "index"), whole(key, UINT64_LIMIT, "key"))


cdef object _unusable(str what, object name):
    return ValueError(f"{what}: this machine cannot run {name!r}. It supports: {', '.join(supported_isas())}")


cdef bnn_isa _isa_named(str name, str what) except *:
    cdef int isa = bnn_isa_from_name(name.encode())
    if isa < 0:
        raise _unusable(what, name)
    return <bnn_isa>isa


cdef bnn_isa _supported(str name, str what) except *:
    cdef bnn_isa isa = _isa_named(name, what)
    if not bnn_isa_supported(isa):
        raise _unusable(what, name)
    return isa


cdef bnn_isa _selected() except *:
    # Read at every call, so that a program may set it after the import; an empty value counts as unset.
    cdef const char *wanted = getenv(b"BNNTRAIN_ISA")
    if wanted == NULL or wanted[0] == 0:
        return bnn_isa_best()
    return _supported(wanted.decode("utf-8", "replace"), ISA_VARIABLE)


cdef const bnn_kernels *kernels_for(object isa) except NULL:
    """Return the table of kernels for an instruction set by name, or for the selected one if None."""
    if isa is None:
        return bnn_kernels_for(_selected())
    if isa == COUNTING:
        return bnn_counting_kernels()
    if not isinstance(isa, str):
        raise ValueError(f"isa: expected a name or None, got {isa!r}")
    return bnn_kernels_for(_supported(isa, "isa"))
