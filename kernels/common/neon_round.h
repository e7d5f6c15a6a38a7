/* neon_round.h: what several folders share on NEON registers: a*g + (b*t + c0) of 8 columns, rounding to bytes.
 *
 * What belongs to a column stays in registers over the rows, of which four go side by side: what one waits for, on cores that
 * start instructions in order, the others hide. */
#ifndef BNN_NEON_ROUND_H
#define BNN_NEON_ROUND_H

#include "rng_neon.h"

/* A block is 8 columns; of up to four rows of it, in two vectors each, two make a group of 16 bytes. */
enum {
    BNN_NEON_WIDTH = 8,
    BNN_NEON_PER_ROW = 2,
    BNN_NEON_ROWS = 4,
    BNN_NEON_MOST = BNN_NEON_ROWS * BNN_NEON_PER_ROW,
    BNN_NEON_GROUPS = BNN_NEON_MOST / 4
};

/* What belongs to 8 columns. */
struct bnn_neon_affine {
    float32x4_t a[BNN_NEON_PER_ROW], b[BNN_NEON_PER_ROW], c0[BNN_NEON_PER_ROW];
};

static inline struct bnn_neon_affine bnn_neon_affine_of(const float *a, const float *b, const float *c0)
{
    return (struct bnn_neon_affine){{vld1q_f32(a), vld1q_f32(a + 4)},
                                    {vld1q_f32(b), vld1q_f32(b + 4)},
                                    {vld1q_f32(c0), vld1q_f32(c0 + 4)}};
}

/* Makes v `times` as large, a power of two up to 512, to the bit, unless a factor is so large (or no number) that a value may
 * overflow.  Nothing is lost below: g and t are integers, so that products and sums are multiples of the least float as the
 * factors are.  Returns whether it did. */
static inline int bnn_neon_scale(struct bnn_neon_affine *of, float times)
{
    const float32x4_t most = vdupq_n_f32(0x1p60f);
    uint32x4_t all = vdupq_n_u32(UINT32_MAX);
    BNN_UNROLL for (size_t i = 0; i < BNN_NEON_PER_ROW; i++) {
        const uint32x4_t some = vandq_u32(vcaleq_f32(of->a[i], most), vcaleq_f32(of->b[i], most));
        all = vandq_u32(all, vandq_u32(some, vcaleq_f32(of->c0[i], most)));
    }
    if (vminvq_u32(all) == 0) return 0;
    BNN_UNROLL for (size_t i = 0; i < BNN_NEON_PER_ROW; i++) {
        of->a[i] = vmulq_n_f32(of->a[i], times);
        of->b[i] = vmulq_n_f32(of->b[i], times);
        of->c0[i] = vmulq_n_f32(of->c0[i], times);
    }
    return 1;
}

/* v = a*g + (b*t + c0) of 8 columns and n rows, each operation rounded. */
static BNN_INLINE void bnn_neon_apply(float32x4_t v[], const struct bnn_neon_affine *of, const int32_t *t, size_t stride,
                                      const int16x8_t g[], size_t n)
{
    float32x4_t right[BNN_NEON_MOST];
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        right[2 * i] = vcvtq_f32_s32(vld1q_s32(t + i * stride));
        right[2 * i + 1] = vcvtq_f32_s32(vld1q_s32(t + i * stride + 4));
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        v[2 * i] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(g[i])));
        v[2 * i + 1] = vcvtq_f32_s32(vmovl_high_s16(g[i]));
    }
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) right[i] = vmulq_f32(of->b[i % 2], right[i]);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) v[i] = vmulq_f32(of->a[i % 2], v[i]);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) right[i] = vaddq_f32(right[i], of->c0[i % 2]);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) v[i] = vaddq_f32(v[i], right[i]);
}

/* FMAXNM takes the number where one is none, and so do the comparisons of loops.h: no size is greater than NaN. */
static BNN_INLINE void bnn_neon_enlarge(float32x4_t most[BNN_NEON_PER_ROW], const float32x4_t v[], size_t n)
{
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) most[i % 2] = vmaxnmq_f32(most[i % 2], vabsq_f32(v[i]));
}

