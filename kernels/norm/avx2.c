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
 *                          2 vpack*; for the hash 2 vpmulld*, 4 vpsrld*, 3 vpxor, 2 vpaddd, vcvtdq2ps*, vmulps*,
 *                          2 vaddps*
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

/* to[0 ... 7] += values. */
static inline void add_wide(int64_t *to, __m256i low, __m256i high)
{
    _mm256_storeu_si256((__m256i *)to, _mm256_add_epi64(load(to), low));
    _mm256_storeu_si256((__m256i *)(to + 4), _mm256_add_epi64(load(to + 4), high));
}

static inline void add_lanes(int64_t *to, __m256i values_i32x8)
{
    add_wide(to, _mm256_cvtepi32_epi64(_mm256_castsi256_si128(values_i32x8)),
             _mm256_cvtepi32_epi64(_mm256_extracti128_si256(values_i32x8, 1)));
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
        const __m256i pairs04 = _mm256_unpacklo_epi64(even_i64x4, odd_i64x4);
        const __m256i pairs26 = _mm256_unpackhi_epi64(even_i64x4, odd_i64x4);
        add_lanes(sum + c, sum_i32x8);
        add_wide(sum_squares + c, _mm256_permute2x128_si256(pairs04, pairs26, 0x20),
                 _mm256_permute2x128_si256(pairs04, pairs26, 0x31));
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
    const size_t whole = columns - columns % LANES;
    EACH_BLOCK {
        const __m256i low_i32x8 = load(low + c), high_i32x8 = load(high + c);
        /* |g*y| < 2^24: RUN = 120 rows stay below 2^31. */
        __m256i sum_g_i32x8 = _mm256_setzero_si256(), sum_gy_i32x8 = sum_g_i32x8;
        for (size_t row = row0; row < end; row++) {
            const __m256i y_i32x8 = load(y + row * stride + c);
            int8_t *at = g + row * g_stride + c;
            const __m256i passed = _mm256_andnot_si256(outside(y_i32x8, low_i32x8, high_i32x8), load_bytes(at));
            sum_g_i32x8 = _mm256_add_epi32(sum_g_i32x8, passed);
            sum_gy_i32x8 = _mm256_add_epi32(sum_gy_i32x8, _mm256_mullo_epi32(passed, y_i32x8));
            store_bytes(at, passed);
        }
        add_lanes(sum_g + c, sum_g_i32x8);
        add_lanes(sum_gy + c, sum_gy_i32x8);
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

/* What rounds to v stochastically: `first` is the index of lane 0; see loops.h. */
static inline __m256 dithered_by(__m256 v, __m256 limit, uint32_t first, uint64_t key)
{
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    const __m256i hash = bnn_hash32_avx2(_mm256_add_epi32(_mm256_set1_epi32((int32_t)first), lane), key);
    const __m256 bits = _mm256_cvtepi32_ps(_mm256_srli_epi32(hash, 8));
    const __m256 u = _mm256_sub_ps(_mm256_mul_ps(bits, _mm256_set1_ps(0x1p-24f)), _mm256_set1_ps(0.5f));
    return clip(_mm256_add_ps(v, u), limit);
}

static inline __attribute__((always_inline)) void affine(const int32_t *t, size_t rows, size_t whole, size_t stride,
                                                         const float *a, const float *b, const float *c0, int8_t *g,
                                                         size_t g_stride, int limit, const int dithered, uint64_t key,
                                                         uint32_t index, float *largest)
{
    const __m256 limit_f32x8 = _mm256_set1_ps((float)limit), sign = _mm256_set1_ps(-0.0f);
    __m256 most = _mm256_set1_ps(*largest);
    EACH_BLOCK {
        const __m256 a_f32x8 = _mm256_loadu_ps(a + c), b_f32x8 = _mm256_loadu_ps(b + c);
        const __m256 c0_f32x8 = _mm256_loadu_ps(c0 + c);
        for (size_t row = row0; row < end; row++) {
            int8_t *at = g + row * g_stride + c;
            const __m256 g_f32x8 = _mm256_cvtepi32_ps(load_bytes(at));
            const __m256 t_f32x8 = _mm256_cvtepi32_ps(load(t + row * stride + c));
            __m256 v = _mm256_add_ps(_mm256_mul_ps(a_f32x8, g_f32x8),
                                     _mm256_add_ps(_mm256_mul_ps(b_f32x8, t_f32x8), c0_f32x8));
            most = _mm256_max_ps(_mm256_andnot_ps(sign, v), most);
            v = clip(v, limit_f32x8);
            if (dithered) v = dithered_by(v, limit_f32x8, index + (uint32_t)(row * g_stride + c), key);
            /* Rounds half to even, as bnn_round does. */
            store_bytes(at, _mm256_cvtps_epi32(v));
        }
    }
    float lanes[LANES];
    _mm256_storeu_ps(lanes, most);
    for (size_t i = 0; i < LANES; i++) *largest = lanes[i] > *largest ? lanes[i] : *largest;
}

void BNN_NAME(norm_affine_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                              const float *a, const float *b, const float *c0,
                              int8_t *g, size_t g_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    const size_t whole = columns - columns % LANES;
    if (key) affine(t, rows, whole, stride, a, b, c0, g, g_stride, limit, 1, key, index, largest);
    else affine(t, rows, whole, stride, a, b, c0, g, g_stride, limit, 0, key, index, largest);
    if (whole < columns)
        bnn_norm_affine_i8_portable(t + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                    g + whole, g_stride, limit, key, index + (uint32_t)whole, largest);
}

void BNN_NAME(requantise_i32_i8)(const int32_t *v, size_t rows, size_t columns, size_t stride,
                                 float multiplier, int8_t *q, size_t q_stride, uint64_t key, uint32_t index)
{
    const __m256 limit = _mm256_set1_ps(127.0f), factor = _mm256_set1_ps(multiplier);
    const size_t whole = columns - columns % LANES;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += LANES) {
            const __m256 v_f32x8 = _mm256_cvtepi32_ps(load(v + row * stride + c));
            __m256 scaled = clip(_mm256_mul_ps(v_f32x8, factor), limit);
            if (key) scaled = dithered_by(scaled, limit, index + (uint32_t)(row * q_stride + c), key);
            store_bytes(q + row * q_stride + c, _mm256_cvtps_epi32(scaled));
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
