# Binding of init.h.

cdef extern from "update/init.h":
    void bnn_init_latent(
        void *latent, size_t count, bnn_type type, float range, float sigma, uint64_t key
    ) noexcept nogil


def init_latent(latent, *, float range, float sigma, key):
    """Draw latent weights: ``clip(sigma * z, -range, range)``, z from the sum of twelve uniform numbers.

    Parameters
    ----------
    latent : float32, float16, int16 or int8 [count]
        Written; int16 in units of range / 32767, int8 of range / 127, to the nearest
        that is not 0.
    range : float
        Above 0.
    sigma : float
        Standard deviation before clipping.
    key : int
        Key of the random numbers; weight i uses hashes 6 * i ... 6 * i + 5.

    Raises
    ------
    ValueError
        An operand does not fit or a number is out of range.
    """
    cdef str name = _type_name(latent, "latent", tuple(TYPES))
    cdef void *weights = data(latent, name, (None,), True, "latent")
    cdef size_t count = len(latent)
    cdef bnn_type latent_type = TYPES[name]
    cdef uint64_t hash_key = whole(key, UINT64_LIMIT, "key")
    if not range > 0.0:
        raise ValueError(f"range: expected a number above 0, got {range}")
    with nogil:
        bnn_init_latent(weights, count, latent_type, range, sigma, hash_key)
