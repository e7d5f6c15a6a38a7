/* avx2.c: the integer optimiser steps by hand; the real ones as gcc vectorises them.
 *
 * 16 weights at a time: momentum in 16-bit lanes, the stochastic rounding in two vectors of 32-bit lanes.
 * With t = 127 * sgn(gradient), an integer multiple of 2^15 leaves the rounding shift of the momentum:
 *     (beta*m + (2^15 - beta)*t + 2^14) >> 15 = t + ((beta*(m - t) + 2^14) >> 15) = t + vpmulhrsw(t - m, -beta),
 * where |t - m| <= 255 and -beta fits int16 for all of 0 ... 2^15.
 * vpunpck of 16-bit lanes and vpackssdw work within 128 bits: the first halves hold weights 0-3 and 8-11, the second
 * 4-7 and 12-15, and so do the indices that are hashed.
 *
 *   per 16 weights, ymm                                                 Zen 4
 *   2 x hash: 2 vpmulld*, 4 vpsrld*, 3 vpxor, 2 vpaddd                   four a cycle, those marked * two
 *   2 x (vpmulld*, vpaddd, vpsrad*)
 *   vpackssdw*, vpermq* and vpsignw of the gradient
 *   2 vpmovsxbw*, 2 vpsubw, vpmulhrsw*, vpaddw, vpsraw*, 2 vpunpck*, vpackssdw*, 2 vpacksswb*
 *   About 18 cycles, of which the hash takes 9.
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx2
#define BNN_HAVE_update_sign_momentum_i8
#define BNN_HAVE_update_channel_momentum_i8
#define BNN_HAVE_update_sign_i8
#include "loops.h"

#include "../common/rng_avx.h"

enum { LANES = 16 };

/* 127 * sgn of 16 gradients, in order. */
static inline __m256i target_of(const int32_t *gradient)
{
    const __m256i low = _mm256_loadu_si256((const __m256i *)gradient);
    const __m256i high = _mm256_loadu_si256((const __m256i *)(gradient + 8));
    /* Saturation keeps the sign, and what is not 0 stays so. */
    const __m256i clipped = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
    return _mm256_sign_epi16(_mm256_set1_epi16(127), clipped);
}

static inline __m256i load_bytes(const int8_t *from)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)from));
}

/* 16 lanes, saturated to bytes. */
static inline __m128i narrow(__m256i values)
{
    return _mm_packs_epi16(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
}

/* (push * rate + dither) >> 24 for eight of the weights. */
static inline __m256i moves_of(__m256i push_i32x8, __m256i index, const struct bnn_sign_step *step)
{
    const __m256i product = _mm256_mullo_epi32(push_i32x8, _mm256_set1_epi32(step->rate));
    return _mm256_srai_epi32(_mm256_add_epi32(product, _mm256_srli_epi32(bnn_hash32_avx2(index, step->key), 8)), 24);
}

/* latent = clip(latent - moves) for 16 weights, the first of which has index `first`. */
static inline void step_latents(int8_t *latent, __m256i push_i16x16, uint32_t first, const struct bnn_sign_step *step)
{
    const __m256i lanes = _mm256_set_epi32(11, 10, 9, 8, 3, 2, 1, 0);
    const __m256i index = _mm256_add_epi32(_mm256_set1_epi32((int32_t)first), lanes);
    const __m256i signs = _mm256_srai_epi16(push_i16x16, 15);
    const __m256i low = moves_of(_mm256_unpacklo_epi16(push_i16x16, signs), index, step);
    const __m256i high = moves_of(_mm256_unpackhi_epi16(push_i16x16, signs),
                                  _mm256_add_epi32(index, _mm256_set1_epi32(4)), step);
    const __m256i moved = _mm256_sub_epi16(load_bytes(latent), _mm256_packs_epi32(low, high));
    _mm_storeu_si128((__m128i *)latent, _mm_max_epi8(narrow(moved), _mm_set1_epi8(-127)));
}

static inline void step_both(int8_t *latent, int8_t *momentum, const int32_t *gradient, uint32_t first,
                             const struct bnn_sign_step *step)
{
    const __m256i target = target_of(gradient), distance = _mm256_sub_epi16(target, load_bytes(momentum));
    /* Between m and t, hence a byte. */
    const __m256i m_i16x16 =
        _mm256_add_epi16(target, _mm256_mulhrs_epi16(distance, _mm256_set1_epi16((int16_t)-step->beta)));
    _mm_storeu_si128((__m128i *)momentum, narrow(m_i16x16));
    step_latents(latent, m_i16x16, first, step);
}

void BNN_NAME(update_sign_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                       const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                       uint32_t index, const struct bnn_sign_step *step)
{
    const size_t whole = columns - columns % LANES, some = columns % LANES;
    for (size_t row = 0; row < rows; row++, latent += stride, momentum += stride, gradient += g_stride) {
        const uint32_t first = index + (uint32_t)(row * stride);
        for (size_t c = 0; c < whole; c += LANES)
            step_both(latent + c, momentum + c, gradient + c, first + (uint32_t)c, step);
        if (some) {
            int8_t w[LANES] = {0}, m[LANES] = {0};
            int32_t g[LANES] = {0};
            memcpy(w, latent + whole, some), memcpy(m, momentum + whole, some);
            memcpy(g, gradient + whole, some * sizeof *g);
            step_both(w, m, g, first + (uint32_t)whole, step);
            memcpy(latent + whole, w, some), memcpy(momentum + whole, m, some);
        }
    }
}

/* round(gradient * factor) of 16 weights, in order; adds their sizes, 32 bits each, to sums of 64. */
static inline __m256i pushes_of(const int32_t *gradient, __m256 factor, __m256i *sum_i64x4)
{
    const __m256i even = _mm256_set1_epi64x(0xffffffff);
    const __m256 limit = _mm256_set1_ps(127.0f), minus_limit = _mm256_set1_ps(-127.0f);
    __m256i q[2];
    for (int half = 0; half < 2; half++) {
        const __m256i slope = _mm256_loadu_si256((const __m256i *)(gradient + 8 * half)), size = _mm256_abs_epi32(slope);
        *sum_i64x4 = _mm256_add_epi64(*sum_i64x4, _mm256_add_epi64(_mm256_and_si256(size, even),
                                                                   _mm256_srli_epi64(size, 32)));
        const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(slope), factor);
        q[half] = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(scaled, limit), minus_limit));
    }
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(q[0], q[1]), 0xd8);
}

