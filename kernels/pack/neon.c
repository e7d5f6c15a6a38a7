/* neon.c: signs to bits, by adding up the bits that bytes have of their own, and transposition by interleaving.
 *
 *   per word of 64 bits     instructions                                                  cycles on A53
 *   any pack_*              4 ldr q or more; 4 sshr, 4 and, 4 addp (i8: 3.5)              20
 *   pack_i16, pack_f16      4 more loads; 4 uzp2 (f16: 16 to compare)                     32, 48
 *   pack_f32                12 more loads; 16 fcmlt, 8 uzp1, 4 uzp2                       72
 *   transpose_u1            per 64 x 64 bits: 8 transpositions of eight words at 90, and 96 zip     900
 *   transpose_i8            per 16 x 16 bytes: 64 zip, 16 ldr q, 16 str q                 112
 */
#if defined(__aarch64__)
#include "../common/neon.h"
#include "pack.h"

enum { WORDS = 4 };

/* The signs of 64 bytes: each leaves its own bit, and neighbours add up to two bits a byte, 32 bytes to a vector. */
static BNN_INLINE void pairs_of(uint8x16_t pairs[2], const int8x16_t value[4])
{
    static const uint8_t bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t own[4];
    BNN_UNROLL for (int i = 0; i < 4; i++) own[i] = vreinterpretq_u8_s8(vshrq_n_s8(value[i], 7));
    BNN_UNROLL for (int i = 0; i < 4; i++) own[i] = vandq_u8(own[i], vld1q_u8(bits));
    pairs[0] = vpaddq_u8(own[0], own[1]), pairs[1] = vpaddq_u8(own[2], own[3]);
}

static inline uint64_t gather(const int8x16_t value[4])
{
    uint8x16_t pairs[2];
    pairs_of(pairs, value);
    const uint8x16_t all = vpaddq_u8(pairs[0], pairs[1]);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

/* The high bytes of 16 words. */
static inline int8x16_t high_bytes(int16x8_t low, int16x8_t high)
{
    return vuzp2q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high));
}

static inline uint64_t word_i8(const int8_t *values)
{
    const int8x16_t value[4] = {vld1q_s8(values), vld1q_s8(values + 16), vld1q_s8(values + 32), vld1q_s8(values + 48)};
    return gather(value);
}

static inline uint64_t word_i16(const int16_t *values)
{
    int8x16_t value[4];
    for (int i = 0; i < 4; i++) value[i] = high_bytes(vld1q_s16(values + 16 * i), vld1q_s16(values + 16 * i + 8));
    return gather(value);
}

/* All ones where 0x8000 < value <= 0xfc00 as unsigned numbers. */
static inline int16x8_t negative_f16(const uint16_t *values)
{
    const uint16x8_t bits = vld1q_u16(values);
    const uint16x8_t below = vandq_u16(vcgtq_u16(bits, vdupq_n_u16(0x8000)), vcleq_u16(bits, vdupq_n_u16(0xfc00)));
    return vreinterpretq_s16_u16(below);
}

static inline uint64_t word_f16(const uint16_t *values)
{
    int8x16_t value[4];
    for (int i = 0; i < 4; i++) value[i] = high_bytes(negative_f16(values + 16 * i), negative_f16(values + 16 * i + 8));
    return gather(value);
}

/* All ones where eight values are below 0: never for -0 and NaN. */
static inline int16x8_t negative_f32(const float *values)
{
    const uint32x4_t low = vcltzq_f32(vld1q_f32(values)), high = vcltzq_f32(vld1q_f32(values + 4));
    return vreinterpretq_s16_u16(vuzp1q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high)));
}

static inline uint64_t word_f32(const float *values)
{
    int8x16_t value[4];
    for (int i = 0; i < 4; i++) value[i] = high_bytes(negative_f32(values + 16 * i), negative_f32(values + 16 * i + 8));
    return gather(value);
}

/* The last columns are packed from a copy that is padded with zeros. */
#define PACK_ROWS(TYPE, WORD)                                                                         \
    const size_t whole = columns / BNN_WORD_BITS, some = columns % BNN_WORD_BITS;                     \
    for (size_t row = 0; row < rows; row++, values += stride, bits += stride_words) {                 \
        for (size_t word = 0; word < whole; word++) bits[word] = WORD(values + word * BNN_WORD_BITS); \
        if (some) {                                                                                   \
            TYPE last[BNN_WORD_BITS] = {0};                                                           \
            memcpy(last, values + whole * BNN_WORD_BITS, some * sizeof *last);                        \
            bits[whole] = WORD(last);                                                                 \
        }                                                                                             \
    }

