/* avx512.c: batch normalisation's loops by hand where masks help; the others as gcc vectorises them.
 *
 * A block is RUN rows by 16 columns: what belongs to a column stays in registers over the rows, and the rows' y
 * (30 KiB at 64 columns) in the first-level cache over the blocks.  Columns past the last are masked.
 *
 *   per 16 elements        instructions (zmm; Zen 4 does two a cycle, or one of those marked *)
 *   norm_sums_i32          2 vpmuldq*, vpsrlq*, vpaddd, 2 vpaddq
 *   norm_cancel_i8         2 vpcmpd, vpmovsxbd*, vpmulld*, 2 vpaddd, vpmovdb*
 *   norm_affine_i8         2 vcvtdq2ps, 2 vmulps, 2 vaddps, vandps, 3 vmaxps, 2 vminps, vcvtps2dq, vpmovsxbd*, vpmovdb*,
 *                          and if stochastic vmulps, vpmovzxbd*, vpaddd, vpsrad* and a quarter of a hash: 2 vpmulld*,
 *                          4 vpsrld*, 3 vpxord, 3 vpaddd
 *   binarise_i32_u1        vpcmpd, kmov
 */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx512
#define BNN_HAVE_norm_sums_i32
#define BNN_HAVE_binarise_i32_u1
#define BNN_HAVE_within_i32_u1
#define BNN_HAVE_norm_cancel_i8
#define BNN_HAVE_norm_affine_i8
#define BNN_HAVE_requantise_i32_i8
#define BNN_HAVE_largest_i32
#define BNN_HAVE_mask_i8
#define BNN_HAVE_mask_f32
#include "loops.h"
#include "safe_rows.h"

#include "../common/avx512.h"
#include "../common/rng_avx.h"

enum { LANES = 16, RUN = 120 };

/* Blocks of rows row0 ... end - 1 and columns c ... c + 15, of which those in `live` exist. */
#define EACH_BLOCK                                                                                                \
    for (size_t row0 = 0, end = bnn_min(RUN, rows); row0 < rows; row0 = end, end = bnn_min(rows, end + RUN))       \
        for (size_t c = 0; c < columns; c += LANES)

static inline __m512i load_bytes(const int8_t *from, __mmask16 live)
{
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(live, from));
}

void BNN_NAME(norm_sums_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             int64_t *sum, int64_t *sum_squares)
{
    EACH_BLOCK {
        const __mmask16 live = bnn_avx512_live(columns - c);
        /* |y| < 2^17: RUN rows stay below 2^24. */
        __m512i sum_i32x16 = _mm512_setzero_si512(), even_i64x8 = sum_i32x16, odd_i64x8 = sum_i32x16;
        for (size_t row = row0; row < end; row++) {
            const __m512i y_i32x16 = _mm512_maskz_loadu_epi32(live, y + row * stride + c);
            const __m512i odd = _mm512_srli_epi64(y_i32x16, 32);
            sum_i32x16 = _mm512_add_epi32(sum_i32x16, y_i32x16);
            even_i64x8 = _mm512_add_epi64(even_i64x8, _mm512_mul_epi32(y_i32x16, y_i32x16));
            odd_i64x8 = _mm512_add_epi64(odd_i64x8, _mm512_mul_epi32(odd, odd));
        }
        bnn_avx512_add_lanes(sum + c, live, sum_i32x16);
        bnn_avx512_add_products(sum_squares + c, live, even_i64x8, odd_i64x8);
    }
}

/* bits = (low <= y, and y <= high where there is a high) ^ flip, 64 columns a word. */
static inline __attribute__((always_inline)) void pack_inside(const int32_t *y, size_t rows, size_t width, size_t stride,
                                                              const int32_t *low, const int32_t *high, uint64_t flip,
                                                              uint64_t *bits, size_t stride_words)
{
    const uint64_t all = bnn_low_bits(width);
    __m512i low_i32x16[4], high_i32x16[4];
    for (int i = 0; i < 4; i++) {
        const __mmask16 live = (__mmask16)(all >> LANES * i);
        low_i32x16[i] = _mm512_maskz_loadu_epi32(live, low + LANES * i);
        if (high) high_i32x16[i] = _mm512_maskz_loadu_epi32(live, high + LANES * i);
    }
    for (size_t row = 0; row < rows; row++, y += stride, bits += stride_words) {
        uint64_t word = 0;
        for (int i = 0; i < 4; i++) {
            const __m512i value = _mm512_maskz_loadu_epi32((__mmask16)(all >> LANES * i), y + LANES * i);
            __mmask16 inside = _mm512_cmpge_epi32_mask(value, low_i32x16[i]);
            if (high) inside = _mm512_mask_cmple_epi32_mask(inside, value, high_i32x16[i]);
            word |= (uint64_t)inside << LANES * i;
        }
        *bits = (word ^ flip) & all;
    }
}

