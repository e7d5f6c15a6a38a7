/* neon.c: the integer optimiser steps by hand; the real ones in portable.c as gcc vectorises them.
 *
 * 16 weights at a time, in two vectors of 16-bit lanes.  vqrdmulhq_s16(a, b) is (2ab + 2^15) >> 16, the shift with the
 * product's full width, and 2^15 - 1 for a = b = -2^15 alone.  (2ab + 2^15) >> 16 = (ab + 2^14) >> 15, which is what
 * update.h asks for; and the distances of moments, 64 * 255 at most, never are -2^15.
 * With t = 127 * sgn(gradient), an integer multiple of 2^15 leaves the rounding shift of the momentum:
 *     (beta*m + (2^15 - beta)*t + 2^14) >> 15 = t + ((beta*(m - t) + 2^14) >> 15) = t + vqrdmulh(t - m, -beta),
 * where -beta fits int16 for all of 0 ... 2^15.
 *
 * Two rows are stepped side by side where rows have sums of their own: what one waits for, on cores that start
 * instructions in order, the other hides.
 *
 *   per 16 weights, 128 bits; A53 and A72 do at most one multiplication and one shift a cycle
 *   hash of 4 indices            2 mul, 3 ushr, 3 eor, 2 add
 *   update_channel_momentum_i8   2 hashes; 4 ldr, 4 scvtf, 4 fmul, 4 fminnm, 4 fcvtns, 4 sqxtn, 2 smax: the push;
 *                                4 abs, 2 add, 2 uadalp: the magnitude;
 *                                2 ssubw, 2 shl, 2 sqrdmulh, 2 and, 2 add, 2 ssra, 2 xtn: the momentum;
 *                                2 sshl, 4 smull, 4 uaddw, 2 uzp2, 2 ssubw, 2 sqxtn, smax, neg: the weights
 *   update_sign_momentum_i8      4 hashes; 4 ldr, 6 sqxtn, sqshl, smax, 2 ssubl, 2 sqrdmulh, 2 saddw, 2 xtn;
 *                                4 sshll, 4 ushr, 4 mla, 3 uzp2, sqsub, smax
 *   update_sign_i8               4 hashes; 4 ldr, 4 smax, 4 smin, 4 ushr, 4 mla, 3 uzp2, sqsub, smax
 */
#if defined(__aarch64__)
#include "../common/rng_neon.h"
#include "update.h"

#define BNN_NAME(op) bnn_##op##_neon

enum { LANES = 16, QUARTER = 4, MOST = 2 };

/* 32-bit lanes to 16 bits, saturated. */
static inline int16x8_t narrow_words(int32x4_t low, int32x4_t high)
{
    return vqmovn_high_s32(vqmovn_s32(low), high);
}

static inline int8x16_t narrow_bytes(int16x8_t low, int16x8_t high)
{
    return vqmovn_high_s16(vqmovn_s16(low), high);
}

/* The upper 16 bits of eight lanes. */
static inline int16x8_t upper_words(int32x4_t low, int32x4_t high)
{
    return vuzp2q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high));
}

/* first, first + step, ... */
static inline uint32x4_t indices(uint32_t first, uint32_t step)
{
    const uint32_t lanes[QUARTER] = {0, step, 2 * step, 3 * step};
    return vaddq_u32(vdupq_n_u32(first), vld1q_u32(lanes));
}

/* 127 * sgn of 16 gradients.  Saturation keeps the sign, and what is not 0 stays so. */
static inline int8x16_t target_of(const int32_t *gradient)
{
    const int16x8_t low = narrow_words(vld1q_s32(gradient), vld1q_s32(gradient + 4));
    const int16x8_t high = narrow_words(vld1q_s32(gradient + 8), vld1q_s32(gradient + 12));
    return vmaxq_s8(vqshlq_n_s8(narrow_bytes(low, high), 7), vdupq_n_s8(-127));
}

/* push * rate + dither of four weights; the caller keeps it within 32 bits. */
static inline int32x4_t product_of(int32x4_t push, int32_t rate, uint32x4_t index, uint64_t key)
{
    const int32x4_t dither = vreinterpretq_s32_u32(vshrq_n_u32(bnn_hash32_neon(index, key), 8));
    return vmlaq_s32(dither, push, vdupq_n_s32(rate));
}

/* latent = clip(latent - (products >> 24)): the highest bytes, which the saturating subtraction takes as they are. */
static inline void step_latents(int8_t *latent, const int32x4_t products[QUARTER])
{
    const int16x8_t low = upper_words(products[0], products[1]), high = upper_words(products[2], products[3]);
    const int8x16_t moves = vuzp2q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high));
    vst1q_s8(latent, vmaxq_s8(vqsubq_s8(vld1q_s8(latent), moves), vdupq_n_s8(-127)));
}

