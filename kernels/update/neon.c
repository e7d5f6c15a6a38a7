/* neon.c: the integer optimiser steps by hand; the real ones in portable.c as gcc vectorises them.
 *
 * 16 weights at a time, in two vectors of 16-bit lanes.  vqrdmulhq_s16(a, b) is (2ab + 2^15) >> 16, the shift with the
 * product's full width, and 2^15 - 1 for a = b = -2^15 alone.  (2ab + 2^15) >> 16 = (ab + 2^14) >> 15, which is what
 * update.h asks for; and the distances of momenta, 64 * 255 at most, never are -2^15.
 * With t = 127 * sgn(gradient), an integer multiple of 2^15 leaves the rounding shift of the momentum:
 *     (beta*m + (2^15 - beta)*t + 2^14) >> 15 = t + ((beta*(m - t) + 2^14) >> 15) = t + vqrdmulh(t - m, -beta),
 * where -beta fits int16 for all of 0 ... 2^15.
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
#include <arm_neon.h>

#include "../common/rng_neon.h"
#include "update.h"

#define BNN_NAME(op) bnn_##op##_neon

enum { LANES = 16, QUARTER = 4 };

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

/* round(gradient * factor) of eight weights within +-127.  A product that is no number is 127, as for bnn_clip; the
 * lower limit may come after the rounding, which is monotonic. */
static inline int16x8_t pushes_of(int32x4_t low, int32x4_t high, float factor)
{
    const float32x4_t limit = vdupq_n_f32(127.0f);
    const float32x4_t first = vminnmq_f32(vmulq_n_f32(vcvtq_f32_s32(low), factor), limit);
    const float32x4_t second = vminnmq_f32(vmulq_n_f32(vcvtq_f32_s32(high), factor), limit);
    return vmaxq_s16(narrow_words(vcvtnq_s32_f32(first), vcvtnq_s32_f32(second)), vdupq_n_s16(-127));
}

/* Adds the sizes of eight gradients to 64-bit sums.  None is -2^31, so the sum of two fits 32 bits. */
static inline uint64x2_t add_sizes(uint64x2_t sums, int32x4_t low, int32x4_t high)
{
    return vpadalq_u32(sums, vreinterpretq_u32_s32(vaddq_s32(vabsq_s32(low), vabsq_s32(high))));
}

/* The momentum from its distance to the push q, |q - m| <= 255, and 16 random bits. */
static inline int16x8_t momentum_of(int16x8_t q, int16x8_t distance, uint16x8_t u, const struct bnn_channel_step *step)
{
    const int16x8_t rest = vqrdmulhq_s16(vshlq_n_s16(distance, 6), vdupq_n_s16(step->minus_beta));
    return vsraq_n_s16(q, vaddq_s16(rest, vreinterpretq_s16_u16(vandq_u16(u, vdupq_n_u16(63)))), 6);
}

/* (2^shift * m * step + u) >> 16: |m| <= 128, so that the shifted m has 16 bits. */
static inline int16x8_t moves_of(int16x8_t m, uint16x8_t u, const struct bnn_channel_step *step)
{
    const int16x8_t shifted = vshlq_s16(m, vdupq_n_s16(step->shift)), factor = vdupq_n_s16(step->step);
    const uint32x4_t low = vreinterpretq_u32_s32(vmull_s16(vget_low_s16(shifted), vget_low_s16(factor)));
    const uint32x4_t high = vreinterpretq_u32_s32(vmull_high_s16(shifted, factor));
    return upper_words(vreinterpretq_s32_u32(vaddw_u16(low, vget_low_u16(u))),
                       vreinterpretq_s32_u32(vaddw_high_u16(high, u)));
}

/* 16 weights; lane i of place is the index of the weights 2i and 2i + 1. */
static inline uint64x2_t step_channel(int8_t *latent, int8_t *momentum, const int32_t *gradient, float factor,
                                      uint32x4_t place, const struct bnn_channel_step *step, uint64x2_t sums)
{
    const int32x4_t g[QUARTER] = {vld1q_s32(gradient), vld1q_s32(gradient + 4), vld1q_s32(gradient + 8),
                                  vld1q_s32(gradient + 12)};
    const uint16x8_t u_low = vreinterpretq_u16_u32(bnn_hash32_neon(place, step->key));
    const uint16x8_t u_high = vreinterpretq_u16_u32(bnn_hash32_neon(vaddq_u32(place, vdupq_n_u32(8)), step->key));
    const int16x8_t q_low = pushes_of(g[0], g[1], factor), q_high = pushes_of(g[2], g[3], factor);
    const int8x16_t before = vld1q_s8(momentum), weights = vld1q_s8(latent);
    const int16x8_t low = momentum_of(q_low, vsubw_s8(q_low, vget_low_s8(before)), u_low, step);
    const int16x8_t high = momentum_of(q_high, vsubw_high_s8(q_high, before), u_high, step);
    vst1q_s8(momentum, vmovn_high_s16(vmovn_s16(low), high));
    /* moves - w, which needs no widened w; its negative once it is within +-127. */
    const int16x8_t left = vsubw_s8(moves_of(low, u_low, step), vget_low_s8(weights));
    const int16x8_t right = vsubw_high_s8(moves_of(high, u_high, step), weights);
    vst1q_s8(latent, vnegq_s8(vmaxq_s8(narrow_bytes(left, right), vdupq_n_s8(-127))));
    return add_sizes(add_sizes(sums, g[0], g[1]), g[2], g[3]);
}

void BNN_NAME(update_channel_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                          const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                          uint32_t index, const float *multiplier, int64_t *magnitude,
                                          const struct bnn_channel_step *step)
{
    const struct bnn_channel_step s = *step;
    const size_t whole = columns - columns % LANES, some = columns % LANES;
    for (size_t row = 0; row < rows; row++, latent += stride, momentum += stride, gradient += g_stride) {
        uint32x4_t place = indices(index + (uint32_t)(row * stride), 2);
        uint64x2_t sums = vdupq_n_u64(0);
        for (size_t c = 0; c < whole; c += LANES, place = vaddq_u32(place, vdupq_n_u32(LANES)))
            sums = step_channel(latent + c, momentum + c, gradient + c, multiplier[row], place, &s, sums);
        if (some) {
            int8_t w[LANES] = {0}, m[LANES] = {0};
            int32_t g[LANES] = {0};
            memcpy(w, latent + whole, some), memcpy(m, momentum + whole, some);
            memcpy(g, gradient + whole, some * sizeof *g);
            sums = step_channel(w, m, g, multiplier[row], place, &s, sums);
            memcpy(latent + whole, w, some), memcpy(momentum + whole, m, some);
        }
        magnitude[row] += (int64_t)vaddvq_u64(sums);
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
