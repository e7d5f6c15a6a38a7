/* avx2.c: batch normalisation's loops by hand where narrow types meet wide ones; the others as gcc vectorises them.
 *
 * A block is RUN rows by 8 columns: what belongs to a column stays in registers over the rows, and the rows' y
 * (30 KiB at 64 columns) in the first-level cache over the blocks.  Columns past the last whole block (or word) are left
 * to the portable functions.
 *
 *   per 8 elements         instructions (ymm; Zen 4 does four a cycle, or two of those marked *)
 *   norm_sums_i32          2 vpmuldq*, vpsrlq*, vpaddd, 2 vpaddq
 *   norm_cancel_i8         2 vpcmpgtd, vpor, vpmovsxbd*, vpandn, vpmulld*, 2 vpaddd, 2 vpack*, vextracti128*
 *   norm_affine_i8         2 vcvtdq2ps*, 2 vmulps*, 2 vaddps*, vandps, 3 vmaxps*, 2 vminps*, vcvtps2dq*, vpmovsxbd*,
 *                          2 vpack*; and if stochastic vmulps*, vpmovzxbd*, vpaddd, vpsrad* and a quarter of a hash:
 *                          2 vpmulld*, 4 vpsrld*, 3 vpxor, 3 vpaddd
 *   binarise_i32_u1        vpcmpgtd, vmovmskps*
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx2
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

#include "../common/avx2.h"
#include "../common/rng_avx.h"

bnn_norm_sums_i32_fn bnn_norm_sums_i32_portable;
bnn_binarise_i32_u1_fn bnn_binarise_i32_u1_portable;
bnn_within_i32_u1_fn bnn_within_i32_u1_portable;
bnn_norm_cancel_i8_fn bnn_norm_cancel_i8_portable;
bnn_norm_affine_i8_fn bnn_norm_affine_i8_portable;
bnn_requantise_i32_i8_fn bnn_requantise_i32_i8_portable;
bnn_largest_i32_fn bnn_largest_i32_portable;
bnn_mask_i8_fn bnn_mask_i8_portable;
bnn_mask_f32_fn bnn_mask_f32_portable;

enum { LANES = 8, RUN = 120 };

/* Blocks of rows row0 ... end - 1 and columns c ... c + 7. */
#define EACH_BLOCK                                                                                           \
    for (size_t row0 = 0, end = bnn_min(RUN, rows); row0 < rows; row0 = end, end = bnn_min(rows, end + RUN)) \
        for (size_t c = 0; c < whole; c += LANES)

static inline __m256i load(const void *from) { return _mm256_loadu_si256(from); }

static inline __m256i load_bytes(const int8_t *from)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)from));
}

/* Eight values that fit a byte. */
static inline void store_bytes(int8_t *to, __m256i values)
{
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
    _mm_storel_epi64((__m128i *)to, _mm_packs_epi16(words, words));
}

void BNN_NAME(norm_sums_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             int64_t *sum, int64_t *sum_squares)
{
    const size_t whole = columns - columns % LANES;
    EACH_BLOCK {
        /* |y| < 2^17: RUN rows stay below 2^24. */
        __m256i sum_i32x8 = _mm256_setzero_si256(), even_i64x4 = sum_i32x8, odd_i64x4 = sum_i32x8;
        for (size_t row = row0; row < end; row++) {
            const __m256i y_i32x8 = load(y + row * stride + c), odd = _mm256_srli_epi64(y_i32x8, 32);
            sum_i32x8 = _mm256_add_epi32(sum_i32x8, y_i32x8);
            even_i64x4 = _mm256_add_epi64(even_i64x4, _mm256_mul_epi32(y_i32x8, y_i32x8));
            odd_i64x4 = _mm256_add_epi64(odd_i64x4, _mm256_mul_epi32(odd, odd));
        }
        bnn_avx2_add_lanes(sum + c, sum_i32x8);
        bnn_avx2_add_products(sum_squares + c, even_i64x4, odd_i64x4);
    }
    if (whole < columns)
        bnn_norm_sums_i32_portable(y + whole, rows, columns - whole, stride, sum + whole, sum_squares + whole);
}

/* All ones where y is outside [low, high]. */
static inline __m256i outside(__m256i y, __m256i low, __m256i high)
{
    return _mm256_or_si256(_mm256_cmpgt_epi32(low, y), _mm256_cmpgt_epi32(y, high));
}

static inline uint64_t lane_bits(__m256i mask) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(mask)); }