static inline void step_both(int8_t *latent, int8_t *momentum, const int32_t *gradient, uint32x4_t index,
                             const struct bnn_sign_step *step)
{
    const int16x8_t minus_beta = vdupq_n_s16((int16_t)-step->beta);
    const int8x16_t target = target_of(gradient), before = vld1q_s8(momentum);
    const int16x8_t near = vqrdmulhq_s16(vsubl_s8(vget_low_s8(target), vget_low_s8(before)), minus_beta);
    const int16x8_t far = vqrdmulhq_s16(vsubl_high_s8(target, before), minus_beta);
    /* Between m and t, hence bytes. */
    const int16x8_t low = vaddw_s8(near, vget_low_s8(target)), high = vaddw_high_s8(far, target);
    vst1q_s8(momentum, vmovn_high_s16(vmovn_s16(low), high));
    const int32x4_t pushes[QUARTER] = {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low),
                                       vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)};
    int32x4_t products[QUARTER];
    for (uint32_t i = 0; i < QUARTER; i++)
        products[i] = product_of(pushes[i], step->rate, vaddq_u32(index, vdupq_n_u32(4 * i)), step->key);
    step_latents(latent, products);
}

void BNN_NAME(update_sign_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                       const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                       uint32_t index, const struct bnn_sign_step *step)
{
    const struct bnn_sign_step s = *step; /* a copy, which the stores of bytes cannot change */
    const size_t whole = columns - columns % LANES, some = columns % LANES;
    for (size_t row = 0; row < rows; row++, latent += stride, momentum += stride, gradient += g_stride) {
        uint32x4_t place = indices(index + (uint32_t)(row * stride), 1);
        for (size_t c = 0; c < whole; c += LANES, place = vaddq_u32(place, vdupq_n_u32(LANES)))
            step_both(latent + c, momentum + c, gradient + c, place, &s);
        if (some) {
            int8_t w[LANES] = {0}, m[LANES] = {0};
            int32_t g[LANES] = {0};
            memcpy(w, latent + whole, some), memcpy(m, momentum + whole, some);
            memcpy(g, gradient + whole, some * sizeof *g);
            step_both(w, m, g, place, &s);
            memcpy(latent + whole, w, some), memcpy(momentum + whole, m, some);
        }
    }
}

/* 16 weights of a row. */
struct group {
    int8_t *latent, *momentum;
    const int32_t *gradient;
    float factor;
    uint32x4_t place; /* lane i: the index of the weights 2i and 2i + 1, and the lower half of the key */
    uint64x2_t sums;
};

/* What all groups need. */
struct channel {
    uint64_t key;
    int16x8_t beta; /* lane 0: minus_beta, 1: step */
    int16x8_t shift;
};

static inline struct channel channel_of(const struct bnn_channel_step *step)
{
    return (struct channel){step->key, vsetq_lane_s16(step->step, vdupq_n_s16(step->minus_beta), 1), vdupq_n_s16(step->shift)};
}

/* 16 random bits for each weight: bnn_hash32 of the indices. */
static BNN_INLINE void draw(uint16x8_t u[], const struct group of[], size_t n, const struct channel *all)
{
    uint32x4_t x[2 * MOST];
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++)
        x[i] = i % 2 ? vaddq_u32(of[i / 2].place, vdupq_n_u32(8)) : of[i / 2].place;
    bnn_hash32_neon_mixed(x, 2 * n, all->key);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) u[i] = vreinterpretq_u16_u32(x[i]);
}

/* round(gradient * factor) of eight weights a vector within +-127.  A product that is no number is 127, as for bnn_clip;
 * the lower limit may come after the rounding, which is monotonic.  The sizes are added to 64-bit sums: none is -2^31, so
 * that the sum of two fits 32 bits. */
static BNN_INLINE void push(int16x8_t q[], struct group of[], size_t n)
{
    float32x4_t v[4 * MOST];
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) {
        const int32_t *from = of[i / 2].gradient + 8 * (i % 2);
        const int32x4_t low = vld1q_s32(from), high = vld1q_s32(from + 4);
        of[i / 2].sums = vpadalq_u32(of[i / 2].sums, vreinterpretq_u32_s32(vaddq_s32(vabsq_s32(low), vabsq_s32(high))));
        v[2 * i] = vcvtq_f32_s32(low), v[2 * i + 1] = vcvtq_f32_s32(high);
    }
    BNN_UNROLL for (size_t i = 0; i < 4 * n; i++) v[i] = vmulq_n_f32(v[i], of[i / 4].factor);
    BNN_UNROLL for (size_t i = 0; i < 4 * n; i++) v[i] = vminnmq_f32(v[i], vdupq_n_f32(127.0f));
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) q[i] = narrow_words(vcvtnq_s32_f32(v[2 * i]), vcvtnq_s32_f32(v[2 * i + 1]));
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) q[i] = vmaxq_s16(q[i], vdupq_n_s16(-127));
}

