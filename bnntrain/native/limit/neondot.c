#if defined(__aarch64__)
#pragma GCC target("arch=armv8.2-a+dotprod")
#include <arm_neon.h>

#include "chains.h"
#include "tables.h"

BNN_CHAIN(bytes, int32x4_t, vdupq_n_s32(1), {
    sum = vdotq_laneq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b), 0);
})
/* Eight columns; the look-up waits for no sum, as in the kernel: written out, it is not taken out of the loop. */
BNN_CHAIN(lookup, int16x8_t, vdupq_n_s16(1), {
    int8x16_t looked;
    __asm__ volatile("tbl %0.16b, {v30.16b, v31.16b}, %1.16b" : "=w"(looked) : "w"(a) : "v30", "v31");
    sum = vpadalq_s8(sum, looked);
})
BNN_CHAIN(xnor, uint8x16_t, vdupq_n_u8(1), {
    uint8x16_t differing;
    __asm__ volatile("eor %0.16b, %1.16b, %2.16b" : "=w"(differing) : "w"(a), "w"(b));
    __asm__("add %0.16b, %0.16b, %1.16b" : "+w"(sum) : "w"(vcntq_u8(differing))); /* gcc 12 copies sums else */
})
/* Written out, as the product of what does not change would be taken out of the loop. */
BNN_CHAIN(real, float32x4_t, vdupq_n_f32(1.0f), {
    float32x4_t product;
    __asm__ volatile("fmul %0.4s, %1.4s, %2.4s" : "=w"(product) : "w"(a), "w"(b));
    sum = vaddq_f32(sum, product);
})

const struct bnn_limit_entry bnn_limits_neondot[] = {
    {"gemm_i8_u1_i32", 16.0 * CHAINS, bytes},
    {"gemm_i8_i8_i32", 16.0 * CHAINS, bytes},
    {"lookup_gemm_i32", 64.0 * CHAINS, lookup},
    {"xnor_gemm_u1_i32", 128.0 * CHAINS, xnor},
    {"gemm_f32", 4.0 * CHAINS, real},
    {0, 0.0, 0},
};
#endif
