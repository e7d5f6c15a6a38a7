/* avx2.c: signs to bits by vpmovmskb, and transposition by unpacking.  512-bit registers would gain nothing here.
 *
 *   instruction            bits    per cycle on Zen 4
 *   vpmovmskb ymm          32      1       pack_i8_u1: 2 per word; transpose_u1: 128 per 64 x 64 bits
 *   vpacksswb, vpermq      -       2       pack_i16_u1, pack_f16_u1: 2 of each per word
 *   vcmpps, vmovmskps      8       2, 1    pack_f32_u1: 8 of each per word
 *   vpunpck xmm            -       2       transpose_i8: 64 per 16 x 16 bytes; transpose_u1: 96 per 64 x 64 bits
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "pack.h"

static inline __m256i load(const void *from) { return _mm256_loadu_si256(from); }

static inline uint64_t join(uint32_t low, uint32_t high) { return (uint64_t)high << 32 | low; }

/* The signs of 64 values. */
static inline uint64_t word_i8(const int8_t *values)
{
    return join((uint32_t)_mm256_movemask_epi8(load(values)), (uint32_t)_mm256_movemask_epi8(load(values + 32)));
}

/* 32 int16 as bytes of the same sign. */
static inline uint32_t signs_of(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8));
}

static inline uint64_t word_i16(const int16_t *values)
{
    return join(signs_of(load(values), load(values + 16)), signs_of(load(values + 32), load(values + 48)));
}

/* All ones where 0x8000 < value <= 0xfc00 as unsigned numbers, or -0x8000 < value <= -0x400 as signed ones. */
static inline __m256i negative_f16(const uint16_t *values)
{
    const __m256i bits = load(values);
    return _mm256_and_si256(_mm256_cmpgt_epi16(bits, _mm256_set1_epi16(-0x8000)),
                            _mm256_cmpgt_epi16(_mm256_set1_epi16(-0x3ff), bits));
}

static inline uint64_t word_f16(const uint16_t *values)
{
    return join(signs_of(negative_f16(values), negative_f16(values + 16)),
                signs_of(negative_f16(values + 32), negative_f16(values + 48)));
}

static inline uint64_t word_f32(const float *values)
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) {
        const __m256 below = _mm256_cmp_ps(_mm256_loadu_ps(values + 8 * i), _mm256_setzero_ps(), _CMP_LT_OQ);
        word |= (uint64_t)(uint32_t)_mm256_movemask_ps(below) << 8 * i;
    }
    return word;
}

/* The last columns are packed from a copy that is padded with zeros.  Rows without gaps of which a word
 * holds several are packed together. */
#define PACK_ROWS(TYPE, WORD)                                                                         \
    const size_t whole = columns / BNN_WORD_BITS, some = columns % BNN_WORD_BITS;                     \
    const size_t together = columns && stride == columns && BNN_WORD_BITS % columns == 0 ? BNN_WORD_BITS / columns : 1; \
    for (; together > 1 && rows >= together; rows -= together) {                                      \
        const uint64_t word = WORD(values);                                                           \
        for (size_t i = 0; i < together; i++, bits += stride_words)                                   \
            *bits = word >> i * columns & bnn_low_bits(columns);                                      \
        values += BNN_WORD_BITS;                                                                      \
    }                                                                                                 \
    for (size_t row = 0; row < rows; row++, values += stride, bits += stride_words) {                 \
        for (size_t word = 0; word < whole; word++) bits[word] = WORD(values + word * BNN_WORD_BITS); \
        if (some) {                                                                                   \
            TYPE last[BNN_WORD_BITS] = {0};                                                           \
            memcpy(last, values + whole * BNN_WORD_BITS, some * sizeof *last);                        \
            bits[whole] = WORD(last);                                                                 \
        }                                                                                             \
    }

void bnn_pack_i8_u1_avx2(const int8_t *values, size_t rows, size_t columns, size_t stride,
                         uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(int8_t, word_i8)
}

void bnn_pack_i16_u1_avx2(const int16_t *values, size_t rows, size_t columns, size_t stride,
                          uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(int16_t, word_i16)
}

void bnn_pack_f16_u1_avx2(const uint16_t *values, size_t rows, size_t columns, size_t stride,
                          uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(uint16_t, word_f16)
}

void bnn_pack_f32_u1_avx2(const float *values, size_t rows, size_t columns, size_t stride,
                          uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(float, word_f32)
}

