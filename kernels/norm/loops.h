/* loops.h: batch normalisation's loops, compiled once per instruction set (BNN_NAME appends the set's name).
 * Where a set defines BNN_HAVE_<op>, it has its own version of that op. */
#include <math.h>

#include "../common/number.h"
#include "../common/rng.h"
#include "norm.h"

#ifndef BNN_HAVE_norm_sums_i32
void BNN_NAME(norm_sums_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             int64_t *sum, int64_t *sum_squares)
{
    for (size_t row = 0; row < rows; row++, y += stride)
        for (size_t c = 0; c < columns; c++) {
            sum[c] += y[c];
            sum_squares[c] += (int64_t)y[c] * y[c];
        }
}
#endif

void BNN_NAME(norm_deviation_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride, int64_t n,
                                  const int64_t *sum, int64_t *deviation)
{
    for (size_t row = 0; row < rows; row++, y += stride)
        for (size_t c = 0; c < columns; c++) {
            int64_t distance = n * y[c] - sum[c];
            deviation[c] += distance < 0 ? -distance : distance;
        }
}

void BNN_NAME(norm_magnitude_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                                  const float *scale, const float *shift, double *magnitude)
{
    for (size_t row = 0; row < rows; row++, y += stride)
        for (size_t c = 0; c < columns; c++) {
            float z = (float)y[c] * scale[c] + shift[c];
            magnitude[c] += bnn_absolute(z);
        }
}

/* Packs `TEST` of up to 64 columns a word; at: column, y: the row. */
#define PACK_TEST(TEST)                                                        \
    for (size_t row = 0; row < rows; row++, y += stride)                       \
        for (size_t first = 0; first < columns; first += BNN_WORD_BITS) {      \
            size_t count = bnn_min(BNN_WORD_BITS, columns - first);            \
            uint8_t flags[BNN_WORD_BITS] = {0};                                \
            for (size_t i = 0; i < count; i++) {                               \
                size_t at = first + i;                                         \
                flags[i] = (TEST);                                             \
            }                                                                  \
            uint64_t word = 0;                                                 \
            for (size_t i = 0; i < count; i++) word |= (uint64_t)flags[i] << i; \
            bits[row * stride_words + first / BNN_WORD_BITS] = word;           \
        }

#ifndef BNN_HAVE_binarise_i32_u1
void BNN_NAME(binarise_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                               const int32_t *threshold, const uint8_t *flip, uint64_t *bits, size_t stride_words)
{
    PACK_TEST((uint8_t)(y[at] < threshold[at]) ^ flip[at])
}
#endif

#ifndef BNN_HAVE_within_i32_u1
void BNN_NAME(within_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             const int32_t *low, const int32_t *high, uint64_t *bits, size_t stride_words)
{
    PACK_TEST((uint8_t)(y[at] >= low[at]) & (uint8_t)(y[at] <= high[at]))
}
#endif
#undef PACK_TEST

void BNN_NAME(normalise_i32_f32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                                 const float *scale, const float *shift, float *z, size_t z_stride)
{
    for (size_t row = 0; row < rows; row++, y += stride, z += z_stride)
        for (size_t c = 0; c < columns; c++) z[c] = (float)y[c] * scale[c] + shift[c];
}

#ifndef BNN_HAVE_norm_cancel_i8
void BNN_NAME(norm_cancel_i8)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                              const int32_t *low, const int32_t *high, int8_t *g, size_t g_stride,
                              int64_t *sum_g, int64_t *sum_gy)
{
    for (size_t row = 0; row < rows; row++, y += stride, g += g_stride)
        for (size_t c = 0; c < columns; c++) {
            int32_t inside = -((y[c] >= low[c]) & (y[c] <= high[c]));
            int32_t passed = g[c] & inside;
            g[c] = (int8_t)passed;
            sum_g[c] += passed;
            sum_gy[c] += (int64_t)(passed * y[c]);
        }
}
#endif

void BNN_NAME(sign_tile_i32)(int32_t *y, size_t rows, size_t columns, size_t stride,
                             const int32_t *threshold, const uint8_t *flip)
{
    for (size_t row = 0; row < rows; row++, y += stride)
        for (size_t c = 0; c < columns; c++) y[c] = 1 - 2 * ((y[c] < threshold[c]) ^ flip[c]);
}

/* Compilers do not reorder comparisons of floats.  So each column of a run of BNN_TILE has a maximum of its own, and
 * the rows are functions of pointers that do not overlap: then both vectorise.  A maximum knows no order. */
static inline void measure_row(const int32_t *BNN_RESTRICT t, const float *BNN_RESTRICT a, const float *BNN_RESTRICT b,
                               const float *BNN_RESTRICT c0, const int8_t *BNN_RESTRICT g, size_t count,
                               float *BNN_RESTRICT most)
{
    for (size_t c = 0; c < count; c++) {
        float size = fabsf(a[c] * (float)g[c] + (b[c] * (float)t[c] + c0[c]));
        most[c] = size > most[c] ? size : most[c];
    }
}

void BNN_NAME(norm_measure_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                               const float *a, const float *b, const float *c0,
                               const int8_t *g, size_t g_stride, float *largest)
{
    float most[BNN_TILE];
    for (size_t c = 0; c < BNN_TILE; c++) most[c] = *largest;
    for (size_t row = 0; row < rows; row++, t += stride, g += g_stride)
        for (size_t c = 0; c < columns; c += BNN_TILE)
            measure_row(t + c, a + c, b + c, c0 + c, g + c, bnn_min(BNN_TILE, columns - c), most);
    *largest = bnn_largest_of(most, *largest);
}

