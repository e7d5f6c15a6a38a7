/* avx512.h: what several folders share on 512-bit registers: masks of columns, sums of them, rounding.  To be included under
 * the target pragma of the file that uses it. */
#ifndef BNN_AVX512_H
#define BNN_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "base.h"

/* The lanes of a vector that starts `columns` before the end of a row. */
static inline __mmask16 bnn_avx512_live(size_t columns) { return (__mmask16)bnn_low_bits(bnn_min(16, columns)); }

/* The lowest byte of each lane; a masked store of bytes is slow and left to the last columns. */
static inline void bnn_avx512_store_bytes(int8_t *to, __mmask16 live, __m512i values)
{
    const __m128i bytes = _mm512_cvtepi32_epi8(values);
    if (live == 0xffff) _mm_storeu_si128((__m128i *)to, bytes);
    else _mm_mask_storeu_epi8(to, live, bytes);
}

/* to[0 ... 15] += values, for the lanes in `live`. */
static inline void bnn_avx512_add_wide(int64_t *to, __mmask16 live, __m512i low, __m512i high)
{
    const __mmask8 live_low = (__mmask8)live, live_high = (__mmask8)(live >> 8);
    _mm512_mask_storeu_epi64(to, live_low, _mm512_add_epi64(low, _mm512_maskz_loadu_epi64(live_low, to)));
    to += 8;
    _mm512_mask_storeu_epi64(to, live_high, _mm512_add_epi64(high, _mm512_maskz_loadu_epi64(live_high, to)));
}

static inline void bnn_avx512_add_lanes(int64_t *to, __mmask16 live, __m512i values_i32x16)
{
    bnn_avx512_add_wide(to, live, _mm512_cvtepi32_epi64(_mm512_castsi512_si256(values_i32x16)),
                        _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(values_i32x16, 1)));
}

/* The sums of products, as VPMULDQ makes them: of the even columns and of the odd ones. */
static inline void bnn_avx512_add_products(int64_t *to, __mmask16 live, __m512i even_i64x8, __m512i odd_i64x8)
{
    const __m512i first_half = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
    const __m512i second_half = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    bnn_avx512_add_wide(to, live, _mm512_permutex2var_epi64(even_i64x8, first_half, odd_i64x8),
                        _mm512_permutex2var_epi64(even_i64x8, second_half, odd_i64x8));
}

/* a*g + (b*t + c0), each operation rounded. */
static inline __m512 bnn_avx512_affine(__m512 a, __m512i g_i32x16, __m512 b, __m512i t_i32x16, __m512 c0)
{
    return _mm512_add_ps(_mm512_mul_ps(a, _mm512_cvtepi32_ps(g_i32x16)),
                         _mm512_add_ps(_mm512_mul_ps(b, _mm512_cvtepi32_ps(t_i32x16)), c0));
}

/* MAXPS and MINPS return the second operand where one is no number, as the comparisons of bnn_clip do. */
static inline __m512 bnn_avx512_clip(__m512 x, __m512 limit)
{
    return _mm512_max_ps(_mm512_min_ps(x, limit), _mm512_sub_ps(_mm512_setzero_ps(), limit));
}

/* v rounded by the random bytes at u, floor((round(256 v) + u) / 256), or half to even, as bnn_round does, without them. */
static inline __m512i bnn_avx512_rounded(__m512 v, const uint8_t *u)
{
    if (!u) return _mm512_cvtps_epi32(v);
    const __m512i steps = _mm512_cvtps_epi32(_mm512_mul_ps(v, _mm512_set1_ps(256.0f)));
    return _mm512_srai_epi32(_mm512_add_epi32(steps, _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)u))), 8);
}

/* The largest lane, or `largest`. */
static inline float bnn_avx512_largest(__m512 values, float largest)
{
    float lanes[16];
    _mm512_storeu_ps(lanes, values);
    for (int i = 0; i < 16; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    return largest;
}

#endif
