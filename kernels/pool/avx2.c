/* avx2.c: pooling by masks of whole lanes, eight columns of int32 or float32, or 32 of int8, at a time.
 *
 *   per window and 8 columns    4 vpxor with a load, 3 vpcmpgtd, 3 vpmaxsd, 3 vmovmskps
 *   per row and 32 columns      pool_spread_i8: vpbroadcastd, vpshufb, vpand, vpcmpeqb give each byte its bit; vpand, a store
 *   per row and 8 columns       pool_spread_f32: vpbroadcastd, vpand, vpcmpeqd; vpand, a store
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx2
#define BNN_HAVE_pool_max_i32
#define BNN_HAVE_pool_spread_i8
#define BNN_HAVE_pool_spread_f32
#include "loops.h"

enum { LANES = 8, BYTES = 32 };

/* Up to eight values; lanes past `count` are 0 and are not read. */
static inline __m256i load_part(const void *from, size_t count)
{
    if (count >= LANES) return _mm256_loadu_si256(from);
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    return _mm256_maskload_epi32(from, _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)count), lane));
}

static inline void store_part(void *to, __m256i values, size_t count)
{
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    if (count >= LANES) _mm256_storeu_si256(to, values);
    else _mm256_maskstore_epi32(to, _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)count), lane), values);
}

static inline uint64_t bits_of(__m256i mask_i32x8) { return (uint64_t)_mm256_movemask_ps(_mm256_castsi256_ps(mask_i32x8)); }

void BNN_NAME(pool_max_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride, const uint8_t *flip,
                            int32_t *out, size_t out_stride, uint64_t *argmax, size_t argmax_stride)
{
    int32_t turn[BNN_TILE] = {0};
    for (size_t c = 0; c < columns; c++) turn[c] = flip[c] ? -1 : 0;
    for (size_t row = 0; row < rows; row++, y += BNN_POOL_ROWS * stride, out += out_stride) {
        uint64_t later[BNN_POOL_ROWS] = {0};
        for (size_t c = 0; c < columns; c += LANES) {
            const __m256i turn_i32x8 = load_part(turn + c, LANES);
            __m256i best = _mm256_xor_si256(load_part(y + c, columns - c), turn_i32x8);
            for (size_t j = 1; j < BNN_POOL_ROWS; j++) {
                const __m256i value = _mm256_xor_si256(load_part(y + j * stride + c, columns - c), turn_i32x8);
                later[j] |= bits_of(_mm256_cmpgt_epi32(value, best)) << c;
                best = _mm256_max_epi32(best, value);
            }
            store_part(out + c, _mm256_xor_si256(best, turn_i32x8), columns - c);
        }
        /* The last row that beat those before it is the first with the largest value. */
        const uint64_t two = later[2] & ~later[3], one = later[1] & ~(later[2] | later[3]);
        argmax[0] = bnn_low_bits(columns) & ~(later[1] | later[2] | later[3]);
        argmax[argmax_stride] = one;
        argmax[2 * argmax_stride] = two;
        argmax[3 * argmax_stride] = later[3];
        argmax += BNN_POOL_ROWS * argmax_stride;
    }
}

/* The bytes of values whose bit is set. */
static inline __m256i kept_bytes(__m256i values, uint32_t bits)
{
    const __m256i byte = _mm256_set_epi8(3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2,
                                         1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i bit = _mm256_set1_epi64x(INT64_C(0x8040201008040201) /* byte i: 1 << i */);
    const __m256i own = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), byte), bit);
    return _mm256_and_si256(values, _mm256_cmpeq_epi8(own, bit));
}

void BNN_NAME(pool_spread_i8)(const int8_t *values, size_t rows, size_t columns, size_t stride, const uint64_t *argmax,
                              size_t argmax_stride, int8_t *out, size_t out_stride)
{
    int8_t whole[BNN_TILE] = {0};
    for (size_t row = 0; row < rows; row++, values += stride) {
        const int8_t *from = values;
        if (columns < BNN_TILE) from = memcpy(whole, values, columns);
        const __m256i first = _mm256_loadu_si256((const __m256i *)from);
        const __m256i second = _mm256_loadu_si256((const __m256i *)(from + BYTES));
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, argmax += argmax_stride, out += out_stride) {
            int8_t part[BNN_TILE];
            int8_t *to = columns < BNN_TILE ? part : out;
            _mm256_storeu_si256((__m256i *)to, kept_bytes(first, (uint32_t)*argmax));
            _mm256_storeu_si256((__m256i *)(to + BYTES), kept_bytes(second, (uint32_t)(*argmax >> BYTES)));
            if (columns < BNN_TILE) memcpy(out, part, columns);
        }
    }
}

void BNN_NAME(pool_spread_f32)(const float *values, size_t rows, size_t columns, size_t stride, const uint64_t *argmax,
                               size_t argmax_stride, float *out, size_t out_stride)
{
    const __m256i bit = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
    for (size_t row = 0; row < rows; row++, values += stride)
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, argmax += argmax_stride, out += out_stride)
            for (size_t c = 0; c < columns; c += LANES) {
                const __m256i own = _mm256_and_si256(_mm256_set1_epi32((int32_t)(*argmax >> c)), bit);
                const __m256i kept = _mm256_and_si256(load_part(values + c, columns - c), _mm256_cmpeq_epi32(own, bit));
                store_part(out + c, kept, columns - c);
            }
}
#endif
