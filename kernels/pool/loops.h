/* loops.h: the pooling loops, compiled once per instruction set (BNN_NAME appends the set's name). */
#include "pool.h"

#ifndef BNN_HAVE_pool_max_i32
/* Eight bytes of 0 or 1 become eight bits, see pack/loops.h. */
static inline uint64_t gather_word(const uint8_t *flags)
{
    uint64_t word = 0;
    for (size_t i = 0; i < BNN_WORD_BITS; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, flags + i, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        bytes = __builtin_bswap64(bytes);
#endif
        word |= (bytes * UINT64_C(0x0102040810204080)) >> 56 << i;
    }
    return word;
}

/* Values are compared as y ^ flip_mask: complement turns the order round, and keeps equals equal. */
void BNN_NAME(pool_max_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride, const uint8_t *flip,
                            int32_t *out, size_t out_stride, uint64_t *argmax, size_t argmax_stride)
{
    int32_t turn[BNN_TILE];
    for (size_t c = 0; c < columns; c++) turn[c] = flip[c] ? -1 : 0;
    for (size_t row = 0; row < rows; row++, y += BNN_POOL_ROWS * stride, out += out_stride) {
        int32_t best[BNN_TILE];
        uint8_t place[BNN_TILE] = {0}, flags[BNN_TILE];
        for (size_t c = 0; c < columns; c++) best[c] = y[c] ^ turn[c];
        for (size_t j = 1; j < BNN_POOL_ROWS; j++)
            for (size_t c = 0; c < columns; c++) {
                const int32_t value = y[j * stride + c] ^ turn[c];
                place[c] = value > best[c] ? (uint8_t)j : place[c];
                best[c] = value > best[c] ? value : best[c];
            }
        for (size_t c = 0; c < columns; c++) out[c] = best[c] ^ turn[c];
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, argmax += argmax_stride) {
            for (size_t c = 0; c < BNN_TILE; c++) flags[c] = c < columns && place[c] == j;
            *argmax = gather_word(flags);
        }
    }
}
#endif

#ifndef BNN_HAVE_pool_spread_i8
void BNN_NAME(pool_spread_i8)(const int8_t *values, size_t rows, size_t columns, size_t stride, const uint64_t *argmax,
                              size_t argmax_stride, int8_t *out, size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, values += stride)
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, argmax += argmax_stride, out += out_stride)
            for (size_t c = 0; c < columns; c++)
                out[c] = (int8_t)(values[c] & -(int8_t)(*argmax >> c & 1));
}
#endif

#ifndef BNN_HAVE_pool_spread_f32
void BNN_NAME(pool_spread_f32)(const float *values, size_t rows, size_t columns, size_t stride, const uint64_t *argmax,
                               size_t argmax_stride, float *out, size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, values += stride)
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, argmax += argmax_stride, out += out_stride)
            for (size_t c = 0; c < columns; c++) out[c] = *argmax >> c & 1 ? values[c] : 0.0f;
}
#endif

void BNN_NAME(pool_sum_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride, int32_t *out, size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, y += BNN_POOL_ROWS * stride, out += out_stride)
        for (size_t c = 0; c < columns; c++) out[c] = (y[c] + y[stride + c]) + (y[2 * stride + c] + y[3 * stride + c]);
}

void BNN_NAME(narrow_i32_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, int16_t *out,
                              size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, y += stride, out += out_stride)
        for (size_t c = 0; c < columns; c++) out[c] = (int16_t)y[c];
}

void BNN_NAME(widen_i16_i32)(const int16_t *y, size_t rows, size_t columns, size_t stride, int32_t *out,
                             size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, y += stride, out += out_stride)
        for (size_t c = 0; c < columns; c++) out[c] = y[c];
}
