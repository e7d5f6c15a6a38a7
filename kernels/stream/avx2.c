/* avx2.c: the stream's loops, 16 columns at a time.
 *
 * A block is RUN rows by 16 columns (of stream_sums_i16 by 8): what belongs to a column stays in registers over the rows,
 * and the rows' y (30 KiB at 64 columns) in the first-level cache over the blocks.  Two rows share a vector of hashes.
 * Columns past the last whole block are left to the loops of loops.h.
 *
 * Values are limited from above before they are rounded, as floats, and from below afterwards, as int16: what is less than
 * int32 holds converts to its least, which saturates, and rounding is monotonic.
 *
 *   per 16 elements        instructions (ymm; Zen 4 does four a cycle, or two of those marked *)
 *   stream_add_i16         2 vcvtdq2ps*, 4 vmulps*, 2 vaddps*, 2 vminps*, 2 vcvtps2dq*, vpackssdw*, vpermq*, 2 vpmaxsw,
 *                          vpaddsw
 *   stream_within_i16_u1   vpaddw, vpcmpgtw; half a vpacksswb*, vpermq* and vpmovmskb*
 *   stream_sums_i16        2 vpmovsxwd*, 4 vpmuldq*, 4 vpsrlq*, 2 vpaddd, 4 vpaddq
 *   stream_measure_i16     2 vpmovsxwd*, 4 vcvtdq2ps*, 4 vmulps*, 4 vaddps*, 2 vandps, 2 vmaxps*
 *   stream_affine_i16      that; 2 vminps*, 2 vcvtps2dq*, vpackssdw*, vpermq*, vpmaxsw, vpacksswb*, vextracti128*; and if
 *                          stochastic 2 vmulps*, 2 vpmovzxbd*, 2 vpaddd, 2 vpsrad* and half a hash: 2 vpmulld*, 4 vpsrld*,
 *                          3 vpxor, 3 vpaddd
 *   stream_gradient_i16    2 vcvtdq2ps*, 2 vmulps*, 2 vminps*, 2 vcvtps2dq*, vpackssdw*, vpermq*, 3 vpmaxsw, vpbroadcastw*,
 *                          2 vpand, vpcmpeqw, vpaddsw, vpabsw; if stochastic the same as above
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx2
#define BNN_HAVE_stream_add_i16
#define BNN_HAVE_stream_within_i16_u1
#define BNN_HAVE_stream_sums_i16
#define BNN_HAVE_stream_measure_i16
#define BNN_HAVE_stream_affine_i16
#define BNN_HAVE_stream_gradient_i16
#include "loops.h"

#include "../common/avx2.h"
#include "../common/rng_avx.h"

#define INLINE static inline __attribute__((always_inline))

bnn_stream_add_i16_fn bnn_stream_add_i16_portable;
bnn_stream_sums_i16_fn bnn_stream_sums_i16_portable;
bnn_stream_measure_i16_fn bnn_stream_measure_i16_portable;
bnn_stream_affine_i16_fn bnn_stream_affine_i16_portable;

enum { HALF = 8, LANES = 16, RUN = 120, PAIR = 2 };

/* Blocks of rows row0 ... end - 1 and columns c ... c + WIDTH - 1. */
#define EACH_BLOCK(WIDTH)                                                                                    \
    for (size_t row0 = 0, end = bnn_min(RUN, rows); row0 < rows; row0 = end, end = bnn_min(rows, end + RUN)) \
        for (size_t c = 0; c < whole; c += WIDTH)

static inline __m256i load(const void *from) { return _mm256_loadu_si256(from); }

static inline __m256i load_words(const int16_t *from)
{
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)from));
}

/* 16 values of 32 bits, saturated to 16 and at least -limit. */
static inline __m256i narrow(__m256i low_i32x8, __m256i high_i32x8, int limit)
{
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low_i32x8, high_i32x8), 0xd8);
    return _mm256_max_epi16(words, _mm256_set1_epi16((int16_t)-limit));
}

/* MINPS returns the second operand where one is no number, as the comparison of bnn_clip does. */
static inline __m256 at_most(__m256 v, int limit) { return _mm256_min_ps(v, _mm256_set1_ps((float)limit)); }

