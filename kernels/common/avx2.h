/* avx2.h: what several folders share on 256-bit registers: sums of columns, rounding.  To be included under the target pragma
 * of the file that uses it. */
#ifndef BNN_AVX2_H
#define BNN_AVX2_H

#include <immintrin.h>
#include <stdint.h>

/* to[0 ... 7] += values. */
static inline void bnn_avx2_add_wide(int64_t *to, __m256i low, __m256i high)
{
    _mm256_storeu_si256((__m256i *)to, _mm256_add_epi64(_mm256_loadu_si256((const __m256i *)to), low));
    to += 4;
    _mm256_storeu_si256((__m256i *)to, _mm256_add_epi64(_mm256_loadu_si256((const __m256i *)to), high));
}

static inline void bnn_avx2_add_lanes(int64_t *to, __m256i values_i32x8)
{
    bnn_avx2_add_wide(to, _mm256_cvtepi32_epi64(_mm256_castsi256_si128(values_i32x8)),
                      _mm256_cvtepi32_epi64(_mm256_extracti128_si256(values_i32x8, 1)));
}

/* The sums of products, as VPMULDQ makes them: of the even columns and of the odd ones. */
static inline void bnn_avx2_add_products(int64_t *to, __m256i even_i64x4, __m256i odd_i64x4)
{
    const __m256i pairs04 = _mm256_unpacklo_epi64(even_i64x4, odd_i64x4);
    const __m256i pairs26 = _mm256_unpackhi_epi64(even_i64x4, odd_i64x4);
    bnn_avx2_add_wide(to, _mm256_permute2x128_si256(pairs04, pairs26, 0x20),
                      _mm256_permute2x128_si256(pairs04, pairs26, 0x31));
}

/* a*g + (b*t + c0), each operation rounded. */
static inline __m256 bnn_avx2_affine(__m256 a, __m256i g_i32x8, __m256 b, __m256i t_i32x8, __m256 c0)
{
    return _mm256_add_ps(_mm256_mul_ps(a, _mm256_cvtepi32_ps(g_i32x8)),
                         _mm256_add_ps(_mm256_mul_ps(b, _mm256_cvtepi32_ps(t_i32x8)), c0));
}

/* v rounded by the random bytes at u, floor((round(256 v) + u) / 256), or half to even, as bnn_round does, without them. */
static inline __m256i bnn_avx2_rounded(__m256 v, const uint8_t *u)
{
    if (!u) return _mm256_cvtps_epi32(v);
    const __m256i steps = _mm256_cvtps_epi32(_mm256_mul_ps(v, _mm256_set1_ps(256.0f)));
    return _mm256_srai_epi32(_mm256_add_epi32(steps, _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)u))), 8);
}

/* The largest lane, or `largest`. */
static inline float bnn_avx2_largest(__m256 values, float largest)
{
    float lanes[8];
    _mm256_storeu_ps(lanes, values);
    for (int i = 0; i < 8; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    return largest;
}

#endif