/* u: random bytes, or NULL to round half to even. */
static inline void affine_row(const int32_t *BNN_RESTRICT t, const float *BNN_RESTRICT a, const float *BNN_RESTRICT b,
                              const float *BNN_RESTRICT c0, int8_t *BNN_RESTRICT g, size_t count, float limit,
                              const uint8_t *BNN_RESTRICT u, float *BNN_RESTRICT most)
{
    for (size_t c = 0; c < count; c++) {
        float v = a[c] * (float)g[c] + (b[c] * (float)t[c] + c0[c]);
        float size = fabsf(v);
        most[c] = size > most[c] ? size : most[c];
        v = bnn_clip(v, limit);
        g[c] = u ? (int8_t)bnn_dithered(v, u[c]) : (int8_t)bnn_round(v);
    }
}

#ifndef BNN_HAVE_norm_affine_i8
void BNN_NAME(norm_affine_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                              const float *a, const float *b, const float *c0,
                              int8_t *g, size_t g_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    uint8_t u[BNN_TILE];
    float most[BNN_TILE];
    for (size_t c = 0; c < BNN_TILE; c++) most[c] = *largest;
    for (size_t row = 0; row < rows; row++, t += stride, g += g_stride, index += (uint32_t)g_stride)
        for (size_t c = 0; c < columns; c += BNN_TILE) {
            const size_t count = bnn_min(BNN_TILE, columns - c);
            if (key) bnn_hash_bytes(u, count, index + (uint32_t)c, key);
            if (key) affine_row(t + c, a + c, b + c, c0 + c, g + c, count, (float)limit, u, most);
            else affine_row(t + c, a + c, b + c, c0 + c, g + c, count, (float)limit, NULL, most);
        }
    *largest = bnn_largest_of(most, *largest);
}
#endif

#ifndef BNN_HAVE_requantise_i32_i8
void BNN_NAME(requantise_i32_i8)(const int32_t *v, size_t rows, size_t columns, size_t stride,
                                 float multiplier, int8_t *q, size_t q_stride, uint64_t key, uint32_t index)
{
    uint8_t u[BNN_TILE];
    for (size_t row = 0; row < rows; row++, v += stride, q += q_stride, index += (uint32_t)q_stride)
        for (size_t base = 0; base < columns; base += BNN_TILE) {
            const size_t end = bnn_min(base + BNN_TILE, columns);
            if (key) bnn_hash_bytes(u, end - base, index + (uint32_t)base, key);
            for (size_t c = base; c < end; c++) {
                const float scaled = bnn_clip((float)v[c] * multiplier, 127.0f);
                q[c] = key ? (int8_t)bnn_dithered(scaled, u[c - base]) : (int8_t)bnn_round(scaled);
            }
        }
}
#endif

#ifndef BNN_HAVE_largest_i32
void BNN_NAME(largest_i32)(const int32_t *v, size_t rows, size_t columns, size_t stride, int32_t *largest)
{
    int32_t most = *largest;
    for (size_t row = 0; row < rows; row++, v += stride)
        for (size_t c = 0; c < columns; c++) {
            int32_t size = v[c] < 0 ? -v[c] : v[c];
            most = size > most ? size : most;
        }
    *largest = most;
}
#endif

#ifndef BNN_HAVE_mask_i8
void BNN_NAME(mask_i8)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                       int8_t *g, size_t g_stride)
{
    for (size_t row = 0; row < rows; row++, g += g_stride)
        for (size_t c = 0; c < columns; c++)
            g[c] = (int8_t)(g[c] & -(int8_t)(bits[row * stride_words + c / BNN_WORD_BITS] >> c % BNN_WORD_BITS & 1));
}
#endif

void BNN_NAME(norm_cancel_f32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                               const int32_t *low, const int32_t *high, float *g, size_t g_stride)
{
    for (size_t row = 0; row < rows; row++, y += stride, g += g_stride)
        for (size_t c = 0; c < columns; c++) g[c] = (y[c] >= low[c]) & (y[c] <= high[c]) ? g[c] : 0.0f;
}

#ifndef BNN_HAVE_mask_f32
void BNN_NAME(mask_f32)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                        float *g, size_t g_stride)
{
    for (size_t row = 0; row < rows; row++, g += g_stride)
        for (size_t c = 0; c < columns; c++)
            g[c] = bits[row * stride_words + c / BNN_WORD_BITS] >> c % BNN_WORD_BITS & 1 ? g[c] : 0.0f;
}
#endif

void BNN_NAME(norm_sums_f32)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                             const float *g, size_t g_stride, double *sum_g, double *sum_gt)
{
    for (size_t row = 0; row < rows; row++, t += stride, g += g_stride)
        for (size_t c = 0; c < columns; c++) {
            sum_g[c] += (double)g[c];
            sum_gt[c] += (double)g[c] * (double)t[c];
        }
}

void BNN_NAME(norm_affine_f32)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                               const float *a, const float *b, const float *c0, float *g, size_t g_stride)
{
    for (size_t row = 0; row < rows; row++, t += stride, g += g_stride)
        for (size_t c = 0; c < columns; c++) g[c] = a[c] * g[c] + (b[c] * (float)t[c] + c0[c]);
}