/* v of 16 columns, rounded by the bytes at u or half to even. */
static inline __m256i rounded(__m256 low, __m256 high, const uint8_t *u, int limit)
{
    return narrow(bnn_avx2_rounded(at_most(low, limit), u), bnn_avx2_rounded(at_most(high, limit), u ? u + HALF : NULL),
                  limit);
}

/* former + change, within +-32767. */
static inline __m256i add_limited(__m256i former, __m256i change)
{
    return _mm256_max_epi16(_mm256_adds_epi16(former, change), _mm256_set1_epi16(-INT16_MAX));
}

void BNN_NAME(stream_add_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *scale,
                              const float *shift, int add, int16_t *r, size_t r_stride)
{
    const size_t whole = columns - columns % LANES;
    const __m256 one = _mm256_set1_ps((float)BNN_STREAM_ONE);
    EACH_BLOCK(LANES) {
        const __m256 scales[2] = {_mm256_loadu_ps(scale + c), _mm256_loadu_ps(scale + c + HALF)};
        const __m256 shifts[2] = {_mm256_loadu_ps(shift + c), _mm256_loadu_ps(shift + c + HALF)};
        for (size_t row = row0; row < end; row++) {
            __m256i *at = (__m256i *)(r + row * r_stride + c);
            __m256 z[2];
            for (size_t i = 0; i < 2; i++) {
                const __m256 y_f32x8 = _mm256_cvtepi32_ps(load(y + row * stride + c + HALF * i));
                z[i] = _mm256_mul_ps(_mm256_add_ps(_mm256_mul_ps(y_f32x8, scales[i]), shifts[i]), one);
            }
            const __m256i change = rounded(z[0], z[1], NULL, BNN_STREAM_LIMIT);
            _mm256_storeu_si256(at, add ? add_limited(load(at), change) : change);
        }
    }
    if (whole < columns)
        bnn_stream_add_i16_portable(y + whole, rows, columns - whole, stride, scale + whole, shift + whole, add, r + whole,
                                    r_stride);
}

/* All ones where |r| <= BNN_STREAM_ONE: one comparison of r, turned round so that the interval starts at the least. */
static inline __m256i within(const int16_t *r)
{
    const __m256i turned = _mm256_add_epi16(load(r), _mm256_set1_epi16(INT16_MIN + BNN_STREAM_ONE));
    return _mm256_cmpgt_epi16(_mm256_set1_epi16(INT16_MIN + 2 * BNN_STREAM_ONE + 1), turned);
}

/* 32 columns. */
static inline uint64_t within_half(const int16_t *r)
{
    const __m256i bytes = _mm256_packs_epi16(within(r), within(r + LANES));
    return (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(bytes, 0xd8));
}

static inline uint64_t within_word_of(const int16_t *r) { return within_half(r) | within_half(r + 2 * LANES) << 2 * LANES; }

/* Up to 63 columns. */
static inline uint64_t within_part(const int16_t *r, size_t count)
{
    uint64_t word = 0;
    size_t c = 0;
    for (; c + LANES <= count; c += LANES)
        word |= (uint64_t)_pext_u32((uint32_t)_mm256_movemask_epi8(within(r + c)), 0x55555555) << c;
    return word | within_word(r + c, count - c) << c;
}

void BNN_NAME(stream_within_i16_u1)(const int16_t *r, size_t rows, size_t columns, size_t stride, uint64_t *bits,
                                    size_t stride_words)
{
    const size_t whole = columns - columns % BNN_WORD_BITS;
    /* Narrow rows without gaps, a word of them at a time. */
    const size_t together = columns == LANES || columns == 2 * LANES ? BNN_WORD_BITS / columns : 1;
    for (; stride == columns && together > 1 && rows >= together; rows -= together, r += BNN_WORD_BITS) {
        const uint64_t word = within_word_of(r);
        for (size_t i = 0; i < together; i++, bits += stride_words) *bits = word >> i * columns & bnn_low_bits(columns);
    }
    for (size_t row = 0; row < rows; row++, r += stride, bits += stride_words) {
        for (size_t c = 0; c < whole; c += BNN_WORD_BITS) bits[c / BNN_WORD_BITS] = within_word_of(r + c);
        if (whole < columns) bits[whole / BNN_WORD_BITS] = within_part(r + whole, columns - whole);
    }
}

