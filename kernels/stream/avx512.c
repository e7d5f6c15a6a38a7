/* avx512.c: the stream's loops, 16 columns at a time (of stream_within_i16_u1 a word).
 *
 * A block is RUN rows by 16 columns: what belongs to a column stays in registers over the rows, and the rows' y (30 KiB at
 * 64 columns) in the first-level cache over the blocks.  Four rows share a vector of hashes.  Columns past the last are
 * masked: they read as 0.
 *
 *   per 16 elements        instructions (zmm; Zen 4 does two a cycle, or one of those marked *)
 *   stream_add_i16         vcvtdq2ps, 2 vmulps, vaddps, vminps, vmaxps, vcvtps2dq, vpmovdw*; vpaddsw, vpmaxsw of ymm
 *   stream_within_i16_u1   half a vpabsw and vpcmpuw
 *   stream_sums_i16        vpmovsxwd*, 2 vpmuldq*, 2 vpsrlq*, vpaddd, 2 vpaddq
 *   stream_measure_i16     vpmovsxwd*, 2 vcvtdq2ps, 2 vmulps, 2 vaddps, vandps, vmaxps
 *   stream_affine_i16      that; vminps, vmaxps, vcvtps2dq, vpmovdb*; and if stochastic vmulps, vpmovzxbd*, vpaddd, vpsrad*
 *                          and a quarter of a hash: 2 vpmulld*, 4 vpsrld*, 3 vpxord, 3 vpaddd
 *   stream_gradient_i16    vcvtdq2ps, vmulps, vminps, vmaxps, vcvtps2dq, vpmovdw*; vpaddsw, vpabsw, 2 vpmaxsw of ymm; if
 *                          stochastic the same as above
 */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "../common/avx512.h"
#include "../common/rng_avx.h"
#include "stream.h"

#define BNN_NAME(op) bnn_##op##_avx512
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, RUN = 120, SOME_ROWS = 4 };

/* Blocks of rows row0 ... end - 1 and columns c ... c + 15. */
#define EACH_BLOCK                                                                                           \
    for (size_t row0 = 0, end = bnn_min(RUN, rows); row0 < rows; row0 = end, end = bnn_min(rows, end + RUN)) \
        for (size_t c = 0; c < columns; c += LANES)

static inline __m512i load(const int32_t *from, __mmask16 live) { return _mm512_maskz_loadu_epi32(live, from); }
static inline __m256i load_words(const int16_t *from, __mmask16 live) { return _mm256_maskz_loadu_epi16(live, from); }

static inline void store_words(int16_t *to, __mmask16 live, __m256i values)
{
    if (live == 0xffff) _mm256_storeu_si256((__m256i *)to, values);
    else _mm256_mask_storeu_epi16(to, live, values);
}

/* former + change, within +-32767. */
static inline __m256i add_limited(__m256i former, __m256i change)
{
    return _mm256_max_epi16(_mm256_adds_epi16(former, change), _mm256_set1_epi16(-INT16_MAX));
}

/* v rounded by the bytes at u or half to even. */
static inline __m512i rounded(__m512 v, const uint8_t *u, int limit)
{
    return bnn_avx512_rounded(bnn_avx512_clip(v, _mm512_set1_ps((float)limit)), u);
}

void BNN_NAME(stream_add_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *scale,
                              const float *shift, int add, int16_t *r, size_t r_stride)
{
    const __m512 one = _mm512_set1_ps((float)BNN_STREAM_ONE);
    EACH_BLOCK {
        const __mmask16 live = bnn_avx512_live(columns - c);
        const __m512 scale_f32x16 = _mm512_maskz_loadu_ps(live, scale + c);
        const __m512 shift_f32x16 = _mm512_maskz_loadu_ps(live, shift + c);
        for (size_t row = row0; row < end; row++) {
            int16_t *at = r + row * r_stride + c;
            const __m512 y_f32x16 = _mm512_cvtepi32_ps(load(y + row * stride + c, live));
            const __m512 z = _mm512_add_ps(_mm512_mul_ps(y_f32x16, scale_f32x16), shift_f32x16);
            const __m256i change = _mm512_cvtepi32_epi16(rounded(_mm512_mul_ps(z, one), NULL, BNN_STREAM_LIMIT));
            store_words(at, live, add ? add_limited(load_words(at, live), change) : change);
        }
    }
}

/* 32 columns: |r| <= BNN_STREAM_ONE, where the least of int16 has itself, 2^15 without a sign, as its size. */
static inline uint64_t within(const int16_t *r, __mmask32 live)
{
    const __m512i size = _mm512_abs_epi16(_mm512_maskz_loadu_epi16(live, r));
    return _mm512_mask_cmple_epu16_mask(live, size, _mm512_set1_epi16(BNN_STREAM_ONE));
}