/* q becomes the momentum, from its distance to the push, |q - m| <= 255, and the random bits. */
static BNN_INLINE void step_moments(int16x8_t q[], const uint16x8_t u[], const struct group of[], size_t n,
                                const struct channel *all)
{
    int16x8_t rest[2 * MOST];
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        const int8x16_t before = vld1q_s8(of[i].momentum);
        rest[2 * i] = vsubw_s8(q[2 * i], vget_low_s8(before)), rest[2 * i + 1] = vsubw_high_s8(q[2 * i + 1], before);
    }
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) rest[i] = vshlq_n_s16(rest[i], 6);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) rest[i] = vqrdmulhq_laneq_s16(rest[i], all->beta, 0);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++)
        rest[i] = vaddq_s16(rest[i], vreinterpretq_s16_u16(vandq_u16(u[i], vdupq_n_u16(63))));
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) q[i] = vsraq_n_s16(q[i], rest[i], 6);
    BNN_UNROLL for (size_t i = 0; i < n; i++) vst1q_s8(of[i].momentum, vmovn_high_s16(vmovn_s16(q[2 * i]), q[2 * i + 1]));
}

/* latent = clip(latent - ((2^shift * m * step + u) >> 16)): |m| <= 128, so that the shifted m has 16 bits.  The moves - w,
 * which need no widened w, are negated once they are within +-127. */
static BNN_INLINE void step_weights(int16x8_t m[], const uint16x8_t u[], const struct group of[], size_t n,
                                const struct channel *all)
{
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) m[i] = vshlq_s16(m[i], all->shift);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) {
        const uint32x4_t low = vreinterpretq_u32_s32(vmull_laneq_s16(vget_low_s16(m[i]), all->beta, 1));
        const uint32x4_t high = vreinterpretq_u32_s32(vmull_high_laneq_s16(m[i], all->beta, 1));
        m[i] = upper_words(vreinterpretq_s32_u32(vaddw_u16(low, vget_low_u16(u[i]))),
                           vreinterpretq_s32_u32(vaddw_high_u16(high, u[i])));
    }
    int8x16_t w[MOST], moved[MOST];
    BNN_UNROLL for (size_t i = 0; i < n; i++) w[i] = vld1q_s8(of[i].latent);
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        m[2 * i] = vsubw_s8(m[2 * i], vget_low_s8(w[i])), m[2 * i + 1] = vsubw_high_s8(m[2 * i + 1], w[i]);
        moved[i] = vnegq_s8(vmaxq_s8(narrow_bytes(m[2 * i], m[2 * i + 1]), vdupq_n_s8(-127)));
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++) vst1q_s8(of[i].latent, moved[i]);
}

static BNN_INLINE void step_groups(struct group of[], size_t n, const struct channel *all)
{
    uint16x8_t u[2 * MOST];
    int16x8_t q[2 * MOST];
    draw(u, of, n, all);
    push(q, of, n);
    step_moments(q, u, of, n, all);
    step_weights(q, u, of, n, all);
}

/* A block of n <= MOST rows. */
struct rows {
    int8_t *latent, *momentum;
    const int32_t *gradient;
    const float *multiplier;
    size_t stride, g_stride, columns;
    uint32_t first; /* the block's index, and the lower half of the key */
};

/* The last columns, fewer than a group, in copies. */
static BNN_INLINE void step_some(const struct rows *at, size_t n, const struct channel *all, uint64x2_t sums[])
{
    const size_t some = at->columns % LANES, c = at->columns - some;
    int8_t w[MOST][LANES] = {{0}}, m[MOST][LANES] = {{0}};
    int32_t g[MOST][LANES] = {{0}};
    struct group of[MOST];
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        memcpy(w[i], at->latent + i * at->stride + c, some), memcpy(m[i], at->momentum + i * at->stride + c, some);
        memcpy(g[i], at->gradient + i * at->g_stride + c, some * sizeof *g[i]);
        of[i] = (struct group){w[i], m[i], g[i], at->multiplier[i],
                               indices(at->first + (uint32_t)(i * at->stride + c), 2), sums[i]};
    }
    step_groups(of, n, all);
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        memcpy(at->latent + i * at->stride + c, w[i], some), memcpy(at->momentum + i * at->stride + c, m[i], some);
        sums[i] = of[i].sums;
    }
}

