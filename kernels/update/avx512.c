/* avx512.c: the integer optimiser steps by hand; the real ones as gcc vectorises them.
 *
 * 32 weights at a time: momentum in 16-bit lanes, the stochastic rounding in two vectors of 32-bit lanes.
 * With t = 127 * sgn(gradient), an integer multiple of 2^15 leaves the rounding shift of the momentum:
 *     (beta*m + (2^15 - beta)*t + 2^14) >> 15 = t + ((beta*(m - t) + 2^14) >> 15) = t + vpmulhrsw(t - m, -beta),
 * where |t - m| <= 255 and -beta fits int16 for all of 0 ... 2^15.
 * vpunpck of 16-bit lanes and vpackssdw work within 128 bits: the first halves hold weights 0-3, 8-11, 16-19, 24-27,
 * the second 4-7, 12-15, 20-23, 28-31, and so do the indices that are hashed.
 *
 *   per 32 weights, zmm                                                 Zen 4
 *   2 x hash: 2 vpmulld*, 4 vpsrld*, 3 vpxord, 2 vpaddd                  two a cycle, those marked * one
 *   2 x (vpmulld*, vpaddd, vpsrad*)
 *   vpackssdw* and vpermq* of the gradient, vpmaxsw, vpminsw, vpmullw*
 *   2 vpmovsxbw*, 2 vpsubw, vpmulhrsw*, vpaddw, vpsraw*, 2 vpunpck*, vpackssdw*, vpmovwb*, vpmovswb*
 *   About 38 cycles, of which the hash takes 17.
 *
 * update_channel_momentum_i8, per 32 weights: one hash; 2 x (vcvtdq2ps, vmulps, vminps, vmaxps, vcvtps2dq, vpabsd, vpandq,
 * vpsrlq*, 2 vpaddq); vpackssdw*, vpermq*; 2 vpmovsxbw*, 2 vpsubw, vpsllw*, vpmulhrsw*, vpandd, 2 vpaddw, vpsraw*, vpsllw*,
 * vpmullw*, vpmulhw*, vpxord, vpcmpuw, vpsubw, vpmovwb*, vpmovswb*.  In lanes of 16 bits nearly throughout.
 */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx512
#define BNN_HAVE_update_sign_momentum_i8
#define BNN_HAVE_update_channel_momentum_i8
#define BNN_HAVE_update_sign_i8
#include "loops.h"

#include "../common/rng_avx.h"

enum { LANES = 32 };

/* 127 * sgn of 32 gradients, in order. */
static inline __m512i target_of(const int32_t *gradient, __mmask32 live)
{
    const __m512i order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
    const __m512i low = _mm512_maskz_loadu_epi32((__mmask16)live, gradient);
    const __m512i high = _mm512_maskz_loadu_epi32((__mmask16)(live >> 16), gradient + 16);
    /* Saturation keeps the sign, and what is not 0 stays so. */
    const __m512i clipped = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(low, high));
    const __m512i sign = _mm512_max_epi16(_mm512_min_epi16(clipped, _mm512_set1_epi16(1)), _mm512_set1_epi16(-1));
    return _mm512_mullo_epi16(sign, _mm512_set1_epi16(127));
}

static inline __m512i load_bytes(const int8_t *from, __mmask32 live)
{
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(live, from));
}

/* A masked store of bytes is slow and left to the last columns. */
static inline void store_bytes(int8_t *to, __mmask32 live, __m256i bytes)
{
    if (live == 0xffffffff) _mm256_storeu_si256((__m256i *)to, bytes);
    else _mm256_mask_storeu_epi8(to, live, bytes);
}

/* (push * rate + dither) >> 24 for 16 of the weights. */
static inline __m512i moves_of(__m512i push_i32x16, __m512i index, const struct bnn_sign_step *step)
{
    const __m512i product = _mm512_mullo_epi32(push_i32x16, _mm512_set1_epi32(step->rate));
    return _mm512_srai_epi32(_mm512_add_epi32(product, _mm512_srli_epi32(bnn_hash32_avx512(index, step->key), 8)), 24);
}

/* latent = clip(latent - moves) for 32 weights, the first of which has index `first`. */
static inline void step_latents(int8_t *latent, __mmask32 live, __m512i push_i16x32, uint32_t first,
                                const struct bnn_sign_step *step)
{
    const __m512i lanes = _mm512_set_epi32(27, 26, 25, 24, 19, 18, 17, 16, 11, 10, 9, 8, 3, 2, 1, 0);
    const __m512i index = _mm512_add_epi32(_mm512_set1_epi32((int32_t)first), lanes);
    const __m512i signs = _mm512_srai_epi16(push_i16x32, 15);
    const __m512i low = moves_of(_mm512_unpacklo_epi16(push_i16x32, signs), index, step);
    const __m512i high = moves_of(_mm512_unpackhi_epi16(push_i16x32, signs),
                                  _mm512_add_epi32(index, _mm512_set1_epi32(4)), step);
    const __m512i moved = _mm512_sub_epi16(load_bytes(latent, live), _mm512_packs_epi32(low, high));
    store_bytes(latent, live, _mm256_max_epi8(_mm512_cvtsepi16_epi8(moved), _mm256_set1_epi8(-127)));
}