/* Words side by side: what one waits for, on cores that start instructions in order, the others hide. */
static BNN_INLINE void words_i8(const int8_t *values, uint64_t *words)
{
    int8x16_t value[4 * WORDS];
    uint8x16_t pairs[2 * WORDS];
    BNN_UNROLL for (int i = 0; i < 4 * WORDS; i++) value[i] = vld1q_s8(values + 16 * i);
    BNN_UNROLL for (int i = 0; i < WORDS; i++) pairs_of(pairs + 2 * i, value + 4 * i);
    BNN_UNROLL for (int i = 0; i < WORDS; i++) pairs[i] = vpaddq_u8(pairs[2 * i], pairs[2 * i + 1]);
    BNN_UNROLL for (int i = 0; i < WORDS; i += 2)
        vst1q_u64(words + i, vreinterpretq_u64_u8(vpaddq_u8(pairs[i], pairs[i + 1])));
}

void bnn_pack_i8_u1_neon(const int8_t *values, size_t rows, size_t columns, size_t stride,
                         uint64_t *bits, size_t stride_words)
{
    const size_t most = columns - columns % (WORDS * BNN_WORD_BITS), done = most / BNN_WORD_BITS;
    for (size_t row = 0; row < rows; row++)
        for (size_t word = 0; word < done; word += WORDS)
            words_i8(values + row * stride + word * BNN_WORD_BITS, bits + row * stride_words + word);
    values += most, columns -= most, bits += done;
    PACK_ROWS(int8_t, word_i8)
}

void bnn_pack_i16_u1_neon(const int16_t *values, size_t rows, size_t columns, size_t stride,
                          uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(int16_t, word_i16)
}

void bnn_pack_f16_u1_neon(const uint16_t *values, size_t rows, size_t columns, size_t stride,
                          uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(uint16_t, word_f16)
}

void bnn_pack_f32_u1_neon(const float *values, size_t rows, size_t columns, size_t stride,
                          uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(float, word_f32)
}

/* Vectors of bytes 16v ... 16v + 15 of eight planes to the 16 words of eight such bytes. */
static inline void join_planes(const uint8_t *planes, uint64_t *words)
{
    uint8x16_t plane[8], next[8];
    for (int i = 0; i < 8; i++) plane[i] = vld1q_u8(planes + i * BNN_WORD_BITS);
    /* Three rounds of interleaving planes i and i + 4. */
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            next[2 * i] = vzip1q_u8(plane[i], plane[i + 4]);
            next[2 * i + 1] = vzip2q_u8(plane[i], plane[i + 4]);
        }
        for (int i = 0; i < 8; i++) plane[i] = next[i];
    }
    for (int i = 0; i < 8; i++) vst1q_u64(words + 2 * i, vreinterpretq_u64_u8(plane[i]));
}

void bnn_transpose_u1_neon(const uint64_t *bits, size_t rows, size_t columns, size_t stride_words,
                           uint64_t *out, size_t out_stride_words)
{
    for (size_t first = 0; first < rows; first += BNN_WORD_BITS)
        for (size_t word = 0; word < bnn_words(columns); word++) {
            const size_t column_count = bnn_min(BNN_WORD_BITS, columns - word * BNN_WORD_BITS);
            uint8_t planes[8 * BNN_WORD_BITS]; /* [8 rows each][column]: the bits of eight rows */
            uint64_t words[BNN_WORD_BITS];
            for (size_t i = 0; i < 8; i++) {
                const size_t row = first + 8 * i, count = row < rows ? rows - row : 0;
                uint8x16_t plane[4];
                const uint64_t *from = bits + (count ? row : first) * stride_words + word;
                bnn_neon_transpose_words(from, stride_words, count, plane);
                for (size_t v = 0; v < 4; v++) vst1q_u8(planes + i * BNN_WORD_BITS + 16 * v, plane[v]);
            }
            for (size_t j = 0; j < column_count; j += 16) join_planes(planes + j, words + j);
            uint64_t *to = out + word * BNN_WORD_BITS * out_stride_words + first / BNN_WORD_BITS;
            for (size_t j = 0; j < column_count; j++) to[j * out_stride_words] = words[j];
        }
}

static inline void transpose_16x16(const int8_t *from, size_t stride, int8_t *to, size_t to_stride)
{
    int8x16_t row[16];
    for (int i = 0; i < 16; i++) row[i] = vld1q_s8(from + i * stride);
    bnn_neon_transpose_bytes(row);
    for (int i = 0; i < 16; i++) vst1q_s8(to + i * to_stride, row[i]);
}

void bnn_transpose_i8_neon(const int8_t *values, size_t rows, size_t columns, size_t stride,
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