/* 16 weights by their pushes and 16 random bits each; as in avx512.c.  Unsigned lanes are compared with their highest bit
 * turned over. */
static inline void step_channel(int8_t *latent, int8_t *momentum, __m256i q, __m256i u, const struct bnn_channel_step *step)
{
    const __m256i minus_beta = _mm256_set1_epi16(step->minus_beta), factor = _mm256_set1_epi16(step->step);
    const __m256i distance = _mm256_slli_epi16(_mm256_sub_epi16(q, load_bytes(momentum)), 6);
    const __m256i rest = _mm256_add_epi16(_mm256_mulhrs_epi16(distance, minus_beta),
                                          _mm256_and_si256(u, _mm256_set1_epi16(63)));
    const __m256i m = _mm256_add_epi16(q, _mm256_srai_epi16(rest, 6));
    _mm_storeu_si128((__m128i *)momentum, narrow(m));
    const __m256i shifted = _mm256_sll_epi16(m, _mm_cvtsi32_si128(step->shift));
    const __m256i low = _mm256_xor_si256(_mm256_mullo_epi16(shifted, factor), _mm256_set1_epi16(INT16_MIN));
    const __m256i carry = _mm256_cmpgt_epi16(low, _mm256_xor_si256(u, _mm256_set1_epi16(INT16_MAX)));
    const __m256i moves = _mm256_sub_epi16(_mm256_mulhi_epi16(shifted, factor), carry);
    const __m256i moved = _mm256_sub_epi16(load_bytes(latent), moves);
    _mm_storeu_si128((__m128i *)latent, _mm_max_epi8(narrow(moved), _mm_set1_epi8(-127)));
}

void BNN_NAME(update_channel_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                          const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                          uint32_t index, const float *multiplier, int64_t *magnitude,
                                          const struct bnn_channel_step *step)
{
    const __m256i pairs = _mm256_set_epi32(14, 12, 10, 8, 6, 4, 2, 0);
    const size_t whole = columns - columns % LANES, some = columns % LANES;
    for (size_t row = 0; row < rows; row++, latent += stride, momentum += stride, gradient += g_stride) {
        const __m256i first = _mm256_add_epi32(_mm256_set1_epi32((int32_t)(index + (uint32_t)(row * stride))), pairs);
        const __m256 factor = _mm256_set1_ps(multiplier[row]);
        __m256i sum_i64x4 = _mm256_setzero_si256();
        for (size_t c = 0; c < whole; c += LANES) {
            const __m256i place = _mm256_add_epi32(first, _mm256_set1_epi32((int32_t)c));
            const __m256i q = pushes_of(gradient + c, factor, &sum_i64x4);
            step_channel(latent + c, momentum + c, q, bnn_hash32_avx2(place, step->key), step);
        }
        if (some) {
            int8_t w[LANES] = {0}, m[LANES] = {0};
            int32_t g[LANES] = {0};
            memcpy(w, latent + whole, some), memcpy(m, momentum + whole, some);
            memcpy(g, gradient + whole, some * sizeof *g);
            const __m256i place = _mm256_add_epi32(first, _mm256_set1_epi32((int32_t)whole));
            const __m256i q = pushes_of(g, factor, &sum_i64x4);
            step_channel(w, m, q, bnn_hash32_avx2(place, step->key), step);
            memcpy(latent + whole, w, some), memcpy(momentum + whole, m, some);
        }
        int64_t sums[4];
        _mm256_storeu_si256((__m256i *)sums, sum_i64x4);
        magnitude[row] += sums[0] + sums[1] + sums[2] + sums[3];
    }
}

void BNN_NAME(update_sign_i8)(int8_t *latent, size_t stride, const int32_t *gradient, size_t g_stride,
                              size_t rows, size_t columns, uint32_t index, const struct bnn_sign_step *step)
{
    const size_t whole = columns - columns % LANES, some = columns % LANES;
    for (size_t row = 0; row < rows; row++, latent += stride, gradient += g_stride) {
        const uint32_t first = index + (uint32_t)(row * stride);
        for (size_t c = 0; c < whole; c += LANES)
            step_latents(latent + c, target_of(gradient + c), first + (uint32_t)c, step);
        if (some) {
            int8_t w[LANES] = {0};
            int32_t g[LANES] = {0};
            memcpy(w, latent + whole, some), memcpy(g, gradient + whole, some * sizeof *g);
            step_latents(w, target_of(g), first + (uint32_t)whole, step);
            memcpy(latent + whole, w, some);
        }
    }
}
#endif
