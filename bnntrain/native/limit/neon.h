/* neon.h: what the products of both instruction sets for 64-bit ARM have in common, compiled for each. */
#ifndef BNN_LIMIT_NEON_H
#define BNN_LIMIT_NEON_H

#include <arm_neon.h>

#include "chains.h"
#include "tables.h"

/* Wider sums come so seldom that they do not count. */
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

/* What they reach is the same, too. */
#define BNN_COMMON_LIMITS {"xnor_gemm_u1_i32", 128.0 * CHAINS, xnor}, {"gemm_f32", 4.0 * CHAINS, real}, {0, 0.0, 0}

#endif