void BNN_NAME(stream_within_i16_u1)(const int16_t *r, size_t rows, size_t columns, size_t stride, uint64_t *bits,
                                    size_t stride_words)
{
    for (size_t row = 0; row < rows; row++, r += stride, bits += stride_words)
        for (size_t c = 0; c < columns; c += BNN_WORD_BITS) {
            const uint64_t live = bnn_low_bits(bnn_min(BNN_WORD_BITS, columns - c));
            bits[c / BNN_WORD_BITS] = within(r + c, (__mmask32)live) | within(r + c + 32, (__mmask32)(live >> 32)) << 32;
        }
}

void BNN_NAME(stream_sums_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const int16_t *g,
                               size_t g_stride, int64_t *sum_g, int64_t *sum_gy)
{
    EACH_BLOCK {
        const __mmask16 live = bnn_avx512_live(columns - c);
        /* |g| <= 2^15: RUN rows stay below 2^22. */
        __m512i sum_i32x16 = _mm512_setzero_si512(), even_i64x8 = sum_i32x16, odd_i64x8 = sum_i32x16;
        for (size_t row = row0; row < end; row++) {
            const __m512i y_i32x16 = load(y + row * stride + c, live);
            const __m512i g_i32x16 = _mm512_cvtepi16_epi32(load_words(g + row * g_stride + c, live));
            const __m512i odd_y = _mm512_srli_epi64(y_i32x16, 32), odd_g = _mm512_srli_epi64(g_i32x16, 32);
            sum_i32x16 = _mm512_add_epi32(sum_i32x16, g_i32x16);
            even_i64x8 = _mm512_add_epi64(even_i64x8, _mm512_mul_epi32(g_i32x16, y_i32x16));
            odd_i64x8 = _mm512_add_epi64(odd_i64x8, _mm512_mul_epi32(odd_g, odd_y));
        }
        bnn_avx512_add_lanes(sum_g + c, live, sum_i32x16);
        bnn_avx512_add_products(sum_gy + c, live, even_i64x8, odd_i64x8);
    }
}

/* What belongs to 16 columns, and the largest |v| of all columns so far. */
struct affine {
    __mmask16 live;
    __m512 a, b, c0, most;
};

static inline void affine_of(struct affine *of, const float *a, const float *b, const float *c0, size_t columns)
{
    of->live = bnn_avx512_live(columns);
    of->a = _mm512_maskz_loadu_ps(of->live, a);
    of->b = _mm512_maskz_loadu_ps(of->live, b);
    of->c0 = _mm512_maskz_loadu_ps(of->live, c0);
}

/* MAXPS returns the second operand where one is no number. */
INLINE __m512 apply(struct affine *of, const int32_t *y, const int16_t *g)
{
    const __m512i g_i32x16 = _mm512_cvtepi16_epi32(load_words(g, of->live));
    const __m512 v = bnn_avx512_affine(of->a, g_i32x16, of->b, load(y, of->live), of->c0);
    of->most = _mm512_max_ps(_mm512_abs_ps(v), of->most);
    return v;
}

void BNN_NAME(stream_measure_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a,
                                  const float *b, const float *c0, const int16_t *g, size_t g_stride, float *largest)
{
    struct affine of = {.most = _mm512_setzero_ps()};
    EACH_BLOCK {
        affine_of(&of, a + c, b + c, c0 + c, columns - c);
        for (size_t row = row0; row < end; row++) apply(&of, y + row * stride + c, g + row * g_stride + c);
    }
    *largest = bnn_avx512_largest(of.most, *largest);
}

/* Indices of the first of each four columns of SOME_ROWS rows, whose first has the index `first`. */
static inline __m512i places(uint32_t first, size_t stride)
{
    const __m512i columns = _mm512_set_epi32(12, 8, 4, 0, 12, 8, 4, 0, 12, 8, 4, 0, 12, 8, 4, 0);
    const __m512i rows = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    const __m512i starts = _mm512_mullo_epi32(rows, _mm512_set1_epi32((int32_t)(uint32_t)stride));
    return _mm512_add_epi32(_mm512_set1_epi32((int32_t)first), _mm512_add_epi32(starts, columns));
}

/* Random bytes of 16 columns of SOME_ROWS rows, and the indices of the rows behind them; without a key none. */
INLINE void hash_rows(uint8_t u[SOME_ROWS * LANES], __m512i *place, size_t stride, uint64_t key)
{
    if (!key) return;
    _mm512_storeu_si512(u, bnn_hash32_avx512(*place, key));
    *place = _mm512_add_epi32(*place, _mm512_set1_epi32((int32_t)(uint32_t)(SOME_ROWS * stride)));
}