void BNN_NAME(stream_sums_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const int16_t *g,
                               size_t g_stride, int64_t *sum_g, int64_t *sum_gy)
{
    const size_t whole = columns - columns % HALF;
    EACH_BLOCK(HALF) {
        /* |g| <= 2^15: RUN rows stay below 2^22. */
        __m256i sum_i32x8 = _mm256_setzero_si256(), even_i64x4 = sum_i32x8, odd_i64x4 = sum_i32x8;
        for (size_t row = row0; row < end; row++) {
            const __m256i y_i32x8 = load(y + row * stride + c), g_i32x8 = load_words(g + row * g_stride + c);
            const __m256i odd_y = _mm256_srli_epi64(y_i32x8, 32), odd_g = _mm256_srli_epi64(g_i32x8, 32);
            sum_i32x8 = _mm256_add_epi32(sum_i32x8, g_i32x8);
            even_i64x4 = _mm256_add_epi64(even_i64x4, _mm256_mul_epi32(g_i32x8, y_i32x8));
            odd_i64x4 = _mm256_add_epi64(odd_i64x4, _mm256_mul_epi32(odd_g, odd_y));
        }
        bnn_avx2_add_lanes(sum_g + c, sum_i32x8);
        bnn_avx2_add_products(sum_gy + c, even_i64x4, odd_i64x4);
    }
    if (whole < columns)
        bnn_stream_sums_i16_portable(y + whole, rows, columns - whole, stride, g + whole, g_stride, sum_g + whole,
                                     sum_gy + whole);
}

/* What belongs to 16 columns, and the largest |v| of all columns so far. */
struct affine {
    __m256 a[2], b[2], c0[2], most;
};

static inline void affine_of(struct affine *of, const float *a, const float *b, const float *c0)
{
    for (size_t i = 0; i < 2; i++) {
        of->a[i] = _mm256_loadu_ps(a + HALF * i);
        of->b[i] = _mm256_loadu_ps(b + HALF * i);
        of->c0[i] = _mm256_loadu_ps(c0 + HALF * i);
    }
}

/* v of columns HALF * i ... HALF * i + 7 of the 16.  MAXPS returns the second operand where one is no number. */
INLINE __m256 apply(struct affine *of, const int32_t *y, const int16_t *g, size_t i)
{
    const __m256 v = bnn_avx2_affine(of->a[i], load_words(g + HALF * i), of->b[i], load(y + HALF * i), of->c0[i]);
    of->most = _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), v), of->most);
    return v;
}

void BNN_NAME(stream_measure_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a,
                                  const float *b, const float *c0, const int16_t *g, size_t g_stride, float *largest)
{
    const size_t whole = columns - columns % LANES;
    struct affine of = {.most = _mm256_setzero_ps()};
    EACH_BLOCK(LANES) {
        affine_of(&of, a + c, b + c, c0 + c);
        for (size_t row = row0; row < end; row++)
            for (size_t i = 0; i < 2; i++) apply(&of, y + row * stride + c, g + row * g_stride + c, i);
    }
    *largest = bnn_avx2_largest(of.most, *largest);
    if (whole < columns)
        bnn_stream_measure_i16_portable(y + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                        g + whole, g_stride, largest);
}

/* Indices of the first of each four columns of two rows, whose first has the index `first`. */
static inline __m256i places(uint32_t first, size_t stride)
{
    const int32_t next = (int32_t)(uint32_t)stride;
    const __m256i lanes = _mm256_setr_epi32(0, 4, 8, 12, next, next + 4, next + 8, next + 12);
    return _mm256_add_epi32(_mm256_set1_epi32((int32_t)first), lanes);
}

/* Random bytes of 16 columns of two rows, and their indices two rows on; without a key none. */
INLINE void hash_pair(uint8_t u[PAIR * LANES], __m256i *place, size_t stride, uint64_t key)
{
    if (!key) return;
    _mm256_storeu_si256((__m256i *)u, bnn_hash32_avx2(*place, key));
    *place = _mm256_add_epi32(*place, _mm256_set1_epi32((int32_t)(uint32_t)(PAIR * stride)));
}