void BNN_NAME(binarise_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                               const int32_t *threshold, const uint8_t *flip, uint64_t *bits, size_t stride_words)
{
    for (size_t c = 0; c < columns; c += BNN_WORD_BITS) {
        const size_t width = bnn_min(BNN_WORD_BITS, columns - c);
        const __m512i flip_u8x64 = _mm512_maskz_loadu_epi8(bnn_low_bits(width), flip + c);
        /* y < threshold is the opposite of inside. */
        pack_inside(y + c, rows, width, stride, threshold + c, NULL, _mm512_testn_epi8_mask(flip_u8x64, flip_u8x64),
                    bits + c / BNN_WORD_BITS, stride_words);
    }
}

void BNN_NAME(within_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             const int32_t *low, const int32_t *high, uint64_t *bits, size_t stride_words)
{
    for (size_t c = 0; c < columns; c += BNN_WORD_BITS)
        pack_inside(y + c, rows, bnn_min(BNN_WORD_BITS, columns - c), stride, low + c, high + c, 0,
                    bits + c / BNN_WORD_BITS, stride_words);
}

void BNN_NAME(norm_cancel_i8)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                              const int32_t *low, const int32_t *high, int8_t *g, size_t g_stride,
                              int64_t *sum_g, int64_t *sum_gy)
{
    const size_t safe = bnn_safe_rows(low, high, columns, RUN);
    EACH_BLOCK {
        const __mmask16 live = bnn_avx512_live(columns - c);
        const __m512i low_i32x16 = _mm512_maskz_loadu_epi32(live, low + c);
        const __m512i high_i32x16 = _mm512_maskz_loadu_epi32(live, high + c);
        for (size_t row = row0; row < end;) {
            __m512i sum_g_i32x16 = _mm512_setzero_si512(), sum_gy_i32x16 = sum_g_i32x16;
            for (const size_t stop = bnn_min(end, row + safe); row < stop; row++) {
                const __m512i y_i32x16 = _mm512_maskz_loadu_epi32(live, y + row * stride + c);
                const __mmask16 inside = _mm512_mask_cmple_epi32_mask(_mm512_cmpge_epi32_mask(y_i32x16, low_i32x16),
                                                                      y_i32x16, high_i32x16);
                const __m512i passed = load_bytes(g + row * g_stride + c, live & inside);
                sum_g_i32x16 = _mm512_add_epi32(sum_g_i32x16, passed);
                sum_gy_i32x16 = _mm512_add_epi32(sum_gy_i32x16, _mm512_mullo_epi32(passed, y_i32x16));
                bnn_avx512_store_bytes(g + row * g_stride + c, live, passed);
            }
            bnn_avx512_add_lanes(sum_g + c, live, sum_g_i32x16);
            bnn_avx512_add_lanes(sum_gy + c, live, sum_gy_i32x16);
        }
    }
}

/* Random bytes for BNN_TILE columns of `rows` rows, as bnn_hash_bytes gives them. */
static inline void hash_rows(uint8_t (*u)[BNN_TILE], size_t rows, uint32_t first, size_t stride, uint64_t key)
{
    const __m512i place = _mm512_set_epi32(60, 56, 52, 48, 44, 40, 36, 32, 28, 24, 20, 16, 12, 8, 4, 0);
    for (size_t row = 0; row < rows; row++) {
        const __m512i index = _mm512_add_epi32(_mm512_set1_epi32((int32_t)(first + (uint32_t)(row * stride))), place);
        _mm512_storeu_si512(u[row], bnn_hash32_avx512(index, key));
    }
}

