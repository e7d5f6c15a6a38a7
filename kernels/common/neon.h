/* neon.h: what several folders share on NEON registers: masks to bits, sums of columns, transpositions, order of instructions.
 * All is armv8-a. */
#ifndef BNN_NEON_H
#define BNN_NEON_H

#include <arm_neon.h>

#include "base.h"

/* Cores that start instructions in order wait for results: loops over a few vectors that are laid out, step by step, give
 * them several chains at a time. */
#define BNN_UNROLL _Pragma("GCC unroll 16")
#define BNN_INLINE inline __attribute__((always_inline))

/* Keeps what is made of x after y, and so fewer things in flight: gcc 12 else starts all steps of a tile at once, and
 * spills.  Both are vectors; nothing is computed. */
#define BNN_NEON_AFTER(x, y) __asm__("" : "+w"(x) : "w"(y))

/* Masks of 32 columns, four a vector, to bits: lane l keeps bits 4i + l, its masks' of vector i.  The lanes' sum is the
 * half word. */
static BNN_INLINE uint32x4_t bnn_neon_half_word(const uint32x4_t masks[8])
{
    static const uint32_t own[4] = {0x11111111, 0x22222222, 0x44444444, 0x88888888};
    uint32x4_t some[4];
    BNN_UNROLL for (int i = 0; i < 4; i++) some[i] = vbslq_u32(vdupq_n_u32(0x0f0f0f0f), masks[2 * i], masks[2 * i + 1]);
    some[0] = vbslq_u32(vdupq_n_u32(0x00ff00ff), some[0], some[1]);
    some[2] = vbslq_u32(vdupq_n_u32(0x00ff00ff), some[2], some[3]);
    return vandq_u32(vbslq_u32(vdupq_n_u32(0x0000ffff), some[0], some[2]), vld1q_u32(own));
}

/* Two words of four such half words. */
static inline uint64x2_t bnn_neon_words(const uint32x4_t first[2], const uint32x4_t second[2])
{
    return vreinterpretq_u64_u32(vpaddq_u32(vpaddq_u32(first[0], first[1]), vpaddq_u32(second[0], second[1])));
}

/* to[0 ... 3] += values. */
static inline void bnn_neon_add_lanes(int64_t *to, int32x4_t values)
{
    vst1q_s64(to, vaddw_s32(vld1q_s64(to), vget_low_s32(values)));
    vst1q_s64(to + 2, vaddw_high_s32(vld1q_s64(to + 2), values));
}

static inline void bnn_neon_add_wide(int64_t *to, int64x2_t values) { vst1q_s64(to, vaddq_s64(vld1q_s64(to), values)); }

/* Element (i, j) of a matrix in 64 bits changes places with (j, i), for squares whose corners are SHIFT bits apart. */
#define BNN_NEON_EXCHANGE(x, SHIFT, MASK)                                                                        \
    do {                                                                                                         \
        const uint64x2_t up_ = vshlq_n_u64(x, SHIFT), down_ = vshrq_n_u64(x, SHIFT);                             \
        x = vbslq_u64(vdupq_n_u64(UINT64_C(MASK)), down_, x);                                                    \
        x = vbslq_u64(vdupq_n_u64(UINT64_C(MASK) << (SHIFT)), up_, x);                                           \
    } while (0)

/* Eight words to 64 bytes: bit i of byte c is bit c of word i; words past the first `count` are 0. */
static inline void bnn_neon_transpose_words(const uint64_t *from, size_t stride, size_t count, uint8x16_t to[4])
{
    static const uint8_t first[16] = {0, 8, 16, 24, 32, 40, 48, 56, 1, 9, 17, 25, 33, 41, 49, 57};
    uint64_t word[8];
    if (count >= 8)
        _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) word[i] = from[i * stride];
    else
        for (size_t i = 0; i < 8; i++) word[i] = i < count ? from[i * stride] : 0;
    const uint8x16x4_t words = vld1q_u8_x4((const uint8_t *)word);
    uint8x16_t pick = vld1q_u8(first);
    for (int v = 0; v < 4; v++) {
        /* Eight rows of eight bits in each half. */
        uint64x2_t x = vreinterpretq_u64_u8(vqtbl4q_u8(words, pick));
        BNN_NEON_EXCHANGE(x, 7, 0x00aa00aa00aa00aa);
        BNN_NEON_EXCHANGE(x, 14, 0x0000cccc0000cccc);
        BNN_NEON_EXCHANGE(x, 28, 0x00000000f0f0f0f0);
        to[v] = vreinterpretq_u8_u64(x);
        pick = vaddq_u8(pick, vdupq_n_u8(2));
    }
}

/* 16 x 16 bytes in place: four rounds of interleaving rows i and i + 8 turn the row index into the column index. */
static inline void bnn_neon_transpose_bytes(int8x16_t row[16])
{
    int8x16_t next[16];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            next[2 * i] = vzip1q_s8(row[i], row[i + 8]);
            next[2 * i + 1] = vzip2q_s8(row[i], row[i + 8]);
        }
        for (int i = 0; i < 16; i++) row[i] = next[i];
    }
}

/* The first count <= 16 bytes, the others 0. */
static inline int8x16_t bnn_neon_load_part(const int8_t *from, size_t count)
{
    if (count >= 16) return vld1q_s8(from);
    int8_t whole[16] = {0};
    memcpy(whole, from, count);
    return vld1q_s8(whole);
}

#endif