void BNN_NAME(binarise_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                               const int32_t *threshold, const uint8_t *flip, uint64_t *bits, size_t stride_words)
{
    const size_t whole = columns - columns % BNN_WORD_BITS, words = whole / BNN_WORD_BITS;
    for (size_t c = 0; c < whole; c += BNN_WORD_BITS) {
        uint64_t flips = 0;
        for (size_t i = 0; i < BNN_WORD_BITS; i++) flips |= (uint64_t)flip[c + i] << i;
        for (size_t row = 0; row < rows; row++) {
            uint64_t word = flips;
            for (size_t i = 0; i < BNN_WORD_BITS; i += LANES)
                word ^= lane_bits(_mm256_cmpgt_epi32(load(threshold + c + i), load(y + row * stride + c + i))) << i;
            bits[row * stride_words + c / BNN_WORD_BITS] = word;
        }
    }
    if (whole < columns)
        bnn_binarise_i32_u1_portable(y + whole, rows, columns - whole, stride, threshold + whole, flip + whole,
                                     bits + words, stride_words);
}

void BNN_NAME(within_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             const int32_t *low, const int32_t *high, uint64_t *bits, size_t stride_words)
{
    const size_t whole = columns - columns % BNN_WORD_BITS, words = whole / BNN_WORD_BITS;
    for (size_t c = 0; c < whole; c += BNN_WORD_BITS)
        for (size_t row = 0; row < rows; row++) {
            uint64_t word = ~UINT64_C(0);
            for (size_t i = 0; i < BNN_WORD_BITS; i += LANES)
                word ^= lane_bits(outside(load(y + row * stride + c + i), load(low + c + i), load(high + c + i))) << i;
            bits[row * stride_words + c / BNN_WORD_BITS] = word;
        }
    if (whole < columns)
        bnn_within_i32_u1_portable(y + whole, rows, columns - whole, stride, low + whole, high + whole, bits + words,
                                   stride_words);
}

void BNN_NAME(norm_cancel_i8)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                              const int32_t *low, const int32_t *high, int8_t *g, size_t g_stride,
                              int64_t *sum_g, int64_t *sum_gy)
{
    const size_t whole = columns - columns % LANES, safe = bnn_safe_rows(low, high, whole, RUN);
    EACH_BLOCK {
        const __m256i low_i32x8 = load(low + c), high_i32x8 = load(high + c);
        for (size_t row = row0; row < end;) {
            __m256i sum_g_i32x8 = _mm256_setzero_si256(), sum_gy_i32x8 = sum_g_i32x8;
            for (const size_t stop = bnn_min(end, row + safe); row < stop; row++) {
                const __m256i y_i32x8 = load(y + row * stride + c);
                int8_t *at = g + row * g_stride + c;
                const __m256i passed = _mm256_andnot_si256(outside(y_i32x8, low_i32x8, high_i32x8), load_bytes(at));
                sum_g_i32x8 = _mm256_add_epi32(sum_g_i32x8, passed);
                sum_gy_i32x8 = _mm256_add_epi32(sum_gy_i32x8, _mm256_mullo_epi32(passed, y_i32x8));
                store_bytes(at, passed);
            }
            bnn_avx2_add_lanes(sum_g + c, sum_g_i32x8);
            bnn_avx2_add_lanes(sum_gy + c, sum_gy_i32x8);
        }
    }
    if (whole < columns)
        bnn_norm_cancel_i8_portable(y + whole, rows, columns - whole, stride, low + whole, high + whole, g + whole,
                                    g_stride, sum_g + whole, sum_gy + whole);
}

/* MAXPS and MINPS return the second operand where one is no number, as the comparisons of loops.h do. */
static inline __m256 clip(__m256 x, __m256 limit)
{
    return _mm256_max_ps(_mm256_min_ps(x, limit), _mm256_sub_ps(_mm256_setzero_ps(), limit));
}

/* Random bytes for BNN_TILE columns of `rows` rows, as bnn_hash_bytes gives them. */
static inline void hash_rows(uint8_t (*u)[BNN_TILE], size_t rows, uint32_t first, size_t stride, uint64_t key)
{
    const __m256i place = _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0);
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < BNN_TILE; c += 4 * LANES) {
            const int32_t start = (int32_t)(first + (uint32_t)(row * stride + c));
            const __m256i index = _mm256_add_epi32(_mm256_set1_epi32(start), place);
            _mm256_storeu_si256((__m256i *)(u[row] + c), bnn_hash32_avx2(index, key));
        }
}

/* Up to RUN rows by whole blocks of columns; returns the largest magnitudes. */
static inline __attribute__((always_inline)) __m256 affine_block(const int32_t *t, size_t rows, size_t columns,
                                                                 size_t stride, const float *a, const float *b,
                                                                 const float *c0, int8_t *g, size_t g_stride, __m256 limit,
                                                                 const uint8_t (*u)[BNN_TILE], __m256 most)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    for (size_t c = 0; c < columns; c += LANES) {
        const __m256 a_f32x8 = _mm256_loadu_ps(a + c), b_f32x8 = _mm256_loadu_ps(b + c);
        const __m256 c0_f32x8 = _mm256_loadu_ps(c0 + c);
        for (size_t row = 0; row < rows; row++) {
            int8_t *at = g + row * g_stride + c;
            const __m256 v =
                bnn_avx2_affine(a_f32x8, load_bytes(at), b_f32x8, load(t + row * stride + c), c0_f32x8);
            most = _mm256_max_ps(_mm256_andnot_ps(sign, v), most);
            store_bytes(at, bnn_avx2_rounded(clip(v, limit), u ? u[row] + c : NULL));
        }
    }
    return most;
}