void BNN_NAME(update_sign_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                       const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                       uint32_t index, const struct bnn_sign_step *step)
{
    const __m512i minus_beta = _mm512_set1_epi16((int16_t)-step->beta);
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < columns; c += LANES) {
            const size_t at = row * stride + c;
            const __mmask32 live = (__mmask32)bnn_low_bits(bnn_min(LANES, columns - c));
            const __m512i target = target_of(gradient + row * g_stride + c, live);
            const __m512i distance = _mm512_sub_epi16(target, load_bytes(momentum + at, live));
            const __m512i m_i16x32 = _mm512_add_epi16(target, _mm512_mulhrs_epi16(distance, minus_beta));
            store_bytes(momentum + at, live, _mm512_cvtepi16_epi8(m_i16x32));
            step_latents(latent + at, live, m_i16x32, index + (uint32_t)at, step);
        }
}

/* round(gradient * factor) of 32 weights, in order; adds their sizes to sum. */
static inline __m512i pushes_of(const int32_t *gradient, __mmask32 live, __m512 factor, __m512i *sum_i64x8)
{
    const __m512i order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0), even = _mm512_set1_epi64(0xffffffff);
    const __m512 limit = _mm512_set1_ps(127.0f), minus_limit = _mm512_set1_ps(-127.0f);
    __m512i q[2];
    for (int half = 0; half < 2; half++) {
        const __m512i slope = _mm512_maskz_loadu_epi32((__mmask16)(live >> 16 * half), gradient + 16 * half);
        const __m512i size = _mm512_abs_epi32(slope);
        *sum_i64x8 = _mm512_add_epi64(*sum_i64x8, _mm512_add_epi64(_mm512_and_si512(size, even),
                                                                   _mm512_srli_epi64(size, 32)));
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(slope), factor);
        q[half] = _mm512_cvtps_epi32(_mm512_max_ps(_mm512_min_ps(scaled, limit), minus_limit));
    }
    return _mm512_permutexvar_epi64(order, _mm512_packs_epi32(q[0], q[1]));
}

/* 32 weights by their pushes and 16 random bits each.  (2^shift * m' * step + u) >> 16 is the upper half of the product and the
 * carry of u into it: where the lower half is more than 2^16 - 1 - u. */
static inline void step_channel(int8_t *latent, int8_t *momentum, __mmask32 live, __m512i q, __m512i u,
                                const struct bnn_channel_step *step)
{
    const __m512i minus_beta = _mm512_set1_epi16(step->minus_beta), factor = _mm512_set1_epi16(step->step);
    const __m512i distance = _mm512_slli_epi16(_mm512_sub_epi16(q, load_bytes(momentum, live)), 6);
    const __m512i rest = _mm512_add_epi16(_mm512_mulhrs_epi16(distance, minus_beta),
                                          _mm512_and_si512(u, _mm512_set1_epi16(63)));
    const __m512i m = _mm512_add_epi16(q, _mm512_srai_epi16(rest, 6));
    store_bytes(momentum, live, _mm512_cvtepi16_epi8(m));
    const __m512i shifted = _mm512_sll_epi16(m, _mm_cvtsi32_si128(step->shift));
    const __mmask32 carry = _mm512_cmpgt_epu16_mask(_mm512_mullo_epi16(shifted, factor),
                                                    _mm512_xor_si512(u, _mm512_set1_epi16(-1)));
    __m512i moved = _mm512_sub_epi16(load_bytes(latent, live), _mm512_mulhi_epi16(shifted, factor));
    moved = _mm512_mask_sub_epi16(moved, carry, moved, _mm512_set1_epi16(1));
    store_bytes(latent, live, _mm256_max_epi8(_mm512_cvtsepi16_epi8(moved), _mm256_set1_epi8(-127)));
}

void BNN_NAME(update_channel_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                          const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                          uint32_t index, const float *multiplier, int64_t *magnitude,
                                          const struct bnn_channel_step *step)
{
    const __m512i pairs = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    for (size_t row = 0; row < rows; row++) {
        const __m512 factor = _mm512_set1_ps(multiplier[row]);
        __m512i sum_i64x8 = _mm512_setzero_si512();
        for (size_t c = 0; c < columns; c += LANES) {
            const size_t at = row * stride + c;
            const __mmask32 live = (__mmask32)bnn_low_bits(bnn_min(LANES, columns - c));
            const __m512i q = pushes_of(gradient + row * g_stride + c, live, factor, &sum_i64x8);
            const __m512i place = _mm512_add_epi32(_mm512_set1_epi32((int32_t)(index + (uint32_t)at)), pairs);
            step_channel(latent + at, momentum + at, live, q, bnn_hash32_avx512(place, step->key), step);
        }
        magnitude[row] += _mm512_reduce_add_epi64(sum_i64x8);
    }
}

void BNN_NAME(update_sign_i8)(int8_t *latent, size_t stride, const int32_t *gradient, size_t g_stride,
                              size_t rows, size_t columns, uint32_t index, const struct bnn_sign_step *step)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < columns; c += LANES) {
            const size_t at = row * stride + c;
            const __mmask32 live = (__mmask32)bnn_low_bits(bnn_min(LANES, columns - c));
            step_latents(latent + at, live, target_of(gradient + row * g_stride + c, live), index + (uint32_t)at, step);
        }
}
#endif
