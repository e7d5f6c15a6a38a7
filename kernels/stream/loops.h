/* loops.h: the loops of a residual network's stream, compiled once per instruction set (BNN_NAME appends the set's name).
 * Where a set defines BNN_HAVE_<op>, it has its own version of that op. */
#include <math.h>

#include "../common/number.h"
#include "../common/rng.h"
#include "stream.h"

static inline int16_t limited(int32_t value)
{
    value = value > INT16_MAX ? INT16_MAX : value;
    return (int16_t)(value < -INT16_MAX ? -INT16_MAX : value);
}

#ifndef BNN_HAVE_stream_add_i16
void BNN_NAME(stream_add_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *scale,
                              const float *shift, int add, int16_t *r, size_t r_stride)
{
    for (size_t row = 0; row < rows; row++, y += stride, r += r_stride)
        for (size_t c = 0; c < columns; c++) {
            const float z = (float)y[c] * scale[c] + shift[c];
            const float whole = bnn_round(bnn_clip(z * (float)BNN_STREAM_ONE, (float)BNN_STREAM_LIMIT));
            r[c] = limited((int32_t)whole + (add ? r[c] : 0));
        }
}
#endif

/* Bits of the first `count` columns of a row, at most a word; as flags first, so that compilers vectorise the comparisons. */
static inline uint64_t within_word(const int16_t *r, size_t count)
{
    uint8_t flags[BNN_WORD_BITS];
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) flags[i] = (uint8_t)(r[i] <= BNN_STREAM_ONE) & (uint8_t)(r[i] >= -BNN_STREAM_ONE);
    for (size_t i = 0; i < count; i++) word |= (uint64_t)flags[i] << i;
    return word;
}

#ifndef BNN_HAVE_stream_within_i16_u1
void BNN_NAME(stream_within_i16_u1)(const int16_t *r, size_t rows, size_t columns, size_t stride, uint64_t *bits,
                                    size_t stride_words)
{
    for (size_t row = 0; row < rows; row++, r += stride, bits += stride_words)
        for (size_t c = 0; c < columns; c += BNN_WORD_BITS)
            bits[c / BNN_WORD_BITS] = within_word(r + c, bnn_min(BNN_WORD_BITS, columns - c));
}
#endif

#ifndef BNN_HAVE_stream_sums_i16
void BNN_NAME(stream_sums_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const int16_t *g,
                               size_t g_stride, int64_t *sum_g, int64_t *sum_gy)
{
    for (size_t row = 0; row < rows; row++, y += stride, g += g_stride)
        for (size_t c = 0; c < columns; c++) {
            sum_g[c] += g[c];
            sum_gy[c] += (int64_t)g[c] * y[c];
        }
}
#endif

/* v of a run of at most BNN_TILE columns; each column has a maximum of its own, so that compilers vectorise it. */
static inline void affine_run(const int32_t *BNN_RESTRICT y, const float *BNN_RESTRICT a, const float *BNN_RESTRICT b,
                              const float *BNN_RESTRICT c0, const int16_t *BNN_RESTRICT g, size_t count,
                              float *BNN_RESTRICT v, float *BNN_RESTRICT most)
{
    for (size_t c = 0; c < count; c++) {
        v[c] = a[c] * (float)g[c] + (b[c] * (float)y[c] + c0[c]);
        const float size = fabsf(v[c]);
        most[c] = size > most[c] ? size : most[c];
    }
}

#ifndef BNN_HAVE_stream_measure_i16
void BNN_NAME(stream_measure_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a,
                                  const float *b, const float *c0, const int16_t *g, size_t g_stride, float *largest)
{
    float most[BNN_TILE] = {0}, v[BNN_TILE];
    for (size_t row = 0; row < rows; row++, y += stride, g += g_stride)
        for (size_t c = 0; c < columns; c += BNN_TILE)
            affine_run(y + c, a + c, b + c, c0 + c, g + c, bnn_min(BNN_TILE, columns - c), v, most);
    *largest = bnn_largest_of(most, *largest);
}
#endif

#ifndef BNN_HAVE_stream_affine_i16
void BNN_NAME(stream_affine_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a,
                                 const float *b, const float *c0, const int16_t *g, size_t g_stride, int8_t *q,
                                 size_t q_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    uint8_t u[BNN_TILE];
    float most[BNN_TILE] = {0}, v[BNN_TILE];
    for (size_t row = 0; row < rows; row++, y += stride, g += g_stride, q += q_stride, index += (uint32_t)q_stride)
        for (size_t base = 0; base < columns; base += BNN_TILE) {
            const size_t count = bnn_min(BNN_TILE, columns - base);
            affine_run(y + base, a + base, b + base, c0 + base, g + base, count, v, most);
            if (key) bnn_hash_bytes(u, count, index + (uint32_t)base, key);
            for (size_t c = 0; c < count; c++) {
                const float clipped = bnn_clip(v[c], (float)limit);
                q[base + c] = (int8_t)(key ? bnn_dithered(clipped, u[c]) : (int32_t)bnn_round(clipped));
            }
        }
    *largest = bnn_largest_of(most, *largest);
}
#endif

/* Columns from `first` on, a multiple of 4. */
static inline int32_t gradient_from(size_t first, const int32_t *y, size_t rows, size_t columns, size_t stride,
                                    float multiplier, const uint64_t *bits, size_t stride_words, int add, int16_t *g,
                                    size_t g_stride, uint64_t key, uint32_t index, int32_t most)
{
    uint8_t u[BNN_TILE];
    for (size_t row = 0; row < rows; row++, y += stride, g += g_stride, bits += stride_words, index += (uint32_t)g_stride)
        for (size_t base = first, end; base < columns; base = end) {
            end = bnn_min(columns, bnn_round_up(base + 1, BNN_WORD_BITS));
            const uint64_t word = bits[base / BNN_WORD_BITS] >> base % BNN_WORD_BITS;
            if (key) bnn_hash_bytes(u, end - base, index + (uint32_t)base, key);
            for (size_t c = base; c < end; c++) {
                const float v = bnn_clip((float)y[c] * multiplier, (float)BNN_STREAM_LIMIT);
                const int32_t whole = key ? bnn_dithered(v, u[c - base]) : (int32_t)bnn_round(v);
                const int32_t passed = word >> (c - base) & 1 ? whole : 0;
                const int16_t sum = limited(passed + (add ? g[c] : 0));
                const int32_t size = sum < 0 ? -sum : sum;
                g[c] = sum;
                most = size > most ? size : most;
            }
        }
    return most;
}

#ifndef BNN_HAVE_stream_gradient_i16
void BNN_NAME(stream_gradient_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, float multiplier,
                                   const uint64_t *bits, size_t stride_words, int add, int16_t *g, size_t g_stride,
                                   uint64_t key, uint32_t index, int32_t *largest)
{
    *largest = gradient_from(0, y, rows, columns, stride, multiplier, bits, stride_words, add, g, g_stride, key, index,
                             *largest);
}
#endif
