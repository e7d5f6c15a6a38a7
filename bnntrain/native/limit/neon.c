#if defined(__aarch64__)
#include "neon.h"

#define HIDE(value) __asm__ volatile("" : "+w"(value))

BNN_CHAIN(signs, int16x8_t, vdupq_n_s16(1), {
    const int8x16_t row = vreinterpretq_s8_s16(a);
    const int8x16_t column = vreinterpretq_s8_s16(b);
    sum = vmlal_s8(sum, vget_low_s8(row), vget_low_s8(column));
    HIDE(sum);
    sum = vmlal_high_s8(sum, row, column);
})
/* Written out, as the product of what does not change would be taken out of the loop. */
BNN_CHAIN(bytes, int32x4_t, vdupq_n_s32(1), {
    int16x8_t pair;
    __asm__ volatile("smull %0.8h, %1.8b, %2.8b" : "=w"(pair) : "w"(a), "w"(b));
    sum = vpadalq_s16(sum, vmlal_high_s8(pair, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)));
})
/* Two tables of halves; one sum of two, of 16 bits.  Indices are shared by the rows of a tile and do not count. */
BNN_CHAIN(lookup, int16x8_t, vdupq_n_s16(1), {
    const uint8x16_t index = vreinterpretq_u8_s16(sum);
    int8x16_t first = vqtbl1q_s8(vreinterpretq_s8_s16(a), index);
    int8x16_t second = vqtbl1q_s8(vreinterpretq_s8_s16(b), index);
    HIDE(first);
    HIDE(second);
    int8x16_t both = vaddq_s8(first, second);
    HIDE(both);
    sum = vaddw_s8(sum, vget_low_s8(both));
    HIDE(sum);
    sum = vaddw_high_s8(sum, both);
})

const struct bnn_limit_entry bnn_limits_neon[] = {
    {"gemm_i8_u1_i32", 16.0 * CHAINS, signs},
    {"gemm_i8_i8_i32", 16.0 * CHAINS, bytes},
    {"lookup_gemm_i32", 128.0 * CHAINS, lookup},
    BNN_COMMON_LIMITS,
};
#endif