/* Up to RUN rows by BNN_TILE columns; returns the largest magnitudes. */
static inline __attribute__((always_inline)) __m512 affine_block(const int32_t *t, size_t rows, size_t columns,
                                                                 size_t stride, const float *a, const float *b,
                                                                 const float *c0, int8_t *g, size_t g_stride, __m512 limit,
                                                                 const uint8_t (*u)[BNN_TILE], __m512 most)
{
    for (size_t c = 0; c < columns; c += LANES) {
        const __mmask16 live = bnn_avx512_live(columns - c);
        const __m512 a_f32x16 = _mm512_maskz_loadu_ps(live, a + c), b_f32x16 = _mm512_maskz_loadu_ps(live, b + c);
        const __m512 c0_f32x16 = _mm512_maskz_loadu_ps(live, c0 + c);
        for (size_t row = 0; row < rows; row++) {
            int8_t *at = g + row * g_stride + c;
            const __m512i t_i32x16 = _mm512_maskz_loadu_epi32(live, t + row * stride + c);
            const __m512 v = bnn_avx512_affine(a_f32x16, load_bytes(at, live), b_f32x16, t_i32x16, c0_f32x16);
            most = _mm512_mask_max_ps(most, live, _mm512_abs_ps(v), most);
            bnn_avx512_store_bytes(at, live, bnn_avx512_rounded(bnn_avx512_clip(v, limit), u ? u[row] + c : NULL));
        }
    }
    return most;
}

void BNN_NAME(norm_affine_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                              const float *a, const float *b, const float *c0,
                              int8_t *g, size_t g_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    uint8_t u[RUN][BNN_TILE];
    const __m512 most_allowed = _mm512_set1_ps((float)limit);
    __m512 most = _mm512_set1_ps(*largest);
    for (size_t row = 0; row < rows; row += RUN)
        for (size_t c = 0; c < columns; c += BNN_TILE) {
            const size_t run = bnn_min(RUN, rows - row), width = bnn_min(BNN_TILE, columns - c);
            const int32_t *t_at = t + row * stride + c;
            int8_t *g_at = g + row * g_stride + c;
            if (key) {
                hash_rows(u, run, index + (uint32_t)(row * g_stride + c), g_stride, key);
                most = affine_block(t_at, run, width, stride, a + c, b + c, c0 + c, g_at, g_stride, most_allowed, u, most);
            } else {
                most = affine_block(t_at, run, width, stride, a + c, b + c, c0 + c, g_at, g_stride, most_allowed, NULL,
                                    most);
            }
        }
    *largest = bnn_avx512_largest(most, *largest);
}

void BNN_NAME(requantise_i32_i8)(const int32_t *v, size_t rows, size_t columns, size_t stride,
                                 float multiplier, int8_t *q, size_t q_stride, uint64_t key, uint32_t index)
{
    uint8_t u[1][BNN_TILE];
    const __m512 limit = _mm512_set1_ps(127.0f), factor = _mm512_set1_ps(multiplier);
    for (size_t row = 0; row < rows; row++, v += stride, q += q_stride, index += (uint32_t)q_stride)
        for (size_t c = 0; c < columns; c += LANES) {
            const __mmask16 live = bnn_avx512_live(columns - c);
            const __m512 v_f32x16 = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(live, v + c));
            const __m512 scaled = bnn_avx512_clip(_mm512_mul_ps(v_f32x16, factor), limit);
            if (key && c % BNN_TILE == 0) hash_rows(u, 1, index + (uint32_t)c, 0, key);
            bnn_avx512_store_bytes(q + c, live, bnn_avx512_rounded(scaled, key ? u[0] + c % BNN_TILE : NULL));
        }
}

void BNN_NAME(mask_i8)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                       int8_t *g, size_t g_stride)
{
    for (size_t row = 0; row < rows; row++, g += g_stride, bits += stride_words)
        for (size_t c = 0; c < columns; c += BNN_WORD_BITS) {
            const __mmask64 live = bnn_low_bits(bnn_min(BNN_WORD_BITS, columns - c));
            const __m512i kept = _mm512_maskz_loadu_epi8(live & bits[c / BNN_WORD_BITS], g + c);
            if (live == ~UINT64_C(0)) _mm512_storeu_si512(g + c, kept);
            else _mm512_mask_storeu_epi8(g + c, live, kept);
        }
}

void BNN_NAME(mask_f32)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                        float *g, size_t g_stride)
{
    for (size_t row = 0; row < rows; row++, g += g_stride, bits += stride_words)
        for (size_t c = 0; c < columns; c += LANES) {
            const __mmask16 live = bnn_avx512_live(columns - c);
            const __mmask16 kept = live & (__mmask16)(bits[c / BNN_WORD_BITS] >> c % BNN_WORD_BITS);
            _mm512_mask_storeu_ps(g + c, live, _mm512_maskz_loadu_ps(kept, g + c));
        }
}
#endif