/* `largest` last, which stays if it is no number. */
static inline float bnn_neon_largest_of(const float32x4_t most[BNN_NEON_PER_ROW], float largest)
{
    float lanes[4];
    vst1q_f32(lanes, vmaxnmq_f32(most[0], most[1]));
    for (size_t i = 0; i < 4; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    return largest;
}

/* v rounded half to even, at most `limit`, which also stands for what is no number (as in bnn_clip).  Below the lower
 * limit conversion and narrowing saturate; for that limit there is time after the rounding, which is monotonic. */
static inline int32x4_t bnn_neon_at_most(float32x4_t v, float32x4_t limit) { return vcvtnq_s32_f32(vminnmq_f32(v, limit)); }

/* 8 of them, saturated to int16. */
static inline int16x8_t bnn_neon_words_at_most(const float32x4_t v[2], float32x4_t limit)
{
    return vqmovn_high_s32(vqmovn_s32(bnn_neon_at_most(v[0], limit)), bnn_neon_at_most(v[1], limit));
}

/* n groups of 16 values, rounded within +-limit, at most 127. */
static BNN_INLINE void bnn_neon_round_groups(int8x16_t q[], const float32x4_t v[], size_t n, int limit)
{
    const float32x4_t most = vdupq_n_f32((float)limit);
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        const int16x8_t low = bnn_neon_words_at_most(v + 4 * i, most), high = bnn_neon_words_at_most(v + 4 * i + 2, most);
        q[i] = vmaxq_s8(vqmovn_high_s16(vqmovn_s16(low), high), vdupq_n_s8((int8_t)-limit));
    }
}

/* floor((round(256 v) + u) / 256) within +-limit.  256 * 127 + u fits 16 bits, of which the upper 8 are the quotient;
 * what saturates becomes -128. */
static BNN_INLINE void bnn_neon_dither_groups(int8x16_t q[], const float32x4_t v256[], const uint32x4_t u[], size_t n,
                                              int limit)
{
    const float32x4_t most = vdupq_n_f32((float)(256 * limit));
    uint16x8_t steps[2 * BNN_NEON_GROUPS];
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++)
        steps[i] = vreinterpretq_u16_s16(bnn_neon_words_at_most(v256 + 2 * i, most));
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        const uint8x16_t bytes = vreinterpretq_u8_u32(u[i]);
        steps[2 * i] = vaddw_u8(steps[2 * i], vget_low_u8(bytes));
        steps[2 * i + 1] = vaddw_high_u8(steps[2 * i + 1], bytes);
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++)
        q[i] = vmaxq_s8(vuzp2q_s8(vreinterpretq_s8_u16(steps[2 * i]), vreinterpretq_s8_u16(steps[2 * i + 1])),
                        vdupq_n_s8((int8_t)-limit));
}

/* Two rows' columns 0 and 4. */
static inline uint32x4_t bnn_neon_places_of_rows(uint32_t first, uint32_t stride)
{
    const uint32_t lanes[4] = {0, 4, stride, stride + 4};
    return vaddq_u32(vdupq_n_u32(first), vld1q_u32(lanes));
}

/* n rows of 8 columns: v rounded within +-limit, at most 127, and stored.  With a key stochastically: v is then 256 times as
 * large if it is `scaled`; lanes of place: the indices, with the lower half of the key, of the first two rows' columns 0 and
 * 4. */
static BNN_INLINE void bnn_neon_store_rows(int8_t *q, size_t stride, float32x4_t v[], size_t n, int limit, uint64_t key,
                                           int scaled, uint32x4_t place)
{
    const size_t groups = (n + 1) / 2;
    uint32x4_t u[BNN_NEON_GROUPS];
    int8x16_t rounded[BNN_NEON_GROUPS];
    if (n == 1) v[2] = v[3] = vdupq_n_f32(0.0f);
    if (key) {
        BNN_UNROLL for (size_t i = 0; i < 4 * groups; i++) v[i] = scaled ? v[i] : vmulq_n_f32(v[i], 256.0f);
        BNN_UNROLL for (size_t i = 0; i < groups; i++)
            u[i] = i ? vaddq_u32(place, vdupq_n_u32((uint32_t)(2 * stride))) : place;
        bnn_hash32_neon_mixed(u, groups, key);
        bnn_neon_dither_groups(rounded, v, u, groups, limit);
    } else {
        bnn_neon_round_groups(rounded, v, groups, limit);
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++)
        vst1_s8(q + i * stride, i % 2 ? vget_high_s8(rounded[i / 2]) : vget_low_s8(rounded[i / 2]));
}

#endif