/* Two rows side by side: what one waits for the other hides. */
static inline void step_two(struct rows at, const struct channel *all, uint64x2_t sums[MOST])
{
    const float factors[MOST] = {at.multiplier[0], at.multiplier[1]}; /* copies, which the stores of bytes cannot change */
    int8_t *w = at.latent + at.stride, *m = at.momentum + at.stride;
    const int32_t *g = at.gradient + at.g_stride;
    const uint32x4_t below = vdupq_n_u32((uint32_t)at.stride);
    uint32x4_t place = indices(at.first, 2);
    uint64x2_t one = sums[0], two = sums[1];
    for (size_t c = 0; c + LANES <= at.columns; c += LANES, place = vaddq_u32(place, vdupq_n_u32(LANES))) {
        struct group of[MOST] = {{at.latent + c, at.momentum + c, at.gradient + c, factors[0], place, one},
                                 {w + c, m + c, g + c, factors[1], vaddq_u32(place, below), two}};
        step_groups(of, MOST, all);
        one = of[0].sums, two = of[1].sums;
    }
    sums[0] = one, sums[1] = two;
    if (at.columns % LANES) step_some(&at, MOST, all, sums);
}

static inline void step_one(struct rows at, const struct channel *all, uint64x2_t sums[MOST])
{
    uint32x4_t place = indices(at.first, 2);
    for (size_t c = 0; c + LANES <= at.columns; c += LANES, place = vaddq_u32(place, vdupq_n_u32(LANES))) {
        struct group of[1] = {{at.latent + c, at.momentum + c, at.gradient + c, at.multiplier[0], place, sums[0]}};
        step_groups(of, 1, all);
        sums[0] = of[0].sums;
    }
    if (at.columns % LANES) step_some(&at, 1, all, sums);
}

void BNN_NAME(update_channel_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                          const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                          uint32_t index, const float *multiplier, int64_t *magnitude,
                                          const struct bnn_channel_step *step)
{
    const struct channel all = channel_of(step);
    for (size_t row = 0; row < rows; row += MOST) {
        const size_t n = bnn_min(MOST, rows - row), start = row * stride;
        const struct rows at = {latent + start, momentum + start, gradient + row * g_stride, multiplier + row,
                                stride, g_stride, columns, (uint32_t)step->key + index + (uint32_t)start};
        uint64x2_t sums[MOST] = {vdupq_n_u64(0), vdupq_n_u64(0)};
        if (n == MOST) step_two(at, &all, sums);
        else step_one(at, &all, sums);
        magnitude[row] += (int64_t)vaddvq_u64(sums[0]);
        if (n == MOST) magnitude[row + 1] += (int64_t)vaddvq_u64(sums[1]);
    }
}

/* push = 127 * sgn(gradient): the sign times 127 * rate, which update.h bounds. */
static inline void step_signs(int8_t *latent, const int32_t *gradient, uint32x4_t index,
                              const struct bnn_sign_step *step)
{
    int32x4_t products[QUARTER];
    for (uint32_t i = 0; i < QUARTER; i++) {
        const int32x4_t not_below = vmaxq_s32(vld1q_s32(gradient + 4 * i), vdupq_n_s32(-1));
        products[i] = product_of(vminq_s32(not_below, vdupq_n_s32(1)), 127 * step->rate,
                                 vaddq_u32(index, vdupq_n_u32(4 * i)), step->key);
    }
    step_latents(latent, products);
}

void BNN_NAME(update_sign_i8)(int8_t *latent, size_t stride, const int32_t *gradient, size_t g_stride,
                              size_t rows, size_t columns, uint32_t index, const struct bnn_sign_step *step)
{
    const struct bnn_sign_step s = *step;
    const size_t whole = columns - columns % LANES, some = columns % LANES;
    for (size_t row = 0; row < rows; row++, latent += stride, gradient += g_stride) {
        uint32x4_t place = indices(index + (uint32_t)(row * stride), 1);
        for (size_t c = 0; c < whole; c += LANES, place = vaddq_u32(place, vdupq_n_u32(LANES)))
            step_signs(latent + c, gradient + c, place, &s);
        if (some) {
            int8_t w[LANES] = {0};
            int32_t g[LANES] = {0};
            memcpy(w, latent + whole, some), memcpy(g, gradient + whole, some * sizeof *g);
            step_signs(w, g, place, &s);
            memcpy(latent + whole, w, some);
        }
    }
}
#endif