/* plane[8*byte + group] = the eight bytes `byte` of rows 8*group ... 8*group + 7. */
static inline void split_bytes(const uint64_t *rows, size_t group, uint64_t *plane)
{
    __m128i row[8], pair[4], quad[4];
    for (int i = 0; i < 8; i++) row[i] = _mm_loadl_epi64((const __m128i *)(rows + i));
    for (int i = 0; i < 4; i++) pair[i] = _mm_unpacklo_epi8(row[2 * i], row[2 * i + 1]);
    for (int i = 0; i < 2; i++) {
        quad[2 * i] = _mm_unpacklo_epi16(pair[2 * i], pair[2 * i + 1]);
        quad[2 * i + 1] = _mm_unpackhi_epi16(pair[2 * i], pair[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        const __m128i low = _mm_unpacklo_epi32(quad[i], quad[2 + i]), high = _mm_unpackhi_epi32(quad[i], quad[2 + i]);
        plane[8 * (4 * i) + group] = (uint64_t)_mm_cvtsi128_si64(low);
        plane[8 * (4 * i + 1) + group] = (uint64_t)_mm_extract_epi64(low, 1);
        plane[8 * (4 * i + 2) + group] = (uint64_t)_mm_cvtsi128_si64(high);
        plane[8 * (4 * i + 3) + group] = (uint64_t)_mm_extract_epi64(high, 1);
    }
}

void bnn_transpose_u1_avx2(const uint64_t *bits, size_t rows, size_t columns, size_t stride_words,
                           uint64_t *out, size_t out_stride_words)
{
    for (size_t first = 0; first < rows; first += BNN_WORD_BITS)
        for (size_t word = 0; word < bnn_words(columns); word++) {
            const size_t row_count = bnn_min(BNN_WORD_BITS, rows - first);
            const size_t column_count = bnn_min(BNN_WORD_BITS, columns - word * BNN_WORD_BITS);
            uint64_t block[BNN_WORD_BITS], plane[BNN_WORD_BITS];
            for (size_t i = 0; i < row_count; i++) block[i] = bits[(first + i) * stride_words + word];
            for (size_t i = row_count; i < BNN_WORD_BITS; i++) block[i] = 0;
            for (size_t group = 0; group < 8; group++) split_bytes(block + 8 * group, group, plane);
            uint64_t *to = out + word * BNN_WORD_BITS * out_stride_words + first / BNN_WORD_BITS;
            for (size_t byte = 0; 8 * byte < column_count; byte++) {
                __m256i low = load(plane + 8 * byte), high = load(plane + 8 * byte + 4);
                /* The sign bits are column 8*byte + 7; doubling brings up the one before. */
                for (size_t column = 8 * byte + 8; column-- > 8 * byte;) {
                    const uint32_t low_bits = (uint32_t)_mm256_movemask_epi8(low);
                    if (column < column_count)
                        to[column * out_stride_words] = join(low_bits, (uint32_t)_mm256_movemask_epi8(high));
                    low = _mm256_add_epi8(low, low), high = _mm256_add_epi8(high, high);
                }
            }
        }
}

/* 16 x 16 bytes: four rounds of interleaving rows i and i + 8 turn the row index into the column index. */
static inline void transpose_16x16(const int8_t *from, size_t stride, int8_t *to, size_t to_stride)
{
    __m128i row[16], next[16];
    for (int i = 0; i < 16; i++) row[i] = _mm_loadu_si128((const __m128i *)(from + i * stride));
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            next[2 * i] = _mm_unpacklo_epi8(row[i], row[i + 8]);
            next[2 * i + 1] = _mm_unpackhi_epi8(row[i], row[i + 8]);
        }
        memcpy(row, next, sizeof row);
    }
    for (int i = 0; i < 16; i++) _mm_storeu_si128((__m128i *)(to + i * to_stride), row[i]);
}

void bnn_transpose_i8_avx2(const int8_t *values, size_t rows, size_t columns, size_t stride,
                           int8_t *out, size_t out_stride)
{
    if (rows < 16 || columns < 16) {
        for (size_t column = 0; column < columns; column++)
            for (size_t row = 0; row < rows; row++) out[column * out_stride + row] = values[row * stride + column];
        return;
    }
    /* The last blocks overlap the ones before them: what is written twice is the same. */
    for (size_t row = 0; row < rows; row += 16)
        for (size_t column = 0; column < columns; column += 16) {
            const size_t row0 = bnn_min(row, rows - 16), column0 = bnn_min(column, columns - 16);
            transpose_16x16(values + row0 * stride + column0, stride, out + column0 * out_stride + row0, out_stride);
        }
}
#endif