void BNN_NAME(norm_affine_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                              const float *a, const float *b, const float *c0,
                              int8_t *g, size_t g_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    uint8_t u[RUN][BNN_TILE];
    const size_t whole = columns - columns % LANES;
    const __m256 most_allowed = _mm256_set1_ps((float)limit);
    __m256 most = _mm256_set1_ps(*largest);
    for (size_t row = 0; row < rows; row += RUN)
        for (size_t c = 0; c < whole; c += BNN_TILE) {
            const size_t run = bnn_min(RUN, rows - row), width = bnn_min(BNN_TILE, whole - c);
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
    *largest = bnn_avx2_largest(most, *largest);
    if (whole < columns)
        bnn_norm_affine_i8_portable(t + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                    g + whole, g_stride, limit, key, index + (uint32_t)whole, largest);
}

void BNN_NAME(requantise_i32_i8)(const int32_t *v, size_t rows, size_t columns, size_t stride,
                                 float multiplier, int8_t *q, size_t q_stride, uint64_t key, uint32_t index)
{
    uint8_t u[1][BNN_TILE];
    const __m256 limit = _mm256_set1_ps(127.0f), factor = _mm256_set1_ps(multiplier);
    const size_t whole = columns - columns % LANES;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += LANES) {
            const __m256 v_f32x8 = _mm256_cvtepi32_ps(load(v + row * stride + c));
            const __m256 scaled = clip(_mm256_mul_ps(v_f32x8, factor), limit);
            if (key && c % BNN_TILE == 0) hash_rows(u, 1, index + (uint32_t)(row * q_stride + c), 0, key);
            store_bytes(q + row * q_stride + c, bnn_avx2_rounded(scaled, key ? u[0] + c % BNN_TILE : NULL));
        }
    if (whole < columns)
        bnn_requantise_i32_i8_portable(v + whole, rows, columns - whole, stride, multiplier, q + whole, q_stride, key,
                                       index + (uint32_t)whole);
}

void BNN_NAME(largest_i32)(const int32_t *v, size_t rows, size_t columns, size_t stride, int32_t *largest)
{
    const size_t whole = columns - columns % LANES;
    __m256i most = _mm256_set1_epi32(*largest);
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += LANES)
            most = _mm256_max_epi32(most, _mm256_abs_epi32(load(v + row * stride + c)));
    int32_t lanes[LANES];
    _mm256_storeu_si256((__m256i *)lanes, most);
    for (size_t i = 0; i < LANES; i++) *largest = lanes[i] > *largest ? lanes[i] : *largest;
    if (whole < columns) bnn_largest_i32_portable(v + whole, rows, columns - whole, stride, largest);
}

void BNN_NAME(mask_i8)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                       int8_t *g, size_t g_stride)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((int64_t)UINT64_C(0x8040201008040201));
    const size_t whole = columns - columns % BNN_WORD_BITS;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += 32) {
            const uint64_t word = bits[row * stride_words + c / BNN_WORD_BITS] >> c % BNN_WORD_BITS;
            const __m256i own = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)(uint32_t)word), spread);
            __m256i *at = (__m256i *)(g + row * g_stride + c);
            _mm256_storeu_si256(at, _mm256_and_si256(load(at), _mm256_cmpeq_epi8(_mm256_and_si256(own, bit), bit)));
        }
    if (whole < columns)
        bnn_mask_i8_portable(bits + whole / BNN_WORD_BITS, stride_words, rows, columns - whole, g + whole, g_stride);
}

void BNN_NAME(mask_f32)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                        float *g, size_t g_stride)
{
    const __m256i bit = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
    const size_t whole = columns - columns % BNN_WORD_BITS;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += LANES) {
            const uint64_t word = bits[row * stride_words + c / BNN_WORD_BITS] >> c % BNN_WORD_BITS;
            const __m256i own = _mm256_and_si256(_mm256_set1_epi32((int32_t)(uint32_t)word), bit);
            float *at = g + row * g_stride + c;
            _mm256_storeu_ps(at, _mm256_and_ps(_mm256_loadu_ps(at), _mm256_castsi256_ps(_mm256_cmpeq_epi32(own, bit))));
        }
    if (whole < columns)
        bnn_mask_f32_portable(bits + whole / BNN_WORD_BITS, stride_words, rows, columns - whole, g + whole, g_stride);
}
#endif