/* 16 columns of up to RUN rows. */
INLINE void affine_block(struct affine *of, const int32_t *y, size_t rows, size_t stride, const int16_t *g, size_t g_stride,
                         int8_t *q, size_t q_stride, int limit, uint64_t key, uint32_t index)
{
    uint8_t u[PAIR * LANES];
    __m256i place = places(index, q_stride);
    for (size_t row = 0; row < rows; row++, y += stride, g += g_stride, q += q_stride) {
        if (row % PAIR == 0) hash_pair(u, &place, q_stride, key);
        const __m256 low = apply(of, y, g, 0), high = apply(of, y, g, 1);
        const __m256i words = rounded(low, high, key ? u + row % PAIR * LANES : NULL, limit);
        const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128((__m128i *)q, bytes);
    }
}

void BNN_NAME(stream_affine_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a,
                                 const float *b, const float *c0, const int16_t *g, size_t g_stride, int8_t *q,
                                 size_t q_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    const size_t whole = columns - columns % LANES;
    struct affine of = {.most = _mm256_setzero_ps()};
    EACH_BLOCK(LANES) {
        const int32_t *y_at = y + row0 * stride + c;
        const int16_t *g_at = g + row0 * g_stride + c;
        int8_t *q_at = q + row0 * q_stride + c;
        const uint32_t first = index + (uint32_t)(row0 * q_stride + c);
        affine_of(&of, a + c, b + c, c0 + c);
        if (key) affine_block(&of, y_at, end - row0, stride, g_at, g_stride, q_at, q_stride, limit, key, first);
        else affine_block(&of, y_at, end - row0, stride, g_at, g_stride, q_at, q_stride, limit, 0, first);
    }
    *largest = bnn_avx2_largest(of.most, *largest);
    if (whole < columns)
        bnn_stream_affine_i16_portable(y + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole, g + whole,
                                       g_stride, q + whole, q_stride, limit, key, index + (uint32_t)whole, largest);
}

/* 16 columns of up to RUN rows; `bits` starts at their word, in which they start at `shift`.  Returns the largest |g|, which
 * int16 holds, as g is never its least. */
INLINE __m256i gradient_block(const int32_t *y, size_t rows, size_t stride, float multiplier, const uint64_t *bits,
                              size_t stride_words, size_t shift, int add, int16_t *g, size_t g_stride, uint64_t key,
                              uint32_t index, __m256i most)
{
    const __m256i own = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, INT16_MIN);
    const __m256 factor = _mm256_set1_ps(multiplier);
    uint8_t u[PAIR * LANES];
    __m256i place = places(index, g_stride);
    for (size_t row = 0; row < rows; row++, y += stride, bits += stride_words, g += g_stride) {
        if (row % PAIR == 0) hash_pair(u, &place, g_stride, key);
        const __m256 low = _mm256_mul_ps(_mm256_cvtepi32_ps(load(y)), factor);
        const __m256 high = _mm256_mul_ps(_mm256_cvtepi32_ps(load(y + HALF)), factor);
        const __m256i change = rounded(low, high, key ? u + row % PAIR * LANES : NULL, BNN_STREAM_LIMIT);
        const __m256i bit = _mm256_and_si256(_mm256_set1_epi16((int16_t)(*bits >> shift)), own);
        __m256i sum = _mm256_and_si256(change, _mm256_cmpeq_epi16(bit, own));
        if (add) sum = add_limited(load(g), sum);
        most = _mm256_max_epi16(most, _mm256_abs_epi16(sum));
        _mm256_storeu_si256((__m256i *)g, sum);
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
    const size_t whole = columns - columns % LANES;
    __m256i most = _mm256_setzero_si256();
    EACH_BLOCK(LANES) {
        const int32_t *y_at = y + row0 * stride + c;
        const uint64_t *bits_at = bits + row0 * stride_words + c / BNN_WORD_BITS;
        int16_t *g_at = g + row0 * g_stride + c;
        const uint32_t first = index + (uint32_t)(row0 * g_stride + c);
        if (key)
            most = gradient_block(y_at, end - row0, stride, multiplier, bits_at, stride_words, c % BNN_WORD_BITS, add, g_at,
                                  g_stride, key, first, most);
        else
            most = gradient_block(y_at, end - row0, stride, multiplier, bits_at, stride_words, c % BNN_WORD_BITS, add, g_at,
                                  g_stride, 0, first, most);
    }
    *largest = gradient_from(whole, y, rows, columns, stride, multiplier, bits, stride_words, add, g, g_stride, key, index,
                             largest_word(most, *largest));
}
#endif
