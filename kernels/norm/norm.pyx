# What must hold of the operands of norm.h.


cdef int check_norm_affine_i8(int limit) except -1:
    whole(limit, 127, "limit")
    return 0
