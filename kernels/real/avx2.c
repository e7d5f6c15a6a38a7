/* avx2.c: the float loops as gcc vectorises them for 32-byte vectors, and two by hand.
 *
 *   gemm_f32          vmulps, vaddps ymm per 8 MAC: two of each a cycle on Zen 4, so the limit is 16 MAC a cycle (no FMA:
 *                     the sum would round differently)
 *   expand_u1_f32     vpand, vpcmpeqd, vpand, vpor and a store per 8 elements
 *   quantise_f32_i8   vmulps, vminps, vmaxps, vcvtps2dq, 2 vpack per 8 elements
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx2
#define BNN_VECTOR_BYTES 32
#define BNN_HAVE_expand_u1_f32
#define BNN_HAVE_quantise_f32_i8
#include "loops.h"

bnn_expand_u1_f32_fn bnn_expand_u1_f32_portable;
bnn_quantise_f32_i8_fn bnn_quantise_f32_i8_portable;

void BNN_NAME(expand_u1_f32)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                             float *out, size_t out_stride)
{
    const __m256i bit = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
    const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
    const size_t whole = columns - columns % BNN_WORD_BITS;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += LANES) {
            const uint64_t word = bits[row * stride_words + c / BNN_WORD_BITS] >> c % BNN_WORD_BITS;
            const __m256i own = _mm256_and_si256(_mm256_set1_epi32((int32_t)(uint32_t)word), bit);
            const __m256 negative = _mm256_castsi256_ps(_mm256_cmpeq_epi32(own, bit));
            _mm256_storeu_ps(out + row * out_stride + c, _mm256_or_ps(one, _mm256_and_ps(negative, sign)));
        }
    if (whole < columns)
        bnn_expand_u1_f32_portable(bits + whole / BNN_WORD_BITS, stride_words, rows, columns - whole, out + whole,
                                   out_stride);
}

void BNN_NAME(quantise_f32_i8)(const float *values, size_t count, float multiplier, int8_t *q)
{
    const __m256 limit = _mm256_set1_ps(127.0f), low = _mm256_set1_ps(-127.0f), factor = _mm256_set1_ps(multiplier);
    const size_t whole = count - count % LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(values + i), factor);
        /* Half to even, as bnn_round does; MINPS returns the limit where the value is no number, as bnn_clip does. */
        const __m256i rounded = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(scaled, limit), low));
        const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
        _mm_storel_epi64((__m128i *)(q + i), _mm_packs_epi16(words, words));
    }
    if (whole < count) bnn_quantise_f32_i8_portable(values + whole, count - whole, multiplier, q + whole);
}
#endif
