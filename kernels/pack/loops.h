/* loops.h: the packing loops, compiled once per instruction set (BNN_NAME appends the set's name). */
#include "pack.h"

/* Eight 0/1 bytes become eight bits by one multiplication: byte i moves to bit 56 + i, all other products stay below. */
static inline uint64_t gather_bits(const uint8_t *flags)
{
    uint64_t bytes;
    memcpy(&bytes, flags, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    return (bytes * UINT64_C(0x0102040810204080)) >> 56;
}

static inline uint64_t gather_word(const uint8_t *flags)
{
    uint64_t word = 0;
    for (size_t i = 0; i < 8; i++) word |= gather_bits(flags + 8 * i) << (8 * i);
    return word;
}

#define PACK_ROWS(NEGATIVE)                                                              \
    for (size_t row = 0; row < rows; row++) {                                            \
        for (size_t word = 0; word < bnn_words(columns); word++) {                       \
            size_t first = word * BNN_WORD_BITS;                                         \
            size_t count = bnn_min(BNN_WORD_BITS, columns - first);                      \
            uint8_t flags[BNN_WORD_BITS] = {0};                                          \
            for (size_t i = 0; i < count; i++) {                                         \
                size_t at = row * stride + first + i;                                    \
                flags[i] = (NEGATIVE);                                                   \
            }                                                                            \
            bits[row * stride_words + word] = gather_word(flags);                        \
        }                                                                                \
    }

void BNN_NAME(pack_i8_u1)(const int8_t *values, size_t rows, size_t columns, size_t stride,
                          uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(values[at] < 0)
}

void BNN_NAME(pack_i16_u1)(const int16_t *values, size_t rows, size_t columns, size_t stride,
                           uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(values[at] < 0)
}

void BNN_NAME(pack_f16_u1)(const uint16_t *values, size_t rows, size_t columns, size_t stride,
                           uint64_t *bits, size_t stride_words)
{
    /* Negative, not -0 (0x8000), not NaN (above 0xfc00, -infinity). */
    PACK_ROWS(values[at] > 0x8000u && values[at] <= 0xfc00u)
}

void BNN_NAME(pack_f32_u1)(const float *values, size_t rows, size_t columns, size_t stride,
                           uint64_t *bits, size_t stride_words)
{
    PACK_ROWS(values[at] < 0.0f)
}
#undef PACK_ROWS

/* Transposes a 64x64 block in place: swaps ever smaller off-diagonal squares (Hacker's Delight, section 7-3). */
static inline void transpose_block(uint64_t block[BNN_WORD_BITS])
{
    uint64_t mask = UINT64_C(0x00000000ffffffff);
    for (size_t half = 32; half != 0; half >>= 1, mask ^= mask << half) {
        for (size_t base = 0; base < BNN_WORD_BITS; base += 2 * half) {
            for (size_t row = base; row < base + half; row++) {
                uint64_t swap = ((block[row] >> half) ^ block[row + half]) & mask;
                block[row] ^= swap << half;
                block[row + half] ^= swap;
            }
        }
    }
}

void BNN_NAME(transpose_u1)(const uint64_t *bits, size_t rows, size_t columns, size_t stride_words,
                            uint64_t *out, size_t out_stride_words)
{
    for (size_t row_word = 0; row_word < bnn_words(rows); row_word++) {
        size_t row_count = bnn_min(BNN_WORD_BITS, rows - row_word * BNN_WORD_BITS);
        for (size_t word = 0; word < bnn_words(columns); word++) {
            uint64_t block[BNN_WORD_BITS] = {0};
            for (size_t i = 0; i < row_count; i++)
                block[i] = bits[(row_word * BNN_WORD_BITS + i) * stride_words + word];
            transpose_block(block);
            size_t column_count = bnn_min(BNN_WORD_BITS, columns - word * BNN_WORD_BITS);
            for (size_t i = 0; i < column_count; i++)
                out[(word * BNN_WORD_BITS + i) * out_stride_words + row_word] = block[i];
        }
    }
}

void BNN_NAME(transpose_i8)(const int8_t *values, size_t rows, size_t columns, size_t stride,
                            int8_t *out, size_t out_stride)
{
    /* 16x16 blocks keep both the reads and the writes of a block inside sixteen cache lines. */
    for (size_t row0 = 0; row0 < rows; row0 += 16)
        for (size_t column0 = 0; column0 < columns; column0 += 16) {
            size_t row_end = bnn_min(rows, row0 + 16), column_end = bnn_min(columns, column0 + 16);
            for (size_t column = column0; column < column_end; column++)
                for (size_t row = row0; row < row_end; row++)
                    out[column * out_stride + row] = values[row * stride + column];
        }
}
