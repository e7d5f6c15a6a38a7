/* avx512.c: the float loops as gcc vectorises them for 64-byte vectors, and two by hand.
 *
 *   gemm_f32          vmulps, vaddps zmm per 16 MAC: one of each a cycle on Zen 4, so the limit is 16 MAC a cycle (no FMA:
 *                     the sum would round differently)
 *   expand_u1_f32     vblendmps zmm and a store per 16 elements
 *   quantise_f32_i8   vmulps, vminps, vmaxps, vcvtps2dq, vpmovdb per 16 elements
 */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx512
#define BNN_VECTOR_BYTES 64
#define BNN_HAVE_expand_u1_f32
#define BNN_HAVE_quantise_f32_i8
#include "loops.h"

void BNN_NAME(expand_u1_f32)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                             float *out, size_t out_stride)
{
    const __m512 plus = _mm512_set1_ps(1.0f), minus = _mm512_set1_ps(-1.0f);
    for (size_t row = 0; row < rows; row++, bits += stride_words, out += out_stride)
        for (size_t c = 0; c < columns; c += LANES) {
            const __mmask16 live = (__mmask16)bnn_low_bits(bnn_min(LANES, columns - c));
            const __mmask16 negative = (__mmask16)(bits[c / BNN_WORD_BITS] >> c % BNN_WORD_BITS);
            _mm512_mask_storeu_ps(out + c, live, _mm512_mask_blend_ps(negative, plus, minus));
        }
}

void BNN_NAME(quantise_f32_i8)(const float *values, size_t count, float multiplier, int8_t *q)
{
    const __m512 limit = _mm512_set1_ps(127.0f), low = _mm512_set1_ps(-127.0f), factor = _mm512_set1_ps(multiplier);
    for (size_t i = 0; i < count; i += LANES) {
        const __mmask16 live = (__mmask16)bnn_low_bits(bnn_min(LANES, count - i));
        const __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(live, values + i), factor);
        /* Half to even, as bnn_round does; MINPS returns the limit where the value is no number, as bnn_clip does. */
        const __m512i rounded = _mm512_cvtps_epi32(_mm512_max_ps(_mm512_min_ps(scaled, limit), low));
        if (live == 0xffff) _mm_storeu_si128((__m128i *)(q + i), _mm512_cvtepi32_epi8(rounded));
        else _mm_mask_storeu_epi8(q + i, live, _mm512_cvtepi32_epi8(rounded));
    }
}
#endif