/* 16 columns of up to RUN rows. */
INLINE void affine_block(struct affine *of, const int32_t *y, size_t rows, size_t stride, const int16_t *g, size_t g_stride,
                         int8_t *q, size_t q_stride, int limit, uint64_t key, uint32_t index)
{
    uint8_t u[SOME_ROWS * LANES];
    __m512i place = places(index, q_stride);
    for (size_t row = 0; row < rows; row++, y += stride, g += g_stride, q += q_stride) {
        if (row % SOME_ROWS == 0) hash_rows(u, &place, q_stride, key);
        const __m512 v = apply(of, y, g);
        bnn_avx512_store_bytes(q, of->live, rounded(v, key ? u + row % SOME_ROWS * LANES : NULL, limit));
    }
}

void BNN_NAME(stream_affine_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a,
                                 const float *b, const float *c0, const int16_t *g, size_t g_stride, int8_t *q,
                                 size_t q_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    struct affine of = {.most = _mm512_setzero_ps()};
    EACH_BLOCK {
        const int32_t *y_at = y + row0 * stride + c;
        const int16_t *g_at = g + row0 * g_stride + c;
        int8_t *q_at = q + row0 * q_stride + c;
        const uint32_t first = index + (uint32_t)(row0 * q_stride + c);
        affine_of(&of, a + c, b + c, c0 + c, columns - c);
        if (key) affine_block(&of, y_at, end - row0, stride, g_at, g_stride, q_at, q_stride, limit, key, first);
        else affine_block(&of, y_at, end - row0, stride, g_at, g_stride, q_at, q_stride, limit, 0, first);
    }
    *largest = bnn_avx512_largest(of.most, *largest);
}

/* Columns `live` of 16 of up to RUN rows; `bits` starts at their word, in which they start at `shift`.  Returns the largest
 * |g|, which int16 holds, as g is never its least. */
INLINE __m256i gradient_block(const int32_t *y, size_t rows, __mmask16 live, size_t stride, float multiplier,
                              const uint64_t *bits, size_t stride_words, size_t shift, int add, int16_t *g, size_t g_stride,
                              uint64_t key, uint32_t index, __m256i most)
{
    const __m512 factor = _mm512_set1_ps(multiplier);
    uint8_t u[SOME_ROWS * LANES];
    __m512i place = places(index, g_stride);
    for (size_t row = 0; row < rows; row++, y += stride, bits += stride_words, g += g_stride) {
        if (row % SOME_ROWS == 0) hash_rows(u, &place, g_stride, key);
        const __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(load(y, live)), factor);
        const __m512i change = rounded(v, key ? u + row % SOME_ROWS * LANES : NULL, BNN_STREAM_LIMIT);
        __m256i sum = _mm512_maskz_cvtepi32_epi16(live & (__mmask16)(*bits >> shift), change);
        if (add) sum = add_limited(load_words(g, live), sum);
        most = _mm256_max_epi16(most, _mm256_abs_epi16(sum));
        store_words(g, live, sum);
    }
    return most;
}

static inline int32_t largest_word(__m256i most, int32_t largest)
{
    int16_t lanes[LANES];
    _mm256_storeu_si256((__m256i *)lanes, most);
    for (size_t i = 0; i < LANES; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    return largest;
}

void BNN_NAME(stream_gradient_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, float multiplier,
                                   const uint64_t *bits, size_t stride_words, int add, int16_t *g, size_t g_stride,
                                   uint64_t key, uint32_t index, int32_t *largest)
{
    __m256i most = _mm256_setzero_si256();
    EACH_BLOCK {
        const __mmask16 live = bnn_avx512_live(columns - c);
        const int32_t *y_at = y + row0 * stride + c;
        const uint64_t *bits_at = bits + row0 * stride_words + c / BNN_WORD_BITS;
        int16_t *g_at = g + row0 * g_stride + c;
        const uint32_t first = index + (uint32_t)(row0 * g_stride + c);
        if (key)
            most = gradient_block(y_at, end - row0, live, stride, multiplier, bits_at, stride_words, c % BNN_WORD_BITS, add,
                                  g_at, g_stride, key, first, most);
        else
            most = gradient_block(y_at, end - row0, live, stride, multiplier, bits_at, stride_words, c % BNN_WORD_BITS, add,
                                  g_at, g_stride, 0, first, most);
    }
    *largest = largest_word(most, *largest);
}
#endif
