# What must hold of the operands of grad.h: sums of depth products stay inside int32, 2^31 / 128 and 2^31 / 128^2.

cdef size_t DEPTH_LIMIT_U1 = (1 << 24) - 1
cdef size_t DEPTH_LIMIT_I8 = (1 << 17) - 1


cdef int check_gemm_i8_u1_i32(size_t depth) except -1:
    return _check_depth(depth, DEPTH_LIMIT_U1)


cdef int check_gemm_i8_i8_i32(size_t depth) except -1:
    return _check_depth(depth, DEPTH_LIMIT_I8)


cdef int _check_depth(size_t depth, size_t limit) except -1:
    if depth > limit:
        raise ValueError(f"a: expected a depth of at most {limit}, for sums to fit int32, got {depth}")
    return 0
