# What must hold of the operands of stream.h.


cdef int check_stream_affine_i16(int limit) except -1:
    whole(limit, 127, "limit")
    return 0
