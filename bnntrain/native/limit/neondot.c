#if defined(__aarch64__)
#pragma GCC target("arch=armv8.2-a+dotprod")
#include "neon.h"

BNN_CHAIN(bytes, int32x4_t, vdupq_n_s32(1), {
    sum = vdotq_laneq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b), 0);
})
/* Eight columns; the look-up waits for no sum, as in the kernel: written out, it is not taken out of the loop. */
BNN_CHAIN(lookup, int16x8_t, vdupq_n_s16(1), {
    int8x16_t looked;
    __asm__ volatile("tbl %0.16b, {v30.16b, v31.16b}, %1.16b" : "=w"(looked) : "w"(a) : "v30", "v31");
    sum = vpadalq_s8(sum, looked);
})

const struct bnn_limit_entry bnn_limits_neondot[] = {
    {"gemm_i8_u1_i32", 16.0 * CHAINS, bytes},
    {"gemm_i8_i8_i32", 16.0 * CHAINS, bytes},
    {"lookup_gemm_i32", 64.0 * CHAINS, lookup},
    BNN_COMMON_LIMITS,
};
#endif
